//! `containers-oci`: runc's command line, and its own helper program.

#![cfg_attr(not(test), no_main)]
#![cfg_attr(test, allow(dead_code, reason = "tests have a beginning of their own"))]

mod args;
mod commands;
mod criu;
#[cfg(not(test))]
mod entry;
mod help;
mod log;
mod numbers;
#[cfg(all(own_start, not(test)))]
mod start;

/// A command line that can't be understood.
const USAGE: u8 = 1;

/// The program; its exit code.
fn run() -> u8 {
    if containers::oci::is_helper() {
        containers_init::oneshot()
    }
    let cli = match args::parse(lexopt::Parser::from_env()) {
        Ok(cli) => cli,
        Err(stop) => return help::answer(&stop),
    };
    let log = match log::Log::open(cli.log.as_deref(), cli.log_json) {
        Ok(log) => log,
        Err(text) => {
            eprintln!("{text}");
            return USAGE;
        }
    };
    match commands::dispatch(cli, &log) {
        Ok(code) => code,
        Err(failure) => {
            log.failure(&failure);
            failure.code
        }
    }
}
