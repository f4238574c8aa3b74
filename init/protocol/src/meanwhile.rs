//! What is made for a container while the runtime does other things: its network namespace, for which the kernel takes longer than
//! for all its other namespaces together, and the program of its device rules. A process in the runtime's memory makes them on
//! another processor, sends them, and ends.
//!
//! Nobody depends on that process: who needs one of them and finds that it has not begun, takes too long or came to nothing, makes it.

#![allow(unsafe_code, reason = "calls that no safe crate makes, and the stack of a process")]

use crate::bpf;
use crate::raw::call;
use crate::vfork::{CLONE_CLEAR_SIGHAND, Stack, check_raw, clone_and_call, clone_args};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use rustix::io::{Errno, IoSlice, IoSliceMut};
use rustix::ioctl::{IoctlOutput, Opcode, Setter, ioctl};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socket_with, socketpair,
};
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};
use rustix::thread::{
    CpuSet, ThreadNameSpaceType, UnshareFlags, move_into_thread_name_spaces, sched_getaffinity,
    sched_setaffinity, unshare_unsafe,
};
use std::cell::RefCell;
use std::ffi::CStr;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::sync::atomic::{AtomicBool, Ordering};

/// Room for a few calls.
const STACK: usize = 64 * 1024;

/// The longest time that a part is waited for: another processor may have other things to do.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// What is made. The number begins its message, which has it as a descriptor if it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Program = 0,
    Network = 1,
    /// Of that namespace, the loopback interface, up.
    Loopback = 2,
}

const PARTS: usize = 3;

/// What the process sees of the runtime.
#[derive(Debug)]
struct Shared {
    /// Whether somebody makes a part.
    begun: [AtomicBool; PARTS],
    /// The device rules.
    program: Option<Program>,
    /// Where parts are sent: a descriptor of the process.
    sender: RawFd,
    /// Where it may run.
    processors: CpuSet,
}

impl Shared {
    /// Takes a part upon the caller; `false`: somebody else makes it.
    fn take(&self, part: Part) -> bool {
        !self.begun[part as usize].swap(true, Ordering::AcqRel)
    }
}

