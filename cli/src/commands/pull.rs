//! `containers pull`, and the pull before `run`.

use crate::args::{CreateArgs, PullArgs};
use crate::exit::{Failure, Outcome};
use crate::output::progress::Bars;
use containers::{Error, ErrorKind, Image, Platform, PullOptions, PullPolicy, Runtime};
use std::io::Write;

/// `os/arch[/variant]`.
pub fn platform(text: &Option<String>) -> Result<Option<Platform>, Failure> {
    let Some(text) = text else {
        return Ok(None);
    };
    let mut parts = text.split('/').map(str::to_string);
    let (Some(os), Some(architecture), variant, None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Failure::new(format!("invalid --platform {text}: expected os/arch[/variant]")));
    };
    Ok(Some(Platform { os, architecture, variant }))
}

/// Downloads an image and prints what docker prints.
pub async fn pull(rt: &Runtime, args: &PullArgs) -> Outcome {
    let mut options = PullOptions::default();
    options.policy = PullPolicy::Always;
    options.platform = platform(&args.platform)?;
    options.insecure = args.insecure;
    let bars = (!args.quiet).then(Bars::new);
    options.progress = bars.as_ref().map(Bars::callback);
    let image = rt.images().pull_with(&args.image, options).await;
    let fetched = bars.map(Bars::finish).unwrap_or_default();
    let image = image?;
    let mut out = std::io::stdout().lock();
    if !args.quiet {
        writeln!(out, "Digest: {}", image.digest())?;
        let what = if fetched { "Downloaded newer image for" } else { "Image is up to date for" };
        writeln!(out, "Status: {what} {}", args.image)?;
    }
    writeln!(out, "{}", args.image)?;
    Ok(0)
}

/// Has the image of `run` or `create` here, as `--pull` says.
pub async fn for_run(rt: &Runtime, args: &CreateArgs) -> Result<(), Failure> {
    let policy = match args.pull.as_str() {
        "missing" => PullPolicy::Missing,
        "always" => PullPolicy::Always,
        "never" => PullPolicy::Never,
        other => {
            return Err(Failure {
                code: 125,
                message: format!("invalid --pull {other}: expected missing, always or never"),
            });
        }
    };
    if args.image() == "host" {
        return Ok(());
    }
    if policy != PullPolicy::Always {
        match rt.images().get(args.image()) {
            Ok(_) => return Ok(()),
            Err(e) if e.kind().is(ErrorKind::NotFound) && policy == PullPolicy::Missing => {}
            Err(e) => return Err(Failure::of_run(&e)),
        }
        if !args.quiet {
            eprintln!("Unable to find image '{}' locally", args.image());
        }
    }
    fetch(rt, args, policy).await.map(drop)
}

async fn fetch(rt: &Runtime, args: &CreateArgs, policy: PullPolicy) -> Result<Image, Failure> {
    let mut options = PullOptions::default();
    options.policy = policy;
    options.platform = platform(&args.platform)?;
    let bars = (!args.quiet).then(Bars::new);
    options.progress = bars.as_ref().map(Bars::callback);
    let image = rt.images().pull_with(args.image(), options).await;
    bars.map(Bars::finish);
    image.map_err(|e: Error| Failure::of_run(&e))
}
