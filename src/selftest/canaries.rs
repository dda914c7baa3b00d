//! The names by which a browser or a phone asks whether it may go round us.
//!
//! The answer must be "no" for every type it asks: no such name or no record,
//! never an address, not even 0.0.0.0, which counts as "yes".

use super::ask::{A, AAAA, HTTPS, NOERROR, NXDOMAIN};
use super::check::{Check, Judgement, failed, not_tested, ok};
use super::place::Place;
use crate::name::Name;
use crate::policy::decision::Verdict;

/// A check for each.
pub(super) fn check(place: &Place, canaries: &[Name]) -> Vec<Check> {
    canaries
        .iter()
        .map(|name| {
            Check::new(
                format!("canary:{name}"),
                format!("canary {name}"),
                judge(place, name),
            )
        })
        .collect()
}

fn judge(place: &Place, name: &Name) -> Judgement {
    if place.verdict(name).is_some_and(|v| v != Verdict::Block) {
        let whose = place.whose();
        return not_tested(format!("it is left open for {whose}"));
    }
    for (rtype, called) in [(A, "A"), (AAAA, "AAAA"), (HTTPS, "HTTPS")] {
        let heard = match place.asker.ask(name, rtype) {
            Ok(heard) => heard,
            Err(silence) => {
                return failed(format!(
                    "asked for {called}, {}; the device then waits or takes it for \"yes\"",
                    silence.in_words()
                ));
            }
        };
        let says_no = matches!(heard.rcode, NOERROR | NXDOMAIN) && heard.is_negative();
        if !says_no {
            return failed(format!(
                "{called} has an answer, so browsers or phones turn on their own encrypted DNS; \
                 is the canary layer on for {}, and is it this server that answered?",
                place.whose()
            ));
        }
    }
    ok("told \"no\": devices keep to this resolver")
}
