// Reads docker-compose.yml as `docker compose config -q` does, for machines that have Go and no compose plugin: with the
// loader that the plugin itself uses.
//
//	go run . -env-file ../../../.env.example -profiles observe,ui ../../../docker-compose.yml
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sort"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
)

func main() {
	envFile := flag.String("env-file", "", "file with variables")
	profiles := flag.String("profiles", "", "profiles to enable, separated by commas")
	flag.Parse()
	if err := run(*envFile, *profiles, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(envFile, profiles string, files []string) error {
	enabled := strings.FieldsFunc(profiles, func(r rune) bool { return r == ',' })
	with := []cli.ProjectOptionsFn{cli.WithProfiles(enabled), cli.WithConfigFileEnv}
	if envFile != "" {
		with = append(with, cli.WithEnvFiles(envFile), cli.WithDotEnv)
	}
	options, err := cli.NewProjectOptions(files, with...)
	if err != nil {
		return err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return err
	}
	names := project.ServiceNames()
	sort.Strings(names)
	fmt.Println(strings.Join(names, " "))
	return nil
}
