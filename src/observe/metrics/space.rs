//! How much room there is: for the spool, on its disk, and in memory; and the limits they are compared with.

use std::fs;
use std::path::Path;

use prometheus::{Error, IntGauge};

use super::make::Make;
use crate::config::{MediaPlace, Settings};

/// A limit from here on is none: cgroup v1 writes "no limit" as a number near 2^63.
const NO_LIMIT: u64 = 1 << 60;

/// What is left of each; the limits themselves are set once.
pub(crate) struct Space {
    room: IntGauge,
    free: IntGauge,
    media: IntGauge,
}

impl Space {
    pub(super) fn new(make: &Make<'_>, settings: &Settings) -> Result<Space, Error> {
        let spool = &settings.spool;
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
                if matches!(settings.media.place, MediaPlace::Folder(_)) { settings.media.max_bytes } else { 0 },
            ),
            (
                "process_memory_limit_bytes",
                "Memory limit of the process in bytes, from its control group; 0 without a limit.",
                memory_limit().unwrap_or(0),
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
