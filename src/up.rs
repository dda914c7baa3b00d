//! `schoolgate up`: the whole appliance, for somebody who has just met it.
//!
//! One parent, its parts as children, so that what a newcomer runs is what a
//! school runs: lists are compiled by `refresh`, questions answered by `serve`,
//! pages shown by `dashboard`, whose end is no reason to end the others.
//! Without `--config` it takes the demonstration. It writes nothing outside the
//! state folder and needs no internet. When it ends, so do its children.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::getppid;
use tokio::signal::unix::{SignalKind, signal};

use crate::appliance::all_of;
use crate::appliance::private_ca::PrivateCa;
use crate::lists::durable;
use crate::settings::Settings;
use crate::standing;

/// A question for bets.example, as RFC 8484 has it in an address.
const BETS: &str = "AAABAAABAAAAAAAABGJldHMHZXhhbXBsZQAAAQAB";

/// Where the demonstration's configuration may be.
const DEMO: [&str; 2] = ["config/demo", "/usr/share/schoolgate/config/demo"];

/// Runs everything until told to stop, or until a part of it ends.
pub fn up(config: Option<&Path>, out: &mut impl Write) -> anyhow::Result<u8> {
    let folder = match config {
        Some(folder) => folder.to_owned(),
        None => demo()?,
    };
    let configuration = standing::configuration(&folder).map_err(all_of)?;
    writeln!(out, "Configuration: {}", folder.display())?;
    writeln!(
        out,
        "State:         {}",
        configuration.settings.state_dir.display()
    )?;
    writeln!(out)?;
    writeln!(out, "Compiling the lists …")?;
    out.flush()?;
    let refreshed = part("refresh", &folder)?.status()?;
    // A list that could not be had is no reason not to serve the others.
    if refreshed.code().is_none_or(|code| code > 1) {
        bail!("the lists could not be compiled");
    }
    let mut serve = lasting("serve", &folder)?;
    let Some(line) = first_line(&mut serve) else {
        let code = serve.wait()?.code().unwrap_or(2);
        return Ok(u8::try_from(code).unwrap_or(2));
    };
    writeln!(out, "Now {line}.")?;
    let mut dashboard = lasting("dashboard", &folder)?;
    match first_line(&mut dashboard) {
        Some(line) => say_pages(&line, &configuration.settings, out)?,
        None => writeln!(out, "The pages could not be started.")?,
    }
    if config.is_none() {
        try_it(&folder, &configuration.settings, out)?;
    }
    writeln!(out, "Ctrl-C ends it.")?;
    out.flush()?;
    wait(serve, dashboard)
}

/// Where the pages are, and how the first account comes about.
fn say_pages(line: &str, settings: &Settings, out: &mut impl Write) -> anyhow::Result<()> {
    writeln!(out, "Now {line}")?;
    let code = durable::read_if_any(&settings.state_dir.join("set-up-code"))?;
    if let (Some(at), Some(code)) = (line.strip_prefix("serving pages on "), code) {
        let code = String::from_utf8_lossy(&code);
        let code = code.trim();
        writeln!(
            out,
            "  Nobody has an account yet. Make the first one: {at}/set-up"
        )?;
        writeln!(out, "  (From another machine it asks for the code {code}.)")?;
    }
    Ok(())
}

/// For a child: end when the parent, this process, does.
pub fn end_with_parent(parent: i32) -> anyhow::Result<()> {
    set_pdeathsig(Signal::SIGTERM)?;
    // It may have ended before that. In a container it may well be process 1.
    if getppid().as_raw() != parent {
        bail!("the process that started this one has ended");
    }
    Ok(())
}

fn demo() -> anyhow::Result<PathBuf> {
    let found = DEMO
        .iter()
        .map(PathBuf::from)
        .find(|folder| folder.is_dir());
    found.with_context(|| {
        format!(
            "no demonstration in {}; name a folder with --config DIR",
            DEMO.join(" or ")
        )
    })
}

