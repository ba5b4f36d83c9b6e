//! `hookbridge where`: the partition of a key.

use std::io::{self, Write as _};
use std::path::Path;

use clap::Args;

use super::connect::{Connect, ToolNeeds};
use super::{Ending, fail, fail_config};
use crate::kafka::partition;
use crate::tools::read::partitions;

const HELP: &str = "\
Prints only the number of the partition, from 0. It is where hookbridge, the Java client and every
client with the partitioner murmur2 put a record with this key. The key is used as given: the keys of
hookbridge's topics are UUIDs in lower case, or numbers.

Examples:
  hookbridge where wegly.deal-latest 11111111-1111-4111-8111-111111111111 --config hookbridge.toml
  hookbridge where wegly.deal 11111111-1111-4111-8111-111111111111 --partitions 12

Exit codes: 0 printed, 64 wrong usage, 69 Kafka cannot be reached or the topic does not exist, 78 configuration.";

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct WhereArgs {
    /// The topic, by its whole name
    topic: String,
    /// The key
    key: String,
    /// How many partitions the topic has; without this, Kafka is asked
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    partitions: Option<u32>,
    #[command(flatten)]
    connect: Connect,
}

pub(super) fn run(args: &WhereArgs, file: Option<&Path>) -> Ending {
    let count = match args.partitions {
        Some(count) => count,
        None => {
            let settings = match args.connect.settings(file, ToolNeeds::Kafka) {
                Ok(settings) => settings,
                Err(error) => return fail_config(&error),
            };
            match partitions(&settings.kafka, &args.topic) {
                Ok(count) => count,
                Err(error) => return fail(&error, Ending::Unavailable),
            }
        }
    };
    // Whoever closed the pipe does not want to know.
    let _ = writeln!(io::stdout(), "{}", partition::of_key(args.key.as_bytes(), count));
    Ending::Well
}
