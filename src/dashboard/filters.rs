//! The form above the list of incidents: what it asks, and what was asked.
//!
//! The date range comes first. Its quick answers are links; the form itself
//! always says both dates, so that there is never a doubt which of them counts.
//! A list opens with what a safeguarding lead begins the day with: the sensitive
//! themes of the last seven days, without background traffic.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use maud::{Markup, html};

use super::app::App;
use super::asked::Asked;
use super::shown;
use crate::incidents::wanted::Wanted;
use crate::lists::category::{Category, Theme};
use crate::policy::decision::Verdict;

/// What the form knows, in the order of an address. Paging is not among it.
pub(super) const KEYS: [&str; 11] = [
    "range",
    "from",
    "to",
    "theme",
    "group",
    "device",
    "category",
    "action",
    "hours",
    "reviewed",
    "background",
];

/// The quick ranges: word, name, days before today, of how many days.
const RANGES: [(&str, &str, i32, i32); 4] = [
    ("today", "Today", 0, 1),
    ("yesterday", "Yesterday", 1, 1),
    ("week", "Last 7 days", 6, 7),
    ("month", "Last 28 days", 27, 28),
];
const USUAL: &str = "week";

/// Incidents of every theme, not of the sensitive ones alone.
const ALL_THEMES: &str = "all";

/// Outcomes, as a list names them.
const OUTCOMES: [(Verdict, &str); 3] = [
    (Verdict::Block, "Blocked"),
    (Verdict::Allow, "Allowed"),
    (Verdict::Rewrite, "Made safe"),
];

/// From a day up to a day, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    /// Which of the quick ones.
    word: Option<&'static str>,
    pub(super) from: Date,
    pub(super) to: Date,
}

impl Range {
    /// The range that is asked for; without dates that can be read, the usual.
    pub(super) fn of(asked: &Asked, today: Date) -> Self {
        let dates = (asked.parsed("from"), asked.parsed("to"));
        let (from, to): (Date, Date) = match dates {
            (None, None) => return Self::quick(asked.word("range"), today),
            (Some(from), None) => (from, today.max(from)),
            (None, Some(to)) => (to, to),
            (Some(from), Some(to)) => (from.min(to), from.max(to)),
        };
        Self {
            word: None,
            from,
            to,
        }
    }

    fn quick(word: Option<&str>, today: Date) -> Self {
        let named = |wanted| RANGES.into_iter().find(|(word, ..)| *word == wanted);
        let found = word.and_then(named).or_else(|| named(USUAL));
        let (word, _, back, days) = found.unwrap_or((USUAL, "", 6, 7));
        let from = today.saturating_sub(back.days());
        Self {
            word: Some(word),
            from,
            to: from.saturating_add((days - 1).days()),
        }
    }

    /// Where it begins, and where it has ended.
    pub(super) fn instants(&self, zone: &TimeZone) -> (Option<Timestamp>, Option<Timestamp>) {
        let start = |date: Date| Some(date.to_zoned(zone.clone()).ok()?.timestamp());
        (start(self.from), self.to.tomorrow().ok().and_then(start))
    }

    /// In words, for a heading.
    pub(super) fn words(&self) -> String {
        let day = |date: Date| date.strftime("%a %-d %b %Y").to_string();
        if self.from == self.to {
            return day(self.from);
        }
        format!("{} to {}", day(self.from), day(self.to))
    }
}

/// What is wanted of the log.
pub(super) fn wanted(asked: &Asked, range: &Range, zone: &TimeZone) -> Wanted {
    let (since, until) = range.instants(zone);
    let category = asked.word("category").and_then(Category::named);
    let theme = asked.word("theme").and_then(Theme::named);
    let all = asked.word("theme") == Some(ALL_THEMES);
    let yes_or_no = |key, yes, no| match asked.word(key) {
        Some(word) if word == yes => Some(true),
        Some(word) if word == no => Some(false),
        _ => None,
    };
    let text = |key| asked.word(key).map(str::to_owned);
    let outcome = |word: &str| Verdict::ALL.into_iter().find(|v| v.id() == word);
    Wanted {
        since,
        until,
        group: text("group"),
        device: text("device"),
        category,
        theme,
        // Whoever asks for a category or theme means it, sensitive or not.
        sensitive_only: !all && theme.is_none() && category.is_none(),
        action: asked.word("action").and_then(outcome),
        mandatory_only: false,
        school_hours: yes_or_no("hours", "in", "out"),
        hide_background: asked.word("background") != Some("show"),
        reviewed: yes_or_no("reviewed", "yes", "no"),
    }
}

/// The quick ranges and the form.
pub(super) fn form(app: &App, asked: &Asked, range: &Range) -> Markup {
    let others = KEYS
        .iter()
        .copied()
        .filter(|k| !["range", "from", "to"].contains(k));
    let others: Vec<&str> = others.collect();
    html! {
        ul class="actions no-print" aria-label="Date range" {
            @for (word, name, ..) in RANGES {
                li {
                    a class="button second" href=(asked.link("/incidents", &others, &[("range", word)]))
                        aria-current=[(range.word == Some(word)).then_some("true")] { (name) }
                }
            }
        }
        form class="filters" method="get" action="/incidents" {
            label { "From" input type="date" name="from" value=(range.from); }
            label { "To" input type="date" name="to" value=(range.to); }
            label { "Theme" (themes(asked)) }
            label { "Group" (groups(app, asked)) }
            label class="wide" { "Device"
                input type="text" name="device" maxlength="200" value=[asked.word("device")]
                    placeholder="name, id or address" autocomplete="off";
            }
            details open[has_more(asked)] {
                summary { "More filters" }
                div { (more(asked)) }
            }
            div class="actions" {
                button { "Show" }
                a href="/incidents" { "Clear" }
            }
        }
    }
}

