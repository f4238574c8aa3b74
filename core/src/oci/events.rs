//! `events`.

use super::record::Record;
use super::{Engine, rdt};
use crate::{Error, ErrorKind, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn measured(id: &str, record: &Record) -> Result<Value> {
    let mut event = json!({"type": "stats", "id": id, "data": record.cgroup.stats()?});
    if let Some(group) = &record.rdt {
        event["data"]["intel_rdt"] = group.stats(&rdt::mounted()?)?;
    }
    Ok(event)
}

impl Engine {
    /// One look at what a container uses.
    pub fn stats(&self, id: &str) -> Result<Value> {
        let found = self.find(id)?;
        if found.status() == "stopped" {
            let text = format!("container with id {id} is not running");
            return Err(Error::new(ErrorKind::NotRunning, text));
        }
        measured(id, &found.record)
    }

    /// Looks again and again, and tells when memory ran out, until the container ends or `tell` says `false`.
    pub fn events(&self, id: &str, interval: Duration, mut tell: impl FnMut(&Value) -> bool) -> Result<()> {
        let found = self.find(id)?;
        let process = match &found.record.init {
            Some(init) => init.open()?,
            None => None,
        };
        let Some(process) = process else {
            let text = format!("container with id {id} is not running");
            return Err(Error::new(ErrorKind::NotRunning, text));
        };
        let mut memory = found.record.cgroup.oom_events().ok();
        let mut next = Instant::now() + interval;
        loop {
            let left = next.saturating_duration_since(Instant::now());
            let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
            let mut fds = vec![PollFd::new(&process, PollFlags::IN)];
            fds.extend(memory.iter().map(|m| PollFd::new(m, PollFlags::IN)));
            match poll(&mut fds, Some(&left)) {
                Err(rustix::io::Errno::INTR) => continue,
                other => other.map_err(|e| Error::io("can't wait for the container", e.into()))?,
            };
            let ended = !fds[0].revents().is_empty();
            let noticed = fds.get(1).is_some_and(|fd| !fd.revents().is_empty());
            if let Some(watch) = memory.as_mut().filter(|_| noticed) {
                let news = watch.take()?;
                if news.ooms > 0 && !tell(&json!({"type": "oom", "id": id})) {
                    return Ok(());
                }
                if news.ended {
                    memory = None;
                }
            }
            if ended {
                return Ok(());
            }
            if Instant::now() >= next {
                next = Instant::now() + interval;
                if !tell(&measured(id, &found.record)?) {
                    return Ok(());
                }
            }
        }
    }
}
