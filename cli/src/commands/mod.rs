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

use crate::args::{Cli, Command, ContainerCommand, ImageCommand};
use crate::exit::Outcome;
use containers::Runtime;

/// Opens the runtime, runs the command, closes the runtime.
pub async fn dispatch(cli: Cli) -> Outcome {
    if let Command::Doctor(args) = &cli.command {
        return doctor::doctor(cli.root.as_deref(), args).await;
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
        C::Container { command } => container_command(rt, command).await,
        C::Image { command } => image_command(rt, command).await,
        C::Run(args) => container_command(rt, ContainerCommand::Run(args)).await,
        C::Create(args) => container_command(rt, ContainerCommand::Create(args)).await,
        C::Exec(args) => container_command(rt, ContainerCommand::Exec(args)).await,
        C::Ps(args) => container_command(rt, ContainerCommand::Ls(args)).await,
        C::Start(args) => container_command(rt, ContainerCommand::Start(args)).await,
        C::Stop(args) => container_command(rt, ContainerCommand::Stop(args)).await,
        C::Restart(args) => container_command(rt, ContainerCommand::Restart(args)).await,
        C::Kill(args) => container_command(rt, ContainerCommand::Kill(args)).await,
        C::Pause(names) => container_command(rt, ContainerCommand::Pause(names)).await,
        C::Unpause(names) => container_command(rt, ContainerCommand::Unpause(names)).await,
        C::Wait(names) => container_command(rt, ContainerCommand::Wait(names)).await,
        C::Attach(args) => container_command(rt, ContainerCommand::Attach(args)).await,
        C::Logs(args) => container_command(rt, ContainerCommand::Logs(args)).await,
        C::Rename { container, new_name } => {
            container_command(rt, ContainerCommand::Rename { container, new_name }).await
        }
        C::Rm(args) => container_command(rt, ContainerCommand::Rm(args)).await,
        C::Images(args) => image_command(rt, ImageCommand::Ls(args)).await,
        C::Pull(args) => image_command(rt, ImageCommand::Pull(args)).await,
        C::Load(args) => image_command(rt, ImageCommand::Load(args)).await,
        C::Import(args) => image_command(rt, ImageCommand::Import(args)).await,
        C::Tag(args) => image_command(rt, ImageCommand::Tag(args)).await,
        C::History(args) => image_command(rt, ImageCommand::History(args)).await,
        C::Rmi(args) => image_command(rt, ImageCommand::Rm(args)).await,
        C::Inspect(args) => inspect::inspect(rt, &args, None),
        C::Info(args) => info::info(rt, &args),
        C::Doctor(_) => unreachable!("served before the runtime is opened"),
    }
}

async fn container_command(rt: &Runtime, command: ContainerCommand) -> Outcome {
    use ContainerCommand as C;
    match command {
        C::Run(args) => run::run(rt, *args).await,
        C::Create(args) => create::create(rt, *args).await,
        C::Exec(args) => attach::exec(rt, args).await,
        C::Ls(args) => ps::ps(rt, &args),
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
        C::Inspect(args) => inspect::inspect(rt, &args, Some("container")),
    }
}

async fn image_command(rt: &Runtime, command: ImageCommand) -> Outcome {
    use ImageCommand as I;
    match command {
        I::Ls(args) => images::list(rt, &args),
        I::Pull(args) => pull::pull(rt, &args).await,
        I::Load(args) => images::load(rt, &args).await,
        I::Import(args) => images::import(rt, &args).await,
        I::Tag(args) => {
            rt.images().get(&args.source)?.tag(&args.target)?;
            Ok(0)
        }
        I::History(args) => images::history(rt, &args),
        I::Rm(args) => images::remove(rt, &args),
        I::Inspect(args) => inspect::inspect(rt, &args, Some("image")),
    }
}
