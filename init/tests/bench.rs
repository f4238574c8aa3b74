//! How long a start takes. Run by hand: `CONTAINERS_TEST_HELPER=… cargo test --release --test bench -- --ignored
//! --nocapture`.

mod common;

use common::{Launcher, pipe, plans, readable, root};
use std::os::fd::AsFd;
use std::time::Instant;

#[test]
#[ignore = "a measurement"]
fn run_true() {
    if !root() {
        return;
    }
    let launcher = Launcher::new();
    let rootfs = plans::busybox(&launcher.scratch.0.join("rootfs"));
    if let Some(program) = std::env::var_os("BENCH_TRUE") {
        std::fs::remove_file(rootfs.join("bin/true")).unwrap();
        std::fs::copy(program, rootfs.join("bin/true")).unwrap();
    }
    let runs: usize = std::env::var("BENCH_RUNS").map_or(300, |n| n.parse().unwrap());
    let mut all: Vec<u128> = Vec::new();
    for i in 0..runs + 20 {
        let mut plan = plans::plan(&rootfs, &launcher.scratch.0, &["true"]);
        if std::env::var_os("BENCH_NO_POOL").is_none() {
            plan = plans::pooled(plan, &launcher.scratch.0);
        }
        plan.process.seccomp = containers_protocol::Bytes(seccomp());
        let start = Instant::now();
        let (out, out_w) = pipe();
        let (err, err_w) = pipe();
        let connection = launcher.start(&plan, &[out_w.as_fd(), err_w.as_fd()]);
        drop((out_w, err_w));
        connection.started();
        for fd in [out, err] {
            readable(&fd, common::LIMIT);
            assert_eq!(rustix::io::read(&fd, &mut [0u8; 64]).unwrap(), 0);
        }
        assert_eq!(connection.exited().code, 0);
        if i >= 20 {
            all.push(start.elapsed().as_micros());
        }
    }
    all.sort_unstable();
    let at = |p: usize| all[all.len() * p / 100];
    println!("run(true): min {} p50 {} p90 {} p99 {} us", all[0], at(50), at(90), at(99));
}

/// A default profile's program, from a file; else one that allows all.
fn seccomp() -> Vec<u8> {
    match std::env::var_os("BENCH_SECCOMP") {
        Some(path) => std::fs::read(path).unwrap(),
        None => vec![6, 0, 0, 0, 0, 0, 0xff, 0x7f],
    }
}
