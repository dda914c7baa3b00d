//! The alerts of a school tried out with a clock of the test's own: rows go into
//! a real log, and what is raised of them is looked at.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, TransactionBehavior};
use tempfile::TempDir;

use super::desk::Desk;
use super::follow::Follower;
use super::outbox::{self, Channel, Failure};
use super::{appliance, digest, drop, rules, store};
use crate::lists::category::{Category, CategorySet};
use crate::name::Name;
use crate::policy::decision::{Layer, LogLevel, Verdict};
use crate::policy::document::PolicyDocument;
use crate::policy::timetable::SchoolYear;
use crate::querylog::event::Event;
use crate::querylog::recorder::{Recorder, recorder};
use crate::querylog::writer::{self, Writer};
use crate::record::{Deed, Record};
use crate::settings::Settings;

#[path = "trial_changes.rs"]
mod changes_told;
#[path = "trial_faults.rs"]
mod faults;

const POLICY: &str = r#"
school = "Test"
timezone = "Europe/London"
unknown = "pupil"
[groups.pupil]
block = ["self_harm"]
[alerts]
fallback = "office@school.example"
[alerts.people]
dsl = ["dsl@school.example"]
"#;

/// A school, its log, and what its alerts remember.
struct School {
    state: TempDir,
    recorder: Recorder,
    writer: Writer,
    settings: Settings,
    document: PolicyDocument,
    db: Connection,
    follower: Option<Follower>,
    told: CategorySet,
}

/// Monday, 2 November 2026, 10:00 in London.
fn at(minutes: i64) -> Timestamp {
    let monday: Timestamp = "2026-11-02T10:00:00Z".parse().unwrap();
    monday + SignedDuration::from_mins(minutes)
}

impl School {
    fn new(policy: &str) -> Self {
        let state = TempDir::new().unwrap();
        let (document, wrong) = PolicyDocument::read("policy.toml", &format!("{POLICY}{policy}"));
        assert_eq!(wrong, []);
        let (recorder, outlet) = recorder(1 << 20);
        let log = writer::Settings::new(state.path().join("querylog"), document.zone.clone());
        let text = "[mail]\nserver = \"127.0.0.1\"\nfrom = \"filter@school.example\"\n";
        let settings = Settings {
            state_dir: state.path().to_owned(),
            ..Settings::read("", text).0
        };
        Self {
            recorder,
            writer: Writer::new(log, vec![outlet]),
            db: store::open(state.path()).unwrap(),
            told: rules::told(&document.alerts.value),
            state,
            settings,
            document,
            follower: None,
        }
    }

    /// The process ends and starts again.
    fn restart(&mut self) {
        self.follower = None;
        self.db = store::open(self.state.path()).unwrap();
    }

    /// Somebody looks a name up, and it is written down.
    fn asks(&mut self, when: Timestamp, device: &str, name: &str, category: &str) {
        self.asks_as(
            when,
            device,
            name,
            category,
            (Verdict::Block, Layer::Category),
        );
    }

    fn asks_as(
        &mut self,
        when: Timestamp,
        device: &str,
        name: &str,
        category: &str,
        (action, layer): (Verdict, Layer),
    ) {
        let asked = Name::parse_any_depth(name).unwrap();
        let category = Category::named(category);
        let event = Event {
            time: when,
            time_trusted: true,
            device: Some(device),
            device_name: None,
            mac: None,
            ip: "10.1.0.7".parse().unwrap(),
            group: "pupil",
            name: asked.as_ref(),
            rtype: 1,
            action,
            layer,
            category,
            categories: category.into_iter().collect(),
            source: None,
            policy: 1,
            level: LogLevel::Full,
        };
        self.recorder.record(&event, 0);
        self.recorder.flush();
        self.writer.flush(when);
    }

