//! The page of all commands, `docs/cli.md`: what `--help` says, and what is worth knowing before it. It is made from the
//! commands themselves, so that the page and the program cannot differ.

use clap::{Command, CommandFactory as _};

/// Columns of the help texts: fixed, since the page must not depend on the terminal of whoever makes it.
const WIDTH: usize = 100;

const HEAD: &str = r#"# Commands

Made from `--help` by `hookbridge docs cli`; do not edit.

For those who type `hookbridge`, on a server or while developing. Each command's `--help` is below, after the rules that several of
them share.

## Which configuration a command reads

One rule for every command that talks to servers:

1. The file that `--config FILE` or the variable `HOOKBRIDGE_CONFIG` names, else `hookbridge.toml` in the working directory. Variables
   `HOOKBRIDGE__SECTION__KEY` go over it.
2. Without a file the variables alone. What they leave out is as `dev` has it; `serve`, `check`, `health` and `spool` require the whole.
3. Without both, the `dev` that runs on this machine, or the one that was started last.
4. Without all of these, the addresses at which `dev` would be. `serve`, `check`, `health` and `spool` end with 78 instead.

- `--kafka` and `--registry` go over all of it. Servers that are neither from a file nor typed are named in the first line on standard
  error, each with where it is from.
- `send` takes the bridge's address (`http.listen`, `http.tls`), the source's profile and its first secret from there; `--url`, `--profile` and
  `--secret` go over them. If a `dev` listens at the address and no file was named, its secrets are taken, whatever `hookbridge.toml` says.
- `dev` takes sources, topics and limits from its file, if `--config` names one, and uses none of the servers that it names.
- `init` writes the file. `try`, `docs` and `profile init` talk to no server. `try` and `docs` read a file only if one is named, and otherwise have the sources of `dev`.
- A Kafka or a registry that requires credentials requires a file or variables.

## Exit codes

| code | meaning |
| --- | --- |
| 0 | success |
| 1 | `check` or `schemas check` has findings; `send` got answers other than 2xx; `forget` was answered with no; `dead-letters replay` left some, or was interrupted; `audit` misses events; `dead-letters show` found no such dead letter; `spool drain` left some; `spool recover` finds damage; `health` finds the bridge not alive, or not ready; `try` finds that a request would not be published, or that a case differs; a second signal ended `serve` or `dev`; `profile` could not make a record of every sample |
| 64 | wrong usage; `forget` has neither a terminal nor `--yes`; `tail --from` is an offset past the end of every partition |
| 69 | not available: a bridge that `send` could post to; Kafka, a topic, the registry or a bucket (for all commands but `serve`, which starts without them); an address to listen on; `data_dir`, because another process uses it; the spool's file |
| 78 | the configuration or the catalog is not usable; a schema is refused (the reasons are printed); an output file cannot be written |

## What `send` measures

`send` makes bodies from the catalog, so every event type has samples: fresh ids and dates, optional fields sometimes left out or
null, and entities that live on from event to event. Deals, leads and phone numbers are the same in every run, so that samples of Wegly and Whazing
meet: by deal, by `ticket.reference` and by number. Without an event type it sends all types of the profile in turn.

- `--count` sends one event after another. `--rate` sends that many a second for `--for` or `--count`, without waiting for answers
  (up to 1024 unanswered). Its latencies are counted from the scheduled time of each event, so a bridge that stalls shows.
- `--body FILE` (`-` is standard input) signs and posts your own JSON, byte by byte as it is. `--header` adds a header or replaces one.
- Up to 20 events get a line each: event id, type, topic, outcome. The sum follows; and for each kind of answer that is no acceptance what it
  means and what to do, on standard error.
- `--dry-run` prints the `curl` command. `--list` prints the event types. `--seed` repeats the same choices.
- Against another bridge: `--url`, `--secret` or `HOOKBRIDGE_SECRET`, and `--profile` if the source has another name than its
  profile. For a profile of your own that no configuration has, `--catalog`.

```console
$ hookbridge send wegly --rate 100 --for 10s
sent 1000 in 10.0 s (100.1/s)
  published                      1000
latency from scheduled time: p50 3.6 ms, p90 4.5 ms, p99 7.0 ms, max 10.3 ms
```

## What `try` shows

`try` takes one request and shows what the bridge would make of it. It connects to nothing and writes nothing, so it needs neither Kafka nor a
registry, and no running bridge. Each step is the bridge's own. It is for operators and for those who write [profiles](vendors.md): senders never
learn why they are refused, `try` says it.

