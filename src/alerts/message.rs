//! What is told, in words for people and in fields for programs.
//!
//! A message says which device, what kind of thing, when and how often, and
//! where to read more. It is made once, when the alert is raised, and kept as it
//! is until it has left: what is sent again is the same. It never names the site
//! of a mandatory hit, and others only if the school wants it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::alert::{Alert, Kind};
use crate::lists::category::{Category, Theme};
use crate::policy::decision::Verdict;

/// How grave a message is, as syslog counts (RFC 5424 section 6.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Severity {
    /// Somebody must act now.
    Alert = 1,
    /// The appliance needs somebody.
    Error = 3,
    /// Worth a look.
    Warning = 4,
    /// Nothing is wrong.
    Notice = 5,
}

/// One message; who gets it stands beside it in the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The kind of alert, or `change`, `digest`, `reminder`, `test`.
    pub kind: String,
    /// When it was made.
    pub made: Timestamp,
    /// How grave it is.
    pub severity: Severity,
    /// The subject of an e-mail.
    pub subject: String,
    /// The text of an e-mail.
    pub text: String,
    /// What programs get.
    pub fields: BTreeMap<String, Value>,
}

/// What every message of a school has in it.
#[derive(Debug, Clone, Copy)]
pub struct Letterhead<'a> {
    /// The school's name.
    pub school: &'a str,
    /// Its zone.
    pub zone: &'a TimeZone,
    /// The address of the pages; may be empty.
    pub url: &'a str,
    /// Whether a domain may be named.
    pub include_domain: bool,
}

impl Message {
    /// About an alert with this number.
    #[must_use]
    pub fn about(alert: &Alert, number: i64, head: Letterhead<'_>) -> Self {
        let mut text = String::new();
        let mut line = |name: &str, value: &str| {
            if !value.is_empty() {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{name:<10} {value}");
            }
        };
        let domain = alert.domain.as_deref().filter(|_| head.include_domain);
        let domain = domain.filter(|_| !alert.mandatory).unwrap_or_default();
        line("What", &what(alert));
        line("Device", &called(alert));
        line("Group", &alert.group);
        line("Site", domain);
        line("When", &when(alert, head.zone));
        if alert.kind.is_of_a_device() {
            line("How often", &times(alert.count));
            line("Outcome", outcome(alert));
        }
        let mut whole = String::new();
        if !alert.says.is_empty() {
            let _ = write!(whole, "{}\n\n", one_line(&alert.says));
        }
        let _ = writeln!(whole, "{text}");
        if alert.mandatory {
            whole.push_str(MANDATORY);
        }
        let page = link(head.url, &format!("alerts/{number}"));
        whole.push_str(&read_more(&page, head.school));
        Self {
            kind: alert.kind.id().to_owned(),
            made: alert.raised,
            severity: severity(alert),
            subject: subject(alert, head.zone),
            text: whole,
            fields: fields(alert, number, &page, domain, head.school),
        }
    }

    /// A message of no alert: a digest, a reminder, a test.
    #[must_use]
    pub fn plain(
        kind: &str,
        subject: &str,
        body: &str,
        made: Timestamp,
        head: Letterhead<'_>,
    ) -> Self {
        Self::with_page(kind, subject, (body, "alerts"), made, head)
    }

    /// The same, of what stands on another page.
    #[must_use]
    pub fn with_page(
        kind: &str,
        subject: &str,
        (body, page): (&str, &str),
        made: Timestamp,
        head: Letterhead<'_>,
    ) -> Self {
        let link = link(head.url, page);
        let mut fields = BTreeMap::new();
        fields.insert("link".to_owned(), link.as_str().into());
        fields.insert("school".to_owned(), head.school.into());
        fields.insert("test".to_owned(), (kind == "test").into());
        Self {
            kind: kind.to_owned(),
            made,
            severity: Severity::Notice,
            subject: format!("Schoolgate: {}", one_line(subject)),
            text: format!("{}\n\n{}", body.trim_end(), read_more(&link, head.school)),
            fields,
        }
    }
}

/// Case R-10 and the guidance of the Internet Watch Foundation.
const MANDATORY: &str = "\
The site stands on a list of illegal content. Do not visit it, do not look for
it, and do not ask anybody else to. Keep the log as it is. Follow the school's
procedure: the headteacher, the local authority's designated officer, and the
police. It was blocked.

";

