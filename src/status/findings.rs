//! What is found, area by area, and in which words.
//!
//! Each says what is so, then what to do; a safeguarding lead reads both.

use jiff::{SignedDuration, Timestamp};

use super::health::{Area, Finding, Level};
use super::{Status, Suspicion};
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

/// What was found so far.
#[derive(Default)]
pub(super) struct Found(pub(super) Vec<Finding>);

impl Found {
    fn add(&mut self, area: Area, level: Level, says: impl Into<String>, remedy: &str) {
        self.0.push(Finding {
            area,
            level,
            says: says.into(),
            remedy: remedy.to_owned(),
        });
    }

    pub(super) fn not_running(&mut self) {
        let remedy = "Ask the technician to start it: systemctl start schoolgate.";
        let says = "The filter is not running. No device that relies on it can look anything up.";
        self.add(Area::Filter, Level::Bad, says, remedy);
        let says = "Nothing is being written, because the filter is not running.";
        self.add(Area::Log, Level::Bad, says, "");
    }

    pub(super) fn silent(&mut self, why: &str) {
        let remedy = "Ask the technician to look at it: systemctl status schoolgate.";
        let says = format!("The filter could not be asked how it is: {why}.");
        self.add(Area::Filter, Level::Bad, says, remedy);
        let says = "Whether the log is being written is not known.";
        self.add(Area::Log, Level::Warn, says, "");
    }

    pub(super) fn filter(&mut self, status: &Status) {
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
                "{down} of {all} servers that the filter asks cannot be reached; the others answer."
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
        // Without an upstream nothing is found, and that is said already.
        if missing > 0 && (down < all || all == 0) {
            let says = format!(
                "{missing} of the search engines' safe modes could not be found last night; \
                 those engines fail for groups held to them."
            );
            let remedy = "See which on the health page; a newer table may be needed.";
            self.add(area, Level::Warn, says, remedy);
        }
    }

    pub(super) fn lists(&mut self, lists: Option<&ListsReport>) {
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
                "{} of illegal content not up to date; what was last good is in force.",
                counted(mandatory, "list is", "lists are")
            );
            self.add(area, Level::Bad, says, refresh);
        }
        let others = not_fresh(Class::Category).count();
        if others > 0 {
            let (all, are) = (lists.sources.len(), if others == 1 { "is" } else { "are" });
            let says = format!(
                "{others} of {all} lists {are} not up to date; what was last good is in force."
            );
            self.add(area, Level::Warn, says, refresh);
        }
    }

    pub(super) fn log(&mut self, status: &Status, now: Timestamp) {
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

    pub(super) fn devices(&mut self, status: &Status) {
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

    pub(super) fn encryption(&mut self, status: &Status, now: Timestamp) {
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
    pub(super) fn all_well(&mut self) {
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
