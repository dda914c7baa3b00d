//! A pipeline with a small school's policy and lists, and no network: packets
//! go in, an upstream's answers are put in by hand, replies come out.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};

use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};
use schoolgate::devices::leases::Leases;
use schoolgate::dns::answer::{Answer, NoAnswer};
use schoolgate::dns::cache::{Cache, Limits};
use schoolgate::dns::local::{Local, LocalRecord};
use schoolgate::dns::pipeline::{
    Checks, Desk, From, Now, Outcome, Pending, Pipeline, Step, Wanted,
};
use schoolgate::dns::second_look::Rebinding;
use schoolgate::limiter::Limiter;
use schoolgate::lists::lookup::Lists;
use schoolgate::lists::sample;
use schoolgate::metrics::{Counters, GroupLabels, Transport};
use schoolgate::name::Name;
use schoolgate::policy::Policy;
use schoolgate::policy::compile::{File, Live, compile};
use schoolgate::policy::decision::{Layer, Verdict};
use schoolgate::policy::group::Network;
use schoolgate::querylog::filter::Filter;
use schoolgate::querylog::read::rows;
use schoolgate::querylog::recorder::{Shortfall, recorder};
use schoolgate::querylog::row::Row;
use schoolgate::querylog::writer::{Settings, Writer};
use tempfile::TempDir;

use super::wire::{self, Seen};

const SOURCES: &str = r#"
[[source]]
id = "games"
category = "games"
format = "domains"
match = "subtree"
file = "games.txt"
[[source]]
id = "adult"
category = "pornography"
format = "domains"
match = "subtree"
file = "adult.txt"
[[source]]
id = "bets"
category = "gambling"
format = "domains"
match = "exact"
file = "bets.txt"
[[source]]
id = "bet-servers"
category = "gambling"
format = "addresses"
file = "bet-servers.txt"
[[source]]
id = "illegal"
category = "csam"
class = "mandatory"
format = "domains"
match = "subtree"
file = "illegal.txt"
[[source]]
id = "illegal-servers"
category = "csam"
class = "mandatory"
format = "addresses"
file = "illegal-servers.txt"
"#;

/// What the lists hold; tests of random names vary these.
pub(crate) const LISTED: [(&str, &str); 6] = [
    ("games.txt", "games.test.example\narcade.example\n"),
    ("adult.txt", "adult.example\nboth.example\n"),
    ("bets.txt", "bets.example\nwww.bets.example\nboth.example\n"),
    ("bet-servers.txt", "198.18.7.0/24\n2001:db8:7::7\n"),
    ("illegal.txt", "illegal.example\nhidden.arcade.example\n"),
    ("illegal-servers.txt", "198.18.9.9\n"),
];

pub(crate) struct Bench {
    pub(crate) pipeline: Pipeline,
    pub(crate) live: Arc<ArcSwapOption<Policy>>,
    pub(crate) lists: Arc<Lists>,
    pub(crate) now: Now,
    /// What the log could not take.
    pub(crate) shortfall: Arc<Shortfall>,
    writer: Writer,
    state: TempDir,
}

/// What became of a question.
#[derive(Debug)]
pub(crate) enum Came {
    Reply(Vec<u8>),
    Asked(Pending),
    Silence,
}

/// The text of the policy under test.
pub(crate) fn policy_text() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packets");
    std::fs::read_to_string(folder.join("policy.toml")).unwrap()
}

/// A moment on the wall of the school.
pub(crate) fn wall(text: &str) -> Timestamp {
    let london = jiff::tz::TimeZone::get("Europe/London").unwrap();
    london
        .to_timestamp(text.parse::<DateTime>().unwrap())
        .unwrap()
}

impl Bench {
    /// A school that is open: Tuesday, 10:00, lessons.
    pub(crate) fn new() -> Self {
        Self::with(Limiter::new(0, 0), 1 << 24)
    }

