//! What is to be changed, and what the texts are once it is.
//!
//! A change is kept as what somebody wants, not as the texts that come of it: a
//! site that was closed meanwhile stays closed when an older proposal is
//! approved. Its words are worked out again then, and must be the ones that were
//! approved.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::kept::Texts;
use crate::configuration::PolicyTexts;

/// Exceptions that ended longer ago are no longer kept for review.
const KEPT: SignedDuration = SignedDuration::from_hours(24 * 183);
/// What a device opened for itself is in the record, and nobody reviews it here.
const KEPT_OF_A_DEVICE: SignedDuration = SignedDuration::from_hours(1);
/// Most exceptions that are agreed on the pages.
const MOST: usize = 5000;

/// What is to be changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The files of the folder are to be in force.
    Files(Files),
    /// Single sites are to be opened or closed, or no longer.
    Exceptions(Exceptions),
    /// One device opens a site for itself, for a while.
    Override(Addition),
    /// What was in force once is to be so again.
    Back(Back),
}

/// A policy that was in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Back {
    /// Its number.
    pub to: u64,
    /// Its files.
    pub files: Files,
    /// The hash of its exceptions that were agreed on the pages.
    pub added: String,
}

/// The files of a folder, by the hashes of their texts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Files {
    /// `policy.toml`.
    pub policy: String,
    /// `devices.csv`.
    pub devices: String,
    /// `canaries.toml`.
    pub canaries: String,
    /// `safe-search.toml`.
    pub safe_search: String,
    /// `sources.toml`.
    pub sources: String,
}

/// Exceptions that come and go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exceptions {
    /// Those that come.
    #[serde(default)]
    pub add: Vec<Addition>,
    /// Those that go, as they stand there.
    #[serde(default)]
    pub remove: Vec<Addition>,
}

/// An exception as it is written in `policy.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Addition {
    /// The site.
    pub name: String,
    /// Whether it is opened or closed.
    pub verdict: Verdict,
    /// `exact`: not what is below it.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub reach: Option<Reach>,
    /// For whom: groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// For whom: single devices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<String>,
    /// Why.
    pub reason: String,
    /// Who asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
    /// Until when: a day, or a moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

/// Whether a site is opened or closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Opened.
    Allow,
    /// Closed.
    Deny,
}

/// How far an exception reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// The name alone.
    Exact,
    /// Everything below it too.
    Subtree,
}

/// The text of the exceptions that were agreed on the pages.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Added {
    #[serde(default)]
    exceptions: Vec<Addition>,
}

impl Files {
    /// Of these texts.
    #[must_use]
    pub fn of(texts: &PolicyTexts) -> Self {
        Self {
            policy: hash(&texts.policy),
            devices: hash(&texts.devices),
            canaries: hash(&texts.canaries),
            safe_search: hash(&texts.safe_search),
            sources: hash(&texts.sources),
        }
    }

    /// The texts, without the exceptions of the pages.
    fn texts(&self, kept: &Texts) -> Result<PolicyTexts, String> {
        let text = |hash| kept.text(hash).map_err(|error| error.to_string());
        Ok(PolicyTexts {
            policy: text(&self.policy)?,
            devices: text(&self.devices)?,
            canaries: text(&self.canaries)?,
            safe_search: text(&self.safe_search)?,
            sources: text(&self.sources)?,
            added: String::new(),
        })
    }
}

impl Change {
    /// The texts, once `in_force` is changed; or why that cannot be.
    pub fn applied_to(
        &self,
        in_force: &PolicyTexts,
        kept: &Texts,
        now: Timestamp,
    ) -> Result<PolicyTexts, String> {
        match self {
            Self::Files(files) => Ok(PolicyTexts {
                added: in_force.added.clone(),
                ..files.texts(kept)?
            }),
            Self::Back(back) => Ok(PolicyTexts {
                added: kept.text(&back.added).map_err(|error| error.to_string())?,
                ..back.files.texts(kept)?
            }),
            Self::Exceptions(exceptions) => with(in_force, exceptions, now),
            Self::Override(addition) => {
                let exceptions = Exceptions {
                    add: vec![addition.clone()],
                    ..Exceptions::default()
                };
                with(in_force, &exceptions, now)
            }
        }
    }
}

