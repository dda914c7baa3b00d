//! The process that serves the pages, and somebody who asks it for them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use socket2::{Domain, Socket, Type};
use totp_rs::{Builder, Secret};

use crate::serve::school::{Folder, Running};

/// What every account of these tests has for a password, unless it says another.
pub(crate) const PASSWORD: &str = "wet leaves on a Tuesday";

/// The pages, served.
pub(crate) struct Pages {
    pub(crate) server: Running,
    pub(crate) address: SocketAddr,
    stdout: Arc<Mutex<String>>,
    stderr: Arc<Mutex<String>>,
}

impl Pages {
    /// Starts `schoolgate dashboard` for `folder`, and waits for its line. The
    /// folder's settings must say `dashboard = "127.0.0.1:0"`, as those of `Plan`
    /// do.
    pub(crate) fn start(folder: &Folder) -> Self {
        Self::start_as(folder.command(&["dashboard"]))
    }

    /// Starts `command`, which is to become the server.
    pub(crate) fn start_as(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = collect(child.stderr.take().unwrap());
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let address = line.trim().rsplit_once("://").map(|(_, rest)| rest);
        let address = address.and_then(|address| address.parse().ok());
        let address =
            address.unwrap_or_else(|| panic!("{line:?}; stderr: {}", stderr.lock().unwrap()));
        Self {
            server: Running(child),
            address,
            stdout: collect(out),
            stderr,
        }
    }

    /// What it has said on its console after the first line.
    pub(crate) fn stdout(&self) -> String {
        self.stdout.lock().unwrap().clone()
    }

    /// What it has said to its machine.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }
}

fn collect(mut from: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let text = Arc::<Mutex<String>>::default();
    let to = Arc::clone(&text);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]);
            to.lock().unwrap().push_str(&text);
        }
    });
    text
}

/// An account, and what its owner knows.
pub(crate) struct Account {
    /// What it signs in with.
    pub(crate) name: String,
    pub(crate) password: String,
    /// The second factor's, once it is set up.
    pub(crate) secret: Option<String>,
    pub(crate) recovery_codes: Vec<String>,
    /// The step of the last code that was used.
    pub(crate) last_step: u64,
}

impl Account {
    /// Makes one for `role`, called after it, on the console.
    pub(crate) fn make(folder: &Folder, role: &str) -> Self {
        Self::named(folder, role, role)
    }

    /// Makes one of this name.
    pub(crate) fn named(folder: &Folder, account: &str, role: &str) -> Self {
        Self::with_email(folder, account, role, "")
    }

    /// The same of somebody with this e-mail address.
    pub(crate) fn with_email(folder: &Folder, account: &str, role: &str, email: &str) -> Self {
        let verb = [
            "user",
            "add",
            "Jo Bloggs",
            "--role",
            role,
            "--account",
            account,
        ];
        let mut command = folder.command(&verb);
        if !email.is_empty() {
            command.args(["--email", email]);
        }
        command.arg("--password-stdin");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        writeln!(stdin, "{PASSWORD}").unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        Self::known(account)
    }

    /// One that was made in another way.
    pub(crate) fn known(account: &str) -> Self {
        Self {
            name: account.to_owned(),
            password: PASSWORD.to_owned(),
            secret: None,
            recovery_codes: Vec::new(),
            last_step: 0,
        }
    }

    /// A code that was not used yet. Two are good at one time; for a third in
    /// half a minute the test would have to wait.
    pub(crate) fn code(&mut self) -> String {
        let secret = self.secret.as_ref().expect("a second factor");
        let now = u64::try_from(Timestamp::now().as_second()).unwrap() / 30;
        self.last_step = now.max(self.last_step + 1);
        assert!(self.last_step <= now + 1, "too many codes in one minute");
        code_at(secret, self.last_step)
    }
}

/// The code that an app would show in a step of thirty seconds.
pub(crate) fn code_at(secret: &str, step: u64) -> String {
    let secret = Secret::try_from_base32(secret).unwrap();
    let totp = Builder::new().with_secret(secret).build().unwrap();
    totp.generate(step * 30).to_string()
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in small letters.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Where it sends the browser.
    pub(crate) fn location(&self) -> &str {
        self.header("location").unwrap_or_default()
    }

    /// The page of an answer that has one.
    #[track_caller]
    pub(crate) fn page(&self) -> &str {
        assert_eq!(self.status, 200, "{self:?}");
        &self.body
    }

    /// The value of a hidden field.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let (_, rest) = self.body.split_once(&format!("name=\"{name}\" value=\""))?;
        Some(rest.split_once('"')?.0.to_owned())
    }
}

/// Somebody with a browser: keeps cookies and the last form's token.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    /// Where they sit.
    from: IpAddr,
    pub(crate) cookies: BTreeMap<String, String>,
    pub(crate) csrf: Option<String>,
    /// Sent with every request; `host` takes the place of the true one.
    pub(crate) headers: Vec<(String, String)>,
}

