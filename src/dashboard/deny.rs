//! Closing a site at once: whoever finds something bad does not wait for anybody
//! (R-46 asks a second person only of what opens).
//!
//! It is in force with the next look-up, is recorded, and another person is asked
//! to take note of it. A site that is blocked for everybody at every hour needs
//! no closing; that it may be so by a mandatory list is not told.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Redirect;
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::app::App;
use super::asked::Asked;
use super::page::{Problem, csrf, page_below};
use super::routes::may_send;
use super::standing::Present;
use super::visitor::{Posted, Visitor};
use super::wishes::put;
use crate::changes::ask::{Outcome, Proposed, Wanted, Wish};
use crate::changes::change::{Addition, Exceptions, Verdict};
use crate::lists::category::Category;
use crate::name::NameRef;
use crate::policy::decision::{Layer, Verdict as Decided};
use crate::policy::{Asker, GroupIndex};
use crate::querylog::visits::Incident;
use crate::requests::{LONGEST_TEXT, Site, Text};

/// What to close, as it is sent.
#[derive(Deserialize)]
pub(super) struct Closed {
    site: String,
    #[serde(default)]
    device: String,
    #[serde(default)]
    reason: String,
}

/// `GET /deny`
pub(super) async fn page(visitor: Visitor, asked: Asked) -> Markup {
    let word = |key| asked.word(key).unwrap_or_default();
    let body = html! {
        p { "The site, and every name that ends in it, is closed at once: for everybody, or for one device." }
        form class="stack" method="post" action="/deny" {
            (csrf(&visitor))
            p {
                label for="site" { "Which site?" }
                input id="site" name="site" required maxlength="300" autocomplete="off"
                    autocapitalize="none" spellcheck="false" value=(word("site"));
            }
            p {
                label for="device" { "Only for this device (its id, as the page Devices has it; if empty, for everybody)" }
                input id="device" name="device" maxlength="100" autocomplete="off"
                    autocapitalize="none" spellcheck="false" value=(word("device"));
            }
            p {
                label for="reason" { "Reason (may be left empty)" }
                textarea id="reason" name="reason" rows="2" maxlength=(LONGEST_TEXT) {}
            }
            p class="muted small" { "Another person is asked to take note of it. Opening the site again takes a second person." }
            div class="actions" { button class="stop" { "Close it now" } }
        }
    };
    page_below(&visitor, "Changes", "Close a site", &body)
}

/// `POST /deny`
pub(super) async fn close(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Posted(sent): Posted<Closed>,
) -> Result<Redirect, Problem> {
    let done = app.blocking(move |app| shut(app, &visitor, &sent, Timestamp::now()));
    let proposal = done.await??;
    Ok(Redirect::to(&format!("/changes/{proposal}")))
}

fn shut(app: &App, visitor: &Visitor, sent: &Closed, now: Timestamp) -> Result<u64, Problem> {
    let bad = |why: &str| Problem::Bad(why.to_owned());
    let site = Site::new(&sent.site);
    let Site(site) = site.map_err(|_| bad("Write the name of a site, such as www.example.org."))?;
    let in_force = app.standing.latest();
    let in_force = in_force.ok_or_else(|| bad("No policy is in force, so nothing is answered."))?;
    let device = sent.device.trim();
    if is_closed_already(&in_force, site.as_ref(), now) {
        return Err(bad(
            "This site is blocked for everybody at every hour already. Nothing needed to be \
             changed.",
        ));
    }
    if !device.is_empty() && in_force.policy().devices.by_id(device).is_none() {
        return Err(bad("There is no such device in the school's list."));
    }
    let by = &visitor.person.name;
    let reason = match Text::new(&sent.reason) {
        text if text.is_empty() => format!("Emergency: closed by {by}"),
        text => text.as_str().replace('\n', " "),
    };
    let groups = in_force.policy().groups.iter();
    let groups = groups.map(|group| group.id.to_string());
    let addition = Addition {
        name: site.to_string(),
        verdict: Verdict::Deny,
        reach: None,
        groups: if device.is_empty() {
            groups.collect()
        } else {
            Vec::new()
        },
        devices: Some(device.to_owned())
            .filter(|device| !device.is_empty())
            .into_iter()
            .collect(),
        reason: reason.clone(),
        requested_by: None,
        expires: None,
    };
    let wish = Wish::Propose(Proposed {
        why: reason,
        change: Wanted::Exceptions(Exceptions {
            add: vec![addition],
            remove: Vec::new(),
        }),
        // Nobody waits for a rehearsal of this.
        rehearsal: None,
        requests: Vec::new(),
    });
    match put(app, visitor, wish)? {
        Outcome::InForce { proposal, .. } | Outcome::Waits { proposal, .. } => Ok(proposal),
        Outcome::Nothing | Outcome::Done => Err(bad("It is closed already, in just this way.")),
    }
}

/// Whether nobody gets the site at any hour, with no word of the school on it.
fn is_closed_already(in_force: &Present, site: NameRef<'_>, now: Timestamp) -> bool {
    if in_force.is_mandatory(site) {
        return true;
    }
    let policy = in_force.policy();
    let groups = policy.groups.iter().enumerate();
    let mut enabled = groups.filter(|(_, group)| group.enabled);
    enabled.all(|(at, group)| {
        let Ok(at) = u16::try_from(at) else {
            return false;
        };
        let asker = Asker {
            group: GroupIndex(at),
            device: None,
        };
        let decision = in_force.decide(asker, site, now);
        let always = |category: Category| {
            group.block.has(category)
                && !group
                    .during
                    .iter()
                    .any(|during| during.remove.has(category))
        };
        decision.verdict == Decided::Block
            && decision.layer == Layer::Category
            && decision.category.is_some_and(always)
    })
}

/// The form on an incident's page: one click.
pub(super) fn of_incident(app: &App, visitor: &Visitor, incident: &Incident) -> Markup {
    let Ok(Site(site)) = Site::new(&incident.domain) else {
        return html! {};
    };
    let in_force = app.standing.latest();
    let is_open = in_force
        .is_some_and(|in_force| !is_closed_already(&in_force, site.as_ref(), Timestamp::now()));
    let may = may_send(visitor.person.role, "/deny");
    if incident.mandatory || !may || !is_open {
        return html! {};
    }
    html! {
        form class="no-print" method="post" action="/deny" {
            (csrf(visitor))
            input type="hidden" name="site" value=(site.to_string());
            p class="small" { "This closes the site for everybody, staff too, from the next look-up on. It is recorded, and somebody else is asked to take note of it." }
            button class="stop" { "Close this site for everybody now" }
        }
    }
}
