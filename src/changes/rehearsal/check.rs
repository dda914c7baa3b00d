//! The hard checks: what no policy may break and what no exception may open.
//!
//! Both are about a slip that two people overlook: a helpline that stands below
//! a closed name, a pornography site below an opened one. Lists cannot break a
//! name that must resolve, for what covers one is left out when they are
//! compiled; so what is left are the school's own exceptions and canaries.
//!
//! It reads no log and costs milliseconds, so that whoever puts a policy in
//! force can ask it each time. It must never speak about a mandatory name: that
//! such a name is blocked is nobody's mistake.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::Timestamp;

use crate::document::{Complaint, Place};
use crate::lists::admit::MustResolve;
use crate::lists::category::{Category, CategorySet};
use crate::lists::durable;
use crate::name::{Name, NameRef};
use crate::policy::decide::Moment;
use crate::policy::decision::{Layer, Verdict};
use crate::policy::group::Exception;
use crate::policy::{Asker, DeviceIndex, GroupIndex, Policy};

/// The names that no exception may open, as shipped.
pub const SHIPPED: &str = include_str!("../../../blocklists/must-block.txt");

/// A school's own, in its folder.
const OWN: &str = "must-block.txt";
/// So many names are told of one cause.
const MOST_TOLD: usize = 3;

/// What a policy may neither break nor open.
#[derive(Debug, Default)]
pub struct Musts {
    /// Names that must resolve.
    pub resolve: MustResolve,
    /// Names that must stay blocked for whoever blocks the category.
    pub block: Vec<(Name, Category)>,
}

impl Musts {
    /// The shipped names and those that a school has in its folder.
    pub fn of_school(config_dir: &Path) -> Result<Self, Vec<Complaint>> {
        let own = durable::read_if_any(&config_dir.join(OWN))
            .map_err(|error| vec![complaint(0, error.to_string())])?;
        let own = String::from_utf8(own.unwrap_or_default())
            .map_err(|_| vec![complaint(0, "is not UTF-8".to_owned())])?;
        let mut block = must_block(SHIPPED)?;
        block.extend(must_block(&own)?);
        Ok(Self {
            resolve: MustResolve::of_school(config_dir)?,
            block,
        })
    }
}

/// One name that a policy breaks or opens for somebody.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Breach {
    /// What does it, first: breaches are told by their cause.
    cause: String,
    /// For whom.
    whom: String,
    /// Whether it is opened; otherwise it is broken.
    opened: bool,
    /// The name that must resolve or stay blocked.
    name: String,
    /// The name that was asked: that one, or one below it.
    tried: String,
    because: Layer,
}

/// What makes `candidate` impossible by itself, each in words; nothing, as a
/// rule.
///
/// What an earlier version of this program let through may stand in a policy
/// that serves: whoever starts with a policy that was in force asks
/// [`check_change`], or goes on.
#[must_use]
pub fn check(candidate: &Policy, musts: &Musts, now: Timestamp) -> Vec<String> {
    let mut found = Asking::of(candidate, now).breaches(musts);
    // A list that is older than a school's own must-resolve.txt is no fault of
    // the policy, and the next refresh mends it.
    found.retain(|breach| breach.because != Layer::Category);
    in_words(found)
}

/// What makes the change from `before` to `after` impossible: what `after`
/// breaks or opens that `before` did not.
///
/// New lists are never kept out by what stood before them: what an exception
/// opened it opened also while no list had it.
#[must_use]
pub fn check_change(before: &Policy, after: &Policy, musts: &Musts, now: Timestamp) -> Vec<String> {
    let key = |breach: &Breach| (breach.tried.clone(), breach.whom.clone(), breach.opened);
    let asking = Asking {
        whatever_is_listed: true,
        ..Asking::of(before, now)
    };
    let standing: BTreeSet<_> = asking.breaches(musts).iter().map(key).collect();
    let mut found = Asking::of(after, now).breaches(musts);
    let same_lists = before.lists.serial == after.lists.serial;
    found.retain(|breach| {
        !standing.contains(&key(breach)) && (same_lists || breach.because != Layer::Category)
    });
    in_words(found)
}

/// A policy, and everybody it may treat differently.
struct Asking<'p> {
    policy: &'p Policy,
    askers: Vec<(Asker, String)>,
    now: Timestamp,
    /// What is opened counts also where no list has it.
    whatever_is_listed: bool,
}

