//! Whom the school wants told of what, and how fast.
//!
//! Kept apart from what is blocked: an allowed look-up may raise an alert, and a
//! blocked one may stay quiet. A rule speaks of a theme, not of a category, for
//! a theme is what a safeguarding lead has a procedure for.
//!
//! Nothing in here can hush illegal content or self-harm: their floor is the
//! digest, and quiet hours never hold back what is told of them at once.

use jiff::civil::{Time, Weekday};

use super::timetable::Hours;
use crate::lists::category::Theme;

/// All that `[alerts]` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertRules {
    /// A rule for each theme.
    pub themes: Vec<Rule>,
    /// The addresses of those that rules call by their role.
    pub people: Vec<(Audience, Vec<String>)>,
    /// Who is told where nobody else can be; compulsory with any channel.
    pub fallback: Option<String>,
    /// Whether messages name the domain. That of a mandatory hit they never do.
    pub include_domain: bool,
    /// Minutes within which more of the same of one device is the same alert.
    pub again_minutes: u32,
    /// Hours after which an alert that nobody has acknowledged goes to the
    /// fallback; 0: never.
    pub remind_hours: u32,
    /// When e-mail waits till morning, but for what may not wait.
    pub quiet: Option<Hours>,
    /// When the digest goes out.
    pub digest: DigestTime,
    /// Who is told of the appliance's own troubles.
    pub appliance_to: Vec<Recipient>,
    /// Who is told of changes: what waits, what acts, who can approve.
    pub changes_to: Vec<Recipient>,
    /// What is a sudden drop.
    pub drop: DropRule,
}

/// What is told of one theme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Which theme.
    pub theme: Theme,
    /// When it is told.
    pub tell: Tell,
    /// Whether look-ups count that were allowed.
    pub allowed: bool,
    /// Whose look-ups count; empty: everybody's.
    pub groups: Vec<String>,
    /// Who is told.
    pub to: Vec<Recipient>,
}

/// When something is told. Later ones are the stronger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tell {
    /// Never.
    Off,
    /// In the digest.
    Digest,
    /// When one device has tried so many times within so many minutes.
    Threshold {
        /// Least attempts.
        times: u32,
        /// Within these minutes.
        minutes: u32,
    },
    /// The first time.
    AtOnce,
}

/// Those at the school who are told things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// The designated safeguarding lead.
    Dsl,
    /// The headteacher.
    Head,
    /// Whoever looks after the filter.
    Technician,
}

impl Audience {
    /// The words of `policy.toml`.
    pub const ALL: [(&str, Self); 3] = [
        ("dsl", Self::Dsl),
        ("head", Self::Head),
        ("technician", Self::Technician),
    ];
}

/// Somebody who is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipient {
    /// Whoever has this role.
    Role(Audience),
    /// This address.
    Address(String),
}

/// When the digest goes out, by the clock on the school's wall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DigestTime {
    /// The day of the week; none: every day.
    pub day: Option<Weekday>,
    /// The time of day.
    pub at: Time,
}

/// What is a sudden drop: fewer than `below_percent` of what the same hour of
/// the last weeks had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DropRule {
    /// Per cent; 0: no such alarm.
    pub below_percent: u32,
    /// Look-ups of an hour of one group from which on it counts.
    pub least_queries: u32,
    /// Blocked look-ups of an hour of one group from which on it counts.
    pub least_blocks: u32,
}

impl AlertRules {
    /// The rule of a theme. Each theme has one.
    #[must_use]
    pub fn rule(&self, theme: Theme) -> Option<&Rule> {
        self.themes.iter().find(|rule| rule.theme == theme)
    }

