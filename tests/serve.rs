//! The server as a process of its own: asked over sockets, told by signals,
//! killed, starved and lied to.
//!
//! The upstreams are of ours and on loopback; real programs take part where
//! they are installed, and a test that needs one says so when it is not.

use std::time::{Duration, Instant};

pub(crate) mod agreed;
pub(crate) mod namespaces;
pub(crate) mod peer;
pub(crate) mod school;
pub(crate) mod secured;
pub(crate) mod upstream;
pub(crate) mod wire;

mod certificates;
mod chromium;
mod dnssec;
mod encrypted;
mod engines;
mod failing;
mod firewall;
mod forwarding;
mod https;
mod https3;
mod identities;
mod over_quic;
mod peers;
mod places;
mod profile;
mod proxies;
mod quic;
mod recursion;
pub(crate) mod reload;
mod routers;
mod rows;
mod selftest;
pub(crate) mod streams;
mod tls;
mod transports;
mod up;

/// Looks again and again until there is something, or it is too late.
pub(crate) fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(school::PATIENCE, what, look)
}

/// As [`eventually`], with a time of its own.
pub(crate) fn within<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < limit, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a program is installed; says what is left out if it is not.
pub(crate) fn has(program: &str, what: &str) -> bool {
    let mut folders = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/bin"].iter();
    let found = folders.any(|folder| std::path::Path::new(folder).join(program).exists());
    if !found {
        eprintln!("SKIPPED: {what}: {program} is not installed");
    }
    found
}
