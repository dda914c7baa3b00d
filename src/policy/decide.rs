//! The decision: layers in a fixed order, the first that speaks wins.
//!
//! The order is the safeguard. The mandatory layer is asked before anything a
//! person can write, so no exception, timetable, group or clock can lift it
//! . `explain` runs this same code with a trace that keeps what every
//! layer said; the packet road runs it with one that keeps nothing.

use jiff::Timestamp;

use super::decision::{Decision, Layer, Verdict};
use super::group::{Exception, Group};
use super::timetable::HORIZON;
use super::{Asker, GroupIndex, Policy};
use crate::lists::category::{Category, CategorySet};
use crate::lists::lookup::{Covering, Scope};
use crate::name::NameRef;

/// Takes down what each layer said, if anybody wants to know.
pub trait Trace {
    /// `layer` was asked; `what` is made only if it is kept.
    fn said(&mut self, layer: Layer, what: impl FnOnce() -> String);
}

/// Keeps nothing: the packet road.
impl Trace for () {
    fn said(&mut self, _: Layer, _: impl FnOnce() -> String) {}
}

/// What each group blocks at one moment, and until when that holds. Worked out
/// once for many questions.
#[derive(Debug, Clone)]
pub struct Moment {
    /// The moment itself; none while the clock is not trusted.
    now: Option<Timestamp>,
    /// From when it holds.
    from: Timestamp,
    /// Per group: what is blocked, and when that may next change.
    groups: Box<[(CategorySet, Timestamp)]>,
    /// When it must be worked out anew.
    pub until: Timestamp,
}

impl Moment {
    /// Whether the clock is believed.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.now.is_some()
    }

    /// Whether it still holds at `now`; not before it was made, for a clock may
    /// be set back.
    #[must_use]
    pub fn holds_at(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }

    /// What `group` blocks.
    #[must_use]
    pub fn blocked(&self, group: GroupIndex) -> CategorySet {
        let found = self.groups.get(usize::from(group.0));
        found.map_or(CategorySet::from_bits(u64::MAX), |(blocked, _)| *blocked)
    }

    /// When the answer for `group` may next change: no reply may be kept longer
    ///
    #[must_use]
    pub fn edge(&self, group: GroupIndex) -> Timestamp {
        let found = self.groups.get(usize::from(group.0));
        found.map_or(self.until, |(_, edge)| *edge)
    }
}

impl Policy {
    /// The group of an index; every index in circulation is in range.
    #[must_use]
    pub fn group(&self, index: GroupIndex) -> Option<&Group> {
        self.groups.get(usize::from(index.0))
    }

    /// Works out what every group blocks at `now`.
    ///
    /// A clock before [`Policy::not_before`] is wrong, and then each group gets
    /// the strictest of its timetables: all that any adds, nothing that any
    /// removes (R-133g).
    #[must_use]
    pub fn at(&self, now: Timestamp) -> Moment {
        let trusted = now >= self.not_before;
        // Expiring exceptions are edges too; a device may be in any group.
        let next_expiry = |group| {
            let all = self.exceptions.iter();
            let its = all.filter(|e| e.is_for_group(group) || !e.devices.is_empty());
            its.filter_map(|e| e.expires).filter(|t| *t > now).min()
        };
        // A timetable without an edge in sight is asked again at the horizon.
        let far = now.saturating_add(HORIZON).unwrap_or(Timestamp::MAX);
        let groups: Box<[_]> = self
            .groups
            .iter()
            .zip(0..)
            .map(|(group, index)| {
                if !trusted {
                    return (strictest(group), self.not_before);
                }
                let (mut added, mut removed) = (CategorySet::EMPTY, CategorySet::EMPTY);
                let mut edge = next_expiry(GroupIndex(index)).unwrap_or(far);
                for during in &group.during {
                    let Some(timetable) = self.timetables.get(during.timetable) else {
                        continue;
                    };
                    if timetable.holds_at(now, &self.zone) {
                        added = added.union(during.add);
                        removed = removed.union(during.remove);
                    }
                    edge = edge.min(timetable.next_edge(now, &self.zone).unwrap_or(far));
                }
                // Where one period adds what another removes, blocking wins.
                (group.block.without(removed).union(added), edge)
            })
            .collect();
        Moment {
            now: trusted.then_some(now),
            from: now,
            until: groups.iter().map(|(_, edge)| *edge).min().unwrap_or(far),
            groups,
        }
    }

