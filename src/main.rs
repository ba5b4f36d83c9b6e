//! The `hookbridge` program: everything is in the library, so that tests run the real thing.

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

// Of Rust and of C (librdkafka, OpenSSL, SQLite). It returns memory to the system by itself, within some ten seconds after a peak;
// glibc's keeps it for ever when a small piece at the end is in use.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    hookbridge::cli::main()
}
