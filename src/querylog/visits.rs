//! Rows → incidents: what a person reads.
//!
//! One visit to a page asks for dozens of names, and a page left open asks for
//! them again and again. Repeats of one device and one registrable domain
//! within five minutes of the first are one incident. Look-ups that a page or a
//! device makes by itself (adverts, telemetry) are background, so that they do
//! not bury a child's search for help.
//!
//! A mandatory hit is an incident of its own kind: it never merges into
//! another, and it is never background, whatever else the name is listed for.

use std::collections::{BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};

use crate::lists::category::{Category, Theme};
use crate::policy::decision::{Layer, Verdict};

use super::row::{Row, VARIOUS};

/// How long an incident lasts at most.
pub const LENGTH: SignedDuration = SignedDuration::from_mins(5);

/// What one device did with one domain for some minutes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// When it began.
    pub first: Timestamp,
    /// Its last look-up.
    pub last: Timestamp,
    /// How many look-ups.
    pub count: u64,
    /// The device's id, else its MAC, else its address; none where the group's
    /// log leaves devices out.
    pub device: Option<String>,
    /// What the device was called.
    pub device_name: Option<String>,
    /// Its group.
    pub group: String,
    /// The registrable domain, e.g. `example.co.uk`.
    pub domain: String,
    /// The ids of all categories met.
    pub categories: BTreeSet<String>,
    /// The theme of the gravest category.
    pub theme: Theme,
    /// What happened.
    pub action: Verdict,
    /// Whether a mandatory list covered it: then `domain` is for the DSL alone.
    pub mandatory: bool,
    /// Whether all of it was a page's or a device's own doing.
    pub background: bool,
}

/// Which rows belong together.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    device: Option<String>,
    group: String,
    domain: String,
    action: Verdict,
    mandatory: bool,
}

/// Collapses `rows`, which are in the order of time, to incidents in the order
/// of their first look-ups.
pub fn incidents<'r>(rows: impl IntoIterator<Item = &'r Row>) -> Vec<Incident> {
    let mut all: Vec<Incident> = Vec::new();
    let mut latest: HashMap<Key, usize> = HashMap::new();
    for row in rows {
        let key = Key {
            device: device_of(row),
            group: row.group.clone(),
            domain: domain_of(row),
            action: row.action,
            mandatory: row.is_mandatory(),
        };
        let current = latest.get(&key).and_then(|at| all.get_mut(*at));
        if let Some(incident) = current.filter(|i| row.time.duration_since(i.first) < LENGTH) {
            incident.add(row);
        } else {
            let incident = Incident::begun(row, &key);
            latest.insert(key, all.len());
            all.push(incident);
        }
    }
    all
}

impl Incident {
    fn begun(row: &Row, key: &Key) -> Self {
        let mut incident = Self {
            first: row.time,
            last: row.time,
            count: 0,
            device: key.device.clone(),
            device_name: row.device_name.clone(),
            group: key.group.clone(),
            domain: key.domain.clone(),
            categories: BTreeSet::new(),
            theme: Theme::Unsorted,
            action: key.action,
            mandatory: key.mandatory,
            background: !key.mandatory,
        };
        incident.add(row);
        incident
    }

    fn add(&mut self, row: &Row) {
        self.count += row.count;
        self.last = self.last.max(row.time);
        self.background &= is_background(row.layer, ids_of(row));
        self.categories.extend(row.category.iter().cloned());
        self.categories.extend(row.categories.iter().cloned());
        self.theme = self.gravest_theme();
    }

    /// The catalogue lists the gravest first.
    fn gravest_theme(&self) -> Theme {
        let known = self.categories.iter().filter_map(|id| Category::named(id));
        let gravest = known.min().and_then(Category::facts);
        match gravest {
            Some(facts) => facts.theme,
            // A mandatory source whose category has since been renamed.
            None if self.mandatory => Theme::Illegal,
            None => Theme::Unsorted,
        }
    }
}

/// A row is background only if everything it is listed for is: a tracker that
/// is also a gambling site is a gambling site. A canary is asked for by the
/// device, never by who sits before it.
#[must_use]
pub fn is_background<'c>(layer: Layer, categories: impl Iterator<Item = &'c str>) -> bool {
    if layer == Layer::Canary {
        return true;
    }
    let mut ids = categories.peekable();
    ids.peek().is_some() && ids.all(|id| Category::named(id).is_some_and(Category::is_background))
}

fn ids_of(row: &Row) -> impl Iterator<Item = &str> {
    let ids = row.category.iter().chain(&row.categories);
    ids.map(String::as_str)
}

/// What an incident calls the device of a row.
#[must_use]
pub fn device_of(row: &Row) -> Option<String> {
    let device = row.device.as_ref().or(row.mac.as_ref()).cloned();
    device.or_else(|| row.ip.map(|ip| ip.to_string()))
}

