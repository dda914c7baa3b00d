//! What other parts of the appliance have to say in a digest: whether the filter
//! works, what was changed, and which requests wait.
//!
//! A digest must not fail because one of them does, so that what cannot be known
//! is a sentence too.

use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::lists::report;
use crate::requests::{Requests, Wish};
use crate::status::Status;
use crate::status::health::{Area, Health, Level};

use super::changed::{changed, head};
use super::weekly::Further;

/// Asks them all about the time between `ends`.
#[must_use]
pub fn further(
    state_dir: &Path,
    ends: (Timestamp, Timestamp),
    zone: &TimeZone,
    now: Timestamp,
) -> Vec<Further> {
    vec![
        health(state_dir, now),
        changes(state_dir, ends, zone, now),
        requests(state_dir),
    ]
}

fn changes(
    state_dir: &Path,
    ends: (Timestamp, Timestamp),
    zone: &TimeZone,
    now: Timestamp,
) -> Further {
    let mut says = changed(state_dir, ends, zone, now);
    says.push(head(state_dir));
    Further {
        heading: "Changes of the filter".to_owned(),
        says,
    }
}

fn health(state_dir: &Path, now: Timestamp) -> Further {
    let lists = report::report(state_dir, now).ok();
    let health = Health::of(&Status::read(state_dir), lists.as_ref(), now);
    let main = Area::MAIN.into_iter();
    let found = main.filter_map(|area| health.worst(area));
    let says = found.map(|finding| match finding.level {
        Level::Ok => finding.says.clone(),
        _ => format!("{} {}", finding.says, finding.remedy),
    });
    Further {
        heading: "The filter itself".to_owned(),
        says: says.collect(),
    }
}

fn requests(state_dir: &Path) -> Further {
    // Nobody who only counts them begins the queue.
    let there = state_dir.join("requests.db").exists();
    let waiting = there.then(|| Requests::new(state_dir, [0; 32]).waiting());
    let says = match waiting {
        None => "None are waiting.".to_owned(),
        Some(Err(_)) => "They cannot be counted: the queue cannot be read.".to_owned(),
        Some(Ok(waiting)) if waiting.is_empty() => "None are waiting.".to_owned(),
        Some(Ok(waiting)) => {
            let unblock = waiting.iter().filter(|r| r.wish == Wish::Unblock).count();
            let are = if waiting.len() == 1 { "is" } else { "are" };
            format!(
                "{} {are} waiting for an answer: {unblock} to open a site, {} to block one.",
                waiting.len(),
                waiting.len() - unblock
            )
        }
    };
    Further {
        heading: "Requests for sites".to_owned(),
        says: vec![says],
    }
}
