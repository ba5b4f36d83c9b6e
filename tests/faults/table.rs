//! The table of all scenarios, in Markdown.

use std::sync::Mutex;
use std::time::Duration;

/// What came of one scenario.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// Requests, retries among them.
    pub(crate) attempts: usize,
    pub(crate) published: usize,
    pub(crate) spooled: usize,
    pub(crate) dead_lettered: usize,
    /// Events that Kafka has.
    pub(crate) present: usize,
    pub(crate) lost: usize,
    pub(crate) disorder: usize,
    pub(crate) duplicates: usize,
    /// Records that differ from what they should be, or that nobody sent.
    pub(crate) faults: usize,
    /// The longest from the end of a fault to the first 200.
    pub(crate) recovery: Option<Duration>,
    /// The longest from the end of a fault to the first 200 of the last key, of events that were sent after that end.
    pub(crate) every_key: Option<Duration>,
    /// The longest from the end of a fault until the spool was empty.
    pub(crate) drained: Option<Duration>,
}

impl Row {
    /// Adds what came of something else.
    pub(crate) fn add(&mut self, row: &Row) {
        self.attempts += row.attempts;
        self.published += row.published;
        self.spooled += row.spooled;
        self.dead_lettered += row.dead_lettered;
        self.present += row.present;
        self.lost += row.lost;
        self.disorder += row.disorder;
        self.duplicates += row.duplicates;
        self.faults += row.faults;
        self.recovery = self.recovery.max(row.recovery);
        self.every_key = self.every_key.max(row.every_key);
        self.drained = self.drained.max(row.drained);
    }
}

static ROWS: Mutex<Vec<Row>> = Mutex::new(Vec::new());
static NOTES: Mutex<Vec<String>> = Mutex::new(Vec::new());

pub(crate) fn add(row: Row) {
    ROWS.lock().expect("the rows").push(row);
}

/// Puts a line below the table: a figure that has no column.
pub(crate) fn note(words: String) {
    NOTES.lock().expect("the notes").push(words);
}

/// Prints what there is, with a line for the sum.
pub(crate) fn print() {
    let rows = ROWS.lock().expect("the rows");
    if rows.is_empty() {
        return;
    }
    println!(
        "\n| scenario | sent | 200 | 202 spooled | 202 dead-lettered | in Kafka | lost | out of order | duplicates | wrong | \
         recovered in | every key in | spool empty in |\n\
         | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |"
    );
    let mut total = Row { name: "**total**".into(), ..Row::default() };
    for row in rows.iter() {
        println!("{}", line(row));
        total.add(row);
    }
    println!("{}\n", line(&total));
    for note in NOTES.lock().expect("the notes").iter() {
        println!("{note}");
    }
}

fn line(row: &Row) -> String {
    let seconds = |time: Option<Duration>| time.map_or("-".into(), |time| format!("{:.1} s", time.as_secs_f64()));
    let [recovery, every_key, drained] = [row.recovery, row.every_key, row.drained].map(seconds);
    let Row { name, attempts, published, spooled, dead_lettered, present, lost, disorder, duplicates, faults, .. } =
        row;
    format!(
        "| {name} | {attempts} | {published} | {spooled} | {dead_lettered} | {present} | {lost} | {disorder} | \
         {duplicates} | {faults} | {recovery} | {every_key} | {drained} |"
    )
}
