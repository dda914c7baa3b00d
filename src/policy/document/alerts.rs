//! The part of `policy.toml` that is about alerts: `[alerts]`.
//!
//! Where a key is left out the usual rule holds; a theme that may not be hushed
//! and is, is a mistake, not a wish.

use jiff::civil::Time;

use super::calendar::{DAYS, hours, wall_time};
use crate::document::{Placed, Table, choices};
use crate::lists::category::Theme;
use crate::policy::alerts::{
    AlertRules, Audience, DigestTime, DropRule, Recipient, Rule, Tell, has_floor,
};
use crate::policy::timetable::Hours;

/// Longest address of an e-mail (RFC 5321 section 4.5.3.1.3, less its brackets).
const MAX_ADDRESS: usize = 254;

#[derive(Clone, Copy, PartialEq)]
enum Way {
    AtOnce,
    Threshold,
    Digest,
    Off,
}

const WAYS: [(&str, Way); 4] = [
    ("at_once", Way::AtOnce),
    ("threshold", Way::Threshold),
    ("digest", Way::Digest),
    ("off", Way::Off),
];

/// `[alerts]`, and where it stands. `groups` are the ids of the school's groups.
pub(super) fn alerts(root: &Table<'_>, groups: &[&str]) -> Placed<AlertRules> {
    let usual = AlertRules::default();
    let Some(table) = root.table("alerts") else {
        let place = root.place();
        return Placed {
            value: usual,
            place,
        };
    };
    let people = table.table("people").map_or_else(Vec::new, people);
    let themes = themes(&table, groups, &people);
    let number = |key, limits, usual: u32| {
        let given = table.integer(key, limits).map(|given| given.value);
        given.map_or(usual, |given| given as u32)
    };
    let fallback = table.parsed("fallback", address);
    let include_domain = table.boolean("include_domain");
    let rules = AlertRules {
        fallback: fallback.map(|fallback| fallback.value),
        include_domain: include_domain.is_some_and(|include| include.value),
        again_minutes: number("again_minutes", 5..=240, usual.again_minutes),
        remind_hours: number("remind_hours", 0..=720, usual.remind_hours),
        quiet: table.table("quiet").and_then(quiet),
        digest: table.table("digest").map_or(usual.digest, digest),
        appliance_to: recipients(&table, "appliance_to", &people).unwrap_or(usual.appliance_to),
        changes_to: recipients(&table, "changes_to", &people).unwrap_or(usual.changes_to),
        drop: table.table("drop").map_or(usual.drop, drop_rule),
        themes,
        people,
    };
    let place = table.place();
    table.finish();
    Placed {
        value: rules,
        place,
    }
}

/// `[alerts.people]`: roles → addresses.
fn people(table: Table<'_>) -> Vec<(Audience, Vec<String>)> {
    let read = |(key, role)| {
        let addresses = table.parsed_list(key, address)?.into_iter();
        Some((role, addresses.map(|address| address.value).collect()))
    };
    let people = Audience::ALL.into_iter().filter_map(read).collect();
    table.finish();
    people
}

/// `[alerts.themes.NAME]`, over the usual rules.
fn themes(alerts: &Table<'_>, groups: &[&str], people: &[(Audience, Vec<String>)]) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Theme::ALL.map(Rule::usual).into();
    let typed = alerts.table("themes").map(|themes| themes.named_tables());
    for (id, table) in typed.unwrap_or_default() {
        let Some(theme) = Theme::named(&id.value) else {
            let hint = choices(&id.value, Theme::ALL.map(Theme::id));
            let message = format!("there is no theme \"{}\"; {hint}", id.value);
            alerts.complain_at(&id.place, message);
            continue;
        };
        let typed = rule(theme, table, groups, people);
        if let Some(usual) = rules.iter_mut().find(|rule| rule.theme == theme) {
            *usual = typed;
        }
    }
    rules
}

