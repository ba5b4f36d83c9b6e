//! What is said of what is wrong, at moments made up.

use super::*;
use crate::kafka::registry::ChangedIds;
use crate::observe::metrics::Usage;
use crate::outcome::{Reason, Rejection};

/// Everything that a situation is made of, with nothing wrong.
struct Moment {
    around: Surroundings,
    health: HealthReport,
    spool: SpoolFigures,
    refusals: Vec<RefusalGrowth>,
    dead_letters: Vec<DeadLetterGrowth>,
    newest: Vec<RecentDeadLetter>,
    impatient: Vec<ImpatientSender>,
    process: ProcessFigures,
}

impl Moment {
    fn calm() -> Moment {
        let around = Surroundings {
            kafka: "kafka-1:9092".into(),
            registry: "http://registry:8081".into(),
            data_dir: "/var/lib/hookbridge".into(),
            dead_letters: "hookbridge.dead-letters".into(),
            inspect_spool: "hookbridge spool inspect --data-dir /var/lib/hookbridge".into(),
            flags: ToolFlags::of_file("/etc/hookbridge.toml".as_ref()),
        };
        let health = HealthReport {
            ready: true,
            ending: false,
            kafka: None,
            partitions: None,
            registry: None,
            spool: None,
            spool_bytes: 0,
            damage: None,
            known: 51,
            all: 51,
            refused: Vec::new(),
            changed_ids: ChangedIds::default(),
        };
        let spool = SpoolFigures { limit_bytes: 1 << 30, room_bytes: 1 << 30, ..SpoolFigures::default() };
        Moment {
            around,
            health,
            spool,
            refusals: Vec::new(),
            dead_letters: Vec::new(),
            newest: Vec::new(),
            impatient: Vec::new(),
            process: ProcessFigures::default(),
        }
    }

    fn at(&self, now: i64, log: &mut TroubleLog) -> (Vec<OpenTrouble>, Value) {
        let Moment { around, health, spool, refusals, dead_letters, newest, impatient, process } = self;
        let process = *process;
        let situation = Situation { now, around, health, spool, refusals, dead_letters, newest, impatient, process };
        let troubles = log.look(&situation);
        let verdict = verdict(&situation, &troubles);
        (troubles, verdict)
    }

    fn look(&self) -> (Vec<OpenTrouble>, Value) {
        self.at(1_000_000, &mut TroubleLog::default())
    }
}

fn codes(troubles: &[OpenTrouble]) -> Vec<&str> {
    troubles.iter().map(|trouble| &*trouble.code).collect()
}

fn refused(refusal: Refusal, last: i64) -> RefusalGrowth {
    let growth = Growth { since: 900_000, last, count: 2 };
    RefusalGrowth { source: "whazing".into(), refusal, growth }
}

#[test]
fn without_trouble_the_verdict_is_ok() {
    let (troubles, verdict) = Moment::calm().look();
    assert_eq!(codes(&troubles), [] as [&str; 0]);
    assert_eq!((&verdict["level"], &verdict["text"]), (&"ok".into(), &"No trouble".into()));
    assert!(verdict["effect"].as_str().unwrap().contains("directly to Kafka"), "{verdict}");
}

