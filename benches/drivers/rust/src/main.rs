//! Measures `run` through the Rust interface: one JSON line with a sample, in microseconds, for each run.
//!
//! `containers-bench ROOT IMAGE COMMAND RUNS RESIDENT_MB`, or `containers-bench ROOT --import TAR IMAGE`.

use containers::blocking::block_on;
use containers::{ImportOptions, Result, RunOptions, Runtime, SizeSpec};
use std::time::Instant;

const WARM: usize = 20;

fn main() -> std::process::ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        [root, "--import", tar, image] => import(root, tar, image),
        [root, image, command, runs, resident] => match (runs.parse(), resident.parse()) {
            (Ok(runs), Ok(resident)) => measure(root, image, command, runs, resident),
            _ => return usage(),
        },
        _ => return usage(),
    };
    match done {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn usage() -> std::process::ExitCode {
    eprintln!("usage: containers-bench ROOT (IMAGE COMMAND RUNS RESIDENT_MB | --import TAR IMAGE)");
    std::process::ExitCode::from(2)
}

fn import(root: &str, tar: &str, image: &str) -> Result<()> {
    let rt = block_on(Runtime::builder().root(root).open())?;
    let mut options = ImportOptions::default();
    options.tag = Some(image.to_owned());
    block_on(rt.images().import_(tar, options))?;
    block_on(rt.close())
}

fn measure(root: &str, image: &str, command: &str, runs: usize, resident: usize) -> Result<()> {
    let ballast: Vec<u8> = (0..resident << 20).map(|i| (i >> 12) as u8 | 1).collect();
    let rt = block_on(Runtime::builder().root(root).open())?;
    let containers = rt.containers();
    let mut samples = Vec::with_capacity(runs);
    let mut before = own_state();
    for i in 0..WARM + runs {
        if i == WARM {
            before = own_state();
        }
        let mut options = RunOptions::default();
        options.create.command = vec![command.to_owned()];
        options.create.mem_limit = Some(SizeSpec::Text("256m".to_owned()));
        options.check = true;
        let start = Instant::now();
        block_on(containers.run_with(image, options))?;
        if i >= WARM {
            samples.push(format!("{:.1}", start.elapsed().as_secs_f64() * 1e6));
        }
    }
    let after = own_state();
    println!(
        "{{\"name\":\"rust\",\"unit\":\"us\",\"rss_kb\":[{},{}],\"fds\":[{},{}],\"samples\":[{}]}}",
        before.0,
        after.0,
        before.1,
        after.1,
        samples.join(",")
    );
    block_on(rt.close())?;
    drop(std::hint::black_box(ballast));
    Ok(())
}

/// Resident memory in KiB, and how many descriptors are open.
fn own_state() -> (u64, usize) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let rss = rss.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0);
    (rss, std::fs::read_dir("/proc/self/fd").map_or(0, |dir| dir.count()))
}