/// The domain of the incident a row belongs to.
#[must_use]
pub fn domain_of(row: &Row) -> String {
    match row {
        _ if row.is_various() => VARIOUS.to_owned(),
        _ => registrable(&row.name),
    }
}

/// The domain somebody registered, by the Public Suffix List: `example.co.uk`
/// of `www.example.co.uk`. A name the list says nothing of keeps its last two
/// labels; look-ups of addresses are one domain a family.
#[must_use]
pub fn registrable(name: &str) -> String {
    for reverse in ["in-addr.arpa", "ip6.arpa"] {
        if name.ends_with(reverse) {
            return reverse.to_owned();
        }
    }
    let domain = psl::domain_str(name).unwrap_or_else(|| {
        let mut dots = name.rmatch_indices('.').map(|(at, _)| at);
        dots.nth(1)
            .and_then(|at| name.get(at + 1..))
            .unwrap_or(name)
    });
    domain.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(second: i64, name: &str, categories: &[&str]) -> Row {
        Row {
            time: Timestamp::from_second(1_795_000_000 + second).unwrap(),
            time_trusted: true,
            device: Some("ipad-7".to_owned()),
            device_name: Some("iPad 7".to_owned()),
            mac: None,
            ip: None,
            group: "pupils".to_owned(),
            name: name.to_owned(),
            rtype: 1,
            action: Verdict::Block,
            layer: Layer::Category,
            category: categories.first().map(|c| (*c).to_owned()),
            categories: categories.iter().map(|c| (*c).to_owned()).collect(),
            source: None,
            policy: 1,
            count: 1,
        }
    }

    #[test]
    fn the_registrable_domain() {
        for (name, domain) in [
            ("www.example.co.uk", "example.co.uk"),
            ("a.b.example.com", "example.com"),
            ("someone.github.io", "someone.github.io"),
            ("co.uk", "co.uk"),
            ("lan", "lan"),
            ("printer.lan", "printer.lan"),
            ("a.b.printer.lan", "printer.lan"),
            ("4.3.2.10.in-addr.arpa", "in-addr.arpa"),
            ("1.0.8.b.d.0.1.0.0.2.ip6.arpa", "ip6.arpa"),
            (".", "."),
        ] {
            assert_eq!(registrable(name), domain, "{name}");
        }
    }

    #[test]
    fn five_minutes_of_one_domain_are_one_incident() {
        let rows = [
            row(0, "www.bets.example", &["gambling"]),
            row(1, "cdn.bets.example", &["gambling"]),
            row(2, "www.other.example", &["games"]),
            row(299, "bets.example", &["gambling"]),
            row(300, "bets.example", &["gambling"]),
        ];
        let all = incidents(&rows);
        let said: Vec<_> = all.iter().map(|i| (&*i.domain, i.count)).collect();
        assert_eq!(
            said,
            [
                ("bets.example", 3),
                ("other.example", 1),
                ("bets.example", 1)
            ]
        );
        assert_eq!(all[0].theme, Theme::Gambling);
        assert_eq!(all[0].last.duration_since(all[0].first).as_secs(), 299);
    }

    #[test]
    fn devices_groups_and_outcomes_are_kept_apart() {
        let mut rows = vec![row(0, "a.example", &[]); 4];
        rows[1].device = Some("ipad-8".to_owned());
        rows[2].action = Verdict::Allow;
        rows[3].group = "staff".to_owned();
        assert_eq!(incidents(&rows).len(), 4);
    }

    #[test]
    fn background_is_only_what_is_nothing_else() {
        let background = |rows: &[Row]| incidents(rows)[0].background;
        assert!(background(&[row(0, "ads.example", &["adverts"])]));
        assert!(!background(&[row(
            0,
            "ads.example",
            &["adverts", "gambling"]
        )]));
        assert!(!background(&[row(0, "open.example", &[])]));
        let mut canary = row(0, "use-application-dns.net", &[]);
        canary.layer = Layer::Canary;
        assert!(background(&[canary]));
        assert!(!background(&[
            row(0, "a.ads.example", &["adverts"]),
            row(1, "b.ads.example", &["gambling"]),
        ]));
    }

    #[test]
    fn a_mandatory_hit_is_never_hidden_and_never_merged() {
        let mut rows = vec![row(0, "x.ads.example", &["adverts"]); 3];
        rows[1].layer = Layer::Mandatory;
        let all = incidents(&rows);
        let said: Vec<_> = all
            .iter()
            .map(|i| (i.mandatory, i.background, i.count))
            .collect();
        assert_eq!(said, [(false, true, 2), (true, false, 1)]);
    }
}
