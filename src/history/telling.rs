//! An entry of a record, as people read it.

use std::io::{self, Write};

use jiff::tz::TimeZone;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::changes::activation::{Activated, Cause};
use crate::changes::ledger::kind;
use crate::changes::proposal::{Leave, Proposal};
use crate::changes::rehearsal::Rehearsal;
use crate::changes::signatory::Signatory;
use crate::propose::write_parts;
use crate::record::Entry;

/// Writes when, who, from where and what; below it what there is more to say.
pub(super) fn write(entry: &Entry, zone: &TimeZone, out: &mut impl Write) -> io::Result<()> {
    let time = entry.time.to_zoned(zone.clone());
    let from = entry.deed.from.as_ref();
    let from = from.map_or(String::new(), |from| format!(" ({from})"));
    let (time, who) = (time.strftime("%Y-%m-%d %H:%M"), &entry.deed.who);
    writeln!(out, "{time}  {who}{from}: {}", what(entry))?;
    if let (kind::PROPOSED, Some(proposal)) = (entry.deed.what.as_str(), proposal(entry)) {
        write_parts(&proposal.parts, out)?;
        for line in proposal.rehearsal.iter().flat_map(Rehearsal::words) {
            writeln!(out, "  {line}")?;
        }
        if !proposal.requests.is_empty() {
            let requests: Vec<String> = proposal.requests.iter().map(u64::to_string).collect();
            writeln!(out, "  Answers request {}.", requests.join(", "))?;
        }
    }
    Ok(())
}

fn what(entry: &Entry) -> String {
    let word = |key: &str| text(entry, key);
    let number = || number(entry);
    match entry.deed.what.as_str() {
        kind::FOUNDED => founded(entry),
        kind::ACTIVATED => activated(entry),
        kind::PROPOSED => proposal(entry).map_or_else(
            || plain(entry),
            |proposal| format!("proposal {}: {}", proposal.number, proposal.why),
        ),
        kind::DECLINED => format!("proposal {} is turned down: {}", number(), word("why")),
        kind::FAILED => format!(
            "proposal {} could not be put in force: {}",
            number(),
            word("why")
        ),
        kind::ACKNOWLEDGED => format!("has taken note of proposal {}", number()),
        kind::SIGNATORY => {
            let by = word("confirmed_by");
            let by = if by.is_empty() {
                by
            } else {
                format!(", confirmed by {by}")
            };
            format!("{} can approve changes from now on{by}", signatory(entry))
        }
        kind::SIGNATORY_WAITS => format!("{} wants to be able to approve", signatory(entry)),
        kind::SIGNATORY_GONE => format!("{} can no longer approve changes", word("account")),
        kind::SETTINGS if word("before").is_empty() => {
            format!("{} is as it was found", word("file"))
        }
        kind::SETTINGS => format!("{} is another than at the last start", word("file")),
        _ => plain(entry),
    }
}

fn founded(entry: &Entry) -> String {
    let Some(activated) = read::<Activated>(entry, "activation") else {
        return plain(entry);
    };
    let policy = activated.number;
    let aside = text(entry, "aside");
    if aside.is_empty() {
        return format!("policy {policy} was found in the folder and came into force");
    }
    format!(
        "the record was begun anew with policy {policy}, as the files of the folder have it; the \
         old one is changes/{aside}: {}",
        text(entry, "why")
    )
}

fn activated(entry: &Entry) -> String {
    let Some(activated) = read::<Activated>(entry, "activation") else {
        return plain(entry);
    };
    let policy = activated.number;
    let because = match (activated.cause, read::<Leave>(entry, "leave")) {
        (Cause::Change, Some(Leave::Approved { by, .. })) => format!("approved by {by}"),
        (Cause::Change, Some(Leave::Tightens)) => "it loosens nothing".to_owned(),
        (Cause::Change, Some(Leave::Notify)) => "the rule is to tell afterwards".to_owned(),
        (Cause::Change, Some(Leave::Override)) => {
            "a device opened it for itself, as the policy lets it".to_owned()
        }
        (Cause::Change, None) => "a change".to_owned(),
        (Cause::Lists, _) => return format!("policy {policy} came into force: other lists"),
        (Cause::Start | Cause::Reload, _) => {
            return format!("policy {policy} came into force: the same rules, taken up anew");
        }
    };
    let proposal = number(entry);
    format!("proposal {proposal} came into force as policy {policy}: {because}")
}

/// A kind of entry that has no words of its own.
fn plain(entry: &Entry) -> String {
    let about = entry.deed.about.iter().map(|(key, value)| match value {
        Value::String(text) => format!("{key} {text}"),
        other => format!("{key} {other}"),
    });
    let about: Vec<String> = about.collect();
    let what = entry.deed.what.replace('_', " ");
    match about.len() {
        0 => what,
        _ => format!("{what}: {}", about.join(", ")),
    }
}

fn signatory(entry: &Entry) -> String {
    read::<Signatory>(entry, "signatory").map_or_else(
        || "somebody".to_owned(),
        |one| format!("{} ({}, {})", one.account, one.name, one.role.name()),
    )
}

fn proposal(entry: &Entry) -> Option<Proposal> {
    read(entry, "proposal")
}

fn read<T: DeserializeOwned>(entry: &Entry, key: &str) -> Option<T> {
    T::deserialize(entry.deed.about.get(key)?).ok()
}

fn text(entry: &Entry, key: &str) -> String {
    let value = entry.deed.about.get(key).and_then(Value::as_str);
    value.unwrap_or_default().to_owned()
}

fn number(entry: &Entry) -> u64 {
    let value = entry.deed.about.get("proposal").and_then(Value::as_u64);
    value.unwrap_or_default()
}
