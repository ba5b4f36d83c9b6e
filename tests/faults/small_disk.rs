//! A file system that is soon full: a tmpfs of a few MiB, mounted where the bridge keeps its data. It goes with the
//! process, in the way of `support/java.rs`.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// `$0` is the directory, `$1` the size.
const HANG_ON_PIPE: &str = r#"mount -t tmpfs -o "size=$1" tmpfs "$0" && echo mounted; cat >/dev/null; umount -l "$0""#;

pub(crate) struct SmallDisk {
    at: PathBuf,
    shell: Child,
}

impl SmallDisk {
    /// Mounts one of `bytes`, or says why it cannot be had.
    pub(crate) fn mount(at: &Path, bytes: u64) -> Result<SmallDisk, String> {
        fs::create_dir_all(at).map_err(|e| e.to_string())?;
        let mut shell = Command::new("sh");
        shell.args(["-c", HANG_ON_PIPE]).arg(at).arg(bytes.to_string());
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut shell = shell.spawn().map_err(|e| e.to_string())?;
        let mut said = String::new();
        let heard = BufReader::new(shell.stdout.take().expect("a pipe")).read_line(&mut said);
        let disk = SmallDisk { at: at.to_owned(), shell };
        if heard.is_err() || said != "mounted\n" {
            return Err("no tmpfs can be mounted".into());
        }
        Ok(disk)
    }

    /// Bytes that are free.
    pub(crate) fn free(&self) -> u64 {
        let disk = rustix::fs::statvfs(&self.at).expect("a file system");
        disk.f_bavail * disk.f_frsize
    }

    /// Takes what is free for something else, but for `left` bytes.
    pub(crate) fn take_all_but(&self, left: u64) {
        let (file, mut taken) = (File::create(self.other()).expect("a file"), 0);
        loop {
            let more = self.free().saturating_sub(left);
            if more == 0 {
                return;
            }
            match rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), taken, more) {
                Ok(()) => taken += more,
                // The bridge was quicker.
                Err(rustix::io::Errno::NOSPC) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Gives back what was taken.
    pub(crate) fn give_back(&self) {
        fs::remove_file(self.other()).expect("a file");
    }

    /// From now on nothing can be written to it, or all again.
    pub(crate) fn set_read_only(&self, read_only: bool) {
        let rights = if read_only { "remount,ro" } else { "remount,rw" };
        let status = Command::new("mount").args(["-o", rights]).arg(&self.at).status().expect("mount runs");
        assert!(status.success(), "{rights}");
    }

    fn other(&self) -> PathBuf {
        self.at.join("other")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}
