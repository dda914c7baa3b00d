//! Which look-ups a person reads about, and which of those are grave.
//!
//! A school of a thousand devices looks two hundred thousand names up a day. Of
//! *interest* is what was blocked, what a mandatory list covers, and what was
//! let through although a list has it in a sensitive theme (R-56: alerts and
//! reading are apart from blocking). Everything else is *plain*: it is found by
//! search and in a device's day, and is no incident.
//!
//! The two never merge, so that an incident is the same one wherever it is
//! shown. Nothing here may make a mandatory hit plain or background.

use crate::lists::category::{Category, Theme};
use crate::policy::decision::{Layer, Verdict};
use crate::querylog::row::Row;
use crate::querylog::visits::Incident;

/// The themes a safeguarding lead begins the day with. Contact (messengers,
/// social networks), games and shops are left out: an app on a phone asks for
/// them hundreds of times a day by itself, and they would bury the rest.
pub const SENSITIVE: [Theme; 9] = [
    Theme::Illegal,
    Theme::SuicideSelfHarm,
    Theme::Extremism,
    Theme::HateDiscrimination,
    Theme::Violence,
    Theme::Sexual,
    Theme::Drugs,
    Theme::Gambling,
    Theme::Bypass,
];

/// Whether a person reads about this look-up.
#[must_use]
pub fn is_of_interest(row: &Row) -> bool {
    let ids = row.category.iter().chain(&row.categories);
    concerns(row.action, row.layer, ids.map(String::as_str))
}

/// As [`is_of_interest`], of what a row says.
pub(super) fn concerns<'c>(
    action: Verdict,
    layer: Layer,
    mut categories: impl Iterator<Item = &'c str>,
) -> bool {
    layer == Layer::Mandatory
        || action == Verdict::Block
        || categories.any(|id| Category::named(id).is_some_and(is_sensitive_category))
}

fn is_sensitive_category(category: Category) -> bool {
    let theme = category.facts().map(|facts| facts.theme);
    theme.is_some_and(is_sensitive_theme)
}

/// Whether a theme is one of [`SENSITIVE`].
#[must_use]
pub fn is_sensitive_theme(theme: Theme) -> bool {
    SENSITIVE.contains(&theme)
}

/// Whether an incident counts on the overview: mandatory, or of a sensitive
/// theme and not a page's or a device's own doing.
#[must_use]
pub fn is_sensitive(incident: &Incident) -> bool {
    incident.mandatory || (!incident.background && is_sensitive_theme(incident.theme))
}
