//! What is said of a change: what it means, why, whose it is, and what the reader
//! is asked to do.
//!
//! Subjects show on locked phones: they name no site and nobody.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::alerts::message::one_line;
use crate::changes::difference::Effect;
use crate::changes::ledger::AtOnce;
use crate::changes::news::News;
use crate::changes::proposal::{Leave, Proposal};

/// Parts of a change that one message has.
const MOST: usize = 40;

/// What is wrong, or at least must be looked at by somebody.
pub(super) fn alarm(news: &News) -> Option<String> {
    Some(match news {
        News::Failed { proposal, why } => format!(
            "Change {} could not be put in force; the rules before it still are. {}",
            proposal.number,
            one_line(why)
        ),
        News::SignatoryEnrolled { signatory, by } => format!(
            "{} ({}) can approve changes from now on{}. If that is not right, have the head or the \
             technician close that account on the page Accounts.",
            one_line(&signatory.name),
            one_line(&signatory.account),
            match by {
                Some(by) if *by == signatory.account => ", with a new password".to_owned(),
                Some(by) => format!("; {} has confirmed it", one_line(by)),
                None => String::new(),
            }
        ),
        News::SignatoryRemoved { account, by } => format!(
            "{} can no longer approve changes; taken away by {}.",
            one_line(account),
            one_line(by)
        ),
        News::BegunAnew { policy, why } => format!(
            "The record of changes was begun anew at the machine, with the rules that were found \
             there (policy {policy}). {}",
            one_line(why)
        ),
        News::Waits(_)
        | News::InForce { .. }
        | News::Declined { .. }
        | News::SignatoryWaits(_)
        | News::Settings { .. } => return None,
    })
}

/// Subject, text and page of what is no alarm.
pub(super) fn of(news: &News, zone: &TimeZone) -> (String, String, String) {
    match news {
        News::Waits(proposal) => (
            "a change waits for approval".to_owned(),
            about(
                proposal,
                "A change that loosens the filter is wanted. It does not act before another \
                 person,\na head or a safeguarding lead, has approved it.",
            ),
            page(proposal),
        ),
        News::InForce {
            proposal,
            leave,
            policy,
            time,
        } => {
            let (subject, says) = in_force(leave);
            let since = format!("{says}\nSince {}, as policy {policy}.", wall(*time, zone));
            (subject.to_owned(), about(proposal, &since), page(proposal))
        }
        News::Declined { proposal, by, why } => {
            let says = format!(
                "{} has turned a change down, which so does not act: {}",
                one_line(by),
                one_line(why)
            );
            (
                "a change was turned down".to_owned(),
                about(proposal, &says),
                page(proposal),
            )
        }
        News::SignatoryWaits(signatory) => (
            "somebody wants to be able to approve changes".to_owned(),
            format!(
                "{} ({}) wants to be able to approve changes. Whoever can already confirms that \
                 on the\npage of changes, once they have asked whether it was them.",
                one_line(&signatory.name),
                one_line(&signatory.account)
            ),
            "changes".to_owned(),
        ),
        News::Settings { file } => (
            "the machine's settings were changed".to_owned(),
            format!(
                "{} is another than when the filter last started. Was that agreed?",
                one_line(file)
            ),
            "changes".to_owned(),
        ),
        // Alarms, which are said elsewhere.
        News::Failed { .. }
        | News::SignatoryEnrolled { .. }
        | News::SignatoryRemoved { .. }
        | News::BegunAnew { .. } => Default::default(),
    }
}

fn in_force(leave: &Leave) -> (&'static str, String) {
    match leave {
        Leave::Tightens => (
            "a change acts already; please take note of it",
            "A change that lets nothing through that was blocked acts already. Another person than \
             whoever\nmade it must take note of it."
                .to_owned(),
        ),
        Leave::Notify => (
            "a change that loosens the filter acts already",
            "A change that loosens the filter acts already: the school's rule is to tell a second \
             person\nafterwards, and that is you. Please take note of it, or have it taken back."
                .to_owned(),
        ),
        Leave::Override => (
            "a device opened a site for itself for a while",
            "A device opened a site for itself for a while, as the policy lets its group do. It \
             ends by itself."
                .to_owned(),
        ),
        Leave::Approved { by, .. } => (
            "a change was approved and acts",
            format!("{} has approved a change.", one_line(by)),
        ),
    }
}

/// What of the changes has waited for too long.
pub(super) fn reminder(
    unacknowledged: &[&AtOnce],
    waiting: &[&Proposal],
    days: u32,
    zone: &TimeZone,
) -> (String, String) {
    let mut text = String::new();
    for at_once in unacknowledged {
        let (number, since) = (at_once.proposal.number, wall(at_once.time, zone));
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "Change {number} acts since {since}, and nobody has taken note of it within {}.",
            many(days as usize, "day")
        );
    }
    for proposal in waiting {
        let (number, since) = (proposal.number, wall(proposal.time, zone));
        let _ = writeln!(
            text,
            "Proposal {number} waits since {since} for somebody to approve it or turn it down."
        );
    }
    let subject = format!(
        "{} for somebody for more than {}",
        match unacknowledged.len() + waiting.len() {
            1 => "1 change waits".to_owned(),
            several => format!("{several} changes wait"),
        },
        many(days as usize, "day")
    );
    (subject, text)
}

fn about(proposal: &Proposal, says: &str) -> String {
    let mut text = format!("{says}\n\n");
    for part in proposal.parts.iter().take(MOST) {
        let effect = match part.effect {
            Effect::Loosens => "loosens",
            Effect::Tightens => "tightens",
            Effect::Neither => "remark",
        };
        let _ = writeln!(text, "{effect:<10} {}", one_line(&part.words));
    }
    if proposal.parts.is_empty() {
        text.push_str("Nothing is decided otherwise: only remarks and their order differ.\n");
    }
    if let Some(more @ 1..) = proposal.parts.len().checked_sub(MOST) {
        let _ = writeln!(text, "and {}; see the page.", many(more, "further part"));
    }
    let _ = write!(
        text,
        "\nProposal   {}\nBy         {}\nWhy        {}",
        proposal.number,
        one_line(&proposal.by.account),
        one_line(&proposal.why)
    );
    text
}

fn page(proposal: &Proposal) -> String {
    format!("changes/{}", proposal.number)
}

fn wall(at: Timestamp, zone: &TimeZone) -> String {
    let at = at.to_zoned(zone.clone());
    at.strftime("%A %-d %B %Y, %H:%M").to_string()
}

fn many(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        many => format!("{many} {what}s"),
    }
}
