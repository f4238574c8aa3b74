//! `containers run`.

use super::create::prepare;
use crate::args::RunArgs;
use crate::exit::{Failure, Outcome};
use crate::terminal::session::{Session, needs_terminal};
use containers::{RemoveOptions, Runtime};
use std::io::Write;

/// Creates, attaches, starts, and ends with the container's exit code.
pub async fn run(rt: &Runtime, args: RunArgs) -> Outcome {
    if !args.detach {
        needs_terminal(args.create.interactive, args.create.tty)?;
    }
    let container = prepare(rt, &args.create).await?;
    let attached = match args.detach {
        true => None,
        false => Some(container.attach().await.map_err(|e| Failure::of_run(&e))?),
    };
    if let Err(error) = container.start().await {
        if args.create.rm {
            let _ = container.remove(RemoveOptions::default()).await;
        }
        return Err(Failure::of_run(&error));
    }
    let Some(process) = attached else {
        writeln!(std::io::stdout(), "{}", container.id())?;
        return Ok(0);
    };
    let session = Session {
        process: &process,
        container: args.sig_proxy.then_some(&container),
        stdin: args.create.interactive,
        tty: args.create.tty,
    };
    session.run().await
}
