//! A stand-in for S3 that somebody else wrote: `moto`, in a virtual environment of its own. It checks signatures.

use std::ffi::OsStr;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use super::java::{Server, free_port, fresh_dir, up};
use super::python::python;

/// The versions a run was last seen to work with.
const PACKAGES: [&str; 3] = ["moto[s3]==5.2.5", "flask==3.1.3", "flask-cors==6.0.5"];

pub(crate) struct S3 {
    pub(crate) endpoint: String,
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
    python: PathBuf,
    _server: Server,
}

impl S3 {
    /// With an empty bucket `files`; or what is missing.
    pub(crate) fn start() -> Result<S3, String> {
        let python = python("venv-s3", &PACKAGES)?;
        let (dir, port) = (fresh_dir("s3"), free_port());
        let mut shell = Command::new("sh");
        shell.env("INITIAL_NO_AUTH_ACTION_COUNT", "4");
        let args = ["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()];
        let server = Server::new(dir.clone(), shell, &python, &args);
        server.order("start");
        up("moto listens", &dir, || TcpStream::connect(("127.0.0.1", port)).ok().map(drop))?;
        let endpoint = format!("http://127.0.0.1:{port}");
        let keys = String::from_utf8(script(&python, ["prepare", &endpoint])).expect("text");
        let (access_key_id, secret_access_key) = keys.trim().split_once(' ').expect("two keys");
        let (access_key_id, secret_access_key) = (access_key_id.to_owned(), secret_access_key.to_owned());
        Ok(S3 { endpoint, access_key_id, secret_access_key, python, _server: server })
    }

    /// The object at `s3://bucket/key`.
    pub(crate) fn read(&self, uri: &str) -> Vec<u8> {
        script(&self.python, ["read", &self.endpoint, &self.access_key_id, &self.secret_access_key, uri])
    }
}

/// What the script says, which has to end well.
fn script<A: AsRef<OsStr>>(python: &PathBuf, args: impl IntoIterator<Item = A>) -> Vec<u8> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/s3.py");
    let output = Command::new(python).arg(script).args(args).output().expect("python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
