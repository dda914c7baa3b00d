//! What was decided about one question, and why.
//!
//! Plain values with no reference into the policy, so that a decision can be
//! compared, logged and explained after the policy that made it is gone.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::lists::category::{Category, CategorySet};

/// The outcome for one name, group and moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// What happens.
    pub verdict: Verdict,
    /// The layer that spoke first.
    pub layer: Layer,
    /// The category that decided; none when an exception or nothing did.
    pub category: Option<Category>,
    /// Every category the lists have the name in.
    pub categories: CategorySet,
    /// Whether the names below are decided alike: then a block may say NXDOMAIN,
    /// which a cache may read as "nothing below exists" (RFC 8020, R-94).
    pub below_too: bool,
}

impl Decision {
    /// Nothing spoke against the name, or it was never asked about.
    #[must_use]
    pub fn open() -> Self {
        Self {
            verdict: Verdict::Allow,
            layer: Layer::Allow,
            category: None,
            categories: CategorySet::EMPTY,
            below_too: false,
        }
    }
}

/// What happens to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is answered.
    Allow,
    /// It gets the group's blocked answer.
    Block,
    /// It gets another name's answer: safe search.
    Rewrite,
}

/// The layers of a decision, in the order in which they are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// Illegal content; nobody lifts it.
    Mandatory,
    /// Names by which a browser or phone asks whether it may use its own DNS.
    Canary,
    /// The school's own word on a name.
    Exception,
    /// A category the group blocks at this time.
    Category,
    /// A private address in the answer to a public name (DNS rebinding).
    Rebinding,
    /// A search engine's safe mode.
    SafeSearch,
    /// Nothing spoke: the name is open.
    Allow,
}

/// How much of its *allowed* look-ups a group has written down. What is
/// blocked or rewritten is always written in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// How many.
    Counts,
    /// Which names, without the device.
    Domains,
    /// Names and device.
    Full,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 3] = [Self::Allow, Self::Block, Self::Rewrite];

    /// The word in logs and JSON.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Block => "block",
            Self::Rewrite => "rewrite",
        }
    }
}

impl Layer {
    /// Every layer, in order.
    pub const ALL: [Self; 7] = [
        Self::Mandatory,
        Self::Canary,
        Self::Exception,
        Self::Category,
        Self::Rebinding,
        Self::SafeSearch,
        Self::Allow,
    ];

    /// The word in logs and JSON.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Mandatory => "mandatory",
            Self::Canary => "canary",
            Self::Exception => "exception",
            Self::Category => "category",
            Self::Rebinding => "rebinding",
            Self::SafeSearch => "safe_search",
            Self::Allow => "allow",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}
