//! An image from a registry, with progress: `… --example pull REFERENCE [COMMAND ARGUMENT…]`

use containers::blocking::block_on;
use containers::{PullEvent, Runtime};

fn main() -> containers::Result<()> {
    let mut args = std::env::args().skip(1);
    let Some(reference) = args.next() else {
        eprintln!("usage: pull REFERENCE [COMMAND ARGUMENT…]");
        std::process::exit(2);
    };
    let command: Vec<String> = args.collect();
    block_on(async {
        let runtime = Runtime::builder().open().await?;
        let show = |event| match event {
            PullEvent::Resolved { digest, layers, total } => {
                eprintln!("{digest}: {layers} layers, {total} bytes");
            }
            PullEvent::Exists { layer } => eprintln!("{layer:.19}: here already"),
            PullEvent::Done { layer } => eprintln!("{layer:.19}: done"),
            _ => {}
        };
        let image = runtime.images().pull(&reference).on_progress(show).await?;
        println!("{} {:?}", image.id(), image.tags());
        if !command.is_empty() {
            let output = runtime.containers().run(image.id(), command).await?;
            print!("{}", String::from_utf8_lossy(&output.stdout));
        }
        runtime.close().await
    })
}
