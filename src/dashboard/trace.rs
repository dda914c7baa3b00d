//! Which rules applied: the policies that decided an incident, and what each of
//! their layers said.
//!
//! The texts of every policy that was in force are kept, so it is made again and
//! asked again, by the code that decides. Of the lists only the generation in
//! force is kept: where another decided, that is said, and the answer is what
//! today's lists make of it. Nothing is explained about a mandatory hit.

use std::sync::Arc;

use jiff::tz::TimeZone;
use maud::{Markup, html};

use super::app::App;
use super::shown;
use crate::changes::activation::Activated;
use crate::changes::kept;
use crate::incidents::opened::Opened;
use crate::name::Name;
use crate::policy::compile::Live;
use crate::policy::decision::Layer;
use crate::policy::explain::{Asked, Explanation, explain};
use crate::policy::{Asker, DeviceIndex, GroupIndex, Policy};
use crate::querylog::row::{Row, mnemonic};

/// More policies than these never decide five minutes.
const MOST: usize = 3;

/// One policy that decided, as far as it is known.
pub(super) struct Trace {
    number: u64,
    record: Option<Activated>,
    told: Told,
}

/// What the policy says of the incident's first look-up.
enum Told {
    /// This, with the very lists that decided.
    Exactly(Explanation),
    /// This, with the lists of today.
    WithLaterLists(Explanation),
    /// Nothing, and why.
    Nothing(&'static str),
}

/// Explains an incident by each policy that decided a part of it.
pub(super) fn of(app: &App, opened: &Opened) -> Vec<Trace> {
    let numbers = opened.policies.iter().take(MOST);
    numbers.map(|number| one(app, opened, *number)).collect()
}

fn one(app: &App, opened: &Opened, number: u64) -> Trace {
    let state_dir = &app.settings().state_dir;
    // A record that cannot be read is as good as none: the row stays the row.
    let record = kept::activation(state_dir, number).ok().flatten();
    let row = opened.rows.iter().find(|row| row.policy == number);
    let told = match (&record, row) {
        _ if opened.incident.mandatory => Told::Nothing(""),
        (None, _) => Told::Nothing("That policy is no longer in the record of what was in force."),
        (_, None) => Told::Nothing("It decided a look-up beyond those shown here."),
        (Some(record), Some(row)) => again(app, record, row),
    };
    Trace {
        number,
        record,
        told,
    }
}

/// Decides a row again, under the policy and at the moment of then.
fn again(app: &App, record: &Activated, row: &Row) -> Told {
    let state_dir = &app.settings().state_dir;
    let Ok(Some(texts)) = kept::texts(state_dir, record) else {
        return Told::Nothing("The texts of that policy are no longer kept.");
    };
    let Ok(in_force) = app.policy_in_force() else {
        return Told::Nothing("The compiled lists cannot be read, so it cannot be decided again.");
    };
    let lists = Arc::clone(&in_force.policy.lists);
    let same_lists = *lists.generation == *record.lists;
    let live = Live {
        number: record.number,
        not_before: record.time,
        lists,
        standing: true,
    };
    let Ok(policy) = texts.compile(live) else {
        return Told::Nothing("This version of the program does not read that policy any more.");
    };
    let explained = Name::parse_any_depth(&row.name)
        .ok()
        .and_then(|name| explained(&policy, &name, row));
    match explained {
        None => Told::Nothing("What was asked for is no host name, or its group is no more."),
        // What was no secret when it was asked for may have become one.
        Some(told) if told.layer == Layer::Mandatory => {
            Told::Nothing("The lists of today would decide it otherwise.")
        }
        Some(told) if same_lists => Told::Exactly(told),
        Some(told) => Told::WithLaterLists(told),
    }
}

fn explained(policy: &Policy, name: &Name, row: &Row) -> Option<Explanation> {
    let group = policy.groups.iter().position(|g| *g.id == *row.group)?;
    let device = row.device.as_deref();
    let asker = Asker {
        group: GroupIndex(u16::try_from(group).ok()?),
        device: device
            .and_then(|id| policy.devices.by_id(id))
            .map(DeviceIndex),
    };
    let question = Asked {
        name: name.as_ref(),
        rtype: &mnemonic(row.rtype),
        asker,
        device,
        ip: row.ip,
        local: false,
    };
    Some(explain(policy, &question, row.time))
}

/// Each policy with what it said.
pub(super) fn show(traces: &[Trace], mandatory: bool, zone: &TimeZone) -> Markup {
    html! {
        @for trace in traces {
            h3 { "Rules number " (trace.number) }
            (versions(trace, zone))
            @match &trace.told {
                Told::Nothing(_) if mandatory => {}
                Told::Nothing(why) => { p { (why) " The row itself says what was decided then." } }
                Told::Exactly(explanation) => { (said(explanation)) }
                Told::WithLaterLists(explanation) => {
                    p class="notice warn" {
                        "The lists of that moment are no longer kept. This is what the policy of then says \
                         with the lists of today; the row itself says what was decided then."
                    }
                    (said(explanation))
                }
            }
        }
    }
}

fn versions(trace: &Trace, zone: &TimeZone) -> Markup {
    html! {
        @match &trace.record {
            Some(record) => {
                p {
                    "In force since " (shown::time(record.time, zone))
                    ", with the lists " code class="name" { (record.lists) } "."
                    br;
                    small class="muted" { "policy.toml " code class="name" { (short(&record.policy)) } ", devices.csv " code class="name" { (short(&record.devices)) } }
                }
            }
            None => { p { "It is not in the record of what was in force." } }
        }
    }
}

/// Enough of a hash to tell one from another.
fn short(hash: &str) -> &str {
    hash.get(..16).unwrap_or(hash)
}

fn said(explanation: &Explanation) -> Markup {
    html! {
        p { "For " (shown::name(&explanation.name)) ", " (explanation.when) ":" }
        div class="scroll" tabindex="0" role="region" aria-label="What each layer said" {
            table {
                thead { tr { th scope="col" { "Asked in turn" } th scope="col" { "Answer" } } }
                tbody {
                    @for said in &explanation.trace {
                        tr { th scope="row" { (shown::layer(said.layer)) } td { bdi class="name" { (said.said) } } }
                    }
                    tr { th scope="row" { "Outcome" } td { (shown::outcome(explanation.verdict)) " " small class="muted" { "answered with " (explanation.answer) } } }
                }
            }
        }
    }
}
