//! What is blocked that perhaps should not be: helplines, health, history.
//!
//! A list of a hundred thousand names that somebody else made blocks a museum
//! sooner or later, and the class before which it happens tells nobody. So
//! well-known names are put to each group's policy, as a question would be: now,
//! and at the hours when the group may least. Nothing here changes what is
//! blocked, and some of what it finds is meant: a timetable, an exception, a
//! category chosen with care.
//!
//! It must never say which name is on a list of illegal content: those are
//! counted only.

use std::collections::HashSet;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, anyhow};
use jiff::Timestamp;
use serde::Serialize;

use crate::configuration::Configuration;
use crate::lists::admit;
use crate::lists::category::Category;
use crate::lists::durable;
use crate::name::{Name, NameError};
use crate::policy::decide::Moment;
use crate::policy::decision::{Layer, Verdict};
use crate::policy::group::Group;
use crate::policy::{Asker, GroupIndex, Policy};
use crate::why::standing_policy;

/// Well-known names that are not in `must-resolve.txt`, as shipped.
pub const EDUCATIONAL: &str = include_str!("../blocklists/educational.txt");

/// A name that is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// The name.
    pub name: Name,
    /// The heading it stands under.
    pub heading: String,
}

/// When a name is blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Now.
    Now,
    /// Not now, but at hours of a timetable.
    AtTimes,
}

/// A name that a group would not get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Blocked {
    /// The name.
    pub name: String,
    /// The heading it stands under.
    pub heading: String,
    /// The group.
    pub group: String,
    /// Whether at all hours.
    pub when: When,
    /// What blocks it.
    pub layer: Layer,
    /// The category, if one does.
    pub category: Option<&'static str>,
    /// The list that has it in that category.
    pub source: Option<String>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OverBlock {
    /// How many names were looked at.
    pub names: usize,
    /// For how many groups.
    pub groups: usize,
    /// What they would not get, in the order of the names.
    pub blocked: Vec<Blocked>,
    /// How many of the names are on lists of illegal content. Which is not said.
    pub mandatory: usize,
}

/// The names of a list: one a line, below headings like `# ---- Health ----`.
/// A line that is no name is given back with its number.
pub fn read(text: &str) -> Result<Vec<Watched>, (usize, NameError)> {
    let mut all = Vec::new();
    let mut heading = String::new();
    for (number, line) in text.lines().enumerate() {
        let titled = line
            .strip_prefix("# ----")
            .map(|rest| rest.trim_end_matches('-'));
        if let Some(title) = titled {
            title.trim().clone_into(&mut heading);
        }
        let name = line.split('#').next().unwrap_or_default().trim();
        if !name.is_empty() {
            all.push(Watched {
                name: Name::parse(name).map_err(|why| (number + 1, why))?,
                heading: heading.clone(),
            });
        }
    }
    Ok(all)
}

/// The shipped names, those that must resolve first, each once.
#[must_use]
pub fn shipped() -> Vec<Watched> {
    // The tests read both files to their ends.
    let lists = [admit::SHIPPED, EDUCATIONAL].map(|text| read(text).unwrap_or_default());
    let mut seen = HashSet::new();
    let all = lists.into_iter().flatten();
    all.filter(|watched| seen.insert(watched.name.clone()))
        .collect()
}

/// The shipped names, and those in the files of that name in the school's
/// `folder`.
pub fn watched(folder: &Path) -> anyhow::Result<Vec<Watched>> {
    let mut all = shipped();
    for file in ["must-resolve.txt", "educational.txt"] {
        let text = durable::read_if_any(&folder.join(file)).context(file)?;
        let text = String::from_utf8_lossy(text.as_deref().unwrap_or_default()).into_owned();
        let own = read(&text).map_err(|(line, why)| anyhow!("{file}:{line}: {why}"))?;
        all.extend(own);
    }
    let mut seen = HashSet::new();
    all.retain(|watched| seen.insert(watched.name.clone()));
    Ok(all)
}

