//! The hosts by which others test a school's filter (`blocklists/probes.toml`).
//!
//! SWGfL's test opens four pages; a resolver passes where it denies their hosts
//! . Whether a school has the list that holds a host is its own affair,
//! so one that is open is a failure only where the policy says it is not.

use super::ask::A;
use super::check::{Check, Judgement, failed, not_tested, ok};
use super::place::Place;
use crate::document::{Complaint, Document, Table};
use crate::name::Name;
use crate::policy::decision::Verdict;

/// The probes that come with the program.
const SHIPPED: &str = include_str!("../../blocklists/probes.toml");

/// One host.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Probe {
    id: String,
    /// What it stands for.
    says: String,
    host: Name,
}

/// A check for each.
pub(super) fn check(place: &Place) -> Vec<Check> {
    let (probes, _) = read(SHIPPED);
    probes
        .iter()
        .map(|probe| {
            let id = format!("probe:{}", probe.id);
            let name = format!("SWGfL test, {}", probe.says);
            Check::new(id, name, judge(place, probe))
        })
        .collect()
}

fn judge(place: &Place, probe: &Probe) -> Judgement {
    let heard = match place.asker.ask(&probe.host, A) {
        Ok(heard) => heard,
        Err(silence) => return not_tested(silence.in_words()),
    };
    let denied = heard.leads_nowhere() && heard.errors.iter().any(|code| (15..=17).contains(code));
    match place.verdict(&probe.host) {
        _ if denied => ok("its host is blocked"),
        Some(Verdict::Block) => failed(
            "its host is answered though the policy blocks it; has serve taken up the policy \
             and the lists?",
        ),
        _ => not_tested(
            "no list here has its host; testfiltering.com will say that this kind is not \
             filtered, unless something else filters it",
        ),
    }
}

fn read(text: &str) -> (Vec<Probe>, Vec<Complaint>) {
    let document = Document::parse("blocklists/probes.toml", text);
    let root = document.root();
    let _ = root.date_text("updated");
    let tables = root.tables("probe").into_iter();
    let probes = tables.filter_map(|table| probe(table)).collect();
    root.finish();
    (probes, document.into_complaints())
}

fn probe(table: Table<'_>) -> Option<Probe> {
    let text = |key| {
        let text = table.string(key).map(|text| text.value);
        if text.is_none() {
            table.missing(key);
        }
        text
    };
    let (id, says, source) = (text("id"), text("says"), text("source"));
    let host = text("host").and_then(|host| Name::parse(&host).ok());
    // Nobody has looked whether it still answers, unless it says so.
    let _ = (source, table.boolean("verified"));
    table.finish();
    Some(Probe {
        id: id?,
        says: says?,
        host: host?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_probes_are_read_whole() {
        let (probes, complaints) = read(SHIPPED);
        assert_eq!(complaints, []);
        assert_eq!(probes.len(), 4);
    }
}
