//! A command in a throw-away container: `cargo run -p containers --example run [COMMAND ARGUMENT…]`

use containers::blocking::block_on;
use containers::{RunOptions, Runtime, SizeSpec};
use std::io::Write;
use std::process::ExitCode;

fn main() -> containers::Result<ExitCode> {
    block_on(async {
        let runtime = Runtime::builder().open().await?;

        let mut options = RunOptions::default();
        options.create.command = std::env::args().skip(1).collect();
        if options.create.command.is_empty() {
            let hello = "echo hello from $(uname -n), user $(id -un)";
            options.create.command = ["sh", "-c", hello].map(str::to_owned).to_vec();
        }
        options.create.hostname = Some("box".into());
        options.create.mem_limit = Some(SizeSpec::Text("256m".into()));
        options.timeout = Some(10.0);

        // "host" is this machine's own system, read-only below a throw-away layer.
        let output = runtime.containers().run_with("host", options).await?;
        let _ = std::io::stdout().write_all(&output.stdout);
        let _ = std::io::stderr().write_all(&output.stderr);
        runtime.close().await?;
        Ok(ExitCode::from(u8::try_from(output.exit_code).unwrap_or(255)))
    })
}
