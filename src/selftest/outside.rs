//! Whether another resolver can be asked past us.
//!
//! A pupil who types another resolver's address must get our answers or none:
//! the firewall turns port 53 round and closes 853. So the same questions are
//! put to it as to us, ones that nobody else answers as we do. It is asked only
//! from a client's place: the resolver itself must get out.

use std::net::SocketAddr;

use super::ask::{Asker, Heard, REFUSED, Silence, Way};
use super::check::{Check, Judgement, failed, not_tested, ok};

/// Where DNS over TLS listens (RFC 7858).
const TLS_PORT: u16 = 853;

/// A question whose answer of ours tells us from others.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    /// The name.
    pub name: String,
    /// The type.
    pub rtype: u16,
    /// What we say.
    pub ours: Heard,
}

impl Mark {
    /// Asks us; none if the answer could be anybody's.
    pub(super) fn of(asker: &Asker, name: &str, rtype: u16) -> Option<Self> {
        let ours = asker.ask(name, rtype).ok()?;
        let marked = ours.policy_errors().next().is_some();
        marked.then(|| Self {
            name: name.to_owned(),
            rtype,
            ours,
        })
    }
}

/// Two checks for each address, all at the same time: most of it is waiting.
pub(super) fn check(asker: &Asker, outside: &[SocketAddr], marks: &[Mark]) -> Vec<Check> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = outside
            .iter()
            .map(|address| {
                let plain = asker.at(*address);
                let tls = asker.at(SocketAddr::new(address.ip(), TLS_PORT));
                scope.spawn(move || [plain_check(&plain, marks), tls_check(&tls)])
            })
            .collect();
        let checks = threads.into_iter().filter_map(|thread| thread.join().ok());
        checks.flatten().collect()
    })
}

fn plain_check(asker: &Asker, marks: &[Mark]) -> Check {
    let address = asker.server;
    Check::new(
        format!("outside:{address}"),
        format!("another resolver, {address}"),
        judge(asker, marks),
    )
}

fn judge(asker: &Asker, marks: &[Mark]) -> Judgement {
    if marks.is_empty() {
        return not_tested("nothing is blocked here by which our answers could be told");
    }
    let mut answered = false;
    for way in [Way::Udp, Way::Tcp] {
        for mark in marks {
            let heard = match asker.ask_with(way, &mark.name, mark.rtype, &[]) {
                Ok(heard) => heard,
                // Nothing comes through this way; the next question would only
                // wait as long.
                Err(Silence::Timeout | Silence::Unreachable) => break,
                Err(Silence::Garbled) => continue,
            };
            if heard.rcode == REFUSED && heard.is_negative() {
                continue;
            }
            answered = true;
            if heard.kind() != mark.ours.kind() {
                return failed(
                    "it answers, so whoever sets it on a device is past the filter; let the \
                     firewall send port 53 to this resolver (deploy/nftables)",
                );
            }
        }
    }
    if answered {
        ok("asked past us, we answer all the same")
    } else {
        ok("it cannot be asked from here")
    }
}

fn tls_check(asker: &Asker) -> Check {
    let address = asker.server;
    let judgement = match asker.connects() {
        Ok(()) => failed(
            "its port for encrypted DNS is open, and phones will find it; let the firewall \
             refuse port 853 (deploy/nftables)",
        ),
        Err(_) => ok("encrypted DNS cannot be reached there"),
    };
    Check::new(
        format!("outside_tls:{address}"),
        format!("another resolver by TLS, {address}"),
        judgement,
    )
}
