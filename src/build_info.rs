//! Which hookbridge this is, and what is linked into it: for `--version`, a metric, the log and whoever else shows it.

use std::fmt;
use std::sync::LazyLock;

/// Read once: the libraries say it themselves, whichever the build took.
pub(crate) static BUILD: LazyLock<BuildInfo> = LazyLock::new(BuildInfo::read);

/// The program's version and commit, and the versions of the libraries in C, of which advisories speak.
#[derive(Debug)]
pub(crate) struct BuildInfo {
    pub(crate) version: &'static str,
    /// Of the sources, with `-dirty` if they differed from it; `unknown` for sources without git.
    pub(crate) commit: &'static str,
    pub(crate) librdkafka: String,
    pub(crate) openssl: String,
    pub(crate) sqlite: String,
}

impl BuildInfo {
    fn read() -> BuildInfo {
        BuildInfo {
            version: env!("CARGO_PKG_VERSION"),
            commit: env!("HOOKBRIDGE_BUILD_COMMIT"),
            librdkafka: rdkafka::util::get_rdkafka_version().1,
            openssl: number(openssl::version::version()).to_owned(),
            sqlite: rusqlite::version().to_owned(),
        }
    }

    /// Names and values, as labels and fields have them.
    pub(crate) fn labels(&self) -> [(&'static str, &str); 5] {
        [
            ("version", self.version),
            ("commit", self.commit),
            ("librdkafka", &self.librdkafka),
            ("openssl", &self.openssl),
            ("sqlite", &self.sqlite),
        ]
    }
}

/// As `--version` says it after the program's name.
impl fmt::Display for BuildInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BuildInfo { version, commit, librdkafka, openssl, sqlite } = self;
        write!(f, "{version}\ncommit {commit}\nlibrdkafka {librdkafka}\nOpenSSL {openssl}\nSQLite {sqlite}")
    }
}

/// `3.6.0` of `OpenSSL 3.6.0 1 Oct 2025`.
fn number(openssl: &str) -> &str {
    openssl.split_whitespace().nth(1).unwrap_or(openssl)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_library_says_a_number() {
        for (name, value) in BUILD.labels().into_iter().filter(|(name, _)| *name != "commit") {
            assert!(value.starts_with(|first: char| first.is_ascii_digit()), "{name}: {value}");
            assert!(value.contains('.') && !value.contains(' '), "{name}: {value}");
        }
    }

    #[test]
    fn the_commit_is_one_or_unknown() {
        let digits = BUILD.commit.trim_end_matches("-dirty");
        assert!(BUILD.commit == "unknown" || digits.bytes().all(|byte| byte.is_ascii_hexdigit()), "{}", BUILD.commit);
    }
}