    fn with_desk<T>(&mut self, work: impl FnOnce(&rusqlite::Transaction<'_>, &Desk<'_>) -> T) -> T {
        let desk = Desk {
            rules: &self.document.alerts.value,
            settings: &self.settings,
            school: &self.document.school,
            zone: &self.document.zone,
        };
        let tx = self
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate);
        let tx = tx.unwrap();
        let done = work(&tx, &desk);
        tx.commit().unwrap();
        done
    }

    /// Looks at the log once.
    fn looks(&mut self, now: Timestamp) {
        let folder = self.state.path().join("querylog");
        if self.follower.is_none() {
            let (follower, _) = Follower::begin(&folder, &mut self.db, now).unwrap();
            self.follower = Some(follower);
        }
        let follower = self.follower.as_mut().unwrap();
        let fresh = follower.fresh(&self.db, self.told, now).unwrap();
        assert!(!fresh.more);
        self.with_desk(|tx, desk| {
            for (day, row) in &fresh.rows {
                rules::look_at(tx, desk, *day, row, now).unwrap();
            }
            let today = now.to_zoned(desk.zone.clone()).date();
            Follower::tidy(tx, today, now).unwrap();
        });
    }

    fn alerts(&self) -> Vec<(String, String, i64)> {
        let sql = "SELECT kind, device, count FROM alerts ORDER BY id";
        let mut select = self.db.prepare(sql).unwrap();
        let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        rows.unwrap().map(Result::unwrap).collect()
    }

    fn number(&self, sql: &str) -> i64 {
        self.db.query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

fn alert(kind: &str, device: &str, count: i64) -> (String, String, i64) {
    (kind.to_owned(), device.to_owned(), count)
}

#[test]
fn the_past_raises_nothing_and_what_comes_does() {
    let mut school = School::new("");
    school.asks(at(0), "ipad-1", "hurt.example", "self_harm");
    school.looks(at(1));
    school.looks(at(3));
    assert_eq!(school.alerts(), []);
    school.asks(at(4), "ipad-1", "hurt.example", "self_harm");
    school.looks(at(4));
    assert_eq!(school.alerts(), [alert("hit", "ipad-1", 1)]);
    school.restart();
    school.looks(at(5));
    assert_eq!(school.alerts().len(), 1);
}

/// A disk that was full, a clock that was put right, a day that is over.
#[test]
fn rows_that_come_late_are_told_of_once() {
    let mut school = School::new("");
    school.looks(at(0));
    school.asks(at(60), "ipad-1", "hurt.example", "self_harm");
    school.looks(at(60));
    for (minutes, device) in [(10, "ipad-2"), (20, "ipad-3"), (-3 * 1440, "ipad-4")] {
        school.asks(at(minutes), device, "hurt.example", "self_harm");
    }
    school.looks(at(60));
    school.looks(at(62));
    school.looks(at(64));
    school.restart();
    school.looks(at(70));
    let mut devices: Vec<String> = school.alerts().into_iter().map(|alert| alert.1).collect();
    devices.sort();
    assert_eq!(devices, ["ipad-1", "ipad-2", "ipad-3", "ipad-4"]);
}

#[test]
fn what_comes_while_nobody_watches_is_told_afterwards() {
    let mut school = School::new("");
    school.looks(at(0));
    school.follower = None;
    school.asks(at(5), "ipad-1", "hurt.example", "self_harm");
    school.asks(at(2000), "ipad-2", "hurt.example", "self_harm");
    school.restart();
    // Files carry the machine's time, not the test's: all are looked at.
    school.looks(at(3000));
    assert_eq!(school.alerts().len(), 2);
}

#[test]
fn more_of_the_same_is_the_same_alert_for_a_while() {
    let mut school = School::new("");
    school.looks(at(0));
    for minutes in [1, 5, 10, 15, 17] {
        let name = format!("n{minutes}.example");
        school.asks(at(minutes), "ipad-1", &name, "self_harm");
    }
    school.looks(at(20));
    let expected = [alert("hit", "ipad-1", 4), alert("hit", "ipad-1", 1)];
    assert_eq!(school.alerts(), expected);
}

/// R-56: apart from what is blocked.
#[test]
fn an_allowed_look_up_counts_where_the_school_says_so() {
    let allowed = (Verdict::Allow, Layer::Allow);
    let blocked = (Verdict::Block, Layer::Category);
    for (says, outcome, alerts) in [
        ("", allowed, 0),
        ("allowed = true", allowed, 1),
        ("tell = \"off\"", blocked, 0),
    ] {
        let mut school = School::new(&format!("[alerts.themes.extremism]\n{says}\n"));
        school.looks(at(0));
        school.asks_as(at(1), "ipad-1", "x.example", "extremism", outcome);
        school.looks(at(1));
        assert_eq!(school.alerts().len(), alerts, "{says}");
    }
}

#[test]
fn a_threshold_counts_attempts_of_one_device_within_its_minutes() {
    let policy = "[alerts.themes.bypass]\ntell = \"threshold\"\ntimes = 3\nminutes = 10\n";
    let mut school = School::new(policy);
    school.looks(at(0));
    let tries = [
        (1, "ipad-1", "a.example"),
        (1, "ipad-1", "www.a.example"),
        (2, "ipad-1", "a.example"),
        (3, "ipad-2", "a.example"),
        (13, "ipad-1", "a.example"),
        (14, "ipad-1", "b.example"),
    ];
    for (minutes, device, name) in tries {
        school.asks(at(minutes), device, name, "bypass");
    }
    school.looks(at(15));
    assert_eq!(school.alerts(), []);
    school.asks(at(15), "ipad-1", "c.example", "bypass");
    school.looks(at(15));
    assert_eq!(school.alerts(), [alert("threshold", "ipad-1", 1)]);
}

/// What was tried before the school wanted to know raises nothing.
#[test]
fn a_theme_that_is_told_of_from_now_on_begins_now() {
    let mut school = School::new("[alerts.themes.leisure]\ntell = \"at_once\"\n");
    let wide = school.told;
    let games = Category::all().filter(|c| c.id() == "games").collect();
    school.told = wide.without(games);
    school.looks(at(0));
    school.asks(at(1), "ipad-1", "play.example", "games");
    school.looks(at(1));
    let today: Date = "2026-11-02".parse().unwrap();
    let narrow = school.told;
    let follower = school.follower.as_ref().unwrap();
    follower
        .widen(&mut school.db, (narrow, wide), today)
        .unwrap();
    school.told = wide;
    school.looks(at(3));
    assert_eq!(school.alerts(), []);
    school.asks(at(4), "ipad-1", "play.example", "games");
    school.looks(at(5));
    assert_eq!(school.alerts().len(), 1);
}

/// E-mail that can wait, waits; what may not, does not.
#[test]
fn quiet_hours_hold_back_all_but_the_gravest() {
    let policy = "[alerts.quiet]\nfrom = \"18:00\"\nto = \"07:30\"\n";
    let mut school = School::new(policy);
    school.looks(at(0));
    let night = at(12 * 60);
    school.asks(night, "ipad-1", "x.example", "extremism");
    school.asks(night, "ipad-2", "hurt.example", "self_harm");
    school.looks(night);
    let due = |theme: &str| {
        let sql = "SELECT due FROM outbox JOIN alerts ON alerts.id = alert WHERE theme = ?";
        let due: i64 = school.db.query_row(sql, [theme], |row| row.get(0)).unwrap();
        Timestamp::from_microsecond(due).unwrap().to_string()
    };
    assert_eq!(due("extremism"), "2026-11-03T07:30:00Z");
    assert_eq!(due("suicide_self_harm"), "2026-11-02T22:00:00Z");
}

/// A mail server that is down for a day: nothing is lost, nothing leaves twice,
/// and it is not hammered.
#[test]
fn a_server_that_is_down_for_a_day_is_asked_seldom_and_gets_all_of_it() {
    let mut school = School::new("");
    school.looks(at(0));
    for device in 0..20 {
        let device = format!("ipad-{device}");
        school.asks(at(1), &device, "hurt.example", "self_harm");
    }
    school.looks(at(1));
    let down = Failure::Channel("connection refused".to_owned());
    let (mut tries, mut sent) = (0, std::collections::BTreeSet::new());
    for second in 0..2 * 86_400 {
        let now = at(1) + SignedDuration::from_secs(second);
        let Some(waiting) = outbox::next(&school.db, Channel::Mail, now).unwrap() else {
            continue;
        };
        if second < 86_400 {
            tries += 1;
            outbox::failed(&mut school.db, Channel::Mail, &waiting, &down, None, now).unwrap();
        } else {
            assert!(sent.insert(waiting.key.clone()), "twice");
            outbox::sent(&mut school.db, Channel::Mail, &waiting, now).unwrap();
        }
        if second % 10_000 == 0 {
            school.restart();
        }
    }
    assert_eq!(sent.len(), 20);
    assert!((90..120).contains(&tries), "{tries} tries in a day");
}

#[test]
fn a_digest_leaves_once_with_the_counts_and_the_head_of_the_record() {
    let mut school =
        School::new("[alerts.digest]\nevery = \"week\"\nday = \"mon\"\nat = \"11:00\"\n");
    school.looks(at(0));
    let send = |school: &mut School, now| {
        school.with_desk(|tx, desk| digest::send_if_due(tx, desk, now).unwrap());
    };
    // The first one would tell of time in which nobody watched.
    send(&mut school, at(90));
    for (minutes, device) in [(100, "ipad-1"), (200, "ipad-1"), (300, "ipad-2")] {
        school.asks(at(minutes), device, "bets.example", "gambling");
    }
    school.looks(at(400));
    let week = 7 * 1440 + 61;
    for minutes in [500, week, week + 1, week + 60] {
        send(&mut school, at(minutes));
    }
    assert_eq!(school.number("SELECT count(*) FROM outbox"), 1);
    let sql = "SELECT message FROM outbox WHERE recipient = 'dsl@school.example'";
    let text: String = school.db.query_row(sql, [], |row| row.get(0)).unwrap();
    for words in [
        "Gambling",
        "group pupil: 3 attempts by 2 devices",
        "The record of who",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains("bets.example") && !text.contains("ipad"));
}

/// R-45.
#[test]
fn the_fallback_is_told_once_that_nobody_has_looked() {
    let mut school = School::new("");
    school.looks(at(0));
    school.asks(at(1), "ipad-1", "hurt.example", "self_harm");
    school.looks(at(1));
    let told = "SELECT count(*) FROM outbox WHERE recipient = 'office@school.example'";
    for (minutes, messages) in [(60, 0), (49 * 60, 1), (60 * 60, 1)] {
        school.with_desk(|tx, desk| digest::remind(tx, desk, at(minutes)).unwrap());
        assert_eq!(school.number(told), messages, "after {minutes} minutes");
    }
}

/// R-68.
#[test]
fn a_group_that_asks_far_less_than_it_always_does_is_told_of_once() {
    let policy = "[alerts.drop]\nleast_queries = 40\nleast_blocks = 20\n";
    let mut school = School::new(policy);
    for week in 1..=4 {
        for hour in 0..3 {
            for n in 0..50 {
                let when = at(hour * 60 - week * 7 * 1440);
                school.asks(when, "ipad-1", &format!("n{n}.example"), "gambling");
            }
        }
    }
    // As usual, then nothing for two hours.
    for n in 0..50 {
        school.asks(at(0), "ipad-1", &format!("n{n}.example"), "gambling");
    }
    for minutes in [64, 124, 184] {
        school.with_desk(|tx, desk| {
            let year = &SchoolYear::default();
            drop::look(tx, desk, &["pupil"], year, at(minutes)).unwrap();
            drop::look(tx, desk, &["pupil"], year, at(minutes + 1)).unwrap();
        });
        let alerts = if minutes == 64 { 0 } else { 2 };
        assert_eq!(school.alerts().len(), alerts, "after {minutes} minutes");
    }
}

/// R-81, R-82; and a resolver that does not run.
#[test]
fn the_record_and_the_resolver_are_watched() {
    let mut school = School::new("");
    let record = Record::of_access(school.state.path());
    let add = |what: &str, minutes| {
        let deed = Deed::new("a.smith", what).from("10.0.0.9");
        record.add(deed, at(minutes)).unwrap();
    };
    add("recovery_code_used", -1);
    let mut watcher = appliance::Watcher::begin(school.state.path(), &school.db).unwrap();
    let settings = school.settings.clone();
    let document = school.document.clone();
    let desk = Desk {
        rules: &document.alerts.value,
        settings: &settings,
        school: &document.school,
        zone: &document.zone,
    };
    for minutes in [0, 1, 10, 80, 90, 100] {
        let what = if minutes == 1 {
            "recovery_code_used"
        } else {
            "locked_out"
        };
        add(what, minutes);
        let looked = watcher.look_at_the_record(&mut school.db, &desk, at(minutes));
        looked.unwrap();
    }
    let kinds = |school: &School| {
        let alerts = school.alerts().into_iter();
        alerts.map(|alert| alert.0).collect::<Vec<_>>()
    };
    assert_eq!(kinds(&school), ["recovery_code", "lock_out"]);
    for minutes in [200, 201, 202, 203, 300] {
        school.with_desk(|tx, desk| watcher.look(tx, desk, [].into_iter(), at(minutes)).unwrap());
        let told = kinds(&school)
            .iter()
            .filter(|kind| *kind == "filter")
            .count();
        assert_eq!(told, usize::from(minutes >= 202), "after {minutes} minutes");
    }
    let to = "SELECT count(*) FROM outbox WHERE recipient = 'office@school.example'";
    assert!(school.number(to) >= 3);
}