fn part(verb: &str, folder: &Path) -> anyhow::Result<Command> {
    let this = std::env::current_exe().context("where is this program?")?;
    let mut command = Command::new(this);
    command
        .arg(verb)
        .arg("--config")
        .arg(folder)
        .stdin(Stdio::null());
    Ok(command)
}

/// A part that runs until it is told to stop, or this process ends.
fn lasting(verb: &str, folder: &Path) -> anyhow::Result<Child> {
    part(verb, folder)?
        .arg("--with-parent")
        .arg(std::process::id().to_string())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `schoolgate {verb}`"))
}

/// What a part says when it is ready; nothing if it ends first.
fn first_line(part: &mut Child) -> Option<String> {
    let lines = BufReader::new(part.stdout.as_mut()?).lines();
    lines.map_while(Result::ok).next()
}

/// What a newcomer can do next, and what should come of it.
fn try_it(folder: &Path, settings: &Settings, out: &mut impl Write) -> anyhow::Result<()> {
    let this = std::env::current_exe()?;
    let (this, folder) = (this.display(), folder.display());
    let port = |all: &[SocketAddr]| all.first().map_or(0, SocketAddr::port);
    let listen = &settings.listen;
    let (port, tls, https) = (port(&listen.dns), port(&listen.tls), port(&listen.https));
    let ca = PrivateCa::new(&settings.state_dir, settings.tls.name.as_ref(), Vec::new());
    let ca = ca.authority();
    let (ca, path) = (ca.display(), &settings.tls.path);
    writeln!(
        out,
        "
This machine plays a school: whoever asks from 127.0.0.1 is a pupil, from
127.0.0.3 a member of staff. Try, in another terminal:

  1. A gambling site, asked for by a pupil: blocked.
       dig @127.0.0.1 -p {port} bets.example
     → status: NXDOMAIN, and \"EDE: 15 (Blocked): (Blocked by school policy)\"

  2. The same for a teacher: why it would be answered.
       {this} why bets.example --client 127.0.0.3 --config {folder}
     → \"bets.example is allowed …\"

  3. What the safeguarding lead sees of the first.
       {this} log --config {folder}
     → a row with 127.0.0.1, pupil, block, gambling, bets.example

  4. The first again over TLS, and over HTTPS. This machine made a certificate;
     whoever asks must believe its authority, {ca}
       kdig @127.0.0.1 -p {tls} +tls-ca={ca} +tls-hostname=localhost bets.example
     → status: NXDOMAIN
       curl --cacert {ca} -so /dev/null -w '%{{http_code}} %{{content_type}}\\n' \\
         'https://127.0.0.1:{https}{path}?dns={BETS}'
     → 200 application/dns-message

No internet is needed for these. (`dig` is in Debian's bind9-dnsutils,
`kdig` in knot-dnsutils.)
"
    )?;
    Ok(())
}

/// Waits for `serve` or a signal, whichever comes first.
fn wait(mut serve: Child, mut dashboard: Child) -> anyhow::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let told_to_stop = runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut child = signal(SignalKind::child())?;
        let mut pages = true;
        loop {
            // Either may have ended before anybody listened for that.
            if serve.try_wait()?.is_some() {
                return anyhow::Ok(false);
            }
            if pages && dashboard.try_wait()?.is_some() {
                pages = false;
                tracing::warn!("the pages have ended; the resolver goes on");
            }
            tokio::select! {
                _ = interrupt.recv() => return Ok(true),
                _ = terminate.recv() => return Ok(true),
                _ = child.recv() => {}
            }
        }
    })?;
    end(&mut dashboard)?;
    if told_to_stop {
        end(&mut serve)?;
    }
    let code = serve.wait()?.code();
    Ok(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(2))
}

/// Tells a part to stop, and waits until it has.
fn end(part: &mut Child) -> anyhow::Result<()> {
    // Its number may be another's once it has been waited for.
    if part.try_wait()?.is_none() {
        let pid = i32::try_from(part.id())?;
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGTERM);
        part.wait()?;
    }
    Ok(())
}