/// Each group, and each device that an exception names.
fn askers(policy: &Policy) -> Vec<(Asker, String)> {
    let groups = policy.groups.iter().zip(0..);
    let groups: Vec<_> = groups
        .filter(|(group, _)| group.enabled)
        .map(|(group, index)| (GroupIndex(index), group.id.to_string()))
        .collect();
    let named = policy.exceptions.iter().flat_map(|e| e.devices.iter());
    let named: BTreeSet<DeviceIndex> = named.copied().collect();
    let single = named.into_iter().filter_map(|index| {
        let device = policy.devices.device(index.0)?;
        let whom = format!("device {}", device.id);
        // One without a group of its own may be in any.
        let own = groups
            .iter()
            .filter(|(group, _)| device.group.is_none_or(|own| own == group.0));
        let asker = move |group| Asker {
            group,
            device: Some(index),
        };
        Some(own.map(move |(group, _)| (asker(*group), whom.clone())))
    });
    let single: Vec<_> = single.flatten().collect();
    let all = groups.iter().map(|(group, id)| {
        let asker = Asker {
            group: *group,
            device: None,
        };
        (asker, id.clone())
    });
    all.chain(single).collect()
}

impl<'p> Asking<'p> {
    fn of(policy: &'p Policy, now: Timestamp) -> Self {
        Self {
            policy,
            askers: askers(policy),
            now: now.max(policy.not_before),
            whatever_is_listed: false,
        }
    }

    fn breaches(&self, musts: &Musts) -> BTreeSet<Breach> {
        let mut found = self.broken(musts.resolve.names());
        found.extend(self.opened(&musts.block));
        found
    }

    /// Names that must resolve and do not, for somebody at some time.
    fn broken(&self, names: &[Name]) -> BTreeSet<Breach> {
        let strictest = self.policy.at(Timestamp::MIN);
        let mut moments = Vec::new();
        let mut found = BTreeSet::new();
        for name in names {
            let name = name.as_ref();
            let covering = self.policy.lists.covering(name);
            if !self.may_be_broken(name, covering.categories) {
                continue;
            }
            if moments.is_empty() {
                moments = self.moments();
            }
            let mut groups = Vec::new();
            for (asker, whom) in &self.askers {
                if groups.contains(&asker.group) {
                    // What is so for the group need not be said of its devices.
                    continue;
                }
                let decide = |at: &Moment| {
                    let decision = self.policy.decide(*asker, name, &covering, at, &mut ());
                    let blocks = decision.verdict == Verdict::Block;
                    Some(decision.layer).filter(|layer| blocks && *layer != Layer::Mandatory)
                };
                let mut at_times = moments.iter();
                let by_now = at_times.find_map(|(at, moment)| Some((*at, decide(moment)?)));
                // By a wrong clock the hours are the strictest, and exceptions
                // are not those of any time.
                let at_any_hour = || decide(&strictest).filter(|by| *by == Layer::Category);
                let by = by_now.or_else(|| Some((self.now, at_any_hour()?)));
                if let Some((at, because)) = by {
                    groups.extend(asker.device.is_none().then_some(asker.group));
                    found.insert(Breach {
                        cause: self.cause(*asker, name, at, because),
                        whom: whom.clone(),
                        opened: false,
                        name: name.to_string(),
                        tried: name.to_string(),
                        because,
                    });
                }
            }
        }
        found
    }

    /// Whether anything but a mandatory list speaks about it: most times nothing.
    fn may_be_broken(&self, name: NameRef<'_>, listed: CategorySet) -> bool {
        let denied = |e: &Exception| !e.allows && name.is_within(e.name.as_ref());
        !listed.is_empty()
            || self.policy.exceptions.iter().any(denied)
            || self.policy.canaries.covering(name).is_some()
    }

    /// Now, and whenever an exception that allows has just ended: what it kept
    /// open is closed then.
    fn moments(&self) -> Vec<(Timestamp, Moment)> {
        let allowing = self.policy.exceptions.iter().filter(|e| e.allows);
        let ends = allowing.filter_map(|e| e.expires);
        let ends: BTreeSet<Timestamp> = ends.filter(|end| *end > self.now).collect();
        let all = std::iter::once(self.now).chain(ends);
        all.map(|at| (at, self.policy.at_the_hours_of(at, at)))
            .collect()
    }

    fn cause(&self, asker: Asker, name: NameRef<'_>, at: Timestamp, layer: Layer) -> String {
        let exception = self.policy.exceptions.covering(name, asker, Some(at));
        match (layer, exception) {
            (Layer::Exception, Some(e)) => {
                let verb = if e.allows { "allows" } else { "denies" };
                format!("{} {verb} {}", e.place, e.name)
            }
            (Layer::Canary, _) => {
                let canary = self.policy.canaries.covering(name);
                let name = canary.map(|canary| canary.name.to_string());
                format!(
                    "canaries.toml answers \"no\" to {}",
                    name.unwrap_or_default()
                )
            }
            _ => {
                let covering = self.policy.lists.covering(name);
                let category = covering.categories.first();
                let source = category.and_then(|c| self.policy.lists.source_of(&covering, c));
                let source = source.map_or("one of the lists", |source| &*source.id);
                format!("{source} still has a name that must resolve, so refresh the lists first")
            }
        }
    }

