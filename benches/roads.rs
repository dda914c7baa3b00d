//! The roads a question takes, each as one operation that can be measured.
//!
//! A school with a real pipeline, policy, lists and log, and no network: packets
//! go in, an upstream's answer is put in by hand, replies come out. The log's
//! ring fills up while a road is travelled; [`School::rest`] empties it, beside
//! what is measured.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};

use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;
use schoolgate::devices::leases::Leases;
use schoolgate::dns::answer::Answer;
use schoolgate::dns::cache::{Cache, Limits};
use schoolgate::dns::local::Local;
use schoolgate::dns::pipeline::{Checks, Desk, From, Now, Outcome, Pipeline, Step};
use schoolgate::dns::question::{self, LowerName};
use schoolgate::dns::second_look::Rebinding;
use schoolgate::limiter::Limiter;
use schoolgate::lists::{load, sample};
use schoolgate::metrics::{Counters, GroupLabels, Transport};
use schoolgate::policy::compile::{File, Live, compile};
use schoolgate::policy::decide::Moment;
use schoolgate::policy::decision::Verdict;
use schoolgate::policy::group::Network;
use schoolgate::policy::{Asker, GroupIndex, Policy};
use schoolgate::querylog::recorder::{RING_BYTES, recorder};
use schoolgate::querylog::writer::{Settings, Writer};

use crate::names;

/// Most times a road may be travelled between two rests: fewer rows than half
/// the log's ring takes, for behind that rows are dropped.
pub(crate) const LEG: usize = 5000;
/// How many names are asked for on the cached and the blocked road.
const NAMES: usize = 1000;
/// How many unlike names are missed before one comes again; the cache holds
/// fewer, so that each is a miss and each pushes out another.
const MISSES: usize = 4000;
const KEPT: usize = 2000;

const POLICY: &str = r#"
school = "Bench"
timezone = "Europe/London"
unknown = "guest"
[timetables.lessons]
days = ["mon", "tue", "wed", "thu", "fri"]
from = "08:45"
to = "15:30"
[groups.pupil]
networks = ["10.1.0.0/16"]
block = ["pornography", "gambling", "malware_hacking"]
block_during = { lessons = ["games"] }
[groups.staff]
networks = ["10.2.0.0/16"]
block = ["pornography", "malware_hacking"]
[groups.guest]
block = ["pornography", "gambling", "games", "malware_hacking"]
[[exceptions]]
name = "scratch.mit.edu"
verdict = "allow"
groups = ["pupil"]
reason = "Computing"
[[exceptions]]
name = "distracting.example"
verdict = "deny"
groups = ["pupil"]
reason = "Distracts"
"#;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Road {
    /// Bytes to question.
    Question,
    /// The walk of the lists and the decision: a name that is on none.
    Free,
    /// The same of a listed name.
    Listed,
    /// A whole question that the cache answers.
    Cached,
    /// A whole question that is blocked.
    Blocked,
    /// An upstream's message read.
    Answer,
    /// A question that must be asked on, its answer's message, and its reply.
    Miss,
}

/// A school that is open, and what it is asked.
pub(crate) struct School {
    pub(crate) policy: Arc<Policy>,
    pub(crate) moment: Moment,
    worker: Worker,
    /// Questions of the cached, the blocked and the miss road.
    popular: Vec<Packet>,
    listed: Vec<Packet>,
    missed: Vec<Packet>,
}

struct Worker {
    pipeline: Pipeline,
    writer: Writer,
    now: Now,
    reply: Vec<u8>,
}

/// A question, and what an upstream says to it.
pub(crate) struct Packet {
    pub(crate) question: Vec<u8>,
    pub(crate) answer: Vec<u8>,
    name: LowerName,
}

impl Road {
    pub(crate) const ALL: [Self; 7] = [
        Self::Question,
        Self::Free,
        Self::Listed,
        Self::Cached,
        Self::Blocked,
        Self::Answer,
        Self::Miss,
    ];

    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Question => "question",
            Self::Free => "free",
            Self::Listed => "listed",
            Self::Cached => "cached",
            Self::Blocked => "blocked",
            Self::Answer => "answer",
            Self::Miss => "miss",
        }
    }
}

