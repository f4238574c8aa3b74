//! Talking with `criu swrk`: one request, notifications while it is worked on, one response. The messages are those of
//! CRIU's `images/rpc.proto`, as far as they are used here.

use crate::{Error, Result};
use prost::Message;
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, SocketFlags, SocketType,
    recvmsg, socketpair,
};
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::path::Path;
use std::process::{Child, Command};

/// Kinds of requests and responses.
pub(super) mod kind {
    pub(in crate::oci::criu) const DUMP: i32 = 1;
    pub(in crate::oci::criu) const RESTORE: i32 = 2;
    pub(in crate::oci::criu) const PRE_DUMP: i32 = 4;
    pub(in crate::oci::criu) const NOTIFY: i32 = 6;
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PageServer {
    #[prost(string, optional, tag = "1")]
    pub(super) address: Option<String>,
    #[prost(int32, optional, tag = "2")]
    pub(super) port: Option<i32>,
}

/// A descriptor of CRIU's that stands for something of the image.
#[derive(Clone, PartialEq, Message)]
pub(super) struct InheritFd {
    #[prost(string, required, tag = "1")]
    pub(super) key: String,
    #[prost(int32, required, tag = "2")]
    pub(super) fd: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct CgroupRoot {
    #[prost(string, optional, tag = "1")]
    pub(super) ctrl: Option<String>,
    #[prost(string, required, tag = "2")]
    pub(super) path: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Opts {
    /// Descriptors of folders are ours: CRIU opens them through `/proc`.
    #[prost(int32, required, tag = "1")]
    pub(super) images_dir_fd: i32,
    #[prost(int32, optional, tag = "2")]
    pub(super) pid: Option<i32>,
    #[prost(bool, optional, tag = "3")]
    pub(super) leave_running: Option<bool>,
    #[prost(bool, optional, tag = "4")]
    pub(super) ext_unix_sk: Option<bool>,
    #[prost(bool, optional, tag = "5")]
    pub(super) tcp_established: Option<bool>,
    #[prost(bool, optional, tag = "6")]
    pub(super) evasive_devices: Option<bool>,
    #[prost(bool, optional, tag = "7")]
    pub(super) shell_job: Option<bool>,
    #[prost(bool, optional, tag = "8")]
    pub(super) file_locks: Option<bool>,
    #[prost(int32, optional, tag = "9")]
    pub(super) log_level: Option<i32>,
    #[prost(string, optional, tag = "10")]
    pub(super) log_file: Option<String>,
    #[prost(message, optional, tag = "11")]
    pub(super) ps: Option<PageServer>,
    #[prost(bool, optional, tag = "12")]
    pub(super) notify_scripts: Option<bool>,
    #[prost(string, optional, tag = "13")]
    pub(super) root: Option<String>,
    #[prost(string, optional, tag = "14")]
    pub(super) parent_img: Option<String>,
    #[prost(bool, optional, tag = "15")]
    pub(super) track_mem: Option<bool>,
    #[prost(bool, optional, tag = "16")]
    pub(super) auto_dedup: Option<bool>,
    #[prost(int32, optional, tag = "17")]
    pub(super) work_dir_fd: Option<i32>,
    #[prost(bool, optional, tag = "18")]
    pub(super) link_remap: Option<bool>,
    #[prost(bool, optional, tag = "24")]
    pub(super) manage_cgroups: Option<bool>,
    #[prost(message, repeated, tag = "25")]
    pub(super) cg_root: Vec<CgroupRoot>,
    #[prost(bool, optional, tag = "26")]
    pub(super) rst_sibling: Option<bool>,
    #[prost(message, repeated, tag = "27")]
    pub(super) inherit_fd: Vec<InheritFd>,
    #[prost(int32, optional, tag = "34")]
    pub(super) manage_cgroups_mode: Option<i32>,
    #[prost(string, repeated, tag = "37")]
    pub(super) external: Vec<String>,
    #[prost(uint32, optional, tag = "38")]
    pub(super) empty_ns: Option<u32>,
    #[prost(string, optional, tag = "44")]
    pub(super) freeze_cgroup: Option<String>,
    #[prost(bool, optional, tag = "46")]
    pub(super) tcp_skip_in_flight: Option<bool>,
    #[prost(bool, optional, tag = "50")]
    pub(super) orphan_pts_master: Option<bool>,
    #[prost(string, optional, tag = "53")]
    pub(super) lsm_profile: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(int32, required, tag = "1")]
    kind: i32,
    #[prost(message, optional, tag = "2")]
    opts: Option<Opts>,
    #[prost(bool, optional, tag = "3")]
    notify_success: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
struct Restored {
    #[prost(int32, required, tag = "1")]
    pid: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Notify {
    #[prost(string, optional, tag = "1")]
    script: Option<String>,
    #[prost(int32, optional, tag = "2")]
    pid: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct Response {
    #[prost(int32, required, tag = "1")]
    kind: i32,
    #[prost(bool, required, tag = "2")]
    success: bool,
    #[prost(message, optional, tag = "4")]
    restore: Option<Restored>,
    #[prost(message, optional, tag = "5")]
    notify: Option<Notify>,
    #[prost(int32, optional, tag = "7")]
    errno: Option<i32>,
    #[prost(string, optional, tag = "9")]
    errmsg: Option<String>,
}

/// A stage that CRIU has reached, and waits at.
pub(super) struct Stage<'a> {
    /// Its name, e.g. `post-restore`.
    pub(super) name: &'a str,
    /// The container's first process, where it is known.
    pub(super) pid: Option<i32>,
    /// What it hands over: the master of a terminal.
    pub(super) fd: Option<OwnedFd>,
}

/// Why CRIU did not do what it was asked for.
pub(super) enum Failed {
    /// It says why, or does not.
    Criu(Option<String>),
    /// What was done at a stage, or the conversation.
    Own(Error),
}

/// A running `criu swrk`.
pub(super) struct Worker {
    sock: OwnedFd,
    child: Child,
}

impl Worker {
    /// Starts it. `command` is CRIU, with the streams and descriptors that it gets.
    pub(super) fn start(program: &Path, prepare: impl FnOnce(&mut Command)) -> Result<Worker> {
        let failed = |e: std::io::Error| Error::io("criu can't be started", e);
        let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let (ours, theirs) = pair.map_err(|e| failed(e.into()))?;
        inherited(&theirs)?;
        let mut command = Command::new(program);
        command.arg("swrk").arg(theirs.as_raw_fd().to_string());
        prepare(&mut command);
        Ok(Worker { sock: ours, child: command.spawn().map_err(failed)? })
    }

    /// Its process id.
    pub(super) fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Has a request done. At each stage, `reached` says whether to go on. The process id, of a restore.
    pub(super) fn ask(
        self,
        kind: i32,
        opts: Opts,
        mut reached: impl FnMut(Stage<'_>) -> Result<()>,
    ) -> Result<Option<i32>, Failed> {
        self.send(&Request { kind, opts: Some(opts), notify_success: None })?;
        let mut refused = None;
        loop {
            let (response, fd) = self.receive()?;
            if response.kind != kind::NOTIFY {
                return match (refused, response.success) {
                    (Some(e), _) => Err(Failed::Own(e)),
                    (None, true) => Ok(response.restore.map(|r| r.pid)),
                    (None, false) => Err(Failed::Criu(said(&response))),
                };
            }
            let notify = response.notify.unwrap_or_default();
            let name = notify.script.unwrap_or_default();
            let done = reached(Stage { name: &name, pid: notify.pid, fd });
            let go_on = done.is_ok();
            refused = refused.or(done.err());
            self.send(&Request { kind: kind::NOTIFY, opts: None, notify_success: Some(go_on) })?;
        }
    }

    fn send(&self, request: &Request) -> Result<(), Failed> {
        let sent = rustix::net::send(&self.sock, &request.encode_to_vec(), SendFlags::NOSIGNAL);
        sent.map(drop).map_err(|e| Failed::Own(Error::io("criu does not listen", e.into())))
    }

    fn receive(&self) -> Result<(Response, Option<OwnedFd>), Failed> {
        /// Responses are short.
        const MOST: usize = 16 * 1024;
        let failed = |e: std::io::Error| Failed::Own(Error::io("criu can't be heard", e));
        let mut buffer = vec![0; MOST];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let n = loop {
            let mut parts = [IoSliceMut::new(&mut buffer)];
            match recvmsg(&self.sock, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC) {
                Err(Errno::INTR) => {}
                other => break other.map_err(|e| failed(e.into()))?.bytes,
            }
        };
        let fd = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        if n == 0 {
            return Err(Failed::Criu(None));
        }
        let response = Response::decode(&buffer[..n]).map_err(|e| failed(std::io::Error::other(e)))?;
        Ok((response, fd))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It ends when it has nobody to talk with.
        let _ = rustix::net::shutdown(&self.sock, rustix::net::Shutdown::Both);
        let _ = self.child.wait();
    }
}

fn said(response: &Response) -> Option<String> {
    let number = response.errno.filter(|errno| *errno != 0).map(std::io::Error::from_raw_os_error);
    response.errmsg.clone().filter(|m| !m.is_empty()).or(number.map(|e| e.to_string()))
}

/// Lets the next program that is started have a descriptor.
pub(super) fn inherited(fd: &OwnedFd) -> Result<()> {
    fcntl_setfd(fd, FdFlags::empty()).map_err(|e| Error::io("can't pass a descriptor on", e.into()))
}
