//! How much room there is: for the spool, on its disk, and in memory; and the limits they are compared with.
//! What the console says of it is read from the metrics, so that it is what Prometheus sees.

use std::fs;
use std::path::Path;

use prometheus::{Error, IntGauge};

use super::make::Make;
use crate::config::{MediaPlace, Settings};

/// A limit from here on is none: cgroup v1 writes "no limit" as a number near 2^63.
const NO_LIMIT: u64 = 1 << 60;

/// What is used of something that has a limit. Without a limit nothing is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) used: u64,
    pub(crate) limit: u64,
}

impl Usage {
    /// From 0 to 1.
    pub(crate) fn share(self) -> f64 {
        if self.limit == 0 { 0.0 } else { self.used as f64 / self.limit as f64 }
    }
}

/// What is left of each; the limits themselves are set once.
pub(crate) struct Space {
    room: IntGauge,
    free: IntGauge,
    media: IntGauge,
    media_limit: u64,
    memory_limit: u64,
}

impl Space {
    pub(super) fn new(make: &Make<'_>, settings: &Settings) -> Result<Space, Error> {
        let spool = &settings.spool;
        let is_folder = matches!(settings.media.place, MediaPlace::Folder(_));
        let media_limit = if is_folder { settings.media.max_bytes } else { 0 };
        let memory_limit = memory_limit().unwrap_or(0);
        for (name, help, value) in [
            ("spool_limit_bytes", "spool.max_bytes: the most bytes the spool may hold.", spool.max_bytes),
            (
                "spool_lane_limit_bytes",
                "spool.max_lane_bytes: the most bytes one lane of the spool may hold.",
                spool.max_lane_bytes,
            ),
            (
                "spool_min_free_bytes",
                "spool.min_free_bytes: bytes the spool leaves free on its disk.",
                spool.min_free_bytes,
            ),
            (
                "media_limit_bytes",
                "media.max_bytes: the most bytes the media folder may hold; 0 when files go to a bucket.",
                media_limit,
            ),
            (
                "process_memory_limit_bytes",
                "Memory limit of the process in bytes, from its control group; 0 without a limit.",
                memory_limit,
            ),
        ] {
            make.gauge(name, help)?.set(signed(value));
        }
        let room = "Bytes the spool can still accept, within spool.max_bytes and what its disk has beyond spool.min_free_bytes; \
                    0 while it rejects deliveries.";
        let free = "Bytes free on the disk of data_dir.";
        let media = "Bytes of the files in the media folder at the last count; 0 when files go to a bucket.";
        Ok(Space {
            room: make.gauge("spool_room_bytes", room)?,
            free: make.gauge("disk_free_bytes", free)?,
            media: make.gauge("media_used_bytes", media)?,
            media_limit,
            memory_limit,
        })
    }

    /// `room` is what the spool would take, `free` what is free on its disk, `media` what the folder of large files holds, as far as that
    /// is known; in bytes.
    pub(crate) fn show(&self, room: u64, free: Option<u64>, media: Option<u64>) {
        self.room.set(signed(room));
        if let Some(free) = free {
            self.free.set(signed(free));
        }
        if let Some(media) = media {
            self.media.set(signed(media));
        }
    }
}

impl Space {
    /// Bytes of the media folder, as they were shown last.
    pub(crate) fn media(&self) -> Usage {
        Usage { used: u64::try_from(self.media.get()).unwrap_or(0), limit: self.media_limit }
    }

    /// Bytes of memory, and files and connections, that the process has now.
    pub(crate) fn process(&self) -> (Usage, Usage) {
        let process = process_gauges();
        let value = |name: &str| process.iter().find(|(of, _)| of == name).map_or(0, |(_, value)| *value);
        let memory = Usage { used: value("process_resident_memory_bytes"), limit: self.memory_limit };
        (memory, Usage { used: value("process_open_fds"), limit: value("process_max_fds") })
    }
}

/// What any process is measured by. Nothing where it cannot be read.
#[cfg(target_os = "linux")]
fn process_gauges() -> Vec<(String, u64)> {
    use prometheus::core::Collector as _;
    let families = prometheus::process_collector::ProcessCollector::for_self().collect();
    let value = |family: &prometheus::proto::MetricFamily| {
        family.get_metric().first().map_or(0.0, |metric| metric.get_gauge().get_value())
    };
    families.iter().map(|family| (family.name().to_owned(), value(family).max(0.0) as u64)).collect()
}

#[cfg(not(target_os = "linux"))]
fn process_gauges() -> Vec<(String, u64)> {
    Vec::new()
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// The least memory that this process's control group, or one above it, allows.
fn memory_limit() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    limit_below(Path::new("/sys/fs/cgroup"), &groups)
}

/// The same, of the groups that `groups` names (as /proc/self/cgroup does) below `root`.
fn limit_below(root: &Path, groups: &str) -> Option<u64> {
    let limits = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (root, file) = match parts.next()? {
            "" => (root.to_owned(), "memory.max"),
            "memory" => (root.join("memory"), "memory.limit_in_bytes"),
            _ => return None,
        };
        let group = root.join(parts.next()?.trim_start_matches('/'));
        let above = group.ancestors().take_while(|dir| dir.starts_with(&root));
        let limits = above.filter_map(|dir| fs::read_to_string(dir.join(file)).ok()?.trim().parse().ok());
        limits.filter(|&limit: &u64| limit < NO_LIMIT).min()
    });
    limits.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_limit_of_a_group_and_those_above_it_counts() {
        let dir = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let file = dir.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        write("system.slice/memory.max", "805306368\n");
        write("system.slice/hookbridge.service/memory.max", "max\n");
        write("memory/memory.limit_in_bytes", "9223372036854771712\n");
        write("memory/docker/memory.limit_in_bytes", "1000\n");
        for (groups, expected) in [
            ("0::/system.slice/hookbridge.service\n", Some(805_306_368)),
            ("0::/\n", None),
            ("5:cpu:/x\n4:memory:/docker\n0::/\n", Some(1000)),
            // In a container, the group's own folder may have another name than the host gives it.
            ("4:memory:/docker/5f0c\n", Some(1000)),
            ("4:memory:/\n", None),
            ("", None),
        ] {
            assert_eq!(limit_below(dir.path(), groups), expected, "{groups}");
        }
    }
}