    /// The same with a limit on its devices and a log ring of so many bytes.
    pub(crate) fn with(limiter: Limiter, ring: usize) -> Self {
        Self::build(limiter, ring, false)
    }

    /// One that asks ahead for what is popular.
    pub(crate) fn prefetching() -> Self {
        Self::build(Limiter::new(0, 0), 1 << 24, true)
    }

    fn build(limiter: Limiter, ring: usize, prefetch: bool) -> Self {
        let state = tempfile::tempdir().unwrap();
        let lists = sample::compile(state.path(), SOURCES, &LISTED).unwrap();
        let (recorder, outlet) = recorder(ring);
        let shortfall = Arc::clone(recorder.shortfall());
        let zone = jiff::tz::TimeZone::get("Europe/London").unwrap();
        let settings = Settings::new(state.path().join("querylog"), zone);
        let live = Arc::new(ArcSwapOption::empty());
        let limits = Limits {
            bytes: 1 << 20,
            entries: 1000,
            max_ttl: 86_400,
            min_ttl: 0,
            stale: 86_400,
        };
        let pipeline = Pipeline::new(
            Arc::new(Desk {
                prefetch,
                ..desk(Arc::clone(&live))
            }),
            Cache::new(limits),
            limiter,
            Arc::new(Counters::default()),
            recorder,
        );
        let mut bench = Self {
            pipeline,
            live,
            lists,
            now: Now {
                ms: 1_000_000,
                wall: wall("2026-09-08T10:00:00"),
            },
            shortfall,
            writer: Writer::new(settings, vec![outlet]),
            state,
        };
        bench.swap(&policy_text());
        bench
    }

    /// Makes another policy the live one.
    pub(crate) fn swap(&mut self, text: &str) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packets");
        let devices = std::fs::read_to_string(folder.join("devices.csv")).unwrap();
        let number = self.live.load().as_ref().map_or(1, |p| p.number + 1);
        let live = Live {
            number,
            not_before: "2026-01-01T00:00:00Z".parse().unwrap(),
            lists: Arc::clone(&self.lists),
            standing: false,
        };
        let file = |name, text| File { name, text };
        let policy = compile(
            file("policy.toml", text),
            file("devices.csv", &devices),
            live,
        );
        let policy = policy.unwrap_or_else(|all| {
            panic!(
                "{}",
                all.iter().map(ToString::to_string).collect::<String>()
            )
        });
        self.live.store(Some(Arc::new(policy)));
    }

    /// Lets both clocks run.
    pub(crate) fn wait(&mut self, seconds: u32) {
        self.now.ms += u64::from(seconds) * 1000;
        self.now.wall += SignedDuration::from_secs(seconds.into());
    }

    pub(crate) fn send(&mut self, packet: &[u8], from: &str) -> Came {
        let mut out = Vec::new();
        match self
            .pipeline
            .begin(packet, &sender(from), self.now, &mut out)
        {
            Step::Reply | Step::ReplyAndRefresh(_) => Came::Reply(out),
            Step::Ask(pending) => Came::Asked(pending),
            Step::Ignore => Came::Silence,
        }
    }

    /// Asks with EDNS; whoever must be asked on gets `answer`, which is kept.
    pub(crate) fn ask(
        &mut self,
        from: &str,
        name: &str,
        rtype: &str,
        answer: Option<&wire::Message>,
    ) -> Seen {
        match self.send(&wire::question(name, rtype), from) {
            Came::Reply(reply) => Seen::of(&reply),
            Came::Silence => panic!("{name} {rtype}: silence"),
            Came::Asked(pending) => {
                let message = answer.unwrap_or_else(|| panic!("{name} {rtype} was asked on"));
                let question = pending.wanted().question;
                let answer = Answer::read(&message.to(&question), &question);
                self.land(&pending, answer.map_err(|_| 22))
            }
        }
    }

    /// Ends a question that was asked on, as a worker would.
    pub(crate) fn land(&mut self, pending: &Pending, answer: Result<Answer, u16>) -> Seen {
        let wanted = pending.wanted();
        let memo = answer.as_ref().ok();
        let memo = memo.and_then(|a| self.pipeline.look(&wanted, a, Some(pending)));
        let outcome = match &answer {
            Ok(answer) => Outcome::Answered(answer, memo),
            Err(code) => Outcome::Failed(*code),
        };
        let mut out = Vec::new();
        self.pipeline.finish(pending, &outcome, self.now, &mut out);
        self.pipeline.keep(&wanted, answer, memo, self.now);
        Seen::of(&out)
    }

    /// Puts an upstream's answer into the cache, as if somebody had asked.
    pub(crate) fn keep(&mut self, name: &str, rtype: &str, answer: &wire::Message) {
        let wanted = Wanted {
            question: wire::question_section(name, rtype),
            dnssec_ok: false,
            checking_disabled: false,
            checked: false,
        };
        let message = answer.to(&wanted.question);
        let answer = Answer::read(&message, &wanted.question).unwrap();
        let memo = self.pipeline.look(&wanted, &answer, None);
        self.pipeline.keep(&wanted, Ok(answer), memo, self.now);
    }

    /// How many events were made so far.
    pub(crate) fn events(&self) -> u64 {
        let counters = self.pipeline.counters();
        let of = |layer| {
            Verdict::ALL
                .map(|v| counters.decided(layer, v))
                .iter()
                .sum::<u64>()
        };
        Layer::ALL.map(of).iter().sum()
    }

    /// The rows of the query log.
    pub(crate) fn rows(&mut self) -> Vec<Row> {
        self.pipeline.tick(u64::MAX);
        self.writer.flush(self.now.wall);
        let zone = jiff::tz::TimeZone::get("Europe/London").unwrap();
        let folder = self.state.path().join("querylog");
        let all = rows(&folder, &zone, Filter::default()).unwrap();
        all.map(Result::unwrap).collect()
    }
}

