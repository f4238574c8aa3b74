use super::*;
use std::io::Write;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

#[test]
fn block_on_waits_for_descriptors_and_timers_on_this_thread() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let late = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(30));
        writer.write_all(b"x").unwrap();
    });
    block_on(async {
        readable(&reader.as_fd()).await.unwrap();
        let soon = Instant::now() + Duration::from_millis(20);
        sleep_until(soon).await;
        assert!(Instant::now() >= soon);
    });
    late.join().unwrap();
}

#[test]
fn a_deadline_ends_a_wait() {
    let (reader, _writer) = std::io::pipe().unwrap();
    let deadline = Some(Instant::now() + Duration::from_millis(20));
    let out = block_on(timeout_at(deadline, readable(&reader)));
    assert_eq!(out.err(), Some(Timeout));
}

#[test]
fn the_same_futures_work_under_another_executor() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let foreign = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let late = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(30));
        writer.write_all(b"x").unwrap();
    });
    // This runtime has neither I/O nor timers enabled: ours must serve.
    foreign.block_on(async {
        readable(&reader).await.unwrap();
        sleep(Duration::from_millis(10)).await;
    });
    late.join().unwrap();
}

#[test]
fn spawned_work_reaches_a_blocking_caller() {
    let n = block_on(async {
        spawn(async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            7
        })
        .unwrap()
        .await
    });
    assert_eq!(n, 7);
}

#[test]
fn a_check_interrupts() {
    let (reader, _writer) = std::io::pipe().unwrap();
    let mut calls = 0;
    let out = block_on_interruptible(readable(&reader), Duration::from_millis(5), || {
        calls += 1;
        if calls == 3 { Err("enough") } else { Ok(()) }
    });
    assert_eq!(out.err().map(|e| e.0), Some("enough"));
}

#[test]
fn block_on_nests() {
    let n = block_on(async {
        block_on(async {
            sleep(Duration::from_millis(1)).await;
            1
        }) + 1
    });
    assert_eq!(n, 2);
}

#[test]
fn a_future_that_never_rests_can_be_interrupted_too() {
    let restless = std::future::poll_fn(|cx| {
        cx.waker().wake_by_ref();
        std::task::Poll::<()>::Pending
    });
    let out = block_on_interruptible(restless, Duration::from_millis(5), || Err("enough"));
    assert_eq!(out.err().map(|e| e.0), Some("enough"));
}

#[test]
fn blocking_work_does_not_stop_the_io_thread() {
    let (tx, rx) = std::sync::mpsc::channel();
    let slow = spawn_blocking(move || rx.recv()).unwrap();
    block_on(
        spawn(async move {
            tx.send(3).unwrap();
        })
        .unwrap(),
    );
    assert_eq!(block_on(slow), Ok(3));
}
