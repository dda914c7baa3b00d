//! What the school must be able to say of its filter, from the configuration as
//! it is: how it is deployed, and what an impact assessment asks.
//!
//! Generated, so that it cannot be older than what it describes. What a program
//! cannot know (lawful basis, who was consulted) is left to be filled in, and
//! says so.

use std::net::SocketAddr;

use jiff::Timestamp;

use crate::configuration::Configuration;
use crate::lists::category::Category;
use crate::policy::decision::LogLevel;
use crate::policy::document::{ChangeRule, TypedGroup};
use crate::policy::group::SafeSearch;
use crate::settings::Listen;

use super::governors::made;
use super::sheet::{Part, Sheet};

/// How the filter is deployed and what it needs.
#[must_use]
pub fn deployment(configuration: &Configuration, now: Timestamp) -> Sheet {
    let rule = match configuration.document.rule {
        ChangeRule::TwoPerson => {
            "A change that loosens the filter waits until a second person has approved it."
        }
        ChangeRule::Notify => "A change acts at once, and a second person is told.",
    };
    Sheet {
        title: "Deployment statement".to_owned(),
        about: about(configuration, now),
        parts: vec![
            saying(
                "What it is",
                &[
                    "Schoolgate is a DNS resolver on the school's own network. It answers every \
                     device that is told to ask it, by the school's router or by a profile on the \
                     device, and refuses names that the school's policy or a mandatory list \
                     blocks. It sees names of sites, not pages, searches or messages.",
                    "It needs the firewall to stop devices from asking other resolvers.",
                ],
            ),
            listeners(&configuration.settings.listen),
            groups(configuration),
            saying(
                "What nobody at the school can change",
                &[
                    "Names on mandatory lists (illegal content) are blocked for everybody, at \
                     every hour. No setting lifts it.",
                    rule,
                ],
            ),
        ],
    }
}

fn listeners(listen: &Listen) -> Part {
    let addresses = |all: &[SocketAddr]| {
        let all: Vec<String> = all.iter().map(ToString::to_string).collect();
        if all.is_empty() {
            "not offered".to_owned()
        } else {
            all.join(", ")
        }
    };
    let rows = [
        ("DNS over UDP and TCP", addresses(&listen.dns)),
        ("DNS over TLS", addresses(&listen.tls)),
        ("DNS over HTTPS", addresses(&listen.https)),
        ("The pages", listen.dashboard.to_string()),
    ];
    let rows = rows.map(|(what, at)| vec![what.to_owned(), at]);
    let headings = ["What", "Where"];
    Part::table("Where it is asked", "Listeners", &headings, rows.to_vec())
}

fn groups(configuration: &Configuration) -> Part {
    let document = &configuration.document;
    let enabled = document.groups.iter().filter(|group| group.enabled);
    let rows = enabled.map(|group| {
        let networks: Vec<String> = group.networks.iter().map(|n| n.value.to_string()).collect();
        vec![
            group.id.value.clone(),
            if networks.is_empty() {
                "none of its own".to_owned()
            } else {
                networks.join(", ")
            },
            blocked(group),
            safe_search(group).to_owned(),
        ]
    });
    let unknown = document.unknown.as_ref().map_or("", |group| &group.value);
    Part::table(
        "Groups",
        "What is blocked for whom",
        &["Group", "Networks", "Blocked at all hours", "Safe search"],
        rows.collect(),
    )
    .and(format!(
        "{} devices are in the inventory; one that nobody knows is in the group \"{unknown}\", \
         never without a filter.",
        configuration.devices.devices().len()
    ))
}