/// A program of device rules: its instructions and its name.
pub type Program = (Vec<u64>, &'static CStr);

/// A network namespace that is being made, then its loopback interface, which comes up, and before it perhaps a program.
#[derive(Debug)]
pub struct Meanwhile {
    shared: &'static Shared,
    /// Until it has ended.
    receiver: RefCell<Option<OwnedFd>>,
    pid: Pid,
    ended: AtomicBool,
    /// The process runs on it.
    _stack: Stack,
}

impl Meanwhile {
    /// Has them made. `None`: there is no other processor, or no room for a process.
    pub fn begin(program: Option<Program>) -> Option<Meanwhile> {
        let processors = sched_getaffinity(None).ok()?;
        let mut elsewhere = processors;
        elsewhere.unset(processor()?);
        if elsewhere.count() == 0 {
            return None;
        }
        let begun = Meanwhile::start(program, processors).ok()?;
        // Most kernels choose another one by themselves; where they don't, the process would have to wait for this one.
        let _ = sched_setaffinity(Some(begun.pid), &elsewhere);
        Some(begun)
    }

    fn start(program: Option<Program>, processors: CpuSet) -> Result<Meanwhile, Errno> {
        let (receiver, sender) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        let mut stack = Stack::new(STACK)?;
        let begun = [const { AtomicBool::new(false) }; PARTS];
        let shared = Shared { begun, program, sender: sender.as_raw_fd(), processors };
        let shared: &'static Shared = Box::leak(Box::new(shared));
        let mut args = clone_args(CLONE_CLEAR_SIGHAND | libc::CLONE_VM as u64, &mut -1, None);
        args.flags &= !(libc::CLONE_PIDFD as u64);
        // Its end is nobody else's business.
        args.exit_signal = 0;
        stack.describe(&mut args);
        let argument = (&raw const *shared).cast_mut().cast();
        // SAFETY: `args` describes a stack that nobody else uses and that stays until the process is reaped; `enter` never
        // returns, and uses only what is never freed and nothing that belongs to the thread.
        let pid = check_raw(unsafe { clone_and_call(&mut args, enter, argument) })?;
        let pid = Pid::from_raw(pid as i32).ok_or(Errno::SRCH)?;
        let receiver = RefCell::new(Some(receiver));
        Ok(Meanwhile { shared, receiver, pid, ended: AtomicBool::new(false), _stack: stack })
    }

    /// The program, loaded, if it is this one. `None`: the caller has to load it.
    pub fn program(&self, instructions: &[u64]) -> Option<OwnedFd> {
        let is_it = self.shared.program.as_ref().is_some_and(|(made, _)| made == instructions);
        if is_it { self.wait_for(Part::Program) } else { None }
    }

    /// Enters the network namespace. `false`: the caller has to make one.
    pub fn enter(&self) -> bool {
        let enter =
            |space: OwnedFd| move_into_thread_name_spaces(space.as_fd(), ThreadNameSpaceType::NETWORK);
        self.wait_for(Part::Network).is_some_and(|space| enter(space).is_ok())
    }

    /// Whether the loopback interface of the network namespace is up, once that is known. `false`: the caller has to see to it.
    pub fn is_up(&self) -> bool {
        self.wait_for(Part::Loopback).is_some()
    }

    /// A part, once it is there. `None`: the caller has to make it, because nobody has begun, it takes too long, or it never will
    /// be there: the end of the process is heard of, too.
    fn wait_for(&self, part: Part) -> Option<OwnedFd> {
        if self.shared.take(part) {
            return None;
        }
        let receiver = self.receiver.try_borrow().ok()?;
        let receiver = receiver.as_ref()?;
        loop {
            let ready = poll(&mut [PollFd::new(receiver, PollFlags::IN)], Some(&PATIENCE));
            if ready != Ok(1) {
                return None;
            }
            let (sent, made) = receive(receiver)?;
            // One that was not waited for until it came goes past.
            if sent == part as u8 {
                return made;
            }
        }
    }

    /// Sees to it that nothing is left of its making.
    pub fn end(&self) {
        if self.ended.swap(true, Ordering::Relaxed) {
            return;
        }
        self.shared.begun.iter().for_each(|part| part.store(true, Ordering::Release));
        // With what was sent for nobody. A process that was killed while it looked left it borrowed.
        if let Ok(mut receiver) = self.receiver.try_borrow_mut() {
            *receiver = None;
        }
        if self.reap(libc::WNOHANG) {
            return;
        }
        // It may have been stopped, or wait for a processor that others have: this one is free while we wait.
        let _ = kill_process(self.pid, Signal::KILL);
        if let Some(processor) = processor() {
            let mut here = CpuSet::new();
            here.set(processor);
            let _ = sched_setaffinity(Some(self.pid), &here);
        }
        self.reap(0);
    }

    /// Whether the process has ended.
    fn reap(&self, how: libc::c_int) -> bool {
        let (pid, mut status) = (self.pid.as_raw_nonzero().get(), 0);
        loop {
            // SAFETY: a child of this process, which nobody else waits for.
            let ended = unsafe { libc::waitpid(pid, &mut status, how | libc::__WALL) };
            if ended >= 0 || std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted {
                return ended != 0;
            }
        }
    }
}

impl Drop for Meanwhile {
    fn drop(&mut self) {
        self.end();
    }
}

/// The processor that this runs on. By a call of the kernel: without one, rustix would first look for the kernel's own library and
/// what is in it, a page and 15 µs.
fn processor() -> Option<usize> {
    let mut number: libc::c_uint = 0;
    // SAFETY: the kernel writes one number.
    let done = unsafe { call(libc::SYS_getcpu, [(&raw mut number) as usize, 0, 0, 0, 0]) };
    (done == 0).then_some(number as usize)
}

/// The next message.
fn receive(receiver: &OwnedFd) -> Option<(u8, Option<OwnedFd>)> {
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut room);
    let mut byte = [0u8];
    let how = RecvFlags::CMSG_CLOEXEC;
    let got = recvmsg(receiver, &mut [IoSliceMut::new(&mut byte)], &mut control, how).ok()?;
    let made = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    (got.bytes == 1).then_some((byte[0], made))
}

