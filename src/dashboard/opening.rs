//! Opening a blocked site on the device one sits at, for some minutes.
//!
//! The policy says which groups may (`override_minutes`); the device is known by
//! its address, as for a look-up, and must be in the school's list. It is
//! recorded with the device and the reason, ends by itself, and the safeguarding
//! lead can see it. Only what a category blocks can be opened: a site that the
//! school itself has closed stays so, and of a mandatory one nothing is said.

use std::sync::{Arc, Mutex, PoisonError};

use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};
use serde::Deserialize;

use super::app::App;
use super::asking::{Sender, Shown};
use super::shown;
use super::standing::Present;
use super::wishes::words;
use crate::changes::ask::{Ask, Outcome, Proposed, Wanted, Wish};
use crate::changes::change::{Addition, Verdict};
use crate::changes::proposal::Author;
use crate::limiter::{Limiter, Rate};
use crate::lists::category::Category;
use crate::name::{Name, NameRef};
use crate::policy::decision::{Layer, Verdict as Decided};
use crate::requests::{LONGEST_TEXT, Site, Text};

/// Where the form is.
pub(super) const FORM: &str = "/open";
/// One device: six at once, then one every ten minutes.
const DEVICE: Rate = Rate {
    per_second: 1.0 / 600.0,
    burst: 6.0,
};

/// How often devices have opened something.
pub struct Openings(Mutex<Limiter>);

impl Default for Openings {
    fn default() -> Self {
        Self(Mutex::new(Limiter::with(DEVICE)))
    }
}

impl Openings {
    fn admits(&self, device: &str, now: Timestamp) -> bool {
        let mut limiter = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        limiter.admits(device, now.as_millisecond().cast_unsigned())
    }
}

/// What came with the form, or with a link to it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Sent {
    site: String,
    reason: String,
}

impl Sent {
    /// Of a query or a body; what cannot be read is an empty form.
    pub(super) fn read(bytes: &[u8]) -> Self {
        serde_urlencoded::from_bytes(bytes).unwrap_or_default()
    }
}

/// What somebody may open for themselves.
pub(super) struct Allowance {
    /// Their device.
    device: String,
    /// For how long.
    pub(super) minutes: u32,
}

/// Whether whoever is at that address may open `site` for their device.
pub(super) fn allowance(
    in_force: &Present,
    from: &Sender,
    site: NameRef<'_>,
    now: Timestamp,
) -> Option<Allowance> {
    let asker = in_force.asker(from.address, now);
    let device = in_force.device(asker)?.to_owned();
    let minutes = in_force.policy().group(asker.group)?.override_minutes;
    let decision = in_force.decide(asker, site, now);
    let is_illegal = decision.category.is_none_or(Category::is_illegal);
    let by_category =
        decision.verdict == Decided::Block && decision.layer == Layer::Category && !is_illegal;
    (minutes > 0 && by_category).then_some(Allowance { device, minutes })
}

/// The form.
pub(super) fn form(app: &App, sent: &Sent, from: &Sender) -> Shown {
    match found(app, sent, from, Timestamp::now()) {
        Ok((site, allowance)) => Shown {
            status: StatusCode::OK,
            title: "Open a site for a while".to_owned(),
            body: fields(&site, &allowance, sent, None),
        },
        Err(why) => refused(&why),
    }
}