    /// Names that must stay blocked and that an exception opens.
    fn opened(&self, names: &[(Name, Category)]) -> BTreeSet<Breach> {
        let mut found = BTreeSet::new();
        for (must, category) in names {
            let listed = self.policy.lists.covering(must.as_ref()).categories;
            if !listed.has(*category) && !self.whatever_is_listed {
                continue;
            }
            for name in self.names_to_try(must.as_ref()) {
                let mut groups = Vec::new();
                for (asker, whom) in &self.askers {
                    let of_group = groups.contains(&asker.group);
                    if of_group || !self.opens(*asker, name, *category) {
                        continue;
                    }
                    groups.extend(asker.device.is_none().then_some(asker.group));
                    found.insert(Breach {
                        cause: self.cause(*asker, name, self.now, Layer::Exception),
                        whom: whom.clone(),
                        opened: true,
                        name: must.to_string(),
                        tried: name.to_string(),
                        because: Layer::Exception,
                    });
                }
            }
        }
        found
    }

    /// Whether an exception lets somebody have a name of a category that is
    /// blocked for their group at every hour.
    fn opens(&self, asker: Asker, name: NameRef<'_>, category: Category) -> bool {
        let policy = self.policy;
        let group = policy.group(asker.group);
        let exception = policy.exceptions.covering(name, asker, Some(self.now));
        if !group.is_some_and(|group| group.block.has(category))
            || !exception.is_some_and(|exception| exception.allows)
        {
            return false;
        }
        let moment = policy.at_the_hours_of(self.now, self.now);
        let covering = policy.lists.covering(name);
        let decision = policy.decide(asker, name, &covering, &moment, &mut ());
        decision.verdict != Verdict::Block
    }

    /// A name that must stay blocked, if an exception may open it, and those
    /// below it that one names.
    fn names_to_try<'n>(&'n self, must: NameRef<'n>) -> Vec<NameRef<'n>> {
        let allowing = || self.policy.exceptions.iter().filter(|e| e.allows);
        let above = allowing().any(|e| must.is_within(e.name.as_ref()));
        let below = allowing().map(|e| e.name.as_ref());
        let below = below.filter(|name| *name != must && name.is_within(must));
        above.then_some(must).into_iter().chain(below).collect()
    }
}

/// One sentence for each cause.
fn in_words(found: BTreeSet<Breach>) -> Vec<String> {
    let found: Vec<Breach> = found.into_iter().collect();
    let of_one_cause = |a: &Breach, b: &Breach| a.cause == b.cause && a.opened == b.opened;
    let sentence = |all: &[Breach]| {
        let names: BTreeSet<&str> = all.iter().map(|b| &*b.name).collect();
        let whom: BTreeSet<&str> = all.iter().map(|b| &*b.whom).collect();
        let whom: Vec<&str> = whom.into_iter().collect();
        let first = all.first()?;
        let (cause, whom) = (&first.cause, whom.join(", "));
        Some(if first.opened {
            format!("{cause} for {whom}: {} must stay blocked", listed(&names))
        } else {
            format!("{cause} for {whom}: {} must resolve", listed(&names))
        })
    };
    found.chunk_by(of_one_cause).filter_map(sentence).collect()
}

fn listed(names: &BTreeSet<&str>) -> String {
    let told: Vec<&str> = names.iter().take(MOST_TOLD).copied().collect();
    match names.len() - told.len() {
        0 => told.join(", "),
        more => format!("{} and {more} more", told.join(", ")),
    }
}

fn must_block(text: &str) -> Result<Vec<(Name, Category)>, Vec<Complaint>> {
    let lines = text.lines().zip(1..);
    let typed = lines.map(|(line, at)| (line.split('#').next().unwrap_or_default().trim(), at));
    let (mut all, mut complaints) = (Vec::new(), Vec::new());
    for (line, at) in typed.filter(|(line, _)| !line.is_empty()) {
        match entry(line) {
            Ok(entry) => all.push(entry),
            Err(why) => complaints.push(complaint(at, why)),
        }
    }
    if complaints.is_empty() {
        return Ok(all);
    }
    Err(complaints)
}

fn entry(line: &str) -> Result<(Name, Category), String> {
    let mut words = line.split_whitespace();
    let (Some(name), Some(category), None) = (words.next(), words.next(), words.next()) else {
        return Err(format!("\"{line}\" is not a name and a category"));
    };
    let name = Name::parse(name).map_err(|why| format!("\"{name}\" is not a name: {why}"))?;
    let category =
        Category::named(category).ok_or_else(|| format!("there is no category \"{category}\""))?;
    Ok((name, category))
}

fn complaint(line: usize, message: String) -> Complaint {
    Complaint {
        place: Place {
            file: OWN.to_owned(),
            line,
        },
        message,
    }
}