/// The process. At the same time the runtime goes on in the same memory, of which this one uses `shared` and its stack alone: its
/// calls are rustix's own, which keep nothing in the thread, and what it opens is closed by its end.
extern "C" fn enter(shared: *mut libc::c_void) -> ! {
    // SAFETY: `start` passes what is never freed.
    let shared = unsafe { &*shared.cast::<Shared>() };
    // Should it be stopped, what it has copies of (a lock, streams) would be held for good. One that the runtime does not outlive
    // ends in any case.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    // It is there; from now on it may go where it is served best.
    let _ = sched_setaffinity(None, &shared.processors);
    // What fails is said by who makes it then.
    if let Some((instructions, name)) = &shared.program
        && shared.take(Part::Program)
    {
        let program = bpf::load_devices(instructions, name).ok().map(ManuallyDrop::new);
        let _ = send(shared.sender, Part::Program, program.as_ref().map(|program| program.as_fd()));
    }
    if shared.take(Part::Network) {
        let made = make_network();
        let _ = send(shared.sender, Part::Network, made.as_ref().ok().map(|(space, _)| space.as_fd()));
        if let Ok((_, sock)) = made
            && shared.take(Part::Loopback)
        {
            let _ = send(shared.sender, Part::Loopback, set_up(&sock).ok().map(|()| sock.as_fd()));
        }
    }
    // SAFETY: no exit handler runs.
    unsafe { libc::_exit(0) }
}

/// Leaves for a network namespace of its own: that, and a socket in there. They stay until the process ends.
fn make_network() -> Result<(ManuallyDrop<OwnedFd>, ManuallyDrop<OwnedFd>), Errno> {
    // SAFETY: of what it shares, only the namespaces of this process change.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET)? };
    let sock = ManuallyDrop::new(any_socket()?);
    // SAFETY: as `Space` says.
    let space = unsafe { ioctl(&*sock, Space)? };
    Ok((ManuallyDrop::new(space), sock))
}

fn send(sender: RawFd, part: Part, made: Option<BorrowedFd<'_>>) -> Result<(), Errno> {
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut room);
    let made = made.map(|made| [made]);
    if let Some(made) = &made {
        control.push(SendAncillaryMessage::ScmRights(made));
    }
    // SAFETY: this process's copy, which it keeps to its end.
    let sender = unsafe { BorrowedFd::borrow_raw(sender) };
    sendmsg(sender, &[IoSlice::new(&[part as u8])], &mut control, SendFlags::NOSIGNAL).map(drop)
}

/// Brings `lo` of the current network namespace up.
pub fn loopback_up() -> Result<(), Errno> {
    set_up(&any_socket()?)
}

/// A socket in the current network namespace.
fn any_socket() -> Result<OwnedFd, Errno> {
    let socket = |family| socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None);
    socket(AddressFamily::INET).or_else(|_| socket(AddressFamily::UNIX))
}

/// Brings `lo` of a socket's network namespace up.
fn set_up(sock: &OwnedFd) -> Result<(), Errno> {
    // SAFETY: all-zero bytes are a valid `struct ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads a `struct ifreq`, and keeps nothing of it.
    unsafe { ioctl(sock, Setter::<{ libc::SIOCSIFFLAGS as Opcode }, _>::new(request)) }
}

/// `SIOCGSKNS` (since Linux 4.9): the network namespace of a socket.
struct Space;

