//! The life of a container: create, start, exec, logs, stop, remove.

use containers::blocking::block_on;
use containers::{ExecOptions, LogOptions, RemoveOptions, Runtime};
use std::time::Duration;

fn main() -> containers::Result<()> {
    block_on(async {
        let runtime = Runtime::builder().open().await?;

        let script = "echo started; trap 'echo stopping; exit 0' TERM; while :; do sleep 0.1; done";
        let containers = runtime.containers();
        let new = containers.create("host").name("example-lifecycle").command(["sh", "-c", script]);
        let container = new.labels([("purpose", "example")]).pids_limit(64).start().await?;
        println!("status: {:?}", container.status()?);

        let mut exec = ExecOptions::default();
        exec.command = ["sh", "-c", "echo inside as $(id -un)"].map(str::to_owned).to_vec();
        let output = container.exec_run(exec, true).await?;
        print!("{}", String::from_utf8_lossy(&output.stdout));

        container.stop(Some(Duration::from_secs(5))).await?;
        println!("exit code {}", container.wait(None).await?);
        print!("{}", String::from_utf8_lossy(&container.logs(&LogOptions::default())?));

        // An attached container would also go with its handle, or with this process.
        container.remove(RemoveOptions::default()).await?;
        runtime.close().await
    })
}
