//! A registry for tests that does what it is told, also what no registry should.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// With its query.
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
    /// How many requests came before it.
    pub(crate) number: usize,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// What follows the bytes of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// The connection ends.
    Close,
    /// It is reset.
    Reset,
    /// Nothing, for as long as the client waits.
    Stall,
    /// The same body again, for as long as the client reads.
    Repeat,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Only so much of the body.
    pub(crate) send: Option<usize>,
    /// `Content-Length`, when not the truth; `u64::MAX`: none, and chunked.
    pub(crate) announce: Option<u64>,
    pub(crate) after: After,
    /// A pause after each byte.
    pub(crate) drip: Option<Duration>,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Reply {
        let (headers, send, announce, drip) = (Vec::new(), None, None, None);
        Reply { status, headers, body: body.into(), send, announce, after: After::Close, drip }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Reply {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn cut(mut self, send: usize, after: After) -> Reply {
        (self.send, self.after) = (Some(send), after);
        self
    }

    pub(crate) fn announcing(mut self, length: u64) -> Reply {
        self.announce = Some(length);
        self
    }
}

/// A running server.
pub(crate) struct Fake {
    port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Fake {
    /// Starts one on a free port of 127.0.0.1.
    pub(crate) fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let handler: Arc<dyn Fn(&Request) -> Reply + Send + Sync> = Arc::new(handler);
        let (seen, stopped) = (requests.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let mut workers = Vec::new();
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                let (handler, seen, stopped) = (handler.clone(), seen.clone(), stopped.clone());
                workers.push(std::thread::spawn(move || {
                    let _ = serve(stream, &*handler, &seen, &stopped);
                }));
            }
            for worker in workers {
                worker.join().unwrap();
            }
        });
        Fake { port, requests, stop, thread: Some(thread) }
    }

    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.host())
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// How many requests there were for paths that begin so.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.requests().iter().filter(|r| r.path.starts_with(path)).count()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        let _ = self.thread.take().unwrap().join();
    }
}

fn serve(
    stream: TcpStream,
    handler: &(dyn Fn(&Request) -> Reply + Send + Sync),
    seen: &Mutex<Vec<Request>>,
    stop: &AtomicBool,
) -> std::io::Result<()> {
    let mut input = BufReader::new(stream.try_clone()?);
    // A TLS greeting: this server speaks plain HTTP only.
    if input.fill_buf()?.first() == Some(&0x16) {
        return Ok(());
    }
    let mut line = String::new();
    input.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Ok(());
    };
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        input.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.insert(name.to_ascii_lowercase(), value.trim().to_owned()),
            None => break,
        };
    }
    let length = headers.get("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    input.read_exact(&mut body)?;
    let body = String::from_utf8_lossy(&body).into_owned();
    let request = {
        let mut seen = seen.lock().unwrap();
        let request = Request { method, path, headers, body, number: seen.len() };
        seen.push(request.clone());
        request
    };
    reply(stream, handler(&request), stop)
}

fn reply(mut stream: TcpStream, reply: Reply, stop: &AtomicBool) -> std::io::Result<()> {
    let chunked = reply.announce == Some(u64::MAX);
    let mut head = format!("HTTP/1.1 {} Fake\r\nConnection: close\r\n", reply.status);
    match reply.announce {
        Some(u64::MAX) => head += "Transfer-Encoding: chunked\r\n",
        other => head += &format!("Content-Length: {}\r\n", other.unwrap_or(reply.body.len() as u64)),
    }
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    let part = &reply.body[..reply.send.unwrap_or(reply.body.len()).min(reply.body.len())];
    let mut send = |bytes: &[u8]| match chunked {
        true => stream.write_all(&[format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()),
        false => stream.write_all(bytes),
    };
    match reply.drip {
        Some(pause) => {
            for byte in part {
                if stop.load(Ordering::SeqCst) {
                    return Ok(());
                }
                send(&[*byte])?;
                std::thread::sleep(pause);
            }
        }
        None if !part.is_empty() => send(part)?,
        None => {}
    }
    match reply.after {
        After::Repeat => loop {
            send(part)?;
        },
        After::Stall => {
            stream.set_read_timeout(Some(Duration::from_millis(20)))?;
            while !stop.load(Ordering::SeqCst) {
                if matches!(stream.read(&mut [0; 64]), Ok(0)) {
                    break;
                }
            }
        }
        After::Reset => {
            // With lingering off, closing with unread or unsent data resets.
            rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
        }
        After::Close if chunked && reply.send.is_none() => stream.write_all(b"0\r\n\r\n")?,
        After::Close => {}
    }
    Ok(())
}
