//! Talking with a hook while it runs, in whichever namespaces.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use std::borrow::Cow;
use std::time::{Duration, Instant};

/// So much of what a hook says is kept.
const MAX_SAID: usize = 4096;

/// Our ends of the streams of a hook that runs.
#[derive(Debug)]
pub struct Talk {
    feed: Option<OwnedFd>,
    listen: Option<OwnedFd>,
    said: Vec<u8>,
}

impl Talk {
    /// With the pipe to its input and that from its output, which are made non-blocking.
    pub fn new(feed: Option<OwnedFd>, listen: Option<OwnedFd>) -> Result<Talk, Errno> {
        for fd in feed.iter().chain(&listen) {
            rustix::io::ioctl_fionbio(fd, true)?;
        }
        Ok(Talk { feed, listen, said: Vec::new() })
    }

    /// Feeds the process of this pidfd and listens to it until it ends. `false`: it did not end in time.
    pub fn serve(
        &mut self,
        pidfd: impl AsFd,
        mut input: &[u8],
        limit: Option<Duration>,
    ) -> Result<bool, Errno> {
        let deadline = limit.map(|limit| Instant::now() + limit);
        loop {
            if input.is_empty() {
                self.feed = None;
            }
            let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            let left =
                left.map(|d| Timespec { tv_sec: d.as_secs() as i64, tv_nsec: d.subsec_nanos().into() });
            let mut fds = vec![PollFd::new(&pidfd, PollFlags::IN)];
            fds.extend(self.listen.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
            fds.extend(self.feed.iter().map(|fd| PollFd::new(fd, PollFlags::OUT)));
            match poll(&mut fds, left.as_ref()) {
                Err(Errno::INTR) => continue,
                Err(e) => return Err(e),
                Ok(0) => return Ok(false),
                Ok(_) => {}
            }
            let ended = !fds[0].revents().is_empty();
            let open = self.listen.as_ref().is_none_or(|fd| listen_to(fd, &mut self.said));
            if !open {
                self.listen = None;
            }
            if ended {
                return Ok(true);
            }
            if let Some(feed) = &self.feed {
                match rustix::io::write(feed, input) {
                    Ok(n) => input = &input[n..],
                    Err(Errno::AGAIN | Errno::INTR) => {}
                    // It does not want to know.
                    Err(_) => input = b"",
                }
            }
        }
    }

    /// The beginning of what it has said.
    pub fn said(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.said.trim_ascii_end())
    }
}

/// Takes what there is, and keeps the beginning; `false`: there will be no more.
fn listen_to(fd: &OwnedFd, said: &mut Vec<u8>) -> bool {
    let mut buf = [0u8; 1024];
    loop {
        match rustix::io::read(fd, &mut buf) {
            Ok(0) => return false,
            Ok(n) => {
                let room = MAX_SAID.saturating_sub(said.len());
                said.extend_from_slice(&buf[..n.min(room)]);
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return true,
            Err(_) => return false,
        }
    }
}
