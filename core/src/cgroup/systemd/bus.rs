//! A small blocking client of D-Bus: as much as calls to systemd need, without an executor or threads.

use crate::{Error, ErrorKind, Result};
use rustix::event::{PollFd, PollFlags};
use std::io::{self, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use zbus::wire::serialized::{Context, Data};
use zbus::wire::{Endian, NATIVE_ENDIAN, to_bytes};
use zbus::{ObjectPath, Type, Variant};

/// How long systemd may take for an answer or a job.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// The greatest message that D-Bus allows is 128 MiB; none for us is near that.
const MOST: u32 = 16 << 20;

/// Who is called: on the bus, and on systemd's own socket, which needs no name.
pub(super) const SYSTEMD: &str = "org.freedesktop.systemd1";
pub(super) const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
pub(super) const MANAGER: &str = "org.freedesktop.systemd1.Manager";

/// Kinds of messages.
const CALL: u8 = 1;
const REPLY: u8 = 2;
const FAILURE: u8 = 3;
const SIGNAL: u8 = 4;

/// Fields of a header.
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// The fixed part of a header, and its fields.
type Header<'a> = (u8, u8, u8, u8, u32, u32, Vec<(u8, Variant<'a>)>);

/// A connection to a manager.
pub(super) struct Bus {
    stream: UnixStream,
    serial: u32,
    /// Signals that came while an answer was waited for: bodies of `JobRemoved`.
    ended: Vec<Ended>,
}

/// The end of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) job: String,
    pub(super) result: String,
}

/// An answer, or a signal.
struct Message {
    kind: u8,
    reply_to: u32,
    member: String,
    error: String,
    answer: Answer,
}

/// What a call can come to.
#[derive(Debug)]
pub(super) enum Failed {
    /// The manager said no: the name and the text of the error.
    Refused { name: String, text: String },
    /// The connection failed.
    Broken(io::Error),
}

impl From<io::Error> for Failed {
    fn from(e: io::Error) -> Failed {
        Failed::Broken(e)
    }
}

impl From<zbus::Error> for Failed {
    fn from(e: zbus::Error) -> Failed {
        Failed::Broken(io::Error::new(io::ErrorKind::InvalidData, e.to_string()))
    }
}

impl Failed {
    /// As an error of ours.
    pub(super) fn into_error(self, what: &str) -> Error {
        match self {
            Failed::Refused { name, text } => {
                let kind = match name.rsplit('.').next().unwrap_or_default() {
                    "AccessDenied" | "InteractiveAuthorizationRequired" => ErrorKind::Permission,
                    "UnitExists" => ErrorKind::InUse,
                    "InvalidArgs" | "PropertyReadOnly" | "UnknownProperty" => ErrorKind::InvalidArgument,
                    "NoSuchUnit" => ErrorKind::NotFound,
                    _ => ErrorKind::Io,
                };
                Error::new(kind, format!("{what}: {text}")).with_context("dbus", name)
            }
            Failed::Broken(e) => Error::io(what, e),
        }
    }
}

impl Bus {
    /// Connects to the system's manager or to the one of this user.
    pub(super) fn connect(user: bool) -> Result<Bus> {
        let mut failed = None;
        for (address, own_socket) in addresses(user) {
            let opened = UnixStream::connect_addr(&address).map_err(Failed::from).and_then(|stream| {
                let mut bus = Bus { stream, serial: 0, ended: Vec::new() };
                bus.authenticate()?;
                if !own_socket {
                    bus.greet()?;
                }
                Ok(bus)
            });
            match opened {
                Ok(bus) => return Ok(bus),
                Err(e) => failed = Some(e),
            }
        }
        let text = match user {
            true => {
                "the systemd of this user can't be reached; a login session (loginctl enable-linger) \
                     starts it, and XDG_RUNTIME_DIR or DBUS_SESSION_BUS_ADDRESS says where it is"
            }
            false => "systemd can't be reached, so use the cgroupfs driver",
        };
        let error = Error::new(ErrorKind::Unsupported, text);
        Err(match failed {
            Some(Failed::Broken(e)) => error.with_source(e),
            Some(Failed::Refused { text, .. }) => error.with_context("answer", text),
            None => error,
        })
    }

