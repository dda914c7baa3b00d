//! Evidence: what the log has about a device, a person or one incident, with the
//! rules that applied, in a file that shows whether anybody has changed it.
//!
//! Mandatory hosts are in it only when the safeguarding lead asks for them at
//! their own page, where it is known who asks; a command line cannot.

use jiff::{Timestamp, ToSpan};

use super::ReportError;
use super::bundle::{Bundle, Kind};
use super::pack::{About, Export, Packed};
use super::rows::{Gathered, MandatoryHosts, Span, gather};
use super::subject::Subject;

/// What a device, or a person's devices, asked in a span of time.
pub fn of_subject(
    export: Export<'_>,
    subject: &Subject,
    span: Span,
    hosts: MandatoryHosts,
) -> Result<Packed, ReportError> {
    let span = Span {
        until: span.until.min(export.now),
        ..span
    };
    if span.since.is_some_and(|since| since >= span.until) {
        return Err(ReportError::refused("the span ends before it begins"));
    }
    let state_dir = &export.configuration.settings.state_dir;
    let gathered = gather(state_dir, export.zone(), &subject.keys, span)?;
    let about = About {
        kind: Kind::Evidence,
        devices: subject.devices.clone(),
        person: subject.person().map(str::to_owned),
        incident: None,
        span,
        hosts,
    };
    pack(export, about, &gathered)
}

/// One incident, by the time of any of its rows in microseconds.
pub fn of_incident(
    export: Export<'_>,
    id: i64,
    hosts: MandatoryHosts,
) -> Result<Packed, ReportError> {
    let at = Timestamp::from_microsecond(id).ok();
    let opened = match at.map(|at| export.book.incident(at)) {
        Some(Err(unreadable)) => return Err(ReportError::Refused(unreadable.to_string())),
        Some(Ok(opened)) => opened,
        None => None,
    };
    let Some(opened) = opened else {
        let why = format!("there is no incident {id}, or it is no longer kept");
        return Err(ReportError::Refused(why));
    };
    let incident = opened.incident;
    let mut gathered = Gathered {
        rows: opened.rows,
        unreadable: Vec::new(),
    };
    if gathered.rows.len() < opened.all_rows {
        let left = format!(
            "{} further rows of this incident: take the device out for this time to have all",
            opened.all_rows - gathered.rows.len()
        );
        gathered.unreadable.push(left);
    }
    let about = About {
        kind: Kind::Evidence,
        devices: incident.device.iter().cloned().collect(),
        person: None,
        incident: Some(incident.first.as_microsecond()),
        span: Span {
            since: Some(incident.first),
            until: incident
                .last
                .checked_add(1.microsecond())
                .unwrap_or(incident.last),
        },
        hosts,
    };
    pack(export, about, &gathered)
}

fn pack(export: Export<'_>, about: About, gathered: &Gathered) -> Result<Packed, ReportError> {
    let mut bundle = Bundle::new();
    bundle.add("README.txt", README.as_bytes())?;
    export.add_rows(&mut bundle, &gathered.rows, about.hosts)?;
    export.add_rules(&mut bundle, &about, &gathered.rows)?;
    export.finish(bundle, about, gathered)
}

const README: &str = "\
Evidence from a school's DNS filter
===================================

This file was made by Schoolgate, the filter that answers the school's devices
when they look up the name of a site. manifest.json says which school it was,
who took it out, when and why.

What a row shows: a device asked for a name at a time, and the filter allowed,
blocked or rewrote the answer. What it does not show: which page was meant, what
was typed, whether a person or the device itself asked, or who held the device.
A row may stand for several like look-ups; \"count\" says how many.

rows.csv        every look-up, for a spreadsheet. A cell that would act as a
                formula has an apostrophe before it.
rows.json       the same for a program, exactly as it was logged.
incidents.json  the look-ups of one device and one site within five minutes,
                taken together.
notes.json      what the school's staff have noted about them.
policies.json   the filter's rules that applied, by the number in each row; the
                rules themselves are in policy-*.toml, and in devices-*.csv the
                lines about the devices in question.
lists.json      the lists of sites in force when this file was made.
manifest.json   the SHA-256 of each file.
public-key.pem  the key of the filter that made this file.

Times are in UTC; \"time (school)\" is what the clock on the wall showed. Where
\"clock trusted\" is no, the filter did not know at that time that its own clock
was right.

The name \"(withheld)\" stands for a host on a list of illegal content. Do not try
to find out or to visit it. The school's safeguarding lead can hand it over.

Has it been changed?
--------------------

With Schoolgate:   schoolgate report verify FILE.zip
With OpenSSL, after unpacking:
    openssl pkeyutl -verify -pubin -inkey public-key.pem -rawin \\
        -in manifest.json -sigfile signature.ed25519
and compare the SHA-256 of each file with manifest.json.

Either shows that one key signed it. Whose key that is, only the school can say:
ask it for the fingerprint by telephone, and compare.
";
