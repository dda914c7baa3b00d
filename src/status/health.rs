//! Is the filter working, are the lists fresh, is the log being written?
//!
//! Judged from what the resolver says and what is known of the lists, in words
//! that need no technician to be read, each with what to do about it. Pure:
//! pages and alerts judge alike. It must never call something well that it
//! could not see.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{Resolver, Status, Suspicion};
use crate::lists::lookup::Class;
use crate::lists::report::ListsReport;
use crate::lists::store;

/// Rows that wait longer than this are not being written.
const WRITTEN_WITHIN: SignedDuration = SignedDuration::from_secs(60);
/// A certificate that ends sooner should have been renewed.
const CERTIFICATE: SignedDuration = SignedDuration::from_hours(14 * 24);
/// Bytes free on the disk: below the first somebody should look, below the
/// second the log is about to stop.
const DISK: [u64; 2] = [1 << 30, 64 << 20];

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

#[derive(Default)]
struct Found(Vec<Finding>);

impl Found {
    fn add(&mut self, area: Area, level: Level, says: impl Into<String>, remedy: &str) {
        self.0.push(Finding {
            area,
            level,
            says: says.into(),
            remedy: remedy.to_owned(),
        });
    }

    fn not_running(&mut self) {
        let remedy = "Ask the technician to start it: systemctl start schoolgate.";
        let says = "The filter is not running. No device that relies on it can look anything up.";
        self.add(Area::Filter, Level::Bad, says, remedy);
        let says = "Nothing is being written, because the filter is not running.";
        self.add(Area::Log, Level::Bad, says, "");
    }

    fn silent(&mut self, why: &str) {
        let remedy = "Ask the technician to look at it: systemctl status schoolgate.";
        let says = format!("The filter could not be asked how it is: {why}.");
        self.add(Area::Filter, Level::Bad, says, remedy);
        let says = "Whether the log is being written is not known.";
        self.add(Area::Log, Level::Warn, says, "");
    }

    fn filter(&mut self, status: &Status) {
        let area = Area::Filter;
        if status.policy.is_none() {
            self.add(
                area,
                Level::Bad,
                "The filter runs but answers nobody: it has no rules and lists yet.",
                "Ask the technician to run `schoolgate check` and `schoolgate refresh`.",
            );
        }
        let down = status.upstreams.iter().filter(|server| !server.up).count();
        let all = status.upstreams.len();
        if down > 0 && down == all {
            self.add(
                area,
                Level::Bad,
                "No server on the internet answers the filter: what is blocked stays blocked, \
                 and little else can be reached.",
                "Is the school's internet line working? Then see the upstreams on the health page.",
            );
        } else if down > 0 {
            let says = format!(
                "{down} of {all} servers that the filter asks does not answer; the others do."
            );
            self.add(
                area,
                Level::Warn,
                says,
                "See the upstreams on the health page.",
            );
        }
        if status.policy.is_some() && status.activations.trouble.is_some() {
            self.add(
                area,
                Level::Warn,
                "The last change of rules or lists was refused; those before it are in force.",
                "The technician sees the reason with `schoolgate check` and on the health page.",
            );
        }
        if status.policy.is_some() && !status.clock_is_trusted {
            self.add(
                area,
                Level::Warn,
                "The machine's clock is wrong: every group gets its strictest timetable.",
                "Ask the technician to set the clock: timedatectl.",
            );
        }
        let missing = status.missing_safe_modes.len();
        if missing > 0 {
            let says = format!(
                "{missing} of the search engines' safe modes could not be found last night; \
                 those engines fail for groups held to them."
            );
            let remedy = "See which on the health page; a newer table may be needed.";
            self.add(area, Level::Warn, says, remedy);
        }
    }

    fn lists(&mut self, lists: Option<&ListsReport>) {
        let area = Area::Lists;
        let Some(lists) = lists else {
            let remedy = "Ask the technician to run `schoolgate refresh`.";
            self.add(
                area,
                Level::Bad,
                "There are no lists that can be read.",
                remedy,
            );
            return;
        };
        let refresh = "Ask the technician to look at the page of lists.";
        let not_fresh = |class: Class| {
            let of_class = lists.sources.iter().filter(move |s| s.class == class);
            of_class.filter(|source| source.state != store::Health::Fresh)
        };
        let mandatory = not_fresh(Class::Mandatory).count();
        if mandatory > 0 {
            let says = format!(
                "{} of illegal content not up to date; the last good one is in force.",
                counted(mandatory, "list is", "lists are")
            );
            self.add(area, Level::Bad, says, refresh);
        }
        let others = not_fresh(Class::Category).count();
        if others > 0 {
            let says = format!(
                "{others} of {} not up to date; the last good one is in force.",
                counted(lists.sources.len(), "list is", "lists are")
            );
            self.add(area, Level::Warn, says, refresh);
        }
    }