/// What a data protection impact assessment asks for.
#[must_use]
pub fn dpia(configuration: &Configuration, now: Timestamp) -> Sheet {
    let days = configuration.settings.querylog.keep_days;
    let upstreams = configuration.settings.upstream.servers.len();
    let rows =
        format!("Rows: {days} days, then a whole day is dropped at a time; a legal hold stops it.");
    let upstreams = match upstreams {
        1 => "1 upstream resolver gets".to_owned(),
        many => format!("{many} upstream resolvers get"),
    };
    let upstreams = format!(
        "{upstreams} the names that are not blocked or cached, and nothing \
         that identifies a device. Whoever the school sends alerts to learns which device met what \
         kind of site. Bundles go to whom somebody hands them; the record has each."
    );
    Sheet {
        title: "Input for a data protection impact assessment".to_owned(),
        about: about(configuration, now),
        parts: vec![
            saying(
                "Purpose",
                &[
                    "Keeping children safe from illegal and harmful content online (KCSIE, the \
                     DfE's filtering and monitoring standards, the Prevent duty), and showing \
                     that it is done.",
                    "To be filled in by the school: lawful basis, who was consulted, how pupils, \
                     parents and staff are told.",
                ],
            ),
            pairs("What is written down", ["Field", "What it is"], &FIELDS)
                .and("A blocked, rewritten or mandatory look-up is always written in full."),
            levels(configuration),
            saying(
                "How long",
                &[
                    &rows,
                    "Numbers without devices or names, notes on incidents, and the record of who \
                     did what stay longer.",
                ],
            ),
            pairs("Who sees what", ["Role", "Sees"], &ROLES).and(
                "Each reading of a device's rows is added to a record that shows whether it was \
                 altered.",
            ),
            saying("Who else gets data", &[&upstreams]),
            saying(
                "Rights",
                &[
                    "Access: on the page Evidence and subject access. Erasure: the technician runs \
                   `schoolgate report erase` at the machine. Both are recorded.",
                ],
            ),
        ],
    }
}

const FIELDS: [(&str, &str); 6] = [
    ("time", "when the device asked, in UTC"),
    (
        "device and its name",
        "from the school's inventory or a DHCP lease, as it was then",
    ),
    ("MAC and IP address", "by which the device is known"),
    ("group", "whose rules applied"),
    (
        "name asked for and type",
        "the site, not the page; may reveal special categories",
    ),
    (
        "outcome, category, source, rule number",
        "what the filter did and why",
    ),
];

const ROLES: [(&str, &str); 5] = [
    (
        "Safeguarding lead",
        "rows, incidents, notes, evidence, hosts of mandatory hits",
    ),
    (
        "Headteacher",
        "rows, incidents, notes, alerts, reports, the records; never the host of a mandatory hit",
    ),
    (
        "Technician",
        "counts, devices, lists, requests for sites, accounts; no pupil's rows",
    ),
    ("Governor", "numbers for ended terms, small ones hidden"),
    ("Auditor", "the records of who did what, governors' numbers"),
];

fn levels(configuration: &Configuration) -> Part {
    let all = configuration.document.groups.iter();
    let rows = all.filter(|group| group.enabled).map(|group| {
        let level = match group.log {
            LogLevel::Off => "nothing",
            LogLevel::Counts => "numbers only",
            LogLevel::Domains => "the site, without the device",
            LogLevel::Full => "the site and the device",
        };
        vec![group.id.value.clone(), level.to_owned()]
    });
    Part::table(
        "Allowed look-ups",
        "What is written down of allowed look-ups",
        &["Group", "What is kept"],
        rows.collect(),
    )
}

fn saying(heading: &str, says: &[&str]) -> Part {
    Part::saying(
        heading,
        says.iter().map(|line| (*line).to_owned()).collect(),
    )
}

fn pairs(heading: &str, headings: [&str; 2], rows: &[(&str, &str)]) -> Part {
    let rows = rows
        .iter()
        .map(|(a, b)| vec![(*a).to_owned(), (*b).to_owned()]);
    Part::table(heading, heading, &headings, rows.collect())
}

fn about(configuration: &Configuration, now: Timestamp) -> Vec<String> {
    let document = &configuration.document;
    vec![
        document.school.clone(),
        made(now, &document.zone),
        format!("Schoolgate {}", env!("CARGO_PKG_VERSION")),
    ]
}

fn blocked(group: &TypedGroup) -> String {
    let name = |category: Category| category.facts().map_or("", |facts| &*facts.name);
    let names: Vec<&str> = group.block.iter().map(name).collect();
    let more = if group.during.is_empty() {
        ""
    } else {
        "; more by timetable"
    };
    if names.is_empty() {
        return format!("nothing but what is mandatory{more}");
    }
    format!("{}{more}", names.join(", "))
}

fn safe_search(group: &TypedGroup) -> &'static str {
    match group.safe_search {
        SafeSearch::Off => "off",
        SafeSearch::Moderate => "moderate",
        SafeSearch::Strict => "strict",
    }
}
