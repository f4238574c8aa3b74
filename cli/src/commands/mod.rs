//! One module for each group of commands.

mod attach;
mod create;
mod doctor;
mod images;
mod info;
mod inspect;
mod lifecycle;
mod logs;
mod options;
mod ps;
mod pull;
mod run;

use crate::args::{Cli, Command, ContainerCommand, ContainerVerb, ImageCommand, ImageVerb};
use crate::exit::Outcome;
use crate::usage::unknown;
use containers::Runtime;

/// Opens the runtime, runs the command, closes the runtime.
pub async fn dispatch(cli: Cli) -> Outcome {
    match &cli.command {
        Command::Doctor(args) => return doctor::doctor(cli.root.as_deref(), args).await,
        Command::Version(args) => return info::version(args),
        Command::Other(words) => return Err(unknown("containers", words)),
        Command::Container { command: ContainerCommand::Other(words) } => {
            return Err(unknown("containers container", words));
        }
        Command::Image { command: ImageCommand::Other(words) } => {
            return Err(unknown("containers image", words));
        }
        _ => {}
    }
    let mut builder = Runtime::builder();
    if let Some(root) = &cli.root {
        builder = builder.root(root);
    }
    let rt = builder.open().await?;
    let outcome = command(&rt, cli.command).await;
    let closed = rt.close().await;
    let code = outcome?;
    closed?;
    Ok(code)
}

async fn command(rt: &Runtime, command: Command) -> Outcome {
    use Command as C;
    match command {
        C::OfContainers(verb) => container_verb(rt, verb).await,
        C::OfImages(verb) => image_verb(rt, verb).await,
        C::Container { command } => match command {
            ContainerCommand::Verb(verb) => container_verb(rt, verb).await,
            ContainerCommand::Ls(args) => ps::ps(rt, &args),
            ContainerCommand::Inspect(args) => inspect::inspect(rt, &args, Some("container")),
            ContainerCommand::Other(_) => unreachable!("served before the runtime is opened"),
        },
        C::Image { command } => match command {
            ImageCommand::Verb(verb) => image_verb(rt, verb).await,
            ImageCommand::Ls(args) => images::list(rt, &args),
            ImageCommand::Rm(args) => images::remove(rt, &args),
            ImageCommand::Inspect(args) => inspect::inspect(rt, &args, Some("image")),
            ImageCommand::Other(_) => unreachable!("served before the runtime is opened"),
        },
        C::Ps(args) => ps::ps(rt, &args),
        C::Images(args) => images::list(rt, &args),
        C::Rmi(args) => images::remove(rt, &args),
        C::Inspect(args) => inspect::inspect(rt, &args, None),
        C::Info(args) => info::info(rt, &args),
        C::Doctor(_) | C::Version(_) | C::Other(_) => unreachable!("served before the runtime is opened"),
    }
}

async fn container_verb(rt: &Runtime, verb: ContainerVerb) -> Outcome {
    use ContainerVerb as C;
    match verb {
        C::Run(args) => run::run(rt, *args).await,
        C::Create(args) => create::create(rt, *args).await,
        C::Exec(args) => attach::exec(rt, args).await,
        C::Start(args) => lifecycle::start(rt, &args).await,
        C::Stop(args) => lifecycle::stop(rt, &args).await,
        C::Restart(args) => lifecycle::restart(rt, &args).await,
        C::Kill(args) => lifecycle::kill(rt, &args).await,
        C::Pause(names) => lifecycle::pause(rt, &names).await,
        C::Unpause(names) => lifecycle::unpause(rt, &names).await,
        C::Wait(names) => lifecycle::wait(rt, &names).await,
        C::Attach(args) => attach::attach(rt, &args).await,
        C::Logs(args) => logs::logs(rt, &args).await,
        C::Rename { container, new_name } => {
            rt.containers().get(&container)?.rename(&new_name)?;
            Ok(0)
        }
        C::Rm(args) => lifecycle::remove(rt, &args).await,
    }
}

async fn image_verb(rt: &Runtime, verb: ImageVerb) -> Outcome {
    use ImageVerb as I;
    match verb {
        I::Pull(args) => pull::pull(rt, &args).await,
        I::Load(args) => images::load(rt, &args).await,
        I::Import(args) => images::import(rt, &args).await,
        I::Tag(args) => {
            rt.images().get(&args.source)?.tag(&args.target)?;
            Ok(0)
        }
        I::History(args) => images::history(rt, &args),
    }
}
