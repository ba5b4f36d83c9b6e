//! Command lines to copy: with what they need to reach the same servers from another terminal of this machine.

use std::env::current_dir;
use std::path::{Path, absolute};

use crate::values::shell;

/// The flags that make a tool look where this bridge does.
#[derive(Clone, Debug, Default)]
pub(crate) struct ToolFlags {
    /// ` --config FILE`, where there is a file.
    config: Option<String>,
    /// `cd FOLDER && `, where the file means others elsewhere.
    folder: String,
}

impl ToolFlags {
    /// Of a bridge whose configuration is `file`.
    pub(crate) fn of_file(file: &Path) -> ToolFlags {
        let file = absolute(file).unwrap_or_else(|_| file.to_owned());
        ToolFlags { config: Some(format!(" --config {}", shell::path(&file))), folder: String::new() }
    }

    /// The same, from the working directory of this process: the file has relative paths.
    pub(crate) fn in_this_folder(self) -> ToolFlags {
        let folder = current_dir().map(|folder| format!("cd {} && ", shell::path(&folder)));
        ToolFlags { folder: folder.unwrap_or_default(), ..self }
    }

    /// A command that reads Kafka or the registry.
    pub(super) fn tool(&self, words: &str) -> String {
        format!("{}hookbridge {words}{}", self.folder, self.config.as_deref().unwrap_or_default())
    }

    /// `hookbridge check`; it needs a configuration of its own.
    pub(super) fn check(&self) -> Option<String> {
        self.config.as_ref().map(|_| self.tool("check"))
    }

    /// What waits in the spool.
    pub(super) fn inspect_spool(dir: &Path) -> String {
        format!("hookbridge spool inspect --data-dir {}", shell::path(dir))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_names_the_configuration() {
        let file = ToolFlags::of_file(Path::new("/etc/hook bridge's.toml"));
        assert_eq!(file.tool("tail wegly.deal"), r"hookbridge tail wegly.deal --config '/etc/hook bridge'\''s.toml'");
        assert_eq!(file.check().unwrap(), r"hookbridge check --config '/etc/hook bridge'\''s.toml'");
    }

    #[test]
    fn a_configuration_with_relative_paths_is_read_where_they_are_right() {
        let here = current_dir().unwrap();
        let flags = ToolFlags::of_file(Path::new("hookbridge.toml")).in_this_folder();
        let file = format!("--config {}/hookbridge.toml", here.display());
        assert_eq!(flags.check().unwrap(), format!("cd {} && hookbridge check {file}", here.display()));
    }
}
