//! One request over the resolver's socket.
//!
//! HTTP/1.1 in so far as our own `serve` speaks it: one request a connection, an
//! answer that ends with it. Everything is bounded, for whoever asks has a page
//! to show: the whole exchange by [`PATIENCE`], the answer by [`MOST_BYTES`].

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};

/// More than this is no answer of ours.
const MOST_BYTES: usize = 8 << 20;

/// Asks; none if nobody listens.
pub(super) fn ask(
    socket: &Path,
    method: &str,
    path: &str,
    body: &[u8],
    patience: Duration,
) -> io::Result<Option<Vec<u8>>> {
    let until = Instant::now() + patience;
    let told = |error: &io::Error| told(error, patience);
    let mut stream = match connect(socket) {
        Ok(stream) => stream,
        // A socket whose process was killed stays behind and refuses.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::ConnectionRefused
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(told(&error)),
    };
    stream.set_write_timeout(Some(patience))?;
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: serve\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n"
    );
    stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(body))
        .map_err(|error| told(&error))?;
    let answer = read(&mut stream, until).map_err(|error| told(&error))?;
    body_of(&answer).map(Some)
}

/// A full queue of a process that hangs would keep a blocking connect waiting
/// for ever.
fn connect(path: &Path) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)?;
    socket.set_nonblocking(false)?;
    Ok(socket.into())
}

fn read(stream: &mut UnixStream, until: Instant) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    let mut piece = vec![0; 64 << 10];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut piece) {
            Ok(0) => return Ok(answer),
            Ok(length) => answer.extend_from_slice(piece.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if answer.len() > MOST_BYTES {
            return Err(io::Error::other("its answer has no end"));
        }
    }
}

fn body_of(answer: &[u8]) -> io::Result<Vec<u8>> {
    let end = b"\r\n\r\n";
    let at = answer.windows(end.len()).position(|bytes| bytes == end);
    let (head, body) = at
        .and_then(|at| answer.split_at_checked(at + end.len()))
        .ok_or_else(|| io::Error::other("it ended before it had answered"))?;
    if !head.starts_with(b"HTTP/1.1 200 ") {
        let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let line = String::from_utf8_lossy(line);
        return Err(io::Error::other(format!("it answered \"{line}\"")));
    }
    Ok(body.to_owned())
}

/// In words for a page.
fn told(error: &io::Error, patience: Duration) -> io::Error {
    let words = match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            let within = match patience.as_secs() {
                0 => "half a second".to_owned(),
                seconds => format!("{seconds} seconds"),
            };
            format!("it does not answer within {within}")
        }
        ErrorKind::PermissionDenied => {
            "this account may not ask it; run both as the same one".to_owned()
        }
        _ => error.to_string(),
    };
    io::Error::new(error.kind(), words)
}
