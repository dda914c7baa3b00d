//! How names, times, devices and outcomes are shown, on every page alike.
//!
//! A device chooses the bytes of a name, and somebody at the school those of a
//! device's: both are text to be escaped, isolated from the direction of the
//! text around them, and broken wherever the screen ends. It must never make a
//! link of a looked-up name.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use maud::{Markup, html};

use crate::lists::category::{Category, Theme};
use crate::policy::decision::Verdict;
use crate::querylog::row::VARIOUS;
use crate::querylog::visits::Incident;

/// Characters of a title at most.
const TITLE: usize = 80;

/// What stands where a mandatory host would.
pub const WITHHELD: &str = "an illegal site (name withheld)";

/// A looked-up name. An international one is shown as it is read, with what was
/// asked for beside it, because different letters may look alike (R-38).
#[must_use]
pub fn name(asked: &str) -> Markup {
    if asked == VARIOUS || asked == "." {
        return html! { span { "various names" } };
    }
    if let Some(unicode) = read_as(asked) {
        html! {
            bdi class="name" { (unicode) } " " small class="muted" { "(" bdi class="name" { (asked) } ")" }
        }
    } else {
        html! { bdi class="name" { (asked) } }
    }
}

/// The name in its own letters, if that is another text than `asked` and holds
/// nothing that cannot be seen.
fn read_as(asked: &str) -> Option<String> {
    if !asked.contains("xn--") {
        return None;
    }
    let (unicode, result) = idna::domain_to_unicode(asked);
    let visible = !unicode.chars().any(|c| c.is_control() || is_format(c));
    (result.is_ok() && visible && unicode != asked).then_some(unicode)
}

/// Characters that are not seen but change what is.
fn is_format(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// What somebody else wrote, with a mark for each character that cannot be seen.
#[must_use]
pub fn plain(text: &str) -> String {
    let seen = |c: char| {
        if c.is_control() || is_format(c) {
            '\u{fffd}'
        } else {
            c
        }
    };
    text.chars().map(seen).collect()
}

/// The same for the title of a page, which is one line.
#[must_use]
pub fn title(text: &str) -> String {
    let mut title: String = plain(text).chars().take(TITLE).collect();
    if title.len() < plain(text).len() {
        title.push('…');
    }
    title
}

/// What somebody else wrote, in a page: a device's name, a person's, a group's.
#[must_use]
pub fn words(text: &str) -> Markup {
    html! { bdi class="name" { (plain(text)) } }
}

/// A device as the log knows it: its name, else what it is known by.
#[must_use]
pub fn device(id: Option<&str>, called: Option<&str>) -> Markup {
    match (called, id) {
        (Some(called), _) => words(called),
        (None, Some(id)) => words(id),
        (None, None) => html! { span class="muted" { "not recorded" } },
    }
}

/// Day and time on the school's wall: `Tue 17 Nov 2026, 12:40:07`.
#[must_use]
pub fn time(at: Timestamp, zone: &TimeZone) -> Markup {
    let local = at.to_zoned(zone.clone());
    let text = local.strftime("%a %-d %b %Y, %H:%M:%S").to_string();
    html! { time datetime=(at.to_string()) { (text) } }
}

/// A day: `Tue 17 Nov 2026`.
#[must_use]
pub fn date(day: Date) -> Markup {
    html! { time datetime=(day.to_string()) { (day.strftime("%a %-d %b %Y").to_string()) } }
}

/// What people call a layer of the decision, by its id.
#[must_use]
pub fn layer(id: &str) -> String {
    let name = match id {
        "identity" => "Who asked",
        "mandatory" => "Lists of illegal content",
        "canary" => "Ways round the filter",
        "exception" => "The school's exceptions",
        "category" => "Kinds of sites",
        "safe_search" => "Safe search",
        "allow" => "Otherwise",
        other => return other.replace('_', " "),
    };
    name.to_owned()
}

/// From when to when; the second day is not said twice.
#[must_use]
pub fn span(first: Timestamp, last: Timestamp, zone: &TimeZone) -> Markup {
    let [from, to] = [first, last].map(|at| at.to_zoned(zone.clone()));
    let day = from.strftime("%a %-d %b %Y, %H:%M").to_string();
    let until = match (from.date() == to.date(), from.strftime("%H:%M").to_string()) {
        (true, minute) if to.strftime("%H:%M").to_string() == minute => None,
        (true, _) => Some(to.strftime("%H:%M").to_string()),
        (false, _) => Some(to.strftime("%a %-d %b, %H:%M").to_string()),
    };
    html! {
        time datetime=(first.to_string()) { (day) }
        @if let Some(until) = until { " to " time datetime=(last.to_string()) { (until) } }
    }
}

/// How long ago, roughly: `3 hours ago`.
#[must_use]
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(at).as_secs();
    let (number, unit) = match seconds {
        ..60 => return "just now".to_owned(),
        60..3600 => (seconds / 60, "minute"),
        3600..86400 => (seconds / 3600, "hour"),
        _ => (seconds / 86400, "day"),
    };
    format!("{number} {unit}{} ago", if number == 1 { "" } else { "s" })
}

