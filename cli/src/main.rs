//! `containers`: docker's command line over the library, without a daemon.

mod args;
mod commands;
mod exit;
mod output;
mod terminal;
mod usage;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match args::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(usage::refuse(&error)),
    };
    match containers::executor::block_on(commands::dispatch(cli)) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            if !failure.message.is_empty() {
                eprintln!("containers: {}", failure.message);
            }
            ExitCode::from(failure.code)
        }
    }
}
