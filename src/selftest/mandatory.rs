//! Whether each list is live: its own test host must be blocked.
//!
//! A mandatory list is confidential, and so is what it holds: its source's id
//! is told and never a name.

use super::ask::A;
use super::check::{Check, Judgement, failed, not_tested, ok};
use super::place::Place;
use crate::lists::lookup::Class;
use crate::lists::source::SourceSpec;
use crate::name::Name;
use crate::policy::decision::Verdict;

/// What a blocked answer carries (RFC 8914): 15 for the school's own blocks, 16
/// for those it must make.
const BLOCKED: u16 = 15;
const CENSORED: u16 = 16;

/// A check for each mandatory list, and for each other that has a test host.
pub(super) fn check(place: &Place, sources: &[SourceSpec]) -> Vec<Check> {
    let mut checks: Vec<Check> = sources.iter().filter_map(|s| one(place, s)).collect();
    if !sources.iter().any(|s| s.class == Class::Mandatory) {
        let said = match place.promise {
            Some(_) => {
                "no list of illegal content is set up; ask your provider for the IWF and CTIRU \
                 lists and name them in sources.toml"
            }
            None => "which lists there are is known on the resolver's own machine only",
        };
        checks.push(Check::new(
            "list:mandatory",
            "lists of illegal content",
            not_tested(said),
        ));
    }
    checks
}

fn one(place: &Place, source: &SourceSpec) -> Option<Check> {
    let mandatory = source.class == Class::Mandatory;
    let judgement = match &source.test_host {
        None if !mandatory => return None,
        None => not_tested(
            "it has no test host; ask its publisher for one and write `test_host = \"…\"` in \
             sources.toml",
        ),
        Some(host) if mandatory => must_be_blocked(place, host),
        Some(host) => as_promised(place, host),
    };
    let id = &source.id;
    Some(Check::new(
        format!("list:{id}"),
        format!("list {id}"),
        judgement,
    ))
}

fn must_be_blocked(place: &Place, host: &Name) -> Judgement {
    match place.asker.ask(host, A) {
        Err(silence) => failed(format!("asked for its test host, {}", silence.in_words())),
        Ok(heard) if !heard.leads_nowhere() => failed(
            "its test host is answered: the list is not in force; run `schoolgate refresh` and \
             look at `schoolgate lists`",
        ),
        Ok(heard) if !heard.errors.contains(&CENSORED) => failed(
            "its test host is not blocked as illegal (no EDE 16), so the list is not in force; \
             run `schoolgate refresh` and look at `schoolgate lists`",
        ),
        Ok(_) => ok("its test host is blocked for all"),
    }
}

fn as_promised(place: &Place, host: &Name) -> Judgement {
    if place.verdict(host) != Some(Verdict::Block) {
        let whose = place.whose();
        return not_tested(format!("{whose} may have what is on it at this time"));
    }
    match place.asker.ask(host, A) {
        Err(silence) => failed(format!("asked for its test host, {}", silence.in_words())),
        Ok(heard) if heard.leads_nowhere() || heard.errors.contains(&BLOCKED) => {
            ok("its test host is blocked")
        }
        Ok(_) => failed(
            "its test host is answered though the policy blocks it; has serve taken up the \
             policy and the lists?",
        ),
    }
}
