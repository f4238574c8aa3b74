//! `containers create`, and what it shares with `run`.

use super::{options, pull};
use crate::args::CreateArgs;
use crate::exit::{Failure, Outcome};
use containers::{Container, Runtime};
use std::io::Write;

/// Creates a container and prints its id.
pub async fn create(rt: &Runtime, args: CreateArgs) -> Outcome {
    let container = prepare(rt, &args).await?;
    writeln!(std::io::stdout(), "{}", container.id())?;
    Ok(0)
}

/// Pulls the image as `--pull` says, creates the container, writes the id file.
pub async fn prepare(rt: &Runtime, args: &CreateArgs) -> Result<Container, Failure> {
    if let Some(file) = &args.cidfile
        && file.exists()
    {
        return Err(Failure {
            code: 125,
            message: format!("container id file {} exists: remove it first", file.display()),
        });
    }
    let options = options::create_options(args).map_err(|f| Failure { code: 125, ..f })?;
    pull::for_run(rt, args).await?;
    let container = rt.containers().create_with(args.image(), options).await;
    let container = container.map_err(|e| Failure::of_run(&e))?;
    if let Some(file) = &args.cidfile {
        std::fs::write(file, container.id())?;
    }
    Ok(container)
}
