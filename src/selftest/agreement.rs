//! Whether every way to ask gets the same answer: a way with another answer is
//! a way round.

use super::ask::{Asker, Way};
use super::check::{Check, Judgement, failed, not_tested, ok};

/// A check for each way that is not UDP.
pub(super) fn check(asker: &Asker, questions: &[(String, u16)]) -> Vec<Check> {
    vec![Check::new(
        "agreement:tcp",
        "UDP and TCP",
        judge(asker, questions),
    )]
}

fn judge(asker: &Asker, questions: &[(String, u16)]) -> Judgement {
    let mut compared = 0;
    for (name, rtype) in questions {
        let ask = |way| asker.ask_with(way, name, *rtype, &[]);
        let Ok(udp) = ask(Way::Udp) else {
            continue;
        };
        match ask(Way::Tcp) {
            Ok(tcp) if tcp == udp => compared += 1,
            Ok(_) => {
                return failed(format!(
                    "{name} is answered differently over TCP; does something on the way answer \
                     one of them itself?"
                ));
            }
            Err(silence) => {
                return failed(format!(
                    "over TCP {}, so long answers are lost; open TCP port {} to the resolver",
                    silence.in_words(),
                    asker.server.port()
                ));
            }
        }
    }
    match compared {
        0 => not_tested("no question was answered"),
        n => ok(format!("{n} questions have the same answer both ways")),
    }
}
