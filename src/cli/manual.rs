//! The man pages, made from the commands themselves: one for the program, and one for each command.

use std::io;
use std::path::Path;

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

use super::Cli;

/// The commands, as man pages show them: the same whichever commit they are made at.
fn commands() -> Command {
    Cli::command().long_version(env!("CARGO_PKG_VERSION")).disable_help_subcommand(true)
}

/// The page of the program: `hookbridge.1`.
pub(super) fn page() -> Vec<u8> {
    let mut page = Vec::new();
    // A `Vec` takes everything.
    let _ = Man::new(commands()).render(&mut page);
    page
}

/// Writes every page into `folder`, which it makes.
pub(super) fn write(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(commands(), folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path()).unwrap();
        let page = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(page("hookbridge.1").as_bytes() == super::page(), "it is another page where it is alone");
        for command in commands().get_subcommands() {
            let name = command.get_name();
            assert!(page(&format!("hookbridge-{name}.1")).contains(".TH"), "{name}");
            for under in command.get_subcommands() {
                assert!(page(&format!("hookbridge-{name}-{}.1", under.get_name())).contains(".TH"), "{name}");
            }
        }
    }
}
