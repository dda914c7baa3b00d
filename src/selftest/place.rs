//! Where the questions are asked from, and what the policy promises there.
//!
//! On the resolver's own machine the promise is worked out by the code that
//! decides questions, so that a check finds where the answer differs from the
//! policy. From another machine there is no policy to read: then only what
//! holds for every filtered place is asked for.

use crate::name::Name;
use crate::policy::decide::Moment;
use crate::policy::decision::{Decision, Verdict};
use crate::policy::group::Group;
use crate::policy::{Asker as Who, Policy};

use super::ask::Asker;

/// A client's place.
pub(super) struct Place {
    /// Whom it asks.
    pub asker: Asker,
    /// What it is promised; none on another machine.
    pub promise: Option<Promise>,
}

/// The policy, for whoever asks from this place, at this moment.
pub(super) struct Promise {
    pub policy: Policy,
    pub who: Who,
    pub moment: Moment,
}

impl Promise {
    /// What is decided about `name` here.
    pub(super) fn decision(&self, name: &Name) -> Decision {
        self.decision_for(self.who, name)
    }

    /// What is decided about `name` for somebody else.
    pub(super) fn decision_for(&self, who: Who, name: &Name) -> Decision {
        let covering = self.policy.lists.covering(name.as_ref());
        self.policy
            .decide(who, name.as_ref(), &covering, &self.moment, &mut ())
    }

    /// The group of this place.
    pub(super) fn group(&self) -> Option<&Group> {
        self.policy.group(self.who.group)
    }
}

impl Place {
    /// The id of the group, if it is known.
    pub(super) fn group_id(&self) -> Option<&str> {
        self.promise.as_ref()?.group().map(|group| &*group.id)
    }

    /// What is decided about `name`, if that can be known.
    pub(super) fn verdict(&self, name: &Name) -> Option<Verdict> {
        Some(self.promise.as_ref()?.decision(name).verdict)
    }

    /// What to call whoever asks from here.
    pub(super) fn whose(&self) -> String {
        match self.group_id() {
            Some(group) => format!("group {group}"),
            None => "this place".to_owned(),
        }
    }
}
