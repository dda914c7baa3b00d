//! What bundles have in common: where an export comes from, the rows and their
//! incidents as files, the rules that applied, and the way to the record.

use std::collections::BTreeSet;

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::changes::kept;
use crate::configuration::Configuration;
use crate::incidents::casework::{Case, Word};
use crate::incidents::{book::Book, interest};
use crate::lists::report;
use crate::querylog::row::Row;
use crate::querylog::visits::{Incident, incidents};
use crate::record::Record;

use super::bundle::{Bundle, Facts, Head, Kind};
use super::key::Key;
use super::rows::{self, Gathered, MandatoryHosts, Span};
use super::{Actor, ReportError, reason};

/// Where an export comes from, and who takes it out.
#[derive(Clone, Copy)]
pub struct Export<'e> {
    /// The school's configuration.
    pub configuration: &'e Configuration,
    /// The log as people read it.
    pub book: &'e Book,
    /// Who.
    pub actor: &'e Actor,
    /// Why.
    pub why: &'e str,
    /// When.
    pub now: Timestamp,
}

/// A bundle, ready to be handed over and in the record.
pub struct Packed {
    /// The file.
    pub bytes: Vec<u8>,
    /// What it should be called.
    pub name: String,
    /// How many rows are in it.
    pub rows: usize,
    /// Days that could not be read for it.
    pub unreadable: Vec<String>,
    /// The fingerprint of the key it is signed by.
    pub fingerprint: String,
}

/// Whose rows an export is about.
pub(super) struct About {
    pub(super) kind: Kind,
    pub(super) devices: Vec<String>,
    pub(super) person: Option<String>,
    pub(super) incident: Option<i64>,
    pub(super) span: Span,
    pub(super) hosts: MandatoryHosts,
}

impl Export<'_> {
    pub(super) fn zone(&self) -> &TimeZone {
        &self.configuration.document.zone
    }

    /// The rows as a table, as JSON, and as people read them, with what people
    /// have noted.
    pub(super) fn add_rows(
        &self,
        bundle: &mut Bundle,
        rows: &[Row],
        hosts: MandatoryHosts,
    ) -> Result<(), ReportError> {
        let failed = |error| ReportError::Io(std::io::Error::other(error));
        let zone = self.zone();
        bundle.add("rows.csv", &rows::as_csv(rows, zone, hosts))?;
        let json = rows::as_json(rows, zone, hosts);
        bundle.add("rows.json", &json.map_err(failed)?)?;
        let all = collapsed(rows);
        let json = rows::incidents_as_json(&all, zone, hosts);
        bundle.add("incidents.json", &json.map_err(failed)?)?;
        let cases = self.book.casework().cases(&all);
        let cases = cases.map_err(|e| ReportError::Io(std::io::Error::other(e)))?;
        let notes: Vec<Value> = all
            .iter()
            .zip(&cases)
            .flat_map(|(incident, case)| notes(incident, case))
            .collect();
        bundle.add("notes.json", &pretty(&Value::Array(notes))?)
    }

    /// The policies that decided, as they were then, and the lists in force.
    pub(super) fn add_rules(
        &self,
        bundle: &mut Bundle,
        about: &About,
        rows: &[Row],
    ) -> Result<(), ReportError> {
        let state_dir = &self.configuration.settings.state_dir;
        let numbers: BTreeSet<u64> = rows.iter().map(|row| row.policy).collect();
        let mut policies = Vec::new();
        let mut added = BTreeSet::new();
        for number in numbers {
            let Some(record) = kept::activation(state_dir, number)? else {
                policies.push(json!({ "number": number, "kept": false }));
                continue;
            };
            let texts = kept::texts(state_dir, &record)?;
            for (name, hash, text) in texts.iter().flat_map(|texts| {
                [
                    ("policy", &record.policy, texts.policy.clone()),
                    (
                        "devices",
                        &record.devices,
                        own_lines(&texts.devices, &about.devices),
                    ),
                    ("exceptions", &record.added, texts.added.clone()),
                ]
            }) {
                // Most policies have no exceptions of the pages.
                if name == "exceptions" && text.is_empty() {
                    continue;
                }
                let short: String = hash.chars().take(12).collect();
                let ending = if name == "devices" { "csv" } else { "toml" };
                let file = format!("{name}-{short}.{ending}");
                if added.insert(file.clone()) {
                    bundle.add(&file, text.as_bytes())?;
                }
            }
            let mut entry = serde_json::to_value(&record).map_err(std::io::Error::other)?;
            if let Some(entry) = entry.as_object_mut() {
                entry.insert("kept".to_owned(), texts.is_some().into());
            }
            policies.push(entry);
        }
        bundle.add("policies.json", &pretty(&Value::Array(policies))?)?;
        bundle.add("lists.json", &pretty(&self.lists())?)
    }

    /// The lists in force now; a policy names the generation that was in force
    /// then. Of a mandatory list there are counts alone.
    fn lists(&self) -> Value {
        let report = report::report(&self.configuration.settings.state_dir, self.now);
        let Ok(report) = report else {
            return json!({ "generation": null });
        };
        let sources = report.sources.iter().map(|source| {
            json!({
                "id": source.id,
                "category": source.category,
                "class": source.class,
                "entries": source.tally.entries,
                "last_success": source.last_success,
            })
        });
        json!({
            "generation": report.generation,
            "names": report.names,
            "mandatory": report.mandatory,
            "sources": sources.collect::<Vec<_>>(),
        })
    }

    /// Seals the bundle and adds the export to the record.
    pub(super) fn finish(
        &self,
        bundle: Bundle,
        about: About,
        gathered: &Gathered,
    ) -> Result<Packed, ReportError> {
        let why = reason(self.why)?;
        let state_dir = &self.configuration.settings.state_dir;
        let record = Record::of_access(state_dir);
        let key = Key::open(state_dir)?;
        let head = record.entries()?.pop().map(|entry| Head {
            number: entry.number,
            digest: entry.digest,
        });
        let told = about.hosts == MandatoryHosts::Told;
        let count = gathered.rows.len();
        let (what, word) = match about.kind {
            Kind::Evidence => ("exported_evidence", "evidence"),
            Kind::SubjectAccess => ("exported_subject_access", "subject-access"),
        };
        let deed = self
            .actor
            .did(what)
            .about("devices", about.devices.clone())
            .about("until", about.span.until.to_string())
            .about("why", why)
            .about("rows", count)
            .about("mandatory_hosts", told);
        let deed = match about.span.since {
            Some(since) => deed.about("since", since.to_string()),
            None => deed,
        };
        let facts = Facts {
            kind: about.kind,
            school: self.configuration.document.school.clone(),
            exported_by: self.actor.who.clone(),
            exported_at: self.now,
            why: why.to_owned(),
            devices: about.devices,
            person: about.person,
            incident: about.incident,
            since: about.span.since,
            until: about.span.until,
            rows: count,
            mandatory_hosts: told,
            unreadable: gathered.unreadable.clone(),
            record_before: head,
            schoolgate: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let bytes = bundle.seal(facts, &key)?;
        let hash = HEXLOWER.encode(&Sha256::digest(&bytes));
        record.add(deed.about("sha256", hash), self.now)?;
        let at = self.now.strftime("%Y-%m-%d-%H%M%S");
        Ok(Packed {
            bytes,
            name: format!("{word}-{at}.zip"),
            rows: count,
            unreadable: gathered.unreadable.clone(),
            fingerprint: key.public().fingerprint(),
        })
    }
}

