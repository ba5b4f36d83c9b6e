//! The `hookbridge` program: everything is in the library, so that tests run the real thing.

use std::process::ExitCode;

// Of Rust and of C (librdkafka, OpenSSL, SQLite). It returns memory to the system by itself, within some ten seconds after a peak;
// glibc's keeps it for ever when a small piece at the end is in use.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    hookbridge::cli::main()
}
