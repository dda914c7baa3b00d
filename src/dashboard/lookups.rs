//! The rows of the log, as a table: what was asked, and what came of it.

use maud::{Markup, html};

use super::shown;
use crate::incidents::hours::SchoolHours;
use crate::policy::decision::Layer;
use crate::querylog::row::{Row, mnemonic};

/// Rows of one device. The name of a mandatory hit stands there only for who has
/// asked for it.
pub(super) fn table(rows: &[Row], hours: &SchoolHours, with_hosts: bool) -> Markup {
    html! {
        div class="scroll" tabindex="0" role="region" aria-label="Look-ups" {
            table class="cards" {
                caption { (shown::several(rows.len() as u64, "row", "rows")) }
                thead {
                    tr {
                        th scope="col" { "Time" }
                        th scope="col" { "Name" }
                        th scope="col" { "Type" }
                        th scope="col" { "Outcome" }
                        th scope="col" { "Decided by" }
                        th scope="col" class="number" { "Times" }
                    }
                }
                tbody {
                    @for row in rows {
                        tr {
                            th scope="row" {
                                (shown::time(row.time, &hours.zone))
                                @if !row.time_trusted { " " small class="warn" { "(the clock was not sure)" } }
                            }
                            td data-label="Name" { (asked_name(row, with_hosts)) }
                            td data-label="Type" { (kind(row)) }
                            td data-label="Outcome" { (shown::outcome(row.action)) }
                            td data-label="Decided by" { (decided_by(row)) }
                            td data-label="Times" class="number" { (row.count) }
                        }
                    }
                }
            }
        }
    }
}

/// The name of a row, unless it is for nobody's eyes.
pub(super) fn asked_name(row: &Row, with_hosts: bool) -> Markup {
    if row.is_mandatory() && !with_hosts {
        return html! { strong { (shown::WITHHELD) } };
    }
    shown::name(&row.name)
}

fn kind(row: &Row) -> Markup {
    html! {
        @if row.is_various() { span class="muted" { "various" } } @else { (mnemonic(row.rtype)) }
    }
}

fn decided_by(row: &Row) -> Markup {
    let layer = match row.layer {
        Layer::Mandatory => "a mandatory list",
        Layer::Canary => "the rule for browsers' own DNS",
        Layer::Exception => "the school's exception",
        Layer::Category => "category",
        Layer::Rebinding => "the rule against private addresses",
        Layer::SafeSearch => "safe search",
        Layer::Allow => "nothing spoke against it",
    };
    let category = row
        .category
        .as_deref()
        .filter(|_| row.layer == Layer::Category);
    html! {
        (layer)
        @if let Some(id) = category { " " (shown::category(id)) }
        // Which mandatory list it was is told to nobody.
        @if let Some(source) = row.source.as_deref().filter(|_| !row.is_mandatory()) {
            ", list " code { (source) }
        }
        br;
        small class="muted" { "rules number " (row.policy) }
    }
}