- `proof`: whether the signature or token is right, and if not, why. It also tries whether the signature is right over slightly other bytes, such as the
  body without a line end: a common fault of files. With `--unsigned` the proof is taken for granted.
- `answer`: what the sender gets, if Kafka takes the records.
- For each event its id, its type, the rule that determines it, its key, and its records with topic, partition (of `kafka.partitions`) and
  subject. If the proof is wrong, these are what would have been made of it.
- `extra`: each value that has no field of its own or does not fit it, and why.
- A handshake (`--method GET --query 'hub.mode=subscribe&...'`, or a POST whose body asks) shows what the vendor would be answered, or why it would not.
- `--cases` tries a file of requests and compares. The first words of a line are `ok` or `FAIL`; the exit code is 1 if one differs.

```console
$ hookbridge try won.json --source wegly --unsigned
source    wegly (profile wegly)
proof     not checked: taken for granted, as asked (unsigned)
answer    200 published

event     c2eaaefd-15fb-8ba6-880b-3f660b85d481
type      deal.won, by recognise[0]: `event_key` is "deal.won"
key       11111111-1111-4111-8111-111111111111
occurred  2026-06-02T12:00:00.000Z
extra     deal.brand: not a field of wegly.DealSnapshot: {"x":1}
extra     deal.code: does not fit its type, long: "abc"
record    wegly.deal/1 key 11111111-1111-4111-8111-111111111111, subject wegly.deal-wegly.DealWon
{
  "event": {
    "id": "c2eaaefd-15fb-8ba6-880b-3f660b85d481",
    "type": "deal.won",
    ...
```

## What `tail` shows

`tail` takes topics by name or pattern (`'wegly.*'`) and starts at `--from`: `beginning` (the default), `end`, an offset, a time
such as `2026-06-02T12:00:00Z`, or how long ago (`5m`). `--last 10` shows the newest ten of all these topics together, in the order of time, also of
those that `--key` and `--type` leave; with `--follow` it goes on from there. Partitions that end before the offset are named with their ends. `--key`, `--type` and `--count` narrow the result. It ends at the records that were there when it began,
unless `--follow` or `--from end` is given. It joins no consumer group and commits nothing. When the registry cannot be reached it ends with 69 and shows
nothing that it cannot decode; a record whose schema the registry does not have, or that does not follow it, is shown as text, and the exit code is 1.

It ends with Ctrl-C, and when whoever reads its output has gone. On a terminal it shows records for people, in colours unless `NO_COLOR` is set, `TERM` is
`dumb` or `--color` says otherwise. Otherwise it writes one JSON object per line (`--format`); there is no order between partitions.
Dead letters are shown as text. The mark that follows a [replayed](dead-letters.md#replay) dead letter is shown as `replayed`, with the
value `null`.

```console
$ hookbridge send wegly --count 1000
$ hookbridge tail wegly.deal | jq -r .value.event.type | sort | uniq -c
     31 deal.created
     31 deal.custom_field_removed
     ...
```

## What `schemas export` writes

One file per named type, numbered so that each file comes after those that it refers to. Two self-contained schemas that share a type cannot be
compiled together, so code generators need it this way. `--bundle` writes self-contained schemas, one for each record type.
"#;

/// The page, in Markdown.
pub(super) fn page() -> String {
    let mut root = repeatable(super::Cli::command()).term_width(WIDTH);
    root.build();
    let mut index = String::from("\n## Every command\n\n| command | |\n| --- | --- |\n");
    let mut sections = String::new();
    section(&mut index, &mut sections, "hookbridge", &mut root);
    format!("{HEAD}{index}{sections}")
}

/// Without the values that variables have where the page is made.
fn repeatable(command: Command) -> Command {
    command.mut_args(|arg| arg.hide_env_values(true)).mut_subcommands(repeatable)
}

/// A line of the index and the help of a command, then those of the commands below it.
fn section(index: &mut String, sections: &mut String, name: &str, command: &mut Command) {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    index.push_str(&format!("| [`{name}`](#{}) | {about} |\n", name.replace(' ', "-")));
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    sections.push_str(&format!("\n## {name}\n\n```text\n{}\n```\n", lines.join("\n").trim_end()));
    for sub in command.get_subcommands_mut().filter(|sub| sub.get_name() != "help") {
        let name = format!("{name} {}", sub.get_name());
        section(index, sections, &name, sub);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_commands_in_the_repository_is_up_to_date() {
        let kept = std::fs::read_to_string("docs/cli.md").unwrap_or_default();
        assert!(kept == page(), "docs/cli.md is stale: cargo run -- docs cli --out docs/cli.md");
    }
}
