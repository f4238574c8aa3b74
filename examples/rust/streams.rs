//! Talks to a process in a container.

use containers::blocking::block_on;
use containers::{ExecOptions, Runtime};

fn main() -> containers::Result<()> {
    block_on(async {
        let runtime = Runtime::builder().open().await?;
        let container = runtime.containers().create("host").command(["sleep", "60"]).start().await?;

        let mut exec = ExecOptions::default();
        exec.command = ["sh", "-c", "echo reading >&2; sort; echo done >&2"].map(str::to_owned).to_vec();
        exec.stdin = true;
        let process = container.exec(exec).await?;
        process.write(b"pear\napple\nfig\n").await?;
        process.close_stdin();

        // Both streams, in order of arrival.
        while let Some((stream, bytes)) = process.next().await? {
            print!("{stream:?}: {}", String::from_utf8_lossy(&bytes));
        }
        println!("exit code {}", process.wait(None).await?);

        drop(container); // attached: it ends here
        runtime.close().await
    })
}
