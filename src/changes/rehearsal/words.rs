//! A rehearsal in words, for whoever has to agree to the change.
//!
//! It says what was looked at before what was found: "nothing would change" means
//! little when a day could not be read, or when a group's look-ups are not
//! written down.

use super::{GroupChange, Rehearsal};

impl Rehearsal {
    /// What was found, a sentence a line; refusals first.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let refusals = self.refusals.iter();
        let mut all: Vec<String> = refusals.map(|why| format!("Refused: {why}.")).collect();
        all.push(self.replayed());
        let changes = self.groups.iter().filter_map(GroupChange::words);
        let changes: Vec<String> = changes.map(|words| format!("It {words}.")).collect();
        if changes.is_empty() && self.lookups > 0 {
            all.push("Each of them would have got the same as before.".to_owned());
        }
        all.extend(changes);
        if !self.unseen.is_empty() {
            all.push(format!(
                "What {} asks for and gets is not written down by name, so what would be newly \
                 blocked there is not known.",
                listed(&self.unseen)
            ));
        }
        let damaged = self.damaged.iter();
        all.extend(damaged.map(|why| format!("Not all of the week was there: {why}.")));
        all
    }

    fn replayed(&self) -> String {
        let lookups = counted(self.lookups, "look-up");
        match (self.lookups, self.one_in) {
            (0, _) => "The log has no look-ups of the last week to try it on.".to_owned(),
            (_, None) => format!("It was tried on the {lookups} of the last week."),
            (_, Some(one_in)) => format!(
                "It was tried on {lookups}, about one in {one_in} of the last week, for all \
                 would have taken too long; the numbers are of these."
            ),
        }
    }
}

impl GroupChange {
    /// "would have newly blocked 14 names for pupil (312 look-ups) and newly
    /// allowed 2 (5 look-ups)"; nothing if nothing changes.
    #[must_use]
    pub fn words(&self) -> Option<String> {
        let group = &self.group;
        let blocked = (self.newly_blocked, counted(self.blocked_lookups, "look-up"));
        let allowed = (self.newly_allowed, counted(self.allowed_lookups, "look-up"));
        Some(match (blocked, allowed) {
            ((0, _), (0, _)) => return None,
            ((names, lookups), (0, _)) => {
                let names = counted(names, "name");
                format!("would have newly blocked {names} for {group} ({lookups})")
            }
            ((0, _), (names, lookups)) => {
                let names = counted(names, "name");
                format!("would have newly allowed {names} for {group} ({lookups})")
            }
            ((names, lookups), (others, of_others)) => {
                let (names, others) = (counted(names, "name"), thousands(others));
                format!(
                    "would have newly blocked {names} for {group} ({lookups}) and newly allowed \
                     {others} ({of_others})"
                )
            }
        })
    }
}

fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {what}{plural}", thousands(count))
}

/// `1,234,567`.
fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn listed(all: &[String]) -> String {
    match all.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}
