// Checks a Helm chart as `helm lint --strict` does and prints its manifests as `helm template` does, for machines that have Go and no helm: with
// the library that helm itself is made of.
//
//	go run . -f values.yaml ../../helm/hookbridge
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"sort"
	"strings"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
)

func main() {
	file := flag.String("f", "", "file with values")
	release := flag.String("release", "hookbridge", "name of the release")
	namespace := flag.String("namespace", "hookbridge", "namespace of the release")
	flag.Parse()
	if err := run(flag.Arg(0), *file, *release, *namespace); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(folder, file, release, namespace string) error {
	given := chartutil.Values{}
	if file != "" {
		read, err := chartutil.ReadValuesFile(file)
		if err != nil {
			return err
		}
		given = read
	}
	linted := lint.All(folder, given, namespace, true)
	for _, message := range linted.Messages {
		fmt.Fprintln(os.Stderr, message)
	}
	if linted.HighestSeverity >= support.WarningSev {
		return errors.New("the chart has findings")
	}
	chart, err := loader.Load(folder)
	if err != nil {
		return err
	}
	options := chartutil.ReleaseOptions{Name: release, Namespace: namespace, Revision: 1, IsInstall: true}
	// Also holds the values against values.schema.json.
	values, err := chartutil.ToRenderValues(chart, given, options, chartutil.DefaultCapabilities)
	if err != nil {
		return err
	}
	rendered, err := engine.Render(chart, values)
	if err != nil {
		return err
	}
	names := make([]string, 0, len(rendered))
	for name := range rendered {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		text := strings.TrimSpace(rendered[name])
		if text != "" && !strings.HasSuffix(name, "NOTES.txt") {
			fmt.Printf("---\n# Source: %s\n%s\n", name, text)
		}
	}
	return nil
}