/// `1 incident`, `2 incidents`.
#[must_use]
pub fn several(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// What became of it, in a word that needs no colour.
#[must_use]
pub fn outcome(action: Verdict) -> Markup {
    match action {
        Verdict::Block => html! { span class="badge ok" { "Blocked" } },
        Verdict::Allow => html! { span class="badge" { "Allowed" } },
        Verdict::Rewrite => html! { span class="badge info" { "Made safe" } },
    }
}

/// A theme, the grave ones so that they catch the eye.
#[must_use]
pub fn theme(theme: Theme) -> Markup {
    let class = match theme {
        Theme::Illegal | Theme::SuicideSelfHarm | Theme::Extremism => "badge danger",
        Theme::Background | Theme::Leisure | Theme::Commerce | Theme::Unsorted => "badge",
        _ => "badge warn",
    };
    html! { span class=(class) { (theme.name()) } }
}

/// What people call a category, by its id; an id that is known no more stays.
#[must_use]
pub fn category(id: &str) -> &str {
    let facts = Category::named(id).and_then(Category::facts);
    facts.map_or(id, |facts| &facts.name)
}

/// The site of an incident for those who read lists of them: nobody sees a
/// mandatory host in passing, whatever their role.
#[must_use]
pub fn site(incident: &Incident) -> Markup {
    if incident.mandatory {
        return html! { strong { (WITHHELD) } };
    }
    name(&incident.domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written_and_as_they_were_asked() {
        for (asked, shown) in [
            (
                "www.example.com",
                r#"<bdi class="name">www.example.com</bdi>"#,
            ),
            (
                "<b>.example",
                r#"<bdi class="name">&lt;b&gt;.example</bdi>"#,
            ),
            (
                "xn--mller-kva.com",
                r#"<bdi class="name">müller.com</bdi> <small class="muted">(<bdi class="name">xn--mller-kva.com</bdi>)</small>"#,
            ),
            // Not what any text becomes.
            ("xn--a.com", r#"<bdi class="name">xn--a.com</bdi>"#),
            (
                r"a\000b.example",
                r#"<bdi class="name">a\000b.example</bdi>"#,
            ),
        ] {
            assert_eq!(name(asked).into_string(), shown, "{asked}");
        }
    }

    #[test]
    fn what_cannot_be_seen_is_shown() {
        let shown = words("lap\u{202e}top\u{0}<script>").into_string();
        let bdi = "<bdi class=\"name\">lap\u{fffd}top\u{fffd}&lt;script&gt;</bdi>";
        assert_eq!(shown, bdi);
    }

    #[test]
    fn times_are_the_schools() {
        let zone = TimeZone::get("Europe/London").unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let text = |markup: Markup| {
            let html = markup.into_string();
            let parts = html.split('<').filter_map(|part| part.split_once('>'));
            parts.map(|(_, text)| text).collect::<String>()
        };
        let summer = at("2026-07-07T11:40:07Z");
        assert_eq!(text(time(summer, &zone)), "Tue 7 Jul 2026, 12:40:07");
        for (last, shown) in [
            ("2026-07-07T11:40:59Z", "Tue 7 Jul 2026, 12:40"),
            ("2026-07-07T11:44:00Z", "Tue 7 Jul 2026, 12:40 to 12:44"),
            (
                "2026-07-07T23:01:00Z",
                "Tue 7 Jul 2026, 12:40 to Wed 8 Jul, 00:01",
            ),
        ] {
            assert_eq!(text(span(summer, at(last), &zone)), shown);
        }
        assert_eq!(ago(summer, at("2026-07-07T12:41:00Z")), "1 hour ago");
        assert_eq!(ago(summer, at("2026-07-01T12:41:00Z")), "just now");
    }
}