impl Client {
    pub(crate) fn new(pages: &Pages) -> Self {
        Self::from("127.0.0.1", pages)
    }

    /// Somebody at another address of this machine.
    pub(crate) fn from(from: &str, pages: &Pages) -> Self {
        Self {
            address: pages.address,
            from: from.parse().unwrap(),
            cookies: BTreeMap::new(),
            csrf: None,
            headers: Vec::new(),
        }
    }

    /// Somebody of `role` who has signed in; makes the account too.
    pub(crate) fn signed_in(pages: &Pages, folder: &Folder, role: &str) -> Self {
        let mut account = Account::make(folder, role);
        Self::as_account(pages, &mut account)
    }

    /// The owner of `account`, signed in; sets up the second factor if that is
    /// asked for.
    pub(crate) fn as_account(pages: &Pages, account: &mut Account) -> Self {
        let mut client = Self::new(pages);
        let answer = client.give_password(&account.name, &account.password);
        assert_eq!(answer.status, 303, "{answer:?}");
        let next = client.get("/");
        match next.location() {
            "" => assert_eq!(next.status, 200, "{next:?}"),
            "/sign-in/code" => {
                client.get("/sign-in/code");
                let code = account.code();
                let answer = client.post("/sign-in/code", &[("code", &code)]);
                assert_eq!(answer.status, 303, "{answer:?}");
            }
            "/account/second-factor" => client.enrol(account),
            other => panic!("{other}"),
        }
        client
    }

    /// Sets up the second factor.
    pub(crate) fn enrol(&mut self, account: &mut Account) {
        let page = self.get("/account/second-factor");
        let (_, rest) = page
            .page()
            .split_once("Or type this into it: <code>")
            .unwrap();
        let secret: String = rest.split('<').next().unwrap().split(' ').collect();
        account.secret = Some(secret);
        let code = account.code();
        let answer = self.post("/account/second-factor", &[("code", &code)]);
        let codes = answer.page().split("<li><code>").skip(1);
        account.recovery_codes = codes
            .map(|rest| rest.split('<').next().unwrap().to_owned())
            .collect();
        assert_eq!(account.recovery_codes.len(), 10);
    }

    /// Sends the form of the sign-in page.
    pub(crate) fn give_password(&mut self, account: &str, password: &str) -> Answer {
        self.post("/sign-in", &[("account", account), ("password", password)])
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path, None)
    }

    /// Sends a form, with the token of this session.
    pub(crate) fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let csrf = self.csrf.clone();
        let token = csrf.iter().map(|csrf| ("csrf", csrf.as_str()));
        self.send(
            path,
            &token.chain(fields.iter().copied()).collect::<Vec<_>>(),
        )
    }

    /// Sends a form as it is.
    pub(crate) fn send(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body = serde_urlencoded::to_string(fields).unwrap();
        self.ask("POST", path, Some(&body))
    }

    pub(crate) fn ask(&mut self, method: &str, path: &str, body: Option<&str>) -> Answer {
        let has = |name: &str| self.headers.iter().any(|(header, _)| header == name);
        let mut text = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !has("host") {
            let _ = write!(text, "Host: {}\r\n", self.address);
        }
        for (name, value) in &self.headers {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        if !self.cookies.is_empty() {
            let pairs: Vec<_> = self
                .cookies
                .iter()
                .map(|(n, v)| format!("{n}={v}"))
                .collect();
            let _ = write!(text, "Cookie: {}\r\n", pairs.join("; "));
        }
        if let Some(body) = body {
            let _ = write!(
                text,
                "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n",
                body.len()
            );
        }
        text += "\r\n";
        text += body.unwrap_or_default();
        let mut stream = self.connect();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let answer = read(&bytes);
        self.keep(&answer);
        answer
    }

    fn connect(&self) -> TcpStream {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::new(self.from, 0).into()).unwrap();
        socket.connect(&self.address.into()).unwrap();
        socket.into()
    }

    fn keep(&mut self, answer: &Answer) {
        let set = answer
            .headers
            .iter()
            .filter(|(name, _)| name == "set-cookie");
        for (_, value) in set {
            let pair = value.split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        if let Some(csrf) = answer.field("csrf") {
            self.csrf = Some(csrf);
        }
    }
}

fn read(bytes: &[u8]) -> Answer {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(bytes)));
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    let header = |line: &str| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_ascii_lowercase(), value.trim().to_owned())
    };
    let headers: Vec<_> = lines.map(header).collect();
    let mut body = bytes[end + 4..].to_vec();
    if headers.contains(&("transfer-encoding".to_owned(), "chunked".to_owned())) {
        body = unchunked(&body);
    }
    Answer {
        status: status.parse().unwrap(),
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    }
}

fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n").unwrap();
        let length = std::str::from_utf8(&bytes[..end]).unwrap();
        let length = usize::from_str_radix(length.trim(), 16).unwrap();
        if length == 0 {
            return body;
        }
        body.extend_from_slice(&bytes[end + 2..end + 2 + length]);
        bytes = &bytes[end + 2 + length + 2..];
    }
}
