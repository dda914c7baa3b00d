//! The decision: layers in a fixed order, the first that speaks wins.
//!
//! The order is the safeguard. The mandatory layer is asked before anything a
//! person can write, so no exception, timetable, group or clock can lift it
//! . `explain` runs this same code with a trace that keeps what every
//! layer said; the packet road runs it with one that keeps nothing.

use jiff::Timestamp;

use super::decision::{Decision, Layer, Verdict};
use super::group::{BlockedAnswer, Exception, Group, Refusal, SafeSearch};
use super::safe_search::Engine;
use super::timetable::HORIZON;
use super::{Asker, GroupIndex, Policy};
use crate::lists::category::{Category, CategorySet};
use crate::lists::lookup::{Covering, Scope};
use crate::name::{Name, NameRef};

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
        self.moment(now, now >= self.not_before)
    }

    /// What every group blocks at the hours of `then`, a moment that has passed,
    /// with the exceptions as they stand at `now`: what a look-up of then would
    /// get if it came again. That lists are newer than `then` makes no clock wrong.
    #[must_use]
    pub fn at_the_hours_of(&self, then: Timestamp, now: Timestamp) -> Moment {
        Moment {
            now: Some(now),
            ..self.moment(then, true)
        }
    }

    fn moment(&self, now: Timestamp, trusted: bool) -> Moment {
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
        if let Some(decision) = self.canary(asker.group, name, covering, trace) {
            return decision;
        }
        let opened = self.exceptions.opens_below(name);
        let exception = self.exceptions.covering(name, asker, moment.now);
        trace.said(Layer::Exception, || describe(exception));
        match exception {
            Some(e) if !e.allows => {
                let decision = said(Verdict::Block, e, covering);
                return if opened { narrowed(decision) } else { decision };
            }
            // It opens the name, never its unsafe search (M11).
            Some(e) => {
                let held = self.safe_search(asker.group, name, covering, trace);
                return held.unwrap_or_else(|| said(Verdict::Allow, e, covering));
            }
            None => {}
        }
        if let Some(decision) = self.category(asker.group, covering, moment, trace) {
            return if opened { narrowed(decision) } else { decision };
        }
        if let Some(decision) = self.safe_search(asker.group, name, covering, trace) {
            return decision;
        }
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
    /// never the mandatory one. So does a rewrite: an engine's safe mode is on
    /// the same lists as the engine, which nothing blocked.
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
        if first.layer == Layer::Exception || first.verdict == Verdict::Rewrite {
            return first;
        }
        self.category(asker.group, found, moment, &mut ())
            .map_or(first, narrowed)
    }

    /// The engine that `name` asks for, and the safe mode that `group` is held
    /// to instead.
    #[must_use]
    #[inline]
    pub fn safe_mode(&self, group: GroupIndex, name: NameRef<'_>) -> Option<(&Engine, &Name)> {
        let engine = self.engines.engine_of(name)?;
        let mode = self.group(group);
        let mode = mode.map_or(SafeSearch::Strict, |group| group.safe_search);
        Some((engine, engine.target(mode)?))
    }

    /// What a question blocked by `decision` gets. `for_address`: it asks for A
    /// or AAAA.
    #[must_use]
    pub fn refusal(&self, group: GroupIndex, decision: &Decision, for_address: bool) -> Refusal {
        // Whatever the group's answer is: an address would say "yes".
        if decision.layer == Layer::Canary {
            return if decision.below_too {
                Refusal::Nxdomain
            } else {
                Refusal::Nodata
            };
        }
        let answer = self.group(group).map(|group| group.answer);
        let answer = answer.unwrap_or(BlockedAnswer::Default);
        answer.to_question(decision.below_too, for_address)
    }

    fn canary(
        &self,
        group: GroupIndex,
        name: NameRef<'_>,
        covering: &Covering,
        trace: &mut impl Trace,
    ) -> Option<Decision> {
        let canary = self.canaries.covering(name);
        let counts = || self.group(group).is_none_or(|group| group.canaries);
        trace.said(Layer::Canary, || match canary {
            Some(canary) if counts() => canary.says.to_string(),
            Some(_) => "a canary, but the group has `canaries = false`".to_owned(),
            None => "no canary".to_owned(),
        });
        let canary = canary.filter(|_| counts())?;
        Some(Decision {
            verdict: Verdict::Block,
            layer: Layer::Canary,
            category: None,
            categories: covering.categories,
            below_too: canary.nxdomain,
        })
    }

    fn safe_search(
        &self,
        group: GroupIndex,
        name: NameRef<'_>,
        covering: &Covering,
        trace: &mut impl Trace,
    ) -> Option<Decision> {
        let held = self.safe_mode(group, name);
        trace.said(Layer::SafeSearch, || self.describe_safe_search(group, name));
        held?;
        Some(Decision {
            verdict: Verdict::Rewrite,
            layer: Layer::SafeSearch,
            category: None,
            categories: covering.categories,
            below_too: false,
        })
    }

    fn describe_safe_search(&self, group: GroupIndex, name: NameRef<'_>) -> String {
        let Some(engine) = self.engines.engine_of(name) else {
            return "no search engine with a safe mode".to_owned();
        };
        let id = self.group(group).map_or("", |group| &group.id);
        let Some((_, target)) = self.safe_mode(group, name) else {
            return format!("{}, which {id} does not hold to a safe mode", engine.id);
        };
        let mode = match engine.moderate {
            Some(ref moderate) if moderate == target => "moderate",
            _ => "strict",
        };
        format!("{id} holds {} to its {mode} mode: {target}", engine.id)
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