fn what(alert: &Alert) -> String {
    let Some(theme) = alert.theme else {
        return one_line(&alert.title);
    };
    let category = alert.category.as_deref().filter(|_| !alert.mandatory);
    let facts = category.and_then(Category::named).and_then(Category::facts);
    match facts {
        Some(facts) if facts.name != theme.name() => {
            format!("{} ({})", theme.name(), facts.name)
        }
        _ => theme.name().to_owned(),
    }
}

fn called(alert: &Alert) -> String {
    let device = one_line(alert.device.as_deref().unwrap_or_default());
    match alert.device_name.as_deref().map(one_line) {
        Some(name) if name != device => format!("{name} [{device}]"),
        _ => device,
    }
}

fn when(alert: &Alert, zone: &TimeZone) -> String {
    let wall = |at: Timestamp| at.to_zoned(zone.clone());
    let (first, last) = (wall(alert.first), wall(alert.last));
    let begun = first.strftime("%A %-d %B %Y, %H:%M:%S %Z").to_string();
    if last.duration_since(&first).as_secs() < 60 {
        return begun;
    }
    format!("{begun} to {}", last.strftime("%H:%M:%S"))
}

fn times(count: u64) -> String {
    match count {
        1 => "1 look-up so far".to_owned(),
        many => format!("{many} look-ups so far"),
    }
}

fn outcome(alert: &Alert) -> &'static str {
    match alert.action {
        Some(Verdict::Allow) => "allowed: the site could be reached",
        Some(Verdict::Rewrite) => "answered in the engine's safe mode",
        Some(Verdict::Block) => "blocked",
        None => "",
    }
}

/// Subjects show on locked phones: no device, no name.
fn subject(alert: &Alert, zone: &TimeZone) -> String {
    let at = alert.first.to_zoned(zone.clone());
    let at = at.strftime("%H:%M");
    match alert.theme {
        Some(theme) if alert.kind.is_of_a_device() => {
            let group = one_line(&alert.group);
            format!("Schoolgate alert: {}, group {group}, {at}", theme.name())
        }
        _ => format!("Schoolgate: {}", one_line(&alert.title)),
    }
}

fn severity(alert: &Alert) -> Severity {
    match alert.kind {
        Kind::Hit if alert.urgent => Severity::Alert,
        Kind::Hit | Kind::Threshold => Severity::Warning,
        _ => Severity::Error,
    }
}

fn fields(
    alert: &Alert,
    number: i64,
    link: &str,
    domain: &str,
    school: &str,
) -> BTreeMap<String, Value> {
    let mut fields = BTreeMap::new();
    let mut add = |key: &str, value: Value| {
        fields.insert(key.to_owned(), value);
    };
    add("alert", number.into());
    add("school", school.into());
    add("title", one_line(&alert.title).into());
    add("link", link.into());
    add("first", alert.first.to_string().into());
    add("last", alert.last.to_string().into());
    add("test", false.into());
    if !alert.group.is_empty() {
        add("group", alert.group.as_str().into());
    }
    if alert.kind.is_of_a_device() {
        let theme = alert.theme.unwrap_or(Theme::Unsorted);
        add("theme", theme.id().into());
        add("mandatory", alert.mandatory.into());
        add("count", alert.count.into());
        add("device", alert.device.clone().into());
        add("device_name", alert.device_name.clone().into());
        add("action", alert.action.map(Verdict::id).into());
        if !alert.mandatory {
            add("category", alert.category.clone().into());
        }
    }
    if !domain.is_empty() {
        add("domain", domain.into());
    }
    fields
}

fn link(url: &str, page: &str) -> String {
    if url.is_empty() {
        return String::new();
    }
    format!("{url}/{page}")
}

fn read_more(link: &str, school: &str) -> String {
    let more = match link {
        "" => "More is on the filter's pages, under Alerts.".to_owned(),
        link => format!("Read more and acknowledge:\n{link}"),
    };
    format!(
        "{more}\n\n--\nSchoolgate, the filter of {}\n",
        one_line(school)
    )
}

/// What devices call themselves may have anything in it: here it keeps to its
/// line.
#[must_use]
pub fn one_line(text: &str) -> String {
    let is_odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
    };
    let mut line: String = text
        .chars()
        .take(200)
        .map(|c| if is_odd(c) { ' ' } else { c })
        .collect();
    line.truncate(line.trim_end().len());
    line
}
