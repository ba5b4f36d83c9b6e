//! Troubles of the process itself: what it serves with and what it may use.

use super::{OpenTrouble, Severity, Situation};
use crate::observe::metrics::{CERTIFICATE_WARNING_DAYS, Usage};
use crate::values::amount::size;
use crate::values::time::DAY;

/// From here on less room is worth a look; as the alerts have it.
const MEDIA_FULL: f64 = 0.8;
const MEMORY_FULL: f64 = 0.9;
const FILES_FULL: f64 = 0.8;

/// How the process stands.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::console) struct ProcessFigures {
    /// When the webhook listener's certificate expires, in milliseconds since 1970; `None` without TLS.
    pub(in crate::console) certificate_ends_at: Option<i64>,
    /// The last reload was refused.
    pub(in crate::console) reload_refused: bool,
    pub(in crate::console) media: Usage,
    pub(in crate::console) memory: Usage,
    pub(in crate::console) files: Usage,
}

pub(super) fn of(situation: &Situation<'_>) -> Vec<OpenTrouble> {
    [certificate, reload, media, memory, files].iter().filter_map(|judge| judge(situation)).collect()
}

fn certificate(situation: &Situation<'_>) -> Option<OpenTrouble> {
    let left = situation.process.certificate_ends_at? - situation.now;
    if left >= i64::from(CERTIFICATE_WARNING_DAYS) * DAY {
        return None;
    }
    let (severity, title) = match left {
        ..=0 => (Severity::Critical, "The certificate has expired".to_owned()),
        _ if left < 2 * DAY => {
            (Severity::Critical, format!("The certificate expires in {} h", left / (60 * 60 * 1000)))
        }
        _ => (Severity::Warning, format!("The certificate expires in {} days", left / DAY)),
    };
    Some(OpenTrouble {
        code: "certificate".into(),
        severity,
        title,
        detail: "Senders do not deliver to a listener whose certificate has expired.".into(),
        server: "the webhook listener".into(),
        todo: "Put the new certificate and key where http.tls names them, then reload (SIGHUP).".into(),
        commands: situation.around.flags.check().into_iter().collect(),
        runbook: if left <= 0 { "HookbridgeCertificateExpired" } else { "HookbridgeCertificateEnds" },
        ..OpenTrouble::default()
    })
}

fn reload(situation: &Situation<'_>) -> Option<OpenTrouble> {
    situation.process.reload_refused.then(|| OpenTrouble {
        code: "reload".into(),
        title: "The last reload was refused".into(),
        detail: "The bridge continues with the secrets and certificates that it had. Its log says what is wrong."
            .into(),
        server: "the configuration".into(),
        todo: "Correct what the command names, then reload again (SIGHUP).".into(),
        commands: situation.around.flags.check().into_iter().collect(),
        runbook: "HookbridgeReloadRefused",
        ..OpenTrouble::default()
    })
}

fn media(situation: &Situation<'_>) -> Option<OpenTrouble> {
    let media = situation.process.media;
    (media.share() > MEDIA_FULL).then(|| OpenTrouble {
        code: "media".into(),
        title: format!("The media folder is {} full", percent(media)),
        detail: format!(
            "{} of {} (media.max_bytes). Once it is full, events with large files wait in the spool.",
            size(media.used),
            size(media.limit)
        ),
        server: "the media folder".into(),
        todo: "Delete files that no reader needs any more, or raise media.max_bytes and restart.".into(),
        commands: situation.around.flags.check().into_iter().collect(),
        runbook: "HookbridgeMediaFilling",
        ..OpenTrouble::default()
    })
}

fn memory(situation: &Situation<'_>) -> Option<OpenTrouble> {
    let memory = situation.process.memory;
    (memory.share() > MEMORY_FULL).then(|| OpenTrouble {
        code: "memory".into(),
        title: format!("{} of the memory is used", percent(memory)),
        detail: format!(
            "{} of {}. At the limit the kernel kills the process; nothing that was accepted is lost.",
            size(memory.used),
            size(memory.limit)
        ),
        server: "this instance".into(),
        todo: "Raise the memory limit of the container or unit, or lower http.max_in_flight_bytes.".into(),
        runbook: "HookbridgeMemoryHigh",
        ..OpenTrouble::default()
    })
}

fn files(situation: &Situation<'_>) -> Option<OpenTrouble> {
    let files = situation.process.files;
    (files.share() > FILES_FULL).then(|| OpenTrouble {
        code: "files".into(),
        title: format!("{} of the files that may be open are", percent(files)),
        detail: format!("{} of {}. At the limit no new connection is accepted.", files.used, files.limit),
        server: "this instance".into(),
        todo: "Raise the limit (ulimit -n, LimitNOFILE), or lower http.max_connections or http.idle_timeout.".into(),
        runbook: "HookbridgeFilesHigh",
        ..OpenTrouble::default()
    })
}

fn percent(usage: Usage) -> String {
    format!("{:.0} %", usage.share() * 100.0)
}
