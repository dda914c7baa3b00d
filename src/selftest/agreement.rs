//! Whether every way to ask gets the same answer: a way with another answer is
//! a way round.

use std::fmt::Display;

use rustls::RootCertStore;

use super::ask::{Asker, Heard, SERVFAIL, Way};
use super::check::{Check, Judgement, failed, not_tested, ok};
use super::secure::{Endpoint, Trouble};

/// Names with the types that are asked for.
type Questions = [(String, u16)];

/// A check for each way that is not UDP.
pub(super) fn check(
    asker: &Asker,
    questions: &Questions,
    endpoints: &[Endpoint],
    authorities: &RootCertStore,
) -> Vec<Check> {
    let tcp = compare(asker, questions, "TCP", |name, rtype| {
        let heard = asker.ask_with(Way::Tcp, name, rtype, &[]);
        heard.map_err(|silence| {
            let port = asker.server.port();
            failed(format!(
                "over TCP {}, so long answers are lost; open TCP port {port} to the resolver",
                silence.in_words()
            ))
        })
    });
    let mut checks = vec![Check::new("agreement:tcp", "UDP and TCP", tcp)];
    for endpoint in endpoints {
        let (id, way) = match endpoint.path {
            None => ("agreement:tls", "DNS over TLS"),
            Some(_) => ("agreement:https", "DNS over HTTPS"),
        };
        let judgement = compare(asker, questions, way, |name, rtype| {
            let heard = asker.ask_over(endpoint, authorities, name, rtype);
            heard.map_err(|trouble| why(endpoint, &trouble))
        });
        checks.push(Check::new(id, format!("UDP and {way}"), judgement));
    }
    checks
}

fn compare(
    asker: &Asker,
    questions: &Questions,
    way: impl Display,
    ask: impl Fn(&str, u16) -> Result<Heard, Judgement>,
) -> Judgement {
    let mut compared = 0;
    for (name, rtype) in questions {
        let Ok(plain) = asker.ask(name, *rtype) else {
            continue;
        };
        match ask(name, *rtype) {
            // Whether an upstream answers may change from one to the next.
            Ok(heard) if plain.rcode == SERVFAIL || heard.rcode == SERVFAIL => {}
            Ok(heard) if heard.kind() == plain.kind() => compared += 1,
            Ok(_) => {
                return failed(format!(
                    "{name} is answered differently over {way}; does something on the way answer \
                     one of them itself?"
                ));
            }
            Err(judgement) => return judgement,
        }
    }
    match compared {
        0 => not_tested("no question was answered"),
        n => ok(format!("{n} questions have the same answer both ways")),
    }
}

fn why(endpoint: &Endpoint, trouble: &Trouble) -> Judgement {
    let (name, address) = (&endpoint.name, endpoint.address);
    match trouble {
        Trouble::Authority => not_tested(format!(
            "the certificate of {name} is by an authority that is not known here; devices must \
             be told of it"
        )),
        Trouble::Certificate(why) => failed(format!(
            "the certificate of {name} is not valid ({why}), so devices refuse it"
        )),
        Trouble::Broken(error) => failed(format!(
            "devices are told of {name} at {address}, and get no answer there ({error})"
        )),
    }
}