/// Whether one of the filters that are folded away is in use.
fn has_more(asked: &Asked) -> bool {
    let more = ["category", "action", "hours", "reviewed", "background"];
    more.iter().any(|key| asked.word(key).is_some())
}

fn more(asked: &Asked) -> Markup {
    let categories = Category::all().filter_map(Category::facts);
    let categories = categories.map(|facts| (facts.id.as_str(), facts.name.as_str()));
    let outcomes = OUTCOMES.map(|(verdict, name)| (verdict.id(), name));
    let hours = [("in", "In school hours"), ("out", "Out of school hours")];
    let reviewed = [("no", "Not reviewed yet"), ("yes", "Reviewed")];
    html! {
        label { "Category" (choice("category", "Any", categories, asked)) }
        label { "Outcome" (choice("action", "Any", outcomes, asked)) }
        label { "Time of day" (choice("hours", "Any", hours, asked)) }
        label { "Review" (choice("reviewed", "Any", reviewed, asked)) }
        label {
            input type="checkbox" name="background" value="show"
                checked[asked.word("background") == Some("show")];
            "Show background traffic too (adverts, telemetry)"
        }
    }
}

fn themes(asked: &Asked) -> Markup {
    let all = std::iter::once((ALL_THEMES, "All themes"));
    let each = Theme::ALL.map(|theme| (theme.id(), theme.name()));
    choice("theme", "Sensitive themes", all.chain(each), asked)
}

fn groups(app: &App, asked: &Asked) -> Markup {
    let groups = app.configuration.document.groups.iter();
    let mut ids: Vec<&str> = groups.map(|group| group.id.value.as_str()).collect();
    // A group that is no more still has rows.
    ids.extend(asked.word("group").filter(|id| !ids.contains(id)));
    choice("group", "All", ids.into_iter().map(|id| (id, id)), asked)
}

/// A list to choose from; `usual` stands for nothing chosen.
fn choice<'c>(
    key: &str,
    usual: &str,
    choices: impl IntoIterator<Item = (&'c str, &'c str)>,
    asked: &Asked,
) -> Markup {
    html! {
        select name=(key) {
            option value="" { (usual) }
            @for (word, name) in choices {
                option value=(word) selected[asked.word(key) == Some(word)] { (name) }
            }
        }
    }
}

/// What the list is of, in a sentence, for paper and for those who hear it.
pub(super) fn sentence(asked: &Asked, range: &Range) -> Markup {
    let theme = asked.word("theme").and_then(Theme::named).map(Theme::name);
    let category = asked.word("category").map(shown::category);
    html! {
        p class="muted" {
            (range.words())
            @match (theme, category) {
                (Some(theme), _) => { ", " (theme) }
                (None, Some(category)) => { ", " (category) }
                _ if asked.word("theme") == Some(ALL_THEMES) => { ", all themes" }
                _ => { ", sensitive themes" }
            }
            @if let Some(group) = asked.word("group") { ", group " (shown::words(group)) }
            @if let Some(device) = asked.word("device") { ", device " (shown::words(device)) }
            ". "
            @if asked.word("background") == Some("show") { "Background traffic is shown." }
            @else { "Background traffic is hidden; a hit on an illegal site never is." }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn dates_that_are_said_count() {
        let today = date(2026, 11, 21);
        for (query, from, to) in [
            ("", "2026-11-15", "2026-11-21"),
            ("range=yesterday", "2026-11-20", "2026-11-20"),
            ("range=nonsense", "2026-11-15", "2026-11-21"),
            (
                "range=today&from=2026-11-01&to=2026-11-03",
                "2026-11-01",
                "2026-11-03",
            ),
            ("from=2026-11-03&to=2026-11-01", "2026-11-01", "2026-11-03"),
            ("from=2016-01-01", "2016-01-01", "2026-11-21"),
            ("to=2026-11-03", "2026-11-03", "2026-11-03"),
            ("from=-9999-01-01&to=9999-12-31", "9999-12-31", "9999-12-31"),
            ("from=0001-01-01&to=9999-12-31", "0001-01-01", "9999-12-31"),
            ("from=2026-02-30", "2026-11-15", "2026-11-21"),
        ] {
            let range = Range::of(&Asked::read(query), today);
            assert_eq!(
                (range.from.to_string(), range.to.to_string()),
                (from.to_owned(), to.to_owned()),
                "{query}"
            );
            // Nothing of the calendar makes it panic.
            let _ = range.instants(&TimeZone::UTC);
        }
    }

    #[test]
    fn a_list_begins_with_what_is_sensitive() {
        let wanted = |query| {
            let asked = Asked::read(query);
            let range = Range::of(&asked, date(2026, 11, 21));
            wanted(&asked, &range, &TimeZone::UTC)
        };
        let usual = wanted("");
        assert!(usual.sensitive_only && usual.hide_background && usual.reviewed.is_none());
        assert!(!wanted("theme=all").sensitive_only);
        assert_eq!(wanted("theme=drugs").theme, Some(Theme::Drugs));
        assert!(!wanted("category=games").sensitive_only);
        assert!(wanted("category=nonsense").sensitive_only);
        assert_eq!(wanted("hours=out").school_hours, Some(false));
        assert_eq!(wanted("reviewed=no").reviewed, Some(false));
        assert!(!wanted("background=show").hide_background);
    }
}