// SAFETY: the request takes nothing, and makes a descriptor.
unsafe impl rustix::ioctl::Ioctl for Space {
    type Output = OwnedFd;
    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        0x894c
    }

    fn as_ptr(&mut self) -> *mut libc::c_void {
        std::ptr::null_mut()
    }

    unsafe fn output_from_ptr(made: IoctlOutput, _: *mut libc::c_void) -> Result<OwnedFd, Errno> {
        // SAFETY: the descriptor was made for us.
        Ok(unsafe { OwnedFd::from_raw_fd(made) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn own() -> PathBuf {
        std::fs::read_link("/proc/thread-self/ns/net").expect("a namespace")
    }

    /// Has this thread, which is the test's own, enter: whether that is said, and whether it is so.
    fn enter(network: &Meanwhile) -> (bool, bool) {
        let before = own();
        (network.enter(), own() != before)
    }

    /// Needs root and two processors.
    fn begun(program: Option<Program>) -> Option<Meanwhile> {
        rustix::process::geteuid().is_root().then(|| Meanwhile::begin(program)).flatten()
    }

    /// Whoever makes the namespace, what is said of it is so.
    fn assert_honest(meanwhile: &Meanwhile) {
        let (said, done) = enter(meanwhile);
        assert_eq!(said, done);
        // Who has made it brings that up, too.
        assert!(done || !meanwhile.is_up());
    }

    #[test]
    fn it_is_entered_when_it_is_made() {
        let Some(network) = begun(None) else { return };
        while !network.shared.begun[Part::Network as usize].load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        // However long it takes on a machine that has other things to do.
        let receiver = network.receiver.borrow();
        let receiver = receiver.as_ref().expect("it has not ended");
        poll(&mut [PollFd::new(receiver, PollFlags::IN)], None).expect("a message");
        assert_eq!(enter(&network), (true, true));
        assert!(network.is_up());
        assert!(std::net::UdpSocket::bind("127.0.0.1:0").and_then(|s| s.connect("127.0.0.1:9")).is_ok());
    }

    #[test]
    fn who_is_sooner_makes_one() {
        let Some(network) = begun(None) else { return };
        assert_honest(&network);
    }

    #[test]
    fn it_may_come_to_nothing() {
        let Some(network) = begun(None) else { return };
        let _ = kill_process(network.pid, Signal::KILL);
        assert_honest(&network);
    }

    #[test]
    fn one_that_was_stopped_is_not_waited_for_long() {
        let Some(network) = begun(None) else { return };
        let _ = kill_process(network.pid, Signal::STOP);
        assert_honest(&network);
        drop(network);
    }

    /// Allows everything, or is none: registers have no beginning.
    fn program(valid: bool) -> Vec<u64> {
        let instruction = |code, value: i32| {
            let [v0, v1, v2, v3] = value.to_ne_bytes();
            u64::from_ne_bytes([code, 0, 0, 0, v0, v1, v2, v3])
        };
        let exit = instruction(0x95, 0);
        if valid { vec![instruction(0xb7, 1), exit] } else { vec![exit] }
    }

    /// Whether a program is loaded for the caller once it has been begun; and what must be so in any case.
    fn loaded(code: Vec<u64>) -> Option<bool> {
        let privileged =
            rustix::process::geteuid().is_root() && bpf::load_devices(&program(true), c"test").is_ok();
        let meanwhile = privileged.then(|| begun(Some((code.clone(), c"test")))).flatten()?;
        while !meanwhile.shared.begun[Part::Program as usize].load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        assert!(meanwhile.program(&[0]).is_none(), "it is another one");
        let loaded = meanwhile.program(&code).is_some();
        assert_honest(&meanwhile);
        Some(loaded)
    }

    #[test]
    fn a_program_is_loaded_before() {
        assert_ne!(loaded(program(true)), Some(false));
    }

    #[test]
    fn one_that_is_refused_is_not_there() {
        assert_ne!(loaded(program(false)), Some(true));
    }

    #[test]
    fn a_program_that_nobody_waited_for_goes_past() {
        let Some(meanwhile) = begun(Some((program(true), c"test"))) else { return };
        assert_honest(&meanwhile);
    }

    #[test]
    fn nobody_has_to_enter() {
        let Some(network) = begun(None) else { return };
        let pid = network.pid;
        drop(network);
        assert_eq!(rustix::process::test_kill_process(pid), Err(Errno::SRCH));
    }
}