/// Over UDP from this address.
pub(crate) fn sender(address: &str) -> From {
    From {
        address: SocketAddr::new(address.parse::<IpAddr>().unwrap(), 4242),
        transport: Transport::Udp,
        route: 0,
        local: None,
        origin: None,
    }
}

/// Reads what an upstream says to `name`.
pub(crate) fn read(name: &str, rtype: &str, message: &wire::Message) -> Result<Answer, NoAnswer> {
    let question = wire::question_section(name, rtype);
    Answer::read(&message.to(&question), &question)
}

fn desk(live: Arc<ArcSwapOption<Policy>>) -> Desk {
    let network = |text: &str| Network::parse(text).unwrap();
    let name = |text: &str| Name::parse_any_depth(text).unwrap();
    let printer = LocalRecord {
        name: name("printer.school.local"),
        addresses: ["10.0.0.8", "10.0.0.9", "fd00::8"]
            .map(|ip| ip.parse().unwrap())
            .into(),
        ttl: 300,
    };
    Desk {
        live,
        leases: Arc::new(ArcSwap::from_pointee(Leases::default())),
        allow: ["10.0.0.0/8", "192.168.0.0/16", "::1/128"]
            .map(network)
            .into(),
        routers: vec![network("10.0.0.1")],
        block_ttl: 30,
        max_ttl: 86_400,
        page: ["10.0.0.80", "fd00::80"]
            .map(|ip| ip.parse().unwrap())
            .into(),
        block_text: "Blocked by school policy".into(),
        dnssec: true,
        checks: Checks::None,
        rebinding: Rebinding {
            allow: vec![name("intranet.example")],
            nat64: vec![network("64:ff9b::/96")],
        },
        local: Local::new(&[printer], &[], vec![name("ad.school.local")]).unwrap(),
        prefetch: false,
        stream_idle: 100,
        labels: Arc::new(GroupLabels::default()),
        hidden: Mutex::default(),
    }
}
