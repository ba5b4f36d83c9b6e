//! Judges a trace of system calls (`strace -f -y`): every 202 must follow a sync that covers its event. Pure: text in,
//! findings out.
//!
//! An event is covered when a write that holds its token ended before a sync of the same file began, and that sync
//! ended well before the write of the answer began. A tracer sees every call when it is entered and when it is left, and
//! the traced thread waits meanwhile, so the order of lines is that of the calls, whatever their threads.

use std::collections::{BTreeMap, HashMap};

/// A system call; `began` and `ended` are places in the trace.
struct Call<'a> {
    name: &'a str,
    /// With the path that `-y` adds to a file's number; both halves, if another thread's calls came between.
    args: String,
    began: usize,
    ended: usize,
    result: Option<i64>,
}

const WRITES: [&str; 6] = ["write", "writev", "pwrite64", "pwritev", "pwritev2", "sendto"];
const SYNCS: [&str; 2] = ["fsync", "fdatasync"];

/// How many answers 202 were covered, or which were not. `tokens` has what to look for, by the event's id; `spool` is
/// what the paths of the spool's files have in them.
pub(crate) fn check(trace: &str, spool: &str, tokens: &BTreeMap<String, String>) -> Result<usize, Vec<String>> {
    let calls = calls(trace);
    let of_spool = |call: &&Call| path(&call.args).is_some_and(|path| path.contains(spool));
    let good = |call: &&Call| call.result.is_some_and(|result| result >= 0);
    let writes: Vec<_> = calls.iter().filter(|c| WRITES.contains(&c.name)).filter(of_spool).filter(good).collect();
    let syncs: Vec<_> = calls.iter().filter(|c| SYNCS.contains(&c.name)).filter(of_spool).filter(good).collect();
    let (mut covered, mut findings) = (0, Vec::new());
    for (id, answered) in answers(&calls) {
        let Some(token) = tokens.get(id) else {
            findings.push(format!("line {answered}: a 202 for {id}, which nobody sent"));
            continue;
        };
        let holding: Vec<_> = writes.iter().filter(|write| write.args.contains(token)).collect();
        let covers = |write: &&&&Call| {
            let after = |sync: &&&Call| {
                path(&sync.args) == path(&write.args) && sync.began > write.ended && sync.ended < answered
            };
            syncs.iter().any(|sync| after(&sync))
        };
        if holding.iter().any(|write| covers(&write)) {
            covered += 1;
        } else {
            let lines: Vec<_> = holding.iter().map(|write| write.began).collect();
            findings.push(format!("line {answered}: a 202 for {id} that no sync covers; written in lines {lines:?}"));
        }
    }
    if findings.is_empty() { Ok(covered) } else { Err(findings) }
}

/// Ids in answers 202, with the place where each began to be written.
fn answers<'a>(calls: &'a [Call]) -> Vec<(&'a str, usize)> {
    let mut found = Vec::new();
    for call in calls.iter().filter(|call| WRITES.contains(&call.name) && call.args.contains("HTTP/1.1 202 ")) {
        // Quotes are escaped in a trace.
        for rest in call.args.split(r#"\"id\":\""#).skip(1) {
            found.push((rest.split('\\').next().unwrap_or_default(), call.began));
        }
    }
    found
}

/// The path in `3</the/path>, ...`.
fn path(args: &str) -> Option<&str> {
    args.split_once('<')?.1.split_once('>').map(|(path, _)| path)
}

fn calls(trace: &str) -> Vec<Call<'_>> {
    let mut calls = Vec::new();
    // By thread, the call that it is in.
    let mut unfinished: HashMap<&str, Call> = HashMap::new();
    for (number, line) in trace.lines().enumerate() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(rest) = rest.strip_prefix("<... ") {
            let Some(mut call) = unfinished.remove(thread) else { continue };
            call.args += rest;
            (call.ended, call.result) = (number, result(rest));
            calls.push(call);
            continue;
        }
        let Some((name, args)) = rest.split_once('(') else { continue };
        let mut call = Call { name, args: args.to_owned(), began: number, ended: number, result: None };
        if args.ends_with("<unfinished ...>") {
            // Where it never ends, its place is after all others.
            call.ended = usize::MAX;
            unfinished.insert(thread, call);
        } else {
            call.result = result(args);
            calls.push(call);
        }
    }
    calls.extend(unfinished.into_values());
    calls
}

/// What stands after the last `=`: `= 4096`, `= -1 EIO (Input/output error)`.
fn result(line: &str) -> Option<i64> {
    line.rsplit_once(" = ")?.1.split(' ').next()?.parse().ok()
}