impl Change {
    /// What the change is compared with to say what it means. Exceptions that
    /// ended long ago go with the next change of exceptions, and are no part of
    /// it: a site must not wait to be closed because another was closed once.
    pub fn compared_with(
        &self,
        in_force: &PolicyTexts,
        now: Timestamp,
    ) -> Result<PolicyTexts, String> {
        match self {
            Self::Exceptions(_) | Self::Override(_) => with(in_force, &Exceptions::default(), now),
            Self::Files(_) | Self::Back(_) => Ok(in_force.clone()),
        }
    }
}

/// The exceptions that were agreed on the pages, as `texts` have them.
pub fn added(texts: &PolicyTexts) -> Result<Vec<Addition>, String> {
    let read: Result<Added, _> = toml::from_str(&texts.added);
    read.map(|added| added.exceptions)
        .map_err(|error| format!("the exceptions agreed on the pages: {error}"))
}

/// Of the exceptions that were agreed on the pages, those that close a site.
pub(super) fn only_closing(added: &str) -> Option<String> {
    let read: Added = toml::from_str(added).ok()?;
    let closing = read.exceptions.into_iter();
    let closing = closing.filter(|one| one.verdict == Verdict::Deny);
    let kept = Added {
        exceptions: closing.collect(),
    };
    if kept.exceptions.is_empty() {
        return None;
    }
    toml::to_string(&kept).ok()
}

fn with(
    in_force: &PolicyTexts,
    change: &Exceptions,
    now: Timestamp,
) -> Result<PolicyTexts, String> {
    let mut all = added(in_force)?;
    for gone in &change.remove {
        let Some(at) = all.iter().position(|one| one == gone) else {
            return Err(format!(
                "There is no longer such an exception for {}.",
                gone.name
            ));
        };
        all.remove(at);
    }
    for new in &change.add {
        let closes = |one: &Addition| one.verdict == Verdict::Deny && one.is_about_what(new);
        if new.verdict == Verdict::Allow && all.iter().any(closes) {
            return Err(format!(
                "{} was closed on the pages. That exception must be taken back first.",
                new.name
            ));
        }
        all.retain(|one| one.verdict != new.verdict || !one.is_exactly_about_what(new));
        all.push(new.clone());
    }
    // By a wrong clock what closes may look ended, and nobody agreed to that.
    all.retain(|one| one.verdict == Verdict::Deny || !one.ended_before(now - one.kept_for()));
    if all.len() > MOST {
        return Err(format!(
            "More than {MOST} exceptions were agreed on the pages; write them into policy.toml."
        ));
    }
    let added = Added { exceptions: all };
    let text = if added.exceptions.is_empty() {
        String::new()
    } else {
        toml::to_string(&added).map_err(|error| error.to_string())?
    };
    Ok(PolicyTexts {
        added: text,
        ..in_force.clone()
    })
}

impl Addition {
    fn reach(&self) -> Reach {
        self.reach.unwrap_or(Reach::Subtree)
    }

    /// Whether both speak on the same name for some group or device.
    fn is_about_what(&self, other: &Self) -> bool {
        let shares = |mine: &[String], others: &[String]| mine.iter().any(|m| others.contains(m));
        self.name == other.name
            && self.reach() == other.reach()
            && (shares(&self.groups, &other.groups) || shares(&self.devices, &other.devices))
    }

    fn is_exactly_about_what(&self, other: &Self) -> bool {
        self.name == other.name
            && self.reach() == other.reach()
            && self.groups == other.groups
            && self.devices == other.devices
    }

    /// For how long it is kept once it has ended.
    fn kept_for(&self) -> SignedDuration {
        let to_the_minute = self.expires.as_ref().is_some_and(|at| at.contains('T'));
        if to_the_minute && self.groups.is_empty() {
            KEPT_OF_A_DEVICE
        } else {
            KEPT
        }
    }

    /// A day ends somewhere on Earth up to twelve hours after it does in London.
    fn ended_before(&self, then: Timestamp) -> bool {
        let Some(text) = &self.expires else {
            return false;
        };
        if let Ok(moment) = text.parse::<Timestamp>() {
            return moment < then;
        }
        let day: Option<jiff::civil::Date> = text.parse().ok();
        let end = day.and_then(|day| day.tomorrow().ok());
        let end = end.and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC).ok());
        end.is_some_and(|end| end.timestamp() + SignedDuration::from_hours(12) < then)
    }
}

/// By which a text is kept.
#[must_use]
pub fn hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}
