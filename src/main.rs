//! The `hookbridge` program: everything is in the library, so that tests run the real thing.

use std::process::ExitCode;

fn main() -> ExitCode {
    hookbridge::cli::main()
}
