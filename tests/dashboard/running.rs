//! The block page's process, and somebody who asks it in plain HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::serve::eventually;
use crate::serve::school::{Folder, Plan, Running};

/// What the process has said to its machine, in the folder.
pub(crate) const STDERR: &str = "stderr.txt";

/// The verb `dashboard`, with a block page.
pub(crate) struct Pages {
    _process: Running,
    pub(crate) folder: PathBuf,
    pub(crate) address: SocketAddr,
    pub(crate) block_page: SocketAddr,
    _kept: Option<Folder>,
}

impl Pages {
    /// In the folder of `plan`, with its lists compiled.
    pub(crate) fn start(plan: &Plan) -> Self {
        let folder = plan.write();
        folder.refresh();
        Self::start_in(folder)
    }

    /// In a folder that is there.
    pub(crate) fn start_in(folder: Folder) -> Self {
        let pages = Self::beside(&folder);
        Self {
            _kept: Some(folder),
            ..pages
        }
    }

    /// In the folder of a server that runs.
    pub(crate) fn beside(folder: &Folder) -> Self {
        let path = folder.path().join("schoolgate.toml");
        for listener in ["dashboard", "block_page"] {
            let listener = format!("{listener} = \"127.0.0.1:0\"\n");
            let settings = std::fs::read_to_string(&path).unwrap();
            if !settings.contains(&listener) {
                let with = settings.replace("[listen]\n", &format!("[listen]\n{listener}"));
                std::fs::write(&path, with).unwrap();
            }
        }
        let mut child = folder
            .command(&["dashboard"])
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(folder.path().join(STDERR)).unwrap())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (mut pages, mut block_page) = (None, None);
        for line in out.lines() {
            let line = line.unwrap();
            let address = |start: &str| {
                let rest = line.split_once(start)?.1;
                rest.split(['/', ' ', ';']).next()?.parse().ok()
            };
            block_page = block_page.or_else(|| address("block page on http://"));
            let at = address("pages on https://").or_else(|| address("pages on http://"));
            pages = pages.or(at);
            if pages.is_some() && block_page.is_some() {
                break;
            }
        }
        let running = Self {
            _process: Running(child),
            folder: folder.path().to_owned(),
            address: pages.expect("it says where its pages are"),
            block_page: block_page.expect("it says where the block page is"),
            _kept: None,
        };
        // The policy in force is read in the background.
        eventually("the policy", || {
            let page = running.ask("127.0.0.1", "GET", "127.0.0.1", "/", "");
            page.body.contains("The filter's rules").then_some(())
        });
        running
    }

    /// Asks the block page as a browser at `from` does that was sent here for
    /// `host`.
    pub(crate) fn ask(&self, from: &str, method: &str, host: &str, path: &str, more: &str) -> Page {
        let text = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n");
        Page::of(from, self.block_page, text.as_bytes())
    }

    /// The page about `site`.
    pub(crate) fn about(&self, from: &str, site: &str) -> Page {
        self.ask(from, "GET", site, "/", "")
    }

    /// Sends the form of requests.
    pub(crate) fn send(&self, from: &str, form: &str) -> Page {
        let at = self.block_page;
        let text = format!(
            "POST /request HTTP/1.1\r\nHost: {at}\r\nOrigin: http://{at}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        );
        Page::of(from, at, text.as_bytes())
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Page {
    /// The answer to `request`, sent from the address `from`.
    pub(crate) fn of(from: &str, to: SocketAddr, request: &[u8]) -> Self {
        let mut stream = connect(from, to);
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
        Self {
            status: status.unwrap_or(0),
            head: head.to_lowercase(),
            body: without_style(body),
        }
    }
}

/// The page without its style sheet, in which any word may stand.
fn without_style(body: &str) -> String {
    let Some((before, rest)) = body.split_once("<style>") else {
        return body.to_owned();
    };
    let after = rest.split_once("</style>").map_or("", |(_, after)| after);
    format!("{before}{after}")
}

/// A connection from one of this machine's addresses.
pub(crate) fn connect(from: &str, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let from: IpAddr = from.parse().unwrap();
    socket.bind(&SocketAddr::new(from, 0).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
}