fn rule(
    theme: Theme,
    table: Table<'_>,
    groups: &[&str],
    people: &[(Audience, Vec<String>)],
) -> Rule {
    let usual = Rule::usual(theme);
    let way = table.choice("tell", &WAYS);
    if let Some(way) = way.as_ref().filter(|way| way.value == Way::Off)
        && has_floor(theme)
    {
        let message = format!(
            "{} cannot be \"off\": the least that is told of it is the digest",
            table.title()
        );
        table.complain_at(&way.place, message);
    }
    // illegal content is told of whoever it was.
    if theme == Theme::Illegal && table.has("groups") {
        let message = format!("{} is for everybody: leave out `groups`", table.title());
        table.complain(message);
    }
    let times = table.integer("times", 1..=1000);
    let minutes = table.integer("minutes", 1..=1440);
    let named = table.strings("groups");
    for group in &named {
        if !groups.contains(&group.value.as_str()) {
            let hint = choices(&group.value, groups.iter().copied());
            let message = format!("there is no group \"{}\"; {hint}", group.value);
            table.complain_at(&group.place, message);
        }
    }
    let (usual_times, usual_minutes) = match usual.tell {
        Tell::Threshold { times, minutes } => (times, minutes),
        _ => (3, 10),
    };
    let threshold = Tell::Threshold {
        times: times.as_ref().map_or(usual_times, |t| t.value as u32),
        minutes: minutes.as_ref().map_or(usual_minutes, |m| m.value as u32),
    };
    let tell = match way.map(|way| way.value) {
        Some(Way::AtOnce) => Tell::AtOnce,
        Some(Way::Threshold) => threshold,
        Some(Way::Digest) => Tell::Digest,
        Some(Way::Off) => Tell::Off,
        None if matches!(usual.tell, Tell::Threshold { .. }) => threshold,
        None => usual.tell,
    };
    if let Some(number) = times.as_ref().or(minutes.as_ref())
        && !matches!(tell, Tell::Threshold { .. })
    {
        let message = "`times` and `minutes` go with tell = \"threshold\"";
        table.complain_at(&number.place, message);
    }
    let rule = Rule {
        theme,
        tell,
        allowed: table.boolean("allowed").is_some_and(|a| a.value),
        groups: named.into_iter().map(|group| group.value).collect(),
        to: recipients(&table, "to", people).unwrap_or(usual.to),
    };
    table.finish();
    rule
}

/// Who is told: roles, whose addresses must be known, and addresses.
fn recipients(
    table: &Table<'_>,
    key: &'static str,
    people: &[(Audience, Vec<String>)],
) -> Option<Vec<Recipient>> {
    let all = table.parsed_list(key, |text| {
        if text.contains('@') {
            return address(text).map(Recipient::Address);
        }
        let role = Audience::ALL.into_iter().find(|(word, _)| *word == text);
        let Some((_, role)) = role else {
            let hint = choices(text, Audience::ALL.map(|(word, _)| word));
            return Err(format!("\"{text}\" is no role nor an address; {hint}"));
        };
        if people.iter().any(|(known, _)| *known == role) {
            return Ok(Recipient::Role(role));
        }
        Err(format!(
            "nobody knows the address of \"{text}\"; write {text} = [\"…\"] under [alerts.people]"
        ))
    })?;
    if all.is_empty() && table.strings(key).is_empty() {
        table.complain(format!("`{key}` is empty: who is told?"));
    }
    Some(all.into_iter().map(|recipient| recipient.value).collect())
}

/// Plain enough to be sent to: `lead@school.example`.
fn address(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_graphic() && !"<>()[]\\,;:\"".contains(c);
    let fits = text.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty() && host.contains('.') && !host.contains('@') && !host.ends_with('.')
    });
    if fits && text.len() <= MAX_ADDRESS && text.chars().all(is_plain) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "\"{text}\" is not an e-mail address; write it like \"dsl@school.example\""
    ))
}

fn quiet(table: Table<'_>) -> Option<Hours> {
    let hours = hours(&table);
    if !table.has("from") && !table.has("to") {
        table.complain("quiet hours need `from` and `to`");
    }
    table.finish();
    (hours != Hours::ALL_DAY).then_some(hours)
}

fn digest(table: Table<'_>) -> DigestTime {
    let usual = AlertRules::default().digest;
    let daily = table.choice("every", &[("day", true), ("week", false)]);
    let daily = daily.is_some_and(|every| every.value);
    let day = table.choice("day", &DAYS);
    if let Some(day) = day.as_ref().filter(|_| daily) {
        table.complain_at(&day.place, "`day` goes with every = \"week\"");
    }
    let at = table.parsed("at", |text| wall_time(text, false));
    let at = at.map_or(usual.at, |at: Placed<Time>| at.value);
    table.finish();
    let day = day.map(|day| day.value).or(usual.day);
    DigestTime {
        day: day.filter(|_| !daily),
        at,
    }
}

fn drop_rule(table: Table<'_>) -> DropRule {
    let usual = AlertRules::default().drop;
    let number = |key, limits, usual: u32| {
        let given = table.integer(key, limits).map(|given| given.value);
        given.map_or(usual, |given| given as u32)
    };
    let rule = DropRule {
        below_percent: number("below_percent", 0..=90, usual.below_percent),
        least_queries: number("least_queries", 10..=10_000_000, usual.least_queries),
        least_blocks: number("least_blocks", 5..=10_000_000, usual.least_blocks),
    };
    table.finish();
    rule
}
