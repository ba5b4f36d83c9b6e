//! `hookbridge init`: a small `hookbridge.toml` for the vendors that are named, and what to do next.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;

use super::{Ending, fail, print};
use crate::tools::starter::{Starter, StarterError};
use crate::values::shell;

const HELP: &str = "\
Vendors that are built in: wegly, whazing. Those of the gallery: chatwoot, evolution, github, pipedrive, shopify,
slack, standard_webhooks, stripe, whatsapp_cloud. The profile of one of the gallery becomes a folder of `catalog`,
beside the file; a folder that exists is left as it is. Secrets are read from files in `secrets`, beside the file:
they are named, not made.

Examples:
  hookbridge init --vendor wegly --vendor whazing
  hookbridge init --vendor stripe --config /etc/hookbridge/hookbridge.toml

Exit codes: 0 written, 64 no such vendor, 78 the file exists, or cannot be written.";

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct InitConfigArgs {
    /// A vendor to take webhooks from; may be repeated
    #[arg(long, required = true, value_name = "NAME", value_delimiter = ',')]
    vendor: Vec<String>,
    /// Overwrite the configuration file, if it exists
    #[arg(long)]
    force: bool,
}

pub(super) fn run(args: &InitConfigArgs, file: Option<&Path>) -> Ending {
    let file = file.unwrap_or(Path::new("hookbridge.toml"));
    // Paths are looked up from where `serve` is started: where that may be elsewhere, they are written in full.
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = match folder.map(std::path::absolute).transpose() {
        Ok(folder) => folder.unwrap_or_default(),
        Err(error) => return fail(&format!("{}: {error}", file.display()), Ending::Configuration),
    };
    let (secrets, catalog) = (folder.join("secrets"), folder.join("catalog"));
    let starter = match Starter::new(&args.vendor, &secrets, &catalog) {
        Ok(starter) => starter,
        Err(error @ StarterError::Unknown { .. }) => return fail(&error, Ending::Usage),
        Err(error @ StarterError::Catalog(_)) => return fail(&error, Ending::Configuration),
    };
    if let Err(error) = write_new(file, &starter.text, args.force) {
        let hint = match error.kind() {
            io::ErrorKind::AlreadyExists => "; --force overwrites it, --config writes another",
            io::ErrorKind::NotFound => "; create its folder first",
            _ => "",
        };
        return fail(&format!("{}: {error}{hint}", file.display()), Ending::Configuration);
    }
    print(&format!("wrote {}\n", file.display()));
    for (profile, files) in &starter.profiles {
        let to = catalog.join(profile);
        if to.exists() {
            print(&format!("kept  {}, which exists\n", to.display()));
            continue;
        }
        if let Err(error) = write_profile(&to, files) {
            return fail(&format!("{}: {error}", to.display()), Ending::Configuration);
        }
        print(&format!("wrote {}\n", to.display()));
    }
    print(&next_steps(&starter, file, &secrets));
    Ending::Well
}

fn write_new(file: &Path, text: &str, overwrites: bool) -> io::Result<()> {
    let mut options = File::options();
    if overwrites {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    options.write(true).open(file)?.write_all(text.as_bytes())
}

fn write_profile(to: &Path, files: &std::collections::BTreeMap<&str, &str>) -> io::Result<()> {
    fs::create_dir_all(to)?;
    files.iter().try_for_each(|(name, text)| fs::write(to.join(name), text))
}

fn next_steps(starter: &Starter, file: &Path, secrets: &Path) -> String {
    let missing: Vec<&(PathBuf, String)> = starter.secrets.iter().filter(|(file, _)| !file.exists()).collect();
    let config =
        if file == Path::new("hookbridge.toml") { String::new() } else { format!(" --config {}", shell::path(file)) };
    let mut text = String::from("\nNext:\n");
    if !missing.is_empty() {
        text += "- Put the secrets into files that only you can read. Paste each, then press Enter and Ctrl-D:\n";
        text += &format!("    umask 077; mkdir -p {}\n", shell::path(secrets));
        for (file, what) in missing {
            text += &format!("    cat > {}    # {what}\n", shell::path(file));
        }
    }
    text += &format!("- Set kafka.bootstrap_servers and registry.url in {}, if yours are elsewhere.\n", file.display());
    text += &format!("- hookbridge check --offline{config}    # the file and the secrets\n");
    text += &format!("- hookbridge check{config}    # Kafka and the registry, too\n");
    text += &format!("- hookbridge serve{config}\n");
    for source in &starter.sources {
        text += &format!("- At the vendor of {source}, set the address https://YOUR-HOST/webhooks/{source}\n");
    }
    text
}
