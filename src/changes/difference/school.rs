//! What is said of the whole school: its name, its clock, its rule of change.

use super::{Effect, Part};
use crate::policy::document::{ChangeRule, PolicyDocument};

/// The parts that are about the whole school.
pub(super) fn parts(before: &PolicyDocument, after: &PolicyDocument, parts: &mut Vec<Part>) {
    if before.school != after.school {
        let words = format!(
            "the school is called {} instead of {}",
            after.school, before.school
        );
        parts.push(Part::new(Effect::Neither, words));
    }
    if before.zone != after.zone {
        let zone = |document: &PolicyDocument| {
            let name = document.zone.iana_name().unwrap_or("another");
            name.to_owned()
        };
        // Every hour and every end moves, to earlier or later by the season.
        let words = format!(
            "the school's clock is that of {} instead of {}, which moves every timetable and the \
             end of every exception",
            zone(after),
            zone(before)
        );
        parts.push(Part::new(Effect::Loosens, words));
    }
    let (was, is) = (before.acknowledge_days, after.acknowledge_days);
    if was != is {
        let effect = if is > was {
            Effect::Loosens
        } else {
            Effect::Tightens
        };
        let words = format!(
            "a change that acts at once is to be acknowledged within {is} days instead of {was}"
        );
        parts.push(Part::new(effect, words));
    }
    match (before.rule, after.rule) {
        (ChangeRule::TwoPerson, ChangeRule::Notify) => parts.push(Part::new(
            Effect::Loosens,
            "a second person need no longer agree before the filter is loosened, and is only told",
        )),
        (ChangeRule::Notify, ChangeRule::TwoPerson) => parts.push(Part::new(
            Effect::Tightens,
            "a second person must agree before the filter is loosened, and is no longer only told",
        )),
        _ => {}
    }
}
