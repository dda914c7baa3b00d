//! How alerts leave: whether each way works, what waits, and a button that
//! tries it out.
//!
//! It says how many messages wait and never what stands in them: the technician
//! reads it.

use std::sync::Arc;

use axum::extract::State;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{Markup, html};
use serde::Deserialize;

use super::app::App;
use super::page::{Problem, csrf, page};
use super::shown;
use super::tables::facts;
use super::visitor::{Posted, Visitor};
use crate::alerts::Trial;
use crate::alerts::outbox::{Channel, ChannelState};
use crate::record::Deed;

/// Which way is tried out.
#[derive(Debug, Deserialize)]
pub(super) struct TryOut {
    channel: String,
}

/// `GET /alerts/channels`
pub(super) async fn show(State(app): State<Arc<App>>, visitor: Visitor) -> Result<Markup, Problem> {
    let body = body(&app, &visitor, None).await?;
    Ok(page(&visitor, "Alert channels", &body))
}

/// `POST /alerts/channels`
pub(super) async fn try_out(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Posted(form): Posted<TryOut>,
) -> Result<Markup, Problem> {
    let channel = Channel::ALL.into_iter().find(|c| c.id() == form.channel);
    let channel = channel.ok_or(Problem::NotFound)?;
    let (account, address) = (visitor.person.account.clone(), visitor.address);
    let now = Timestamp::now();
    let done = app
        .blocking(move |app| {
            let trial = app.alerts.try_out(channel, &account, now)?;
            if let Trial::Sent(count) = trial {
                let deed = Deed::new(&account, "tried_alerts").from(&address);
                let deed = deed.about("channel", channel.id()).about("messages", count);
                app.record
                    .add(deed, now)
                    .map_err(|error| Problem::failed("the record cannot be written", &error))?;
            }
            Ok::<_, Problem>(trial)
        })
        .await??;
    let body = body(&app, &visitor, Some((channel, done))).await?;
    Ok(page(&visitor, "Alert channels", &body))
}

async fn body(
    app: &Arc<App>,
    visitor: &Visitor,
    tried: Option<(Channel, Trial)>,
) -> Result<Markup, Problem> {
    let states = app.blocking(|app| app.alerts.channels()).await??;
    let zone = &app.configuration.document.zone;
    Ok(html! {
        @if let Some((channel, trial)) = tried { (said(channel, trial)) }
        @if states.is_empty() {
            p class="notice warn" {
                "Nobody is told of alerts by e-mail: they are only on the page Alerts. The technician \
                 sets up e-mail, a webhook or syslog in schoolgate.toml."
            }
        }
        @for state in &states { (one(visitor, state, zone)) }
        p class="muted" {
            "Who is told of what stands under [alerts] in policy.toml. What cannot be sent at once is \
             tried again for a fortnight."
        }
    })
}

fn said(channel: Channel, trial: Trial) -> Markup {
    match trial {
        Trial::Sent(1) => html! {
            p class="notice ok" role="status" { (channel.name()) ": 1 message marked TEST is on its way." }
        },
        Trial::Sent(count) => html! {
            p class="notice ok" role="status" {
                (channel.name()) ": " (count) " messages marked TEST are on their way."
            }
        },
        Trial::Nobody => html! {
            p class="notice warn" role="status" {
                (channel.name()) ": nobody would be told. Is it set up, and has [alerts] addresses?"
            }
        },
        Trial::TooSoon => html! {
            p class="notice warn" role="status" {
                (channel.name()) ": it was tried within the last minute. Wait for that message."
            }
        },
    }
}

fn one(visitor: &Visitor, state: &ChannelState, zone: &TimeZone) -> Markup {
    let (level, word) = match (&state.error, state.waiting) {
        (Some(_), _) => ("danger", "Does not work"),
        (None, 0) if state.succeeded.is_none() => ("warn", "Not tried yet"),
        (None, _) => ("ok", "Works"),
    };
    let never = || html! { "never" };
    let moment = |at: Option<Timestamp>| at.map_or_else(never, |at| shown::time(at, zone));
    let mut rows = Vec::new();
    if let Some(error) = &state.error {
        rows.push(("Why", shown::words(error)));
    }
    if let Some(due) = state.due {
        rows.push(("Tried again", shown::time(due, zone)));
    }
    rows.push(("Messages waiting", html! { (state.waiting) }));
    if let Some(oldest) = state.oldest {
        rows.push(("The oldest since", shown::time(oldest, zone)));
    }
    rows.push(("Given up", html! { (state.given_up) }));
    rows.push(("Last one sent", moment(state.succeeded)));
    rows.push(("Last failure", moment(state.failed)));
    let id = state.channel.id();
    html! {
        section class={ "card " (level) } aria-labelledby={ "way-" (id) } {
            h2 id={ "way-" (id) } {
                (state.channel.name()) " " span class={ "badge " (level) } { (word) }
            }
            (facts(state.channel.name(), &rows))
            form method="post" action="/alerts/channels" {
                (csrf(visitor))
                input type="hidden" name="channel" value=(id);
                button { "Send a test by " (state.channel.name()) }
            }
        }
    }
}