/// Opens it, or says why not.
pub(super) async fn open(app: &Arc<App>, sent: Sent, from: &Sender) -> Shown {
    let now = Timestamp::now();
    let (site, allowance) = match found(app, &sent, from, now) {
        Ok(found) => found,
        Err(why) => return refused(&why),
    };
    let reason = Text::new(&sent.reason);
    let again = |status, says: &str| Shown {
        status,
        title: "Open a site for a while".to_owned(),
        body: fields(&site, &allowance, &sent, Some(says)),
    };
    if reason.is_empty() {
        return again(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Say why: it is written down.",
        );
    }
    if !app.openings.admits(&allowance.device, now) {
        return again(
            StatusCode::TOO_MANY_REQUESTS,
            "Several sites were opened on this device already. Please wait some minutes.",
        );
    }
    let ends = now + SignedDuration::from_mins(allowance.minutes.into());
    let ends = Timestamp::from_second(ends.as_second()).unwrap_or(ends);
    let ask = ask(&site, &allowance, reason.as_str(), ends);
    let asked = app.blocking(move |app| ask.put_to(&app.settings().state_dir));
    match asked.await {
        Ok(Ok(Outcome::InForce { .. })) => opened(app, &site, &allowance, ends),
        Ok(Ok(_)) => refused("It is open on this device already."),
        Ok(Err(why)) => again(StatusCode::SERVICE_UNAVAILABLE, &words(&why)),
        Err(_) => refused("Sites cannot be opened at the moment."),
    }
}

/// The site that is asked for, if it may be opened there.
fn found(
    app: &App,
    sent: &Sent,
    from: &Sender,
    now: Timestamp,
) -> Result<(Name, Allowance), String> {
    let Ok(Site(site)) = Site::new(&sent.site) else {
        return Err("Write the name of a site, such as www.example.org.".to_owned());
    };
    let in_force = app.standing.latest();
    let in_force = in_force.ok_or("The filter is not ready yet.")?;
    let allowance = allowance(&in_force, from, site.as_ref(), now);
    let allowance = allowance.ok_or("This site cannot be opened from this device.")?;
    Ok((site, allowance))
}

fn ask(site: &Name, allowance: &Allowance, reason: &str, ends: Timestamp) -> Ask {
    let reason = reason.replace('\n', " ");
    Ask {
        by: Author::new(&format!("device {}", allowance.device), ""),
        // The device is who it is; its address stays in the query log.
        from: None,
        wish: Wish::Propose(Proposed {
            why: reason.clone(),
            change: Wanted::Override(Addition {
                name: site.to_string(),
                verdict: Verdict::Allow,
                reach: None,
                groups: Vec::new(),
                devices: vec![allowance.device.clone()],
                reason,
                requested_by: None,
                expires: Some(ends.to_string()),
            }),
            rehearsal: None,
            requests: Vec::new(),
        }),
    }
}

fn fields(site: &Name, allowance: &Allowance, sent: &Sent, says: Option<&str>) -> Markup {
    html! {
        @if let Some(says) = says { p class="notice warn" role="alert" { (says) } }
        p { "You can open " (shown::name(&site.to_string())) " on this device, "
            (shown::words(&allowance.device)) ", for " (minutes(allowance)) ". Then it is blocked again by itself." }
        p { "It is recorded with the device and your reason, and the safeguarding lead can see it." }
        form class="stack" method="post" action=(FORM) {
            input type="hidden" name="site" value=(site.to_string());
            p {
                label for="reason" { "Why do you need it?" }
                textarea id="reason" name="reason" rows="3" required maxlength=(LONGEST_TEXT) { (sent.reason) }
            }
            div class="actions" { button { "Open it for " (minutes(allowance)) } }
        }
    }
}

fn opened(app: &App, site: &Name, allowance: &Allowance, ends: Timestamp) -> Shown {
    let zone = &app.configuration.document.zone;
    Shown {
        status: StatusCode::OK,
        title: "It is open".to_owned(),
        body: html! {
            p class="notice ok" role="status" {
                (shown::name(&site.to_string())) " is open on " (shown::words(&allowance.device))
                " until " (shown::time(ends, zone)) "."
            }
            p { "That is recorded, and the safeguarding lead can see it. If the browser still shows the block page, load the site again in a minute." }
        },
    }
}

fn minutes(allowance: &Allowance) -> String {
    shown::several(allowance.minutes.into(), "minute", "minutes")
}

fn refused(why: &str) -> Shown {
    Shown {
        status: StatusCode::FORBIDDEN,
        title: "That did not work".to_owned(),
        body: html! { p class="notice warn" { (why) } },
    }
}