impl School {
    /// Compiles `listed` names into `folder`.
    pub(crate) fn compile(folder: &Path, listed: usize) {
        const SHARES: [(&str, usize); 4] = [
            ("pornography", 5),
            ("malware_hacking", 3),
            ("gambling", 1),
            ("games", 1),
        ];
        let names: Vec<String> = names::listed(listed).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (mut rest, tenth) = (&names[..], listed.div_ceil(10));
        let lists = SHARES.map(|(category, share)| {
            let (these, others) = rest.split_at((share * tenth).min(rest.len()));
            rest = others;
            (category, these)
        });
        sample::of_names(folder, &lists).unwrap();
    }

    /// Opens what was compiled in `folder`, on a Tuesday at ten.
    pub(crate) fn open(folder: &Path) -> Self {
        let zone = jiff::tz::TimeZone::get("Europe/London").unwrap();
        let wall: Timestamp = "2026-09-08T09:00:00Z".parse().unwrap();
        let live = Live {
            number: 1,
            not_before: "2026-01-01T00:00:00Z".parse().unwrap(),
            lists: load::open(folder).unwrap(),
            standing: false,
        };
        let file = |name, text| File { name, text };
        let devices = "id,name,mac,ip,group,owner,kind\n";
        let policy = compile(
            file("policy.toml", POLICY),
            file("devices.csv", devices),
            live,
        );
        let policy = Arc::new(policy.map_err(|all| all[0].to_string()).unwrap());
        let (recorder, outlet) = recorder(RING_BYTES);
        let settings = Settings::new(folder.join("querylog"), zone);
        let limits = Limits {
            bytes: 64 << 20,
            entries: KEPT,
            max_ttl: 86_400,
            min_ttl: 0,
            stale: 86_400,
        };
        let pipeline = Pipeline::new(
            Arc::new(desk(&policy)),
            Cache::new(limits),
            Limiter::new(1_000_000, 1_000_000),
            Arc::new(Counters::default()),
            recorder,
        );
        let mut school = Self {
            moment: policy.at(wall),
            policy,
            worker: Worker {
                pipeline,
                writer: Writer::new(settings, vec![outlet]),
                now: Now {
                    ms: 1_000_000,
                    wall,
                },
                reply: Vec::with_capacity(1232),
            },
            popular: Packet::all(names::popular(NAMES)),
            listed: Packet::all(names::listed(NAMES)),
            missed: Packet::all(names::popular(NAMES + MISSES).skip(NAMES)),
        };
        for (packet, number) in school.popular.iter().zip(0..) {
            school.worker.miss(packet, number);
        }
        school
    }

    /// Travels a road the `number`-th time.
    pub(crate) fn travel(&mut self, road: Road, number: usize) {
        let popular = &self.popular[number % NAMES];
        let listed = &self.listed[number % NAMES];
        match road {
            Road::Question => {
                black_box(question::read(black_box(&popular.question)));
            }
            Road::Free => assert_eq!(self.decide(&popular.name), Verdict::Allow),
            Road::Listed => assert_eq!(self.decide(&listed.name), Verdict::Block),
            Road::Cached => self.worker.reply(popular, number),
            Road::Blocked => self.worker.reply(listed, number),
            Road::Answer => {
                let question = question_of(&popular.question);
                black_box(Answer::read(black_box(&popular.answer), question)).unwrap();
            }
            Road::Miss => self.worker.miss(&self.missed[number % MISSES], number),
        }
    }

    /// Writes down what the log's ring holds.
    pub(crate) fn rest(&mut self) {
        self.worker.writer.flush(self.worker.now.wall);
    }

    /// The decision for a pupil in a lesson.
    pub(crate) fn decide(&self, name: &LowerName) -> Verdict {
        let asker = Asker {
            group: GroupIndex(0),
            device: None,
        };
        let name = black_box(name).name();
        let covering = self.policy.lists.covering(name);
        let decision = self
            .policy
            .decide(asker, name, &covering, &self.moment, &mut ());
        decision.verdict
    }
}

