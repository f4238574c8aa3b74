//! `containers-oci`: runc's command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    eprintln!("containers-oci: no command works yet");
    ExitCode::FAILURE
}