#[test]
fn while_kafka_is_down_the_cause_comes_first_and_its_beginning_stays() {
    let (mut moment, mut log) = (Moment::calm(), TroubleLog::default());
    moment.health.kafka = Some("connection refused".into());
    moment.at(1_000_000, &mut log);
    moment.spool.records = 12;
    moment.spool.growth = Some(5.0);
    moment.spool.oldest_at = Some(1_001_000);
    let (troubles, verdict) = moment.at(1_060_000, &mut log);
    assert_eq!(codes(&troubles), ["kafka", "spool_waits"]);
    let kafka = &troubles[0];
    assert_eq!(
        (kafka.since, &*kafka.server, &*kafka.detail),
        (Some(1_000_000), "Kafka kafka-1:9092", "connection refused")
    );
    assert_eq!(kafka.commands, ["hookbridge check --config /etc/hookbridge.toml"]);
    assert_eq!((troubles[1].since, &*troubles[1].title), (Some(1_001_000), "The spool grows: 12 events wait"));
    assert_eq!(verdict["level"], "warning");
    assert_eq!((&verdict["text"], &verdict["since"]), (&"Kafka cannot be used, and 1 more".into(), &1_000_000.into()));
    assert!(verdict["effect"].as_str().unwrap().starts_with("Senders get 202."), "{verdict}");
    (moment.health.kafka, moment.spool.growth) = (None, None);
    let (troubles, _) = moment.at(1_061_000, &mut log);
    assert_eq!((codes(&troubles), &*troubles[0].title), (vec!["spool_waits"], "12 events wait in the spool"));
    moment.health.kafka = Some("again".into());
    assert_eq!(moment.at(1_062_000, &mut log).0[0].since, Some(1_062_000), "it was over in between");
}

#[test]
fn a_spool_that_is_nearly_full_is_critical() {
    let mut moment = Moment::calm();
    (moment.spool.records, moment.spool.share, moment.spool.room_bytes) = (1, 0.95, 50 << 20);
    let (troubles, verdict) = moment.look();
    assert_eq!(codes(&troubles), ["spool_waits", "spool_room"]);
    assert_eq!(
        (&verdict["level"], &*troubles[0].title),
        (&"critical".into(), "The spool is nearly full: 1 event waits")
    );
    assert!(verdict["effect"].as_str().unwrap().starts_with("Senders get 202 while the spool has room."), "{verdict}");
    moment.refusals = vec![refused(Refusal::Unavailable, 980_000)];
    let (troubles, _) = moment.look();
    assert_eq!(troubles[2].detail, "No event of them was accepted.", "a large one may be refused again");
    moment.refusals.clear();
    (moment.spool.share, moment.spool.room_bytes, moment.spool.full_in) = (0.1, 900 << 20, Some(1800.0));
    let (troubles, _) = moment.look();
    assert_eq!((codes(&troubles), troubles[0].severity), (vec!["spool_waits"], Severity::Critical));
    assert!(troubles[0].detail.contains("full in 30 min"), "{}", troubles[0].detail);
    for (room, full_in, words) in [(1, 20.0, "full within a minute"), (0, 0.0, "no room is left")] {
        (moment.spool.room_bytes, moment.spool.full_in) = (room, Some(full_in));
        let detail = &moment.look().0[0].detail;
        assert!(detail.contains(words) && !detail.contains("full in "), "{detail}");
    }
}

#[test]
fn the_remedy_for_little_room_is_for_what_limits_it() {
    let mut moment = Moment::calm();
    moment.spool.room_bytes = 50 << 20;
    let room = |moment: &Moment| moment.look().0.pop().unwrap();
    assert_eq!(room(&moment).code, "spool_room");
    assert!(room(&moment).todo.starts_with("Make room on this disk"), "the spool is empty: {}", room(&moment).todo);
    assert_eq!(room(&moment).detail, "50 MiB, 5 % of spool.max_bytes.");
    moment.spool.bytes = (1 << 30) - (50 << 20);
    assert!(room(&moment).todo.contains("raise spool.max_bytes"), "{}", room(&moment).todo);
    moment.around.data_dir = "/var/lib/hook bridge".into();
    assert_eq!(room(&moment).commands, ["df -h '/var/lib/hook bridge'"]);
}

#[test]
fn what_no_event_can_pass_is_critical_and_says_what_senders_get() {
    let mut moment = Moment::calm();
    moment.health.kafka = Some("down".into());
    moment.health.spool = Some("the disk is full".into());
    moment.health.ready = false;
    let (troubles, verdict) = moment.look();
    assert_eq!(codes(&troubles), ["not_ready", "spool", "kafka"]);
    assert!(verdict["effect"].as_str().unwrap().starts_with("Senders get 503"), "{verdict}");
}