impl Worker {
    /// A question that is answered at once.
    fn reply(&mut self, packet: &Packet, number: usize) {
        let step = self
            .pipeline
            .begin(&packet.question, &pupil(number), self.now, &mut self.reply);
        assert!(matches!(step, Step::Reply), "{step:?}");
    }

    /// A question that an upstream must be asked.
    fn miss(&mut self, packet: &Packet, number: usize) {
        let step = self
            .pipeline
            .begin(&packet.question, &pupil(number), self.now, &mut self.reply);
        let Step::Ask(pending) = step else {
            panic!("{step:?}");
        };
        let wanted = pending.wanted();
        let answer = Answer::read(&packet.answer, &wanted.question).unwrap();
        let memo = self.pipeline.look(&wanted, &answer, Some(&pending));
        let outcome = Outcome::Answered(&answer, memo);
        self.pipeline
            .finish(&pending, &outcome, self.now, &mut self.reply);
        self.pipeline.keep(&wanted, Ok(answer), memo, self.now);
    }
}

impl Packet {
    /// Of a client with EDNS; the answer is a CNAME and two addresses.
    pub(crate) fn new(name: &str) -> Self {
        let wire = wire(name);
        let mut question = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
        question.extend(&wire);
        question.extend([0, 1, 0, 1]);
        let mut answer = question.clone();
        question.extend([0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]);
        answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 3, 0, 0, 0, 0]);
        let target = self::wire(&format!("edge.{name}"));
        // The asked name stands at 12, the CNAME's target behind ten more bytes.
        answer.extend([0xc0, 12, 0, 5, 0, 1, 0, 0, 1, 44, 0, target.len() as u8]);
        let at = answer.len();
        answer.extend(target);
        for last in 1..=2 {
            answer.extend([
                0xc0 | (at >> 8) as u8,
                at as u8,
                0,
                1,
                0,
                1,
                0,
                0,
                0,
                60,
                0,
                4,
            ]);
            answer.extend([198, 51, 100, last]);
        }
        let name = LowerName::from_wire(&wire).unwrap();
        Self {
            question,
            answer,
            name,
        }
    }

    fn all(names: impl Iterator<Item = String>) -> Vec<Self> {
        names.map(|name| Self::new(&name)).collect()
    }
}

/// A name as it stands in a packet.
pub(crate) fn wire(name: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in name.split('.') {
        wire.push(label.len() as u8);
        wire.extend(label.bytes());
    }
    wire.push(0);
    wire
}

/// The question section of a packet with an OPT record.
fn question_of(packet: &[u8]) -> &[u8] {
    &packet[12..packet.len() - 11]
}

fn pupil(number: usize) -> From {
    let ip = Ipv4Addr::new(10, 1, (number >> 6) as u8 & 3, number as u8 & 63);
    From {
        address: SocketAddr::new(IpAddr::V4(ip), 4242),
        transport: Transport::Udp,
        route: 0,
        local: None,
        origin: None,
    }
}

fn desk(policy: &Arc<Policy>) -> Desk {
    let network = |text: &str| Network::parse(text).unwrap();
    Desk {
        live: Arc::new(ArcSwapOption::new(Some(Arc::clone(policy)))),
        leases: Arc::new(ArcSwap::from_pointee(Leases::default())),
        allow: ["127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "::1/128"]
            .map(network)
            .into(),
        routers: Vec::new(),
        block_ttl: 30,
        max_ttl: 86_400,
        page: vec![IpAddr::from([10, 0, 0, 80])],
        block_text: "Blocked by school policy".into(),
        dnssec: true,
        checks: Checks::None,
        rebinding: Rebinding {
            allow: Vec::new(),
            nat64: Vec::new(),
        },
        local: Local::new(&[], &[], Vec::new()).unwrap(),
        prefetch: true,
        stream_idle: 100,
        labels: Arc::new(GroupLabels::default()),
        hidden: Mutex::default(),
    }
}
