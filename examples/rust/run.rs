//! A command in a throw-away container: `cargo run -p containers --example run [COMMAND ARGUMENT…]`

use containers::blocking::block_on;
use containers::{Bytes, Runtime};
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> containers::Result<ExitCode> {
    block_on(async {
        let runtime = Runtime::builder().open().await?;

        let mut command: Vec<String> = std::env::args().skip(1).collect();
        if command.is_empty() {
            let hello = "echo hello from $(uname -n), user $(id -un)";
            command = ["sh", "-c", hello].map(str::to_owned).to_vec();
        }

        // "host" is this machine's own system, read-only below a throw-away layer.
        let run = runtime.containers().run("host", command).hostname("box").mem_limit(Bytes::mib(256));
        let output = run.timeout(Duration::from_secs(10)).await?;
        let _ = std::io::stdout().write_all(&output.stdout);
        let _ = std::io::stderr().write_all(&output.stderr);
        runtime.close().await?;
        Ok(ExitCode::from(u8::try_from(output.exit_code).unwrap_or(255)))
    })
}