    fn authenticate(&mut self) -> io::Result<()> {
        self.stream.set_read_timeout(Some(PATIENCE))?;
        self.stream.set_write_timeout(Some(PATIENCE))?;
        // Without a name the kernel's word on who we are counts, which is right in user namespaces too.
        // All at once: systemd, when it reads the beginning of a call together with `BEGIN`, waits for more.
        self.stream.write_all(b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n")?;
        for wanted in ["DATA", "OK"] {
            let line = self.line()?;
            if line.split(' ').next() != Some(wanted) {
                let text = format!("D-Bus refuses this user: {line}");
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
            }
        }
        Ok(())
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") && line.len() < 4096 {
            let mut byte = [0];
            self.stream.read_exact(&mut byte)?;
            line.push(byte[0]);
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    /// A bus wants a greeting, and to know what signals to pass on.
    fn greet(&mut self) -> Result<(), Failed> {
        let (path, bus) = ("/org/freedesktop/DBus", "org.freedesktop.DBus");
        self.call_at(bus, path, bus, "Hello", &())?;
        let rule = format!("type='signal',interface='{MANAGER}',member='JobRemoved'");
        self.call_at(bus, path, bus, "AddMatch", &rule)?;
        self.call("Subscribe", &()).map(drop)
    }

    /// Calls the manager. The answer's body.
    pub(super) fn call<B>(&mut self, member: &str, body: &B) -> Result<Answer, Failed>
    where
        B: serde::Serialize + Type,
    {
        self.call_at(SYSTEMD, MANAGER_PATH, MANAGER, member, body)
    }

    /// A property of the manager that is text.
    pub(super) fn text_property(&mut self, name: &str) -> Result<String, Failed> {
        let interface = "org.freedesktop.DBus.Properties";
        let answer = self.call_at(SYSTEMD, MANAGER_PATH, interface, "Get", &(MANAGER, name))?;
        match answer.read::<Variant<'_>>()? {
            Variant::Str(text) => Ok(text.as_str().to_owned()),
            other => Err(unexpected(&format!("{name} is {other:?}")).into()),
        }
    }

    fn call_at<B>(
        &mut self,
        destination: &str,
        path: &str,
        interface: &str,
        member: &str,
        body: &B,
    ) -> Result<Answer, Failed>
    where
        B: serde::Serialize + Type,
    {
        self.serial += 1;
        let serial = self.serial;
        let bytes = encode(serial, destination, path, interface, member, body)?;
        self.stream.write_all(&bytes)?;
        let end = Instant::now() + PATIENCE;
        loop {
            let message = self.receive(end)?;
            match message.kind {
                REPLY if message.reply_to == serial => {
                    return Ok(message.answer);
                }
                FAILURE if message.reply_to == serial => {
                    let text = message.answer.text();
                    return Err(Failed::Refused { name: message.error, text });
                }
                _ => self.note(message),
            }
        }
    }

    /// Waits for the end of a job: its result, `None` where systemd has forgotten it without a word.
    pub(super) fn wait(&mut self, job: &str) -> Result<Option<String>, Failed> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(ended) = self.ended.iter().find(|e| e.job == job) {
                return Ok(Some(ended.result.clone()));
            }
            if !self.is_silent()? {
                let message = self.receive(end)?;
                self.note(message);
            } else if !self.has_job(job)? && self.ended.iter().all(|e| e.job != job) {
                return Ok(None);
            }
            if Instant::now() > end {
                return Err(io::Error::from(io::ErrorKind::TimedOut).into());
            }
        }
    }

    /// Whether nothing comes for a moment.
    fn is_silent(&self) -> io::Result<bool> {
        const MOMENT: rustix::time::Timespec = rustix::time::Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
        let mut poll = [PollFd::new(&self.stream, PollFlags::IN)];
        match rustix::event::poll(&mut poll, Some(&MOMENT)) {
            Ok(n) => Ok(n == 0),
            Err(rustix::io::Errno::INTR) => Ok(true),
            Err(e) => Err(e.into()),
        }
    }

    /// Whether a job is still known.
    fn has_job(&mut self, job: &str) -> Result<bool, Failed> {
        let interface = "org.freedesktop.DBus.Properties";
        let property = ("org.freedesktop.systemd1.Job", "State");
        match self.call_at(SYSTEMD, job, interface, "Get", &property) {
            Ok(_) => Ok(true),
            Err(Failed::Refused { .. }) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Remembers the end of a job.
    fn note(&mut self, message: Message) {
        if message.kind == SIGNAL
            && message.member == "JobRemoved"
            && let Ok((_, job, _, result)) = message.answer.read::<(u32, ObjectPath<'_>, String, String)>()
        {
            self.ended.push(Ended { job: job.as_str().to_owned(), result });
        }
    }

    fn receive(&mut self, end: Instant) -> Result<Message, Failed> {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::from(io::ErrorKind::TimedOut).into());
        }
        self.stream.set_read_timeout(Some(left))?;
        let mut fixed = [0u8; 16];
        self.stream.read_exact(&mut fixed)?;
        let word = |at: usize| -> Result<u32, Failed> {
            let bytes: [u8; 4] = fixed[at..at + 4].try_into().map_err(|_| unexpected("a short header"))?;
            Ok(if fixed[0] == b'B' { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
        };
        let (body, fields) = (word(4)?, word(12)?);
        if body > MOST || fields > MOST {
            return Err(unexpected("a message that is too long").into());
        }
        let head = (16 + fields as usize).next_multiple_of(8);
        let mut bytes = vec![0; head + body as usize];
        bytes[..16].copy_from_slice(&fixed);
        self.stream.read_exact(&mut bytes[16..])?;
        decode(bytes, head)
    }
}

/// The body of an answer.
pub(super) struct Answer {
    signature: String,
    body: Data<'static, 'static>,
}

impl Answer {
    /// Its values.
    pub(super) fn read<'a, T>(&'a self) -> Result<T, Failed>
    where
        T: serde::Deserialize<'a> + Type,
    {
        let wanted = T::SIGNATURE.to_string_no_parens();
        if self.signature != wanted {
            return Err(unexpected(&format!("{} where {wanted} should be", self.signature)).into());
        }
        Ok(self.body.deserialize()?.0)
    }

    /// The text that an error begins with.
    fn text(&self) -> String {
        let text = || self.signature.starts_with('s').then(|| self.body.deserialize::<String>().ok());
        text().flatten().map(|(text, _)| text).unwrap_or_default()
    }
}

/// A call as bytes.
fn encode<B>(
    serial: u32,
    destination: &str,
    path: &str,
    interface: &str,
    member: &str,
    body: &B,
) -> Result<Vec<u8>, Failed>
where
    B: serde::Serialize + Type,
{
    let fields: Vec<(u8, Variant<'_>)> = vec![
        (PATH, Variant::from(ObjectPath::try_from(path)?)),
        (INTERFACE, Variant::from(interface)),
        (MEMBER, Variant::from(member)),
        (DESTINATION, Variant::from(destination)),
    ];
    message(CALL, serial, fields, body)
}

/// A message as bytes.
fn message<B>(kind: u8, serial: u32, fields: Vec<(u8, Variant<'_>)>, body: &B) -> Result<Vec<u8>, Failed>
where
    B: serde::Serialize + Type,
{
    let context = Context::new(NATIVE_ENDIAN, 0);
    let body = (to_bytes(context, body)?, B::SIGNATURE.to_string_no_parens());
    let length = u32::try_from(body.0.len()).map_err(|_| unexpected("a body that is too long"))?;
    let endian = if cfg!(target_endian = "little") { b'l' } else { b'B' };
    let header: Header<'_> = (endian, kind, 0, 1, length, serial, fields);
    let mut bytes = to_bytes(context, &header)?.to_vec();
    if !body.1.is_empty() {
        // The types of a body are a list, which a signature as a value, always one type, can't say.
        let count = u8::try_from(body.1.len()).map_err(|_| unexpected("a body of too many types"))?;
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.extend([SIGNATURE, 1, b'g', 0, count]);
        bytes.extend(body.1.bytes());
        bytes.push(0);
        let length = u32::try_from(bytes.len() - 16).map_err(|_| unexpected("too long a header"))?;
        bytes[12..16].copy_from_slice(&length.to_ne_bytes());
    }
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes.extend_from_slice(&body.0);
    Ok(bytes)
}

/// A message from its bytes; the body begins at `head`.
fn decode(mut bytes: Vec<u8>, head: usize) -> Result<Message, Failed> {
    let endian = if bytes.first() == Some(&b'B') { Endian::Big } else { Endian::Little };
    let context = Context::new(endian, 0);
    let body = Data::new(bytes.split_off(head), context);
    let data = Data::new(bytes, context);
    let ((_, kind, _, _, _, _, fields), _): (Header<'_>, _) = data.deserialize()?;
    let mut message = Message {
        kind,
        reply_to: 0,
        member: String::new(),
        error: String::new(),
        answer: Answer { signature: String::new(), body },
    };
    for (field, value) in fields {
        match (field, value) {
            (MEMBER, Variant::Str(text)) => message.member = text.as_str().to_owned(),
            (ERROR_NAME, Variant::Str(text)) => message.error = text.as_str().to_owned(),
            (REPLY_SERIAL, Variant::U32(serial)) => message.reply_to = serial,
            (SIGNATURE, Variant::Signature(s)) => message.answer.signature = s.to_string_no_parens(),
            _ => {}
        }
    }
    Ok(message)
}

fn unexpected(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("D-Bus sent {what}"))
}

/// Where managers listen, and whether that is systemd's own socket rather than a bus.
fn addresses(user: bool) -> Vec<(SocketAddr, bool)> {
    let path = |path: PathBuf| SocketAddr::from_pathname(path).ok();
    let variable = |name: &str| std::env::var(name).ok();
    let mut all = Vec::new();
    let mut add = |address: Option<SocketAddr>, own| all.extend(address.map(|a| (a, own)));
    if user {
        let usual = || PathBuf::from(format!("/run/user/{}", rustix::process::getuid().as_raw()));
        let folder = std::env::var_os("XDG_RUNTIME_DIR").filter(|f| !f.is_empty());
        let folder = Some(folder.map_or_else(usual, PathBuf::from));
        add(folder.as_ref().and_then(|f| path(f.join("systemd/private"))), true);
        let bus = variable("DBUS_SESSION_BUS_ADDRESS");
        bus.iter().flat_map(|list| list.split(';')).for_each(|one| add(parse_address(one), false));
        add(folder.and_then(|f| path(f.join("bus"))), false);
    } else {
        // Only root may use it; it works while there is no bus yet.
        add(path("/run/systemd/private".into()), true);
        let bus = variable("DBUS_SYSTEM_BUS_ADDRESS");
        bus.iter().flat_map(|list| list.split(';')).for_each(|one| add(parse_address(one), false));
        add(path("/run/dbus/system_bus_socket".into()), false);
    }
    all
}

/// `unix:path=/run/bus,guid=…` or `unix:abstract=name`; `%2c` is a comma.
fn parse_address(text: &str) -> Option<SocketAddr> {
    let pairs = text.strip_prefix("unix:")?;
    let (key, value) = pairs.split(',').find_map(|p| p.split_once('='))?;
    let mut bytes = Vec::new();
    let mut rest = value.bytes();
    while let Some(b) = rest.next() {
        bytes.push(match b {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            b => b,
        });
    }
    match key {
        "path" => SocketAddr::from_pathname(Path::new(std::ffi::OsStr::from_bytes(&bytes))).ok(),
        "abstract" => SocketAddr::from_abstract_name(bytes).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_read_as_it_was_written() {
        let properties = vec![("Delegate", Variant::from(true)), ("PIDs", Variant::from(vec![7u32]))];
        let bytes =
            encode(9, SYSTEMD, MANAGER_PATH, MANAGER, "StartTransientUnit", &("x", properties)).unwrap();
        assert_eq!(&bytes[..4], &[if cfg!(target_endian = "little") { b'l' } else { b'B' }, CALL, 0, 1]);
        let fields = u32::from_ne_bytes(bytes[12..16].try_into().unwrap()) as usize;
        let message = decode(bytes, (16 + fields).next_multiple_of(8)).unwrap();
        assert_eq!((message.kind, message.member.as_str()), (CALL, "StartTransientUnit"));
        assert_eq!(message.answer.signature, "sa(sv)");
        let (name, properties): (String, Vec<(String, Variant<'_>)>) = message.answer.read().unwrap();
        assert_eq!((name.as_str(), properties.len()), ("x", 2));
        assert!(message.answer.read::<u32>().is_err());
    }

    #[test]
    fn addresses_are_paths_or_abstract_names() {
        let path = |text| parse_address(text).and_then(|a| a.as_pathname().map(Path::to_path_buf));
        assert_eq!(path("unix:path=/run/a%2cb,guid=1"), Some("/run/a,b".into()));
        let name = parse_address("unix:abstract=/tmp/x,guid=1").unwrap();
        assert_eq!(name.as_abstract_name(), Some(&b"/tmp/x"[..]));
        assert!(parse_address("tcp:host=a").is_none() && parse_address("unix:path=%2").is_none());
    }

    #[test]
    fn a_manager_is_spoken_to() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let server = std::thread::spawn(move || serve(theirs));
        let mut bus = Bus { stream: ours, serial: 0, ended: Vec::new() };
        bus.authenticate().unwrap();
        let e = bus.call("Fails", &"x").err().unwrap().into_error("a try");
        assert_eq!((e.kind(), e.message()), (ErrorKind::InUse, "a try: text"));
        let answer = bus.call("Works", &("a", 1u32)).unwrap();
        assert_eq!(answer.read::<ObjectPath<'_>>().unwrap().as_str(), "/job/1");
        assert_eq!(bus.wait("/job/1").unwrap().as_deref(), Some("done"));
        drop(bus);
        server.join().unwrap();
    }

    /// A manager that refuses the first call, and ends the job of the second before it answers.
    fn serve(stream: UnixStream) {
        let mut bus = Bus { stream, serial: 0, ended: Vec::new() };
        let mut zero = [0];
        bus.stream.read_exact(&mut zero).unwrap();
        assert_eq!(bus.line().unwrap(), "AUTH EXTERNAL");
        bus.stream.write_all(b"DATA\r\n").unwrap();
        assert_eq!(bus.line().unwrap(), "DATA");
        bus.stream.write_all(b"OK 0123\r\n").unwrap();
        assert_eq!(bus.line().unwrap(), "BEGIN");
        let end = Instant::now() + PATIENCE;
        assert_eq!(bus.receive(end).unwrap().member, "Fails");
        let name = Variant::from("org.freedesktop.systemd1.UnitExists");
        bus.send(FAILURE, vec![(ERROR_NAME, name), (REPLY_SERIAL, Variant::from(1u32))], &"text");
        assert_eq!(bus.receive(end).unwrap().member, "Works");
        let job = ObjectPath::try_from("/job/1").unwrap();
        let member = vec![(MEMBER, Variant::from("JobRemoved"))];
        bus.send(SIGNAL, member, &(1u32, job.clone(), "x.scope", "done"));
        bus.send(REPLY, vec![(REPLY_SERIAL, Variant::from(2u32))], &job);
    }

    impl Bus {
        fn send<B: serde::Serialize + Type>(&mut self, kind: u8, fields: Vec<(u8, Variant<'_>)>, body: &B) {
            let bytes = message(kind, 1, fields, body).unwrap();
            self.stream.write_all(&bytes).unwrap();
        }
    }
}