/// Puts `names` to each group's policy.
#[must_use]
pub fn check(policy: &Policy, names: &[Watched], now: Timestamp) -> OverBlock {
    let moment = policy.at(now);
    // By a clock that cannot be right each group has its strictest timetable.
    let strictest = policy.at(Timestamp::MIN);
    let groups = policy.groups.iter().zip(0..);
    let groups: Vec<_> = groups.filter(|(group, _)| group.enabled).collect();
    let mut found = OverBlock {
        names: names.len(),
        groups: groups.len(),
        ..OverBlock::default()
    };
    for watched in names {
        let covering = policy.lists.covering(watched.name.as_ref());
        if covering.is_mandatory() {
            found.mandatory += 1;
            continue;
        }
        for (group, index) in &groups {
            let asker = Asker {
                group: GroupIndex(*index),
                device: None,
            };
            let decide = |moment: &Moment| {
                policy.decide(asker, watched.name.as_ref(), &covering, moment, &mut ())
            };
            let (decision, when) = match decide(&moment) {
                now if now.verdict == Verdict::Block => (now, When::Now),
                _ => (decide(&strictest), When::AtTimes),
            };
            // Exceptions do not count by a wrong clock, and are no timetable.
            let is_it = decision.verdict == Verdict::Block
                && (when == When::Now
                    || decision.layer == Layer::Category && is_timed(group, decision.category));
            if is_it {
                let source = decision
                    .category
                    .and_then(|category| policy.lists.source_of(&covering, category));
                found.blocked.push(Blocked {
                    name: watched.name.to_string(),
                    heading: watched.heading.clone(),
                    group: group.id.to_string(),
                    when,
                    layer: decision.layer,
                    category: decision.category.map(Category::id),
                    source: source.map(|source| source.id.to_string()),
                });
            }
        }
    }
    found
}

/// `check --over-block`: writes what is found, by group.
pub fn tell(
    configuration: &Configuration,
    now: Timestamp,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let policy = standing_policy(configuration)?;
    let found = check(&policy, &watched(&configuration.folder)?, now);
    for group in &policy.groups {
        let of_group = found.blocked.iter().filter(|b| *b.group == *group.id);
        for blocked in of_group {
            let when = match blocked.when {
                When::Now => "now",
                When::AtTimes => "at times",
            };
            let because = blocked.category.unwrap_or(blocked.layer.id());
            write!(
                out,
                "{} does not get {} {when}: {because}",
                group.id, blocked.name
            )?;
            if let Some(source) = &blocked.source {
                write!(out, ", by list {source}")?;
            }
            writeln!(out, " ({})", blocked.heading)?;
        }
    }
    if found.mandatory > 0 {
        writeln!(
            out,
            "{} of the names are on a mandatory list",
            found.mandatory
        )?;
    }
    let (names, groups) = (found.names, found.groups);
    let blocked = found.blocked.len();
    writeln!(
        out,
        "{names} well-known names, {groups} groups: {blocked} not to be had"
    )?;
    Ok(())
}

/// Whether a timetable of the group adds the category, or takes it away.
fn is_timed(group: &Group, category: Option<Category>) -> bool {
    let during = group.during.iter();
    category.is_some_and(|category| {
        during
            .map(|during| during.add.union(during.remove))
            .any(|timed| timed.has(category))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_lists_can_be_read_whole() {
        let must = read(admit::SHIPPED).unwrap();
        let educational = read(EDUCATIONAL).unwrap();
        assert!(must.len() > 200 && educational.len() > 150);
        assert!(
            educational
                .iter()
                .all(|watched| !watched.heading.is_empty())
        );
        assert!(shipped().len() > 380, "{}", shipped().len());
    }

    #[test]
    fn a_bad_line_is_told() {
        let read = read("# ---- Health ----\nnhs.uk # note\n\n-bad-.example..\n");
        assert_eq!(read.unwrap_err().0, 4);
    }
}