    /// The addresses of `to`, each once; the fallback's where there is none.
    #[must_use]
    pub fn addresses(&self, to: &[Recipient]) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for recipient in to {
            match recipient {
                Recipient::Address(address) => all.push(address.clone()),
                Recipient::Role(role) => {
                    let known = self.people.iter().filter(|(of, _)| of == role);
                    all.extend(known.flat_map(|(_, addresses)| addresses.clone()));
                }
            }
        }
        if all.is_empty() {
            all.extend(self.fallback.clone());
        }
        let mut seen = std::collections::BTreeSet::new();
        all.retain(|address| seen.insert(address.to_lowercase()));
        all
    }

    /// Every address there is, each once.
    #[must_use]
    pub fn everybody(&self) -> Vec<String> {
        let mut to: Vec<Recipient> = self.appliance_to.clone();
        to.extend(self.changes_to.clone());
        to.extend(self.themes.iter().flat_map(|rule| rule.to.clone()));
        to.extend(Audience::ALL.map(|(_, role)| Recipient::Role(role)));
        to.extend(self.fallback.clone().map(Recipient::Address));
        self.addresses(&to)
    }
}

impl Rule {
    /// Whether look-ups of `group` count.
    #[must_use]
    pub fn is_for(&self, group: &str) -> bool {
        self.groups.is_empty() || self.groups.iter().any(|known| known == group)
    }

    /// What is told of `theme` where the school says nothing.
    #[must_use]
    pub fn usual(theme: Theme) -> Self {
        let tell = match theme {
            Theme::Illegal | Theme::SuicideSelfHarm | Theme::Extremism => Tell::AtOnce,
            Theme::Violence | Theme::HateDiscrimination | Theme::Drugs | Theme::Sexual => {
                Tell::Threshold {
                    times: 3,
                    minutes: 10,
                }
            }
            Theme::Bypass => Tell::Threshold {
                times: 5,
                minutes: 10,
            },
            Theme::Gambling | Theme::Security | Theme::Contact => Tell::Digest,
            Theme::Misinformation
            | Theme::Piracy
            | Theme::Leisure
            | Theme::Commerce
            | Theme::Background
            | Theme::Unsorted => Tell::Off,
        };
        Self {
            theme,
            tell,
            allowed: false,
            groups: Vec::new(),
            to: vec![Recipient::Role(Audience::Dsl)],
        }
    }
}

/// Whether nothing may hush a theme: its floor is the digest.
#[must_use]
pub fn has_floor(theme: Theme) -> bool {
    matches!(theme, Theme::Illegal | Theme::SuicideSelfHarm)
}

/// What holds where the school says nothing.
impl Default for AlertRules {
    fn default() -> Self {
        Self {
            themes: Theme::ALL.map(Rule::usual).into(),
            people: Vec::new(),
            fallback: None,
            include_domain: false,
            again_minutes: 15,
            remind_hours: 48,
            quiet: None,
            digest: DigestTime {
                day: Some(Weekday::Monday),
                at: Time::constant(7, 30, 0, 0),
            },
            appliance_to: vec![
                Recipient::Role(Audience::Technician),
                Recipient::Role(Audience::Head),
            ],
            changes_to: vec![
                Recipient::Role(Audience::Head),
                Recipient::Role(Audience::Dsl),
            ],
            drop: DropRule {
                below_percent: 20,
                least_queries: 500,
                least_blocks: 50,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_theme_has_one_rule_and_the_gravest_are_told_at_once() {
        let rules = AlertRules::default();
        assert_eq!(rules.themes.len(), Theme::ALL.len());
        for theme in [Theme::Illegal, Theme::SuicideSelfHarm] {
            assert_eq!(rules.rule(theme).unwrap().tell, Tell::AtOnce);
        }
    }

    #[test]
    fn nobody_is_told_twice_and_the_fallback_stands_in() {
        let mut rules = AlertRules {
            fallback: Some("office@school.example".to_owned()),
            ..AlertRules::default()
        };
        let to = [
            Recipient::Role(Audience::Dsl),
            Recipient::Address("Lead@school.example".to_owned()),
        ];
        assert_eq!(rules.addresses(&to[..1]), ["office@school.example"]);
        rules.people = vec![(Audience::Dsl, vec!["lead@school.example".to_owned()])];
        assert_eq!(rules.addresses(&to), ["lead@school.example"]);
    }
}