#[test]
fn refusals_are_critical_while_events_may_be_lost_by_them() {
    let mut moment = Moment::calm();
    moment.impatient = vec![ImpatientSender { source: "whazing".into(), left: 340 }];
    for (refusal, last, severity) in [
        (Refusal::Unavailable, 995_000, Severity::Critical),
        (Refusal::Overloaded, 995_000, Severity::Critical),
        (Refusal::Unavailable, 980_000, Severity::Warning),
        (Refusal::Wrong, 995_000, Severity::Warning),
    ] {
        let no_trouble = [Refusal::NotFound, Refusal::MethodNotAllowed, Refusal::ShuttingDown, Refusal::UnknownSource];
        moment.refusals = [refusal].into_iter().chain(no_trouble).map(|refusal| refused(refusal, last)).collect();
        let reason = refusal.reason();
        let (troubles, _) = moment.look();
        assert_eq!(troubles.len(), 1, "strangers and an end in order are no trouble");
        let times = (troubles[0].since, troubles[0].last);
        assert_eq!((troubles[0].severity, times), (severity, (Some(900_000), Some(last))), "{reason}");
        assert_eq!(troubles[0].title, format!("2 requests of whazing refused: {reason}"));
        assert!(
            troubles[0].todo.ends_with('.') && troubles[0].todo.starts_with(char::is_uppercase),
            "{}",
            troubles[0].todo
        );
        assert_eq!(troubles[0].detail.contains("stop trying in 340 s"), reason != "wrong", "{}", troubles[0].detail);
    }
}

#[test]
fn other_ids_of_the_registry_are_shown_for_an_hour() {
    let mut moment = Moment::calm();
    moment.health.changed_ids = ChangedIds { count: 44, at: 900_000 };
    let (troubles, _) = moment.look();
    assert_eq!((codes(&troubles), troubles[0].since), (vec!["schema_ids_changed"], Some(900_000)));
    assert_eq!(troubles[0].title, "The registry has other ids for 44 schemas");
    let (troubles, _) = moment.at(900_000 + 60 * 60 * 1000 + 1, &mut TroubleLog::default());
    assert_eq!(codes(&troubles), [] as [&str; 0]);
}

#[test]
fn when_refusing_is_over_the_verdict_says_so() {
    let mut moment = Moment::calm();
    moment.refusals = vec![refused(Refusal::Unavailable, 980_000)];
    let (troubles, verdict) = moment.look();
    assert_eq!(verdict["level"], "warning");
    assert!(verdict["effect"].as_str().unwrap().contains("directly to Kafka"), "{verdict}");
    assert!(troubles[0].detail.starts_with("It is over: "), "{}", troubles[0].detail);
    for (left, words) in [(340, "sent nothing since, and may stop trying in 340 s"), (0, "may have stopped trying")] {
        moment.impatient = vec![ImpatientSender { source: "whazing".into(), left }];
        let detail = &moment.look().0[0].detail;
        assert!(detail.starts_with("It is over: ") && detail.contains(words), "{detail}");
    }
}

#[test]
fn what_costs_events_comes_first_then_dead_letters_then_refusals_the_most_first_and_strangers_last() {
    let mut moment = Moment::calm();
    let many = |refusal, count| {
        let RefusalGrowth { source, growth, .. } = refused(refusal, 980_000);
        RefusalGrowth { source, refusal, growth: Growth { count, ..growth } }
    };
    moment.refusals = vec![
        many(Refusal::UnknownSource, 5000),
        many(Refusal::Malformed, 300),
        many(Refusal::Wrong, 3200),
        many(Refusal::Unavailable, 1),
    ];
    let growth = Growth { since: 950_000, last: 950_000, count: 9 };
    let letters = |reason: &str, count| DeadLetterGrowth {
        source: "whazing".into(),
        reason: reason.into(),
        growth: Growth { count, ..growth },
    };
    moment.dead_letters = vec![letters("malformed_json", 1), letters("missing_key", 9)];
    let (troubles, verdict) = moment.look();
    let expected = [
        "refused whazing unavailable",
        "dead_letters whazing missing_key",
        "dead_letters whazing malformed_json",
        "refused whazing wrong",
        "refused whazing malformed",
        "refused whazing unknown_source",
    ];
    assert_eq!(codes(&troubles), expected);
    assert_eq!(troubles[2].commands.len(), 1, "a replay does not help: {:?}", troubles[2].commands);
    assert_eq!(verdict["text"], "1 request of whazing refused: unavailable, and 5 more");
}