    /// Decides one question. Same arguments, same answer.
    ///
    /// `covering` is what [`Lists::covering`] says of `name`; it is an argument
    /// because a cached answer keeps it.
    ///
    /// [`Lists::covering`]: crate::lists::lookup::Lists::covering
    pub fn decide(
        &self,
        asker: Asker,
        name: NameRef<'_>,
        covering: &Covering,
        moment: &Moment,
        trace: &mut impl Trace,
    ) -> Decision {
        if let Some(decision) = self.mandatory(covering, trace) {
            return decision;
        }
        trace.said(Layer::Canary, || "no canary rules are loaded".to_owned());
        let opened = self.exceptions.opens_below(name);
        let exception = self.exceptions.covering(name, asker, moment.now);
        trace.said(Layer::Exception, || describe(exception));
        match exception {
            Some(e) if !e.allows => {
                let decision = said(Verdict::Block, e, covering);
                return if opened { narrowed(decision) } else { decision };
            }
            // It opens the name; safe search is still to be asked.
            Some(e) => {
                trace.said(Layer::SafeSearch, no_safe_search);
                return said(Verdict::Allow, e, covering);
            }
            None => {}
        }
        if let Some(decision) = self.category(asker.group, covering, moment, trace) {
            return if opened { narrowed(decision) } else { decision };
        }
        trace.said(Layer::SafeSearch, no_safe_search);
        trace.said(Layer::Allow, || "nothing speaks against it".to_owned());
        Decision {
            verdict: Verdict::Allow,
            layer: Layer::Allow,
            category: None,
            categories: covering.categories,
            below_too: false,
        }
    }

    /// Looks again at an allowed question once its answer is known: `found` is
    /// what covers the names and addresses in the answer.
    ///
    /// An exception that allows the asked name ends the category look,
    /// never the mandatory one.
    #[must_use]
    pub fn decide_again(
        &self,
        first: Decision,
        asker: Asker,
        found: &Covering,
        rebinds: bool,
        moment: &Moment,
    ) -> Decision {
        if first.verdict == Verdict::Block {
            return first;
        }
        if let Some(decision) = self.mandatory(found, &mut ()) {
            return narrowed(decision);
        }
        if rebinds {
            return Decision {
                verdict: Verdict::Block,
                layer: Layer::Rebinding,
                category: None,
                ..narrowed(first)
            };
        }
        if first.layer == Layer::Exception {
            return first;
        }
        self.category(asker.group, found, moment, &mut ())
            .map_or(first, narrowed)
    }

    fn mandatory(&self, covering: &Covering, trace: &mut impl Trace) -> Option<Decision> {
        let source = self.lists.mandatory_source(covering);
        trace.said(Layer::Mandatory, || match source {
            Some(_) => "on a mandatory list; nobody can lift this".to_owned(),
            None => "on no mandatory list".to_owned(),
        });
        let source = source?;
        Some(Decision {
            verdict: Verdict::Block,
            layer: Layer::Mandatory,
            category: Some(source.category),
            categories: covering.categories.with(source.category),
            below_too: covering.mandatory_subtree(&self.lists),
        })
    }

    fn category(
        &self,
        group: GroupIndex,
        covering: &Covering,
        moment: &Moment,
        trace: &mut impl Trace,
    ) -> Option<Decision> {
        let hit = covering.categories.both(moment.blocked(group));
        let category = hit.first();
        trace.said(Layer::Category, || {
            let group = self.group(group).map_or("", |g| &g.id);
            let listed: Vec<_> = covering.categories.iter().map(Category::id).collect();
            match (category, listed.as_slice()) {
                (Some(category), _) => format!("{group} blocks {category} at this time"),
                (None, []) => "on no list".to_owned(),
                (None, listed) => {
                    format!(
                        "listed as {}, which {group} does not block at this time",
                        listed.join(", ")
                    )
                }
            }
        });
        Some(Decision {
            verdict: Verdict::Block,
            layer: Layer::Category,
            category: Some(category?),
            categories: covering.categories,
            // One subtree entry is enough: everything below has that category.
            below_too: !hit.both(covering.subtree).is_empty(),
        })
    }
}

/// The same, saying nothing of the names below the asked one.
fn narrowed(decision: Decision) -> Decision {
    Decision {
        below_too: false,
        ..decision
    }
}

fn strictest(group: &Group) -> CategorySet {
    group
        .during
        .iter()
        .fold(group.block, |all, during| all.union(during.add))
}

fn said(verdict: Verdict, exception: &Exception, covering: &Covering) -> Decision {
    Decision {
        verdict,
        layer: Layer::Exception,
        category: None,
        categories: covering.categories,
        below_too: exception.scope == Scope::Subtree,
    }
}

fn describe(exception: Option<&Exception>) -> String {
    let Some(exception) = exception else {
        return "no exception".to_owned();
    };
    let verb = if exception.allows { "allows" } else { "denies" };
    format!(
        "{} {verb} {}: {}",
        exception.place, exception.name, exception.reason
    )
}

fn no_safe_search() -> String {
    "no safe-search rules are loaded".to_owned()
}
