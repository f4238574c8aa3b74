//! `containers-oci`: runc's command line, and its own helper program.

mod args;
mod commands;
mod log;
mod numbers;

use clap::Parser;
use std::process::ExitCode;

/// A command line that can't be understood.
const USAGE: u8 = 1;

fn main() -> ExitCode {
    if containers::oci::is_helper() {
        containers_init::oneshot()
    }
    let cli = match args::Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { USAGE } else { 0 });
        }
    };
    let log = match log::Log::open(cli.log.as_deref(), cli.log_format == "json") {
        Ok(log) => log,
        Err(text) => {
            eprintln!("{text}");
            return ExitCode::from(USAGE);
        }
    };
    match commands::dispatch(cli, &log) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            log.error(&failure.message);
            ExitCode::from(failure.code)
        }
    }
}