    fn log(&mut self, status: &Status, now: Timestamp) {
        let (area, log) = (Area::Log, &status.log);
        let waits = log.pending_rows > 0
            && now.duration_since(log.last_write.unwrap_or(status.started)) > WRITTEN_WITHIN;
        if log.failing || waits {
            self.add(
                area,
                Level::Bad,
                "The log is not being written. Blocking works, but nobody will see what was tried.",
                "Ask the technician at once: is the disk full? The health page has the reason.",
            );
        }
        let lost = log.lost_blocked + log.lost_mandatory;
        if lost > 0 {
            let says = format!(
                "{} of blocked sites could not be written down since the filter started.",
                counted(lost as usize, "attempt", "attempts")
            );
            self.add(area, Level::Warn, says, "The health page has the reason.");
        }
        if log.set_aside > 0 || !status.retention.complaints.is_empty() {
            self.add(
                area,
                Level::Warn,
                "A day of the log is damaged, or could not be dropped when it was due.",
                "The health page says which.",
            );
        }
        let free = status.disk.map_or(u64::MAX, |disk| disk.free);
        let levels = [(DISK[1], Level::Bad), (DISK[0], Level::Warn)];
        if let Some((_, level)) = levels.into_iter().find(|(least, _)| free < *least) {
            let says = format!("The disk is nearly full: {} MB are left.", free >> 20);
            self.add(area, level, says, "Ask the technician to make room on it.");
        }
    }

    fn devices(&mut self, status: &Status) {
        let area = Area::Devices;
        let suspects = |wanted| {
            let all = status.suspects.iter();
            all.filter(move |s| s.suspicion == wanted).count()
        };
        let hiding = suspects(Suspicion::HidesClients);
        if hiding > 0 {
            let says = format!(
                "{} for many devices without saying for which, so they cannot be told apart.",
                counted(hiding, "address asks", "addresses ask")
            );
            let remedy = "Should the router send who asks? See the page of devices.";
            self.add(area, Level::Warn, says, remedy);
        }
        let claiming = suspects(Suspicion::ClaimsToBeSomebody);
        if claiming > 0 {
            let says = format!(
                "{} to be another device; it was not believed.",
                counted(claiming, "address claimed", "addresses claimed")
            );
            let remedy = "Is it a router that is missing in clients.routers? See the page of \
                          devices.";
            self.add(area, Level::Warn, says, remedy);
        }
        let leases = status.leases.iter();
        if leases.filter(|file| file.trouble.is_some()).count() > 0 {
            let says = "A file of the DHCP server cannot be read, so devices may go unnamed.";
            self.add(area, Level::Warn, says, "The health page says which.");
        }
    }

    fn encryption(&mut self, status: &Status, now: Timestamp) {
        let Some(certificate) = &status.certificate else {
            return;
        };
        let area = Area::Encryption;
        let left = certificate.expires.map(|at| at.duration_since(now));
        if left.is_some_and(|left| left.is_negative()) {
            let says = "The certificate has ended: encrypted questions fail.";
            self.add(area, Level::Bad, says, "Ask the technician to renew it.");
        } else if !certificate.ok {
            let says = "The certificate's files cannot be used; what was served before still is.";
            let remedy = "Ask the technician to look at [tls] in schoolgate.toml.";
            self.add(area, Level::Warn, says, remedy);
        } else if left.is_some_and(|left| left < CERTIFICATE) {
            let says = "The certificate ends within 14 days.";
            let remedy = "Has whoever renews it stopped? Ask the technician.";
            self.add(area, Level::Warn, says, remedy);
        }
    }

    /// What nothing was found against.
    fn all_well(&mut self) {
        for area in Area::MAIN {
            if self.0.iter().all(|finding| finding.area != area) {
                let says = match area {
                    Area::Filter => "The filter is working.",
                    Area::Lists => "The lists are up to date.",
                    _ => "The log is being written.",
                };
                self.add(area, Level::Ok, says, "");
            }
        }
    }
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{Disk, Suspect, Upstream};

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