/// Rows → incidents as the pages show them: what is of interest apart from what
/// is plain.
pub(super) fn collapsed(rows: &[Row]) -> Vec<Incident> {
    let (told, plain): (Vec<&Row>, Vec<&Row>) =
        rows.iter().partition(|row| interest::is_of_interest(row));
    let mut all = incidents(told);
    all.extend(incidents(plain));
    all.sort_by_key(|incident| incident.first);
    all
}

fn notes(incident: &Incident, case: &Case) -> Vec<Value> {
    let entries = case.entries.iter().map(|entry| {
        let (what, text) = match &entry.word {
            Word::Note(text) => ("note", Some(text.clone())),
            Word::Reviewed => ("reviewed", None),
            Word::Reopened => ("reopened", None),
            Word::Assigned(to) => ("assigned", to.clone()),
        };
        json!({
            "incident": incident.first.as_microsecond(),
            "time": entry.time,
            "who": entry.who,
            "what": what,
            "text": text,
        })
    });
    entries.collect()
}

/// The lines of a `devices.csv` that are about `ids`, without the secrets by
/// which devices name themselves: the rest is about other people.
pub(super) fn own_lines(text: &str, ids: &[String]) -> String {
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .from_reader(text.as_bytes());
    let Ok(headings) = reader.headers().cloned() else {
        return String::new();
    };
    let is_called = |heading: &str, name: &str| heading.trim().eq_ignore_ascii_case(name);
    let id_at = headings.iter().position(|heading| is_called(heading, "id"));
    let lines = reader.records().flatten().filter(|line| {
        let id = id_at.and_then(|at| line.get(at)).unwrap_or_default().trim();
        ids.iter().any(|wanted| wanted.eq_ignore_ascii_case(id))
    });
    let own: Vec<Vec<String>> = std::iter::once(headings.clone())
        .chain(lines)
        .map(|line| {
            let cells = headings.iter().zip(line.iter());
            let public = cells.filter(|(heading, _)| !is_called(heading, "client_id"));
            public.map(|(_, cell)| cell.to_owned()).collect()
        })
        .collect();
    String::from_utf8_lossy(&super::csv::to_bytes(own)).into_owned()
}

/// JSON for people.
pub(super) fn pretty(value: &Value) -> Result<Vec<u8>, ReportError> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(std::io::Error::other)?;
    bytes.push(b'\n');
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_and_secrets_stay_out() {
        let text = "Name,ID,client_id,owner\nA,ipad-7,secret1,Ada\nB,ipad-8,secret2,Bob\n";
        let own = own_lines(text, &["IPAD-7".to_owned()]);
        assert_eq!(own, "\u{feff}Name,ID,owner\r\nA,ipad-7,Ada\r\n");
    }
}
