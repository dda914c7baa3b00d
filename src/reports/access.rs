//! Subject access: all that is held about one device or one person, readable
//! (UK GDPR Article 15, R-73).
//!
//! Mandatory hosts are withheld: whom it is about must not be told an address of
//! illegal content. Lines about other people stay out.

use std::path::Path;

use jiff::Timestamp;
use serde_json::Value;

use crate::alerts::personal;
use crate::lists::load;
use crate::name::Name;
use crate::querylog::told::WITHHELD;
use crate::record::Record;
use crate::requests::personal::about as personal_requests;

use super::ReportError;
use super::bundle::{Bundle, Kind};
use super::pack::{About, Export, Packed, own_lines, pretty};
use super::rows::{MandatoryHosts, Span, gather};
use super::subject::Subject;

/// Everything about `subject`.
pub fn of_subject(
    export: Export<'_>,
    subject: &Subject,
    since: Option<Timestamp>,
    until: Timestamp,
) -> Result<Packed, ReportError> {
    let span = Span {
        since,
        until: until.min(export.now),
    };
    let state_dir = &export.configuration.settings.state_dir;
    let gathered = gather(state_dir, export.zone(), &subject.keys, span)?;
    let mut bundle = Bundle::new();
    bundle.add("README.txt", README.as_bytes())?;
    export.add_rows(&mut bundle, &gathered.rows, MandatoryHosts::Withheld)?;
    let devices = own_lines(&export.configuration.texts.devices, &subject.devices);
    bundle.add("devices.csv", devices.as_bytes())?;
    let entries = Record::of_access(state_dir).entries()?;
    let entries = entries.into_iter().filter_map(|entry| {
        let names_them = subject.is_called(&entry.deed.who)
            || entry.deed.about.values().any(|value| names(value, subject));
        names_them.then(|| serde_json::to_value(entry).ok())?
    });
    bundle.add("record.json", &pretty(&Value::Array(entries.collect()))?)?;
    let alerts = personal::about(state_dir, &subject.keys);
    let alerts = alerts.map_err(|error| ReportError::Io(std::io::Error::other(error)))?;
    let alerts = serde_json::to_value(alerts).map_err(std::io::Error::other)?;
    bundle.add("alerts.json", &pretty(&alerts)?)?;
    let requests = requests(state_dir, subject)?;
    bundle.add("requests.json", &pretty(&requests)?)?;
    let about = About {
        kind: Kind::SubjectAccess,
        devices: subject.devices.clone(),
        person: subject.person().map(str::to_owned),
        incident: None,
        span,
        hosts: MandatoryHosts::Withheld,
    };
    export.finish(bundle, about, &gathered)
}

/// What they asked to be opened or blocked. A site may have come onto a mandatory
/// list since; where that cannot be known, it is taken to have.
fn requests(state_dir: &Path, subject: &Subject) -> Result<Value, ReportError> {
    let all = personal_requests(state_dir, |word| subject.is_called(word));
    let mut all = all.map_err(std::io::Error::other)?;
    if !all.is_empty() {
        let lists = load::open(state_dir).ok();
        let may_be_told = |site: &str| {
            let name = Name::parse(site).ok();
            let known = lists.as_ref().zip(name);
            known.is_some_and(|(lists, name)| !lists.covering(name.as_ref()).is_mandatory())
        };
        for told in all.iter_mut().filter(|told| !may_be_told(&told.site)) {
            // They may have named it there, too.
            WITHHELD.clone_into(&mut told.site);
            WITHHELD.clone_into(&mut told.why);
        }
    }
    Ok(serde_json::to_value(all).map_err(std::io::Error::other)?)
}

/// Whether a value of the record is about them.
fn names(value: &Value, subject: &Subject) -> bool {
    match value {
        Value::String(text) => subject.is_called(text),
        Value::Array(all) => all.iter().any(|value| names(value, subject)),
        _ => false,
    }
}

const README: &str = "\
What the school's DNS filter holds about you or your device
===========================================================

The filter answers devices that look up the name of a site, and writes down what
it blocked, and as much of what it allowed as the school has decided. It does not
know which page was meant, what was typed, or who held the device.

rows.csv        every look-up it holds, for a spreadsheet
rows.json       the same for a program
incidents.json  the look-ups of one site within five minutes, taken together
notes.json      what the school's staff have noted about them
alerts.json     what the school's staff were told of them
requests.json   sites you, or somebody for you or from the device, wanted opened
                or blocked, and what the school answered
devices.csv     the school's own list of devices, the lines in question
record.json     who looked at these rows, and when
manifest.json   who made this file, when, and the SHA-256 of each part

The name \"(withheld)\" stands for a host on a list of illegal content, which
must not be handed out.

For the school, before this is handed over: read notes.json and requests.json.
What could cause serious harm to a child, or tells of another person, may have to
be left out (Data Protection Act 2018, Schedules 2 and 3).
";
