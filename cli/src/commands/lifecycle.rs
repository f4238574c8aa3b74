//! Verbs that take a list of containers: each is tried, failures are printed, the exit code says whether all
//! went well.

use crate::args::{KillArgs, Names, RmArgs, StartArgs, StopArgs};
use crate::exit::{Failure, Outcome};
use crate::terminal::session::Session;
use containers::{Container, ErrorKind, RemoveOptions, Runtime, StopOptions};
use std::io::Write;

async fn each<F>(rt: &Runtime, names: &[String], mut act: F) -> Outcome
where
    F: AsyncFnMut(&Container) -> containers::Result<Option<String>>,
{
    let mut code = 0;
    for name in names {
        let done = match rt.containers().get(name) {
            Ok(container) => act(&container).await,
            Err(error) => Err(error),
        };
        match done {
            Ok(text) => writeln!(std::io::stdout(), "{}", text.as_deref().unwrap_or(name))?,
            Err(error) => {
                eprintln!("containers: {error}");
                code = 1;
            }
        }
    }
    Ok(code)
}

fn stop_options(args: &StopArgs) -> Result<StopOptions, Failure> {
    let mut options = StopOptions::default();
    options.stop_signal.clone_from(&args.signal);
    options.timeout = match args.timeout {
        // docker: a negative time waits for ever.
        Some(s) if s < 0.0 => Some(1e9),
        Some(s) if !s.is_finite() => return Err(Failure::new(format!("invalid time {s}: expected seconds"))),
        given => given,
    };
    Ok(options)
}

/// `containers start`
pub async fn start(rt: &Runtime, args: &StartArgs) -> Outcome {
    if !args.attach && !args.interactive {
        return each(rt, &args.containers, async |c| c.start().await.map(|()| None)).await;
    }
    let [name] = args.containers.as_slice() else {
        return Err(Failure::new("you cannot start and attach several containers at once"));
    };
    let container = rt.containers().get(name)?;
    let tty = container.inspect()?["Config"]["Tty"].as_bool().unwrap_or(false);
    let process = container.attach().await?;
    container.start().await.map_err(|e| Failure::of_run(&e))?;
    Session { process: &process, container: Some(&container), stdin: args.interactive, tty }.run().await
}

/// `containers stop`
pub async fn stop(rt: &Runtime, args: &StopArgs) -> Outcome {
    let options = stop_options(args)?;
    each(rt, &args.containers, async |c| c.stop_with(&options).await.map(|()| None)).await
}

/// `containers restart`
pub async fn restart(rt: &Runtime, args: &StopArgs) -> Outcome {
    let options = stop_options(args)?;
    each(rt, &args.containers, async |c| c.restart_with(&options).await.map(|()| None)).await
}

/// `containers kill`
pub async fn kill(rt: &Runtime, args: &KillArgs) -> Outcome {
    each(rt, &args.containers, async |c| c.kill(&args.signal).await.map(|()| None)).await
}

/// `containers pause`
pub async fn pause(rt: &Runtime, names: &Names) -> Outcome {
    each(rt, &names.containers, async |c| c.pause().await.map(|()| None)).await
}

/// `containers unpause`
pub async fn unpause(rt: &Runtime, names: &Names) -> Outcome {
    each(rt, &names.containers, async |c| c.unpause().await.map(|()| None)).await
}

/// `containers wait`
pub async fn wait(rt: &Runtime, names: &Names) -> Outcome {
    each(rt, &names.containers, async |c| c.wait(None).await.map(|code| Some(code.to_string()))).await
}

/// `containers rm`
pub async fn remove(rt: &Runtime, args: &RmArgs) -> Outcome {
    let mut options = RemoveOptions::default();
    options.force = args.force;
    options.volumes = args.volumes;
    let known: Vec<String> = match args.force {
        // docker: `rm -f` of something that is not there is fine.
        true => {
            let there =
                |n: &&String| !matches!(rt.containers().get(n), Err(e) if e.kind().is(ErrorKind::NotFound));
            args.containers.iter().filter(there).cloned().collect()
        }
        false => args.containers.clone(),
    };
    each(rt, &known, async |c| c.remove(options).await.map(|()| None)).await
}
