//! The one binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    picket::cli::main()
}
