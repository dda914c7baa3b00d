//! Is the filter working, are the lists fresh, is the log being written?
//!
//! Judged from what the resolver says and what is known of the lists, in words
//! that need no technician to be read, each with what to do about it. Pure:
//! pages and alerts judge alike. It must never call something well that it
//! could not see.

use jiff::Timestamp;
use serde::Serialize;

use super::Resolver;
use super::findings::Found;
use crate::lists::report::ListsReport;

/// How well something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, and somebody should look.
    Warn,
    /// It does not work.
    Bad,
}

impl Level {
    /// The word in JSON and in the style sheet.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

/// What is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Area {
    /// Whether questions are answered by the school's rules.
    Filter,
    /// Whether the lists are fresh.
    Lists,
    /// Whether the log is written.
    Log,
    /// Whether devices can be told apart.
    Devices,
    /// The encrypted listeners.
    Encryption,
}

impl Area {
    /// Those of the one line on the first page.
    pub const MAIN: [Self; 3] = [Self::Filter, Self::Lists, Self::Log];

    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Filter => "Filter",
            Self::Lists => "Lists",
            Self::Log => "Log",
            Self::Devices => "Devices",
            Self::Encryption => "Encrypted DNS",
        }
    }
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// About what.
    pub area: Area,
    /// How well it is.
    pub level: Level,
    /// In words.
    pub says: String,
    /// What to do about it; empty where nothing is to be done.
    pub remedy: String,
}

/// All that was found; the gravest of each area first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Health {
    /// At least one for each of [`Area::MAIN`].
    pub findings: Vec<Finding>,
}

impl Health {
    /// Judges. `lists` is none where they could not be read.
    #[must_use]
    pub fn of(resolver: &Resolver, lists: Option<&ListsReport>, now: Timestamp) -> Self {
        let mut found = Found::default();
        match resolver {
            Resolver::Answers(status) => {
                found.filter(status);
                found.log(status, now);
                found.devices(status);
                found.encryption(status, now);
            }
            Resolver::NotRunning => found.not_running(),
            Resolver::Silent(why) => found.silent(why),
        }
        found.lists(lists);
        found.all_well();
        let mut findings = found.0;
        findings.sort_by_key(|f| (f.area, std::cmp::Reverse(f.level)));
        Self { findings }
    }

    /// The gravest.
    #[must_use]
    pub fn level(&self) -> Level {
        let levels = self.findings.iter().map(|finding| finding.level);
        levels.max().unwrap_or(Level::Bad)
    }

    /// The gravest of `area`.
    #[must_use]
    pub fn worst(&self, area: Area) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.area == area)
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::status::{Disk, Status, Suspect, Suspicion, Upstream};

    fn now() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn well() -> Status {
        let hour = SignedDuration::from_hours(1);
        let json = serde_json::json!({
            "version": "1", "started": now() - hour, "time": now(), "clock_is_trusted": true,
            "policy": {
                "number": 1, "activated": now() - hour, "lists": "lists-1",
                "lists_since": now() - hour, "names": 3
            },
            "activations": { "failures": 0, "trouble": null },
            "log": crate::querylog::health::Report::default(),
            "retention": { "keep_days": 183, "swept": null, "held": [], "complaints": [] },
            "upstreams": [], "cache": crate::status::Cache::default(), "connections": [],
            "failed_handshakes": 0, "certificate": null, "leases": [], "suspects": [],
            "missing_safe_modes": [], "disk": { "free": 1_u64 << 40, "total": 1_u64 << 40 },
            "totals": crate::status::Totals::default(), "rates": crate::status::Rates::default()
        });
        serde_json::from_value(json).unwrap()
    }

    fn lists() -> ListsReport {
        ListsReport {
            sources: Vec::new(),
            names: 3,
            mandatory: 1,
            redundant: 0,
            generation: "lists-1".to_owned(),
        }
    }

    fn level(area: Area, change: impl FnOnce(&mut Status)) -> Option<Level> {
        let mut status = well();
        change(&mut status);
        let health = Health::of(&Resolver::Answers(Box::new(status)), Some(&lists()), now());
        health.worst(area).map(|finding| finding.level)
    }

    fn upstream(up: bool) -> Upstream {
        Upstream {
            server: "udp://192.0.2.1:53".to_owned(),
            up,
            answers: 1,
            failures: 1,
            last_answer: None,
            last_failure: None,
            last_error: None,
        }
    }

    #[test]
    fn each_trouble_is_as_grave_as_it_is() {
        use Area::{Devices, Encryption, Filter, Log};
        use Level::{Bad, Ok, Warn};
        let minute = SignedDuration::from_mins(2);
        let certificate = |ok, hours| {
            Some(crate::status::Certificate {
                ok,
                expires: Some(now() + SignedDuration::from_hours(hours)),
            })
        };
        let suspect = Suspect {
            address: [10, 0, 0, 1].into(),
            suspicion: Suspicion::HidesClients,
            since: now(),
            count: 3000,
        };
        assert_eq!(level(Filter, |_| ()), Some(Ok));
        assert_eq!(level(Filter, |s| s.policy = None), Some(Bad));
        assert_eq!(level(Filter, |s| s.clock_is_trusted = false), Some(Warn));
        let (one, both) = ([true, false], [false, false]);
        let servers = |up: [bool; 2]| up.map(upstream).to_vec();
        assert_eq!(level(Filter, |s| s.upstreams = servers(one)), Some(Warn));
        assert_eq!(level(Filter, |s| s.upstreams = servers(both)), Some(Bad));
        let refused = Some("policy.toml:3: no".to_owned());
        assert_eq!(
            level(Filter, |s| s.activations.trouble = refused),
            Some(Warn)
        );
        assert_eq!(level(Log, |s| s.log.failing = true), Some(Bad));
        assert_eq!(level(Log, |s| s.log.lost_mandatory = 1), Some(Warn));
        let waiting = |s: &mut Status| {
            s.log.pending_rows = 1;
            s.log.last_write = Some(now() - minute);
        };
        assert_eq!(level(Log, waiting), Some(Bad));
        let disk = |free| {
            Some(Disk {
                free,
                total: 1 << 40,
            })
        };
        assert_eq!(level(Log, |s| s.disk = disk(1 << 20)), Some(Bad));
        assert_eq!(level(Log, |s| s.disk = disk(1 << 29)), Some(Warn));
        assert_eq!(level(Devices, |s| s.suspects.push(suspect)), Some(Warn));
        assert_eq!(level(Devices, |_| ()), None);
        let hour = certificate(true, 1);
        assert_eq!(level(Encryption, |s| s.certificate = hour), Some(Warn));
        let over = certificate(true, -1);
        assert_eq!(level(Encryption, |s| s.certificate = over), Some(Bad));
    }

    #[test]
    fn what_cannot_be_seen_is_not_well() {
        let well = Resolver::Answers(Box::new(well()));
        assert_eq!(Health::of(&well, None, now()).level(), Level::Bad);
        assert_eq!(Health::of(&well, Some(&lists()), now()).level(), Level::Ok);
        for resolver in [Resolver::NotRunning, Resolver::Silent("hangs".to_owned())] {
            let health = Health::of(&resolver, Some(&lists()), now());
            assert_eq!(health.level(), Level::Bad);
            assert!(health.worst(Area::Log).unwrap().level > Level::Ok);
        }
    }
}