#[test]
fn dead_letters_come_with_their_sentence_and_the_commands() {
    let mut moment = Moment::calm();
    let rejection = Rejection { reason: Reason::UnknownType, error: "Type: unknown event type: TicketPaused".into() };
    moment.newest = vec![RecentDeadLetter::new(("1", "whazing"), None, &rejection, 950_000, false)];
    let growth = Growth { since: 950_000, last: 950_000, count: 1 };
    moment.dead_letters = vec![DeadLetterGrowth { source: "whazing".into(), reason: "unknown_type".into(), growth }];
    let (troubles, verdict) = moment.look();
    assert_eq!(verdict["text"], "1 dead letter of whazing: unknown_type");
    assert!(
        troubles[0].detail.contains(" The newest: Type: unknown event type: TicketPaused. Those replayed since "),
        "{}",
        troubles[0].detail
    );
    let which = "--source whazing --reason unknown_type";
    assert_eq!(
        troubles[0].commands,
        [
            format!("hookbridge dead-letters list {which} --config /etc/hookbridge.toml"),
            format!("hookbridge dead-letters replay {which} --dry-run --config /etc/hookbridge.toml"),
        ]
    );
}

#[test]
fn the_process_itself_can_be_the_trouble() {
    const DAY: i64 = 24 * 60 * 60 * 1000;
    let of = |used: u64| Usage { used, limit: 100 };
    let mut moment = Moment::calm();
    (moment.process.media, moment.process.memory, moment.process.files) = (of(80), of(90), of(80));
    moment.process.certificate_ends_at = Some(1_000_000 + 14 * DAY);
    assert_eq!(codes(&moment.look().0), [] as [&str; 0], "the alerts are silent, too");
    (moment.process.media, moment.process.memory, moment.process.files) = (of(81), of(91), of(81));
    moment.process.certificate_ends_at = Some(1_000_000 + 13 * DAY);
    moment.process.reload_refused = true;
    let (troubles, verdict) = moment.look();
    assert_eq!(codes(&troubles), ["certificate", "reload", "media", "memory", "files"]);
    assert_eq!((&verdict["level"], &*troubles[0].title), (&"warning".into(), "The certificate expires in 13 days"));
    moment.process = ProcessFigures { certificate_ends_at: Some(999_999), ..ProcessFigures::default() };
    let (troubles, verdict) = moment.look();
    assert_eq!((&verdict["level"], &*troubles[0].title), (&"critical".into(), "The certificate has expired"));
    assert_eq!(troubles[0].runbook, "HookbridgeCertificateExpired");
}

#[test]
fn each_runbook_is_a_section_of_the_operations_page() {
    let page = include_str!("../../../docs/operations.md");
    let sources = [include_str!("servers.rs"), include_str!("process.rs"), include_str!("events.rs")].concat();
    let is_runbook = |word: &&str| {
        (word.starts_with("Hookbridge") && !word.contains(' '))
            || ["Making room", "A damaged spool", "Refused requests"].contains(word)
    };
    let named: std::collections::BTreeSet<_> = sources.split('"').filter(is_runbook).collect();
    assert!(named.len() > 10, "{named:?}");
    for runbook in named {
        assert!(page.contains(&format!("## {runbook}\n")), "{runbook}");
    }
}
