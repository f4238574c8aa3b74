//! `containers attach` and `containers exec`.

use super::options;
use crate::args::{AttachArgs, ExecArgs};
use crate::exit::{Failure, Outcome};
use crate::terminal::session::{Session, needs_terminal};
use crate::terminal::tty::window_size;
use containers::{ExecOptions, Runtime};

/// Attaches to a running container.
pub async fn attach(rt: &Runtime, args: &AttachArgs) -> Outcome {
    let container = rt.containers().get(&args.container)?;
    let config = container.inspect()?;
    let flag = |name: &str| config["Config"][name].as_bool().unwrap_or(false);
    let process = container.attach().await?;
    let session = Session {
        process: &process,
        container: args.sig_proxy.then_some(&container),
        stdin: !args.no_stdin && flag("OpenStdin"),
        tty: flag("Tty"),
    };
    session.run().await
}

/// Runs a further command in a running container.
pub async fn exec(rt: &Runtime, args: ExecArgs) -> Outcome {
    if !args.detach {
        needs_terminal(args.interactive, args.tty)?;
    }
    let container = rt.containers().get(args.container())?;
    let mut o = ExecOptions::default();
    o.environment = options::environment(&args.env, &args.env_file)?;
    o.command = args.command().to_vec();
    o.stdin = args.interactive;
    o.tty = args.tty;
    o.tty_size = if args.tty { window_size() } else { None };
    o.working_dir = args.workdir;
    o.user = args.user;
    o.privileged = args.privileged;
    o.detach = args.detach;
    let process = container.exec(o).await.map_err(|e| Failure::of_exec(&e))?;
    if args.detach {
        return Ok(0);
    }
    let session = Session { process: &process, container: None, stdin: args.interactive, tty: args.tty };
    session.run().await
}
