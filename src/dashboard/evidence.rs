//! Taking rows out of the school: evidence, and subject access. The safeguarding
//! lead alone, with a reason that stays in the record.
//!
//! The file is made and handed over in one go and is kept nowhere here.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::app::App;
use super::asked::Asked;
use super::page::{Problem, csrf, page_below};
use super::visitor::{Posted, Visitor};
use crate::querylog::moment::{self, End};
use crate::reports::key::Key;
use crate::reports::pack::{Export, Packed};
use crate::reports::rows::{MandatoryHosts, Span};
use crate::reports::subject::{Subject, Whose};
use crate::reports::{Actor, ReportError, access, evidence};

/// What the form sends.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    /// `evidence` or `subject_access`.
    #[serde(default)]
    kind: String,
    #[serde(default)]
    incident: String,
    #[serde(default)]
    device: String,
    #[serde(default)]
    person: String,
    #[serde(default)]
    since: String,
    #[serde(default)]
    until: String,
    #[serde(default)]
    why: String,
    #[serde(default)]
    mandatory_hosts: Option<String>,
}

/// `GET /evidence/new`
pub(super) async fn form(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Markup, Problem> {
    let key = app
        .blocking(|app| Key::open(&app.settings().state_dir))
        .await?
        .map_err(|error| Problem::failed("the key of bundles cannot be used", &error))?;
    let fingerprint = key.public().fingerprint();
    let incident: Option<i64> = asked.parsed("incident");
    let body = html! {
        form class="stack" method="post" action="/evidence" {
            (csrf(&visitor))
            @if let Some(incident) = incident { (one_incident(incident)) } @else { (whose(&asked)) }
            p {
                label for="why" { "Why" }
                textarea id="why" name="why" rows="3" maxlength="1000" required
                    aria-describedby="why-note" {}
                span class="muted" id="why-note" { "Kept in the record, and written in the file." }
            }
            p {
                label {
                    input type="checkbox" name="mandatory_hosts" value="yes";
                    " Include the names of illegal sites: for the police only, and recorded"
                }
            }
            p class="actions" { button { "Download a signed file" } }
        }
        section class="card" {
            h2 { "How others check the file" }
            p {
                "The file is signed, so that nobody can change it unseen. Whoever gets it checks it with "
                code { "schoolgate report verify" }
                " and asks you for this fingerprint:"
            }
            p { code { (fingerprint) } }
        }
    };
    Ok(page_below(
        &visitor,
        "Reports",
        "Evidence and subject access",
        &body,
    ))
}

fn one_incident(incident: i64) -> Markup {
    html! {
        input type="hidden" name="kind" value="evidence";
        input type="hidden" name="incident" value=(incident);
        p { span { "Evidence about " a href={ "/incidents/" (incident) } { "one incident" } "." } }
    }
}

fn whose(asked: &Asked) -> Markup {
    let word = |key| asked.word(key).unwrap_or_default();
    html! {
        fieldset {
            legend { "What is it for?" }
            p {
                label { input type="radio" name="kind" value="evidence" checked; " Evidence" }
            }
            p {
                label {
                    input type="radio" name="kind" value="subject_access";
                    " Subject access: a person asks what is held about them"
                }
            }
        }
        fieldset {
            legend { "Whose look-ups?" }
            p {
                label for="device" { "Device: its id, name, MAC or address" }
                input id="device" name="device" maxlength="300" value=(word("device"));
            }
            p {
                label for="person" { "Or a person: the owner of devices in the inventory" }
                input id="person" name="person" maxlength="300" value=(word("person"));
            }
        }
        fieldset {
            legend { "Which days?" }
            p {
                label for="since" { "First day (empty: from the beginning)" }
                input id="since" name="since" type="date" value=(word("since"));
            }
            p {
                label for="until" { "Last day (empty: up to now)" }
                input id="until" name="until" type="date" value=(word("until"));
            }
        }
    }
}

/// `POST /evidence`
pub(super) async fn take_out(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Posted(wanted): Posted<Wanted>,
) -> Result<Response, Problem> {
    let actor = Actor {
        who: visitor.person.account.clone(),
        from: Some(visitor.address),
    };
    let now = Timestamp::now();
    let packed = app
        .blocking(move |app| pack(app, &actor, &wanted, now))
        .await??;
    let headers = [
        (CONTENT_TYPE, "application/zip".to_owned()),
        (
            CONTENT_DISPOSITION,
            format!("attachment; filename=\"{}\"", packed.name),
        ),
    ];
    Ok((headers, packed.bytes).into_response())
}

fn pack(app: &App, actor: &Actor, wanted: &Wanted, now: Timestamp) -> Result<Packed, ReportError> {
    let export = Export {
        configuration: &app.configuration,
        book: &app.book,
        actor,
        why: &wanted.why,
        now,
    };
    let hosts = match wanted.mandatory_hosts {
        Some(_) => MandatoryHosts::Told,
        None => MandatoryHosts::Withheld,
    };
    if let Ok(incident) = wanted.incident.trim().parse() {
        return evidence::of_incident(export, incident, hosts);
    }
    let whose = match (wanted.device.trim(), wanted.person.trim()) {
        ("", "") => return Err(refused("Say whose look-ups: a device or a person.")),
        (device, "") => Whose::Device(device.to_owned()),
        ("", person) => Whose::Person(person.to_owned()),
        _ => return Err(refused("Say either a device or a person, not both.")),
    };
    let subject = app.with_inventory(|inventory| Subject::find(whose, inventory))?;
    let moment = |text: &str, end| -> Result<Option<Timestamp>, ReportError> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let zone = &app.configuration.document.zone;
        let read = moment::parse(text, end, now, zone);
        read.map(Some)
            .ok_or_else(|| refused("That is no date: write 2026-11-21."))
    };
    let since = moment(&wanted.since, End::Since)?;
    let until = moment(&wanted.until, End::Until)?.unwrap_or(now);
    match &*wanted.kind {
        "subject_access" => access::of_subject(export, &subject, since, until),
        _ => evidence::of_subject(export, &subject, Span { since, until }, hosts),
    }
}

fn refused(why: &str) -> ReportError {
    ReportError::Refused(why.to_owned())
}
