//! `hookbridge completions`: scripts for shells, made from the commands themselves.

use std::io::{self, Write as _};

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, Ending};

const HELP: &str = "\
The packages install these scripts. Without a package:
  hookbridge completions bash > ~/.local/share/bash-completion/completions/hookbridge
  hookbridge completions zsh > ~/.zfunc/_hookbridge      (with ~/.zfunc in fpath)
  hookbridge completions fish > ~/.config/fish/completions/hookbridge.fish";

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct CompletionsArgs {
    /// Which shell
    shell: Shell,
}

pub(super) fn run(args: &CompletionsArgs) -> Ending {
    // Whoever closes the pipe has seen enough.
    let _ = io::stdout().write_all(&script(args.shell));
    Ending::Well
}

fn script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "hookbridge", &mut script);
    script
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_shell_knows_every_command() {
        for shell in Shell::value_variants() {
            let script = String::from_utf8(script(*shell)).unwrap();
            for command in Cli::command().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell}: {}", command.get_name());
            }
        }
    }
}
