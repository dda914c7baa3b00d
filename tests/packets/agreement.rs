//! `why` and the packet road say the same of any name, client and time.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use schoolgate::devices::find::find;
use schoolgate::devices::identify::identify;
use schoolgate::devices::leases::Leases;
use schoolgate::dns::answer::Answer;
use schoolgate::name::Name;
use schoolgate::policy::decision::{Layer, Verdict};
use schoolgate::policy::explain::{Asked, Explanation, explain};
use schoolgate::policy::{Asker, DeviceIndex, Policy};

use super::bench::{Bench, Came, wall};
use super::wire::{self, Seen};

const TRIPLES: usize = 10_000;

/// Listed, below, near misses, exceptions, mandatory, unlisted.
const NAMES: [&str; 31] = [
    "games.test.example",
    "a.b.games.test.example",
    "ames.test.example",
    "xgames.test.example",
    "games.test.example.org",
    "test.example",
    "open.games.test.example",
    "deep.open.games.test.example",
    "week.games.test.example",
    "arcade.example",
    "www.arcade.example",
    "hidden.arcade.example",
    "adult.example",
    "cdn.adult.example",
    "bets.example",
    "www.bets.example",
    "shop.bets.example",
    "both.example",
    "www.both.example",
    "hidden.example",
    "denied.example",
    "www.denied.example",
    "illegal.example",
    "img.illegal.example",
    "www.google.com",
    "www.google.co.uk",
    "www.youtube.com",
    "mail.google.com",
    "mask.icloud.com",
    "a.use-application-dns.net",
    "mask-api.icloud.com",
];

/// By network of each group, by inventory, and in no network.
const CLIENTS: [&str; 9] = [
    "10.1.0.7",
    "10.1.0.77",
    "10.1.0.99",
    "10.2.0.7",
    "10.3.0.7",
    "10.4.0.7",
    "10.5.0.7",
    "10.6.0.7",
    "192.168.0.1",
];

/// What a row of the log says, and what `why` says, in the same words.
type Line = (String, String, String, &'static str, String, Option<String>);

fn explained(
    policy: &Policy,
    name: &str,
    rtype: &str,
    client: &str,
    now: Timestamp,
) -> Explanation {
    let ip: IpAddr = client.parse().unwrap();
    let networks = |ip| policy.networks.group_of(ip).map(|g| g.0);
    let identity = identify(ip, false, &[], None, None);
    let leases = Leases::default();
    let who = find(
        &identity,
        &policy.devices,
        &leases,
        networks,
        policy.unknown.0,
        now,
    );
    let device = who.device.and_then(|row| policy.devices.device(row));
    let name = Name::parse(name).unwrap();
    let asked = Asked {
        name: name.as_ref(),
        rtype,
        asker: Asker {
            group: schoolgate::policy::GroupIndex(who.group),
            device: who.device.map(DeviceIndex),
        },
        device: device.map(|device| &*device.id),
        ip: Some(ip),
        local: false,
    };
    explain(policy, &asked, now)
}

/// What was sent, in the words of `why`.
fn sent(came: &Came, name: &str) -> &'static str {
    let reply = match came {
        Came::Reply(reply) => reply,
        Came::Asked(pending) if pending.wanted().name() != wire::name(name) => return "rewrite",
        _ => return "upstream",
    };
    let seen = Seen::of(reply);
    match (seen.rcode, seen.answers.first()) {
        (3, None) => "nxdomain",
        (0, None) => "nodata",
        (0, Some(a)) if a.ends_with(" 0.0.0.0") || a.ends_with(" ::") => "null",
        (0, Some(a)) if a.ends_with(" 10.0.0.80") || a.ends_with(" fd00::80") => "page",
        _ => panic!("{}", seen.text),
    }
}

/// Times over a year: any second, and the hours around both clock changes,
/// the lessons' edges and midnight.
fn moments(random: &mut StdRng) -> Vec<Timestamp> {
    let mut days = vec![wall("2026-03-29T00:00:00"), wall("2026-10-25T00:00:00")];
    let start = wall("2026-01-02T00:00:00");
    days.extend((0..18).map(|n| start + SignedDuration::from_hours(24 * 20 * n)));
    let mut all = Vec::new();
    for day in days {
        all.extend((0..8).map(|_| day + SignedDuration::from_secs(random.random_range(0..86_400))));
        let date = day.strftime("%Y-%m-%d").to_string();
        let edges = ["08:59:59", "09:00:00", "15:29:59", "15:30:00"];
        all.extend(edges.map(|edge| wall(&format!("{date}T{edge}"))));
    }
    all
}

#[test]
fn why_and_the_packet_road_agree() {
    let mut random = StdRng::seed_from_u64(20_260_908);
    let mut bench = Bench::new();
    let policy = bench.live.load_full().unwrap();
    let moments = moments(&mut random);
    let mut expected: BTreeMap<Line, u64> = BTreeMap::new();
    for n in 0..TRIPLES {
        let name = *NAMES.choose(&mut random).unwrap();
        let client = *CLIENTS.choose(&mut random).unwrap();
        let rtype = *["A", "AAAA", "HTTPS", "TXT"].choose(&mut random).unwrap();
        let now = *moments.choose(&mut random).unwrap();
        let said = explained(&policy, name, rtype, client, now);
        bench.now.wall = now;
        let decided = |bench: &Bench| {
            let counters = bench.pipeline.counters();
            counters.decided(said.layer, said.verdict)
        };
        let blocks = said.verdict == Verdict::Block;
        let before = decided(&bench);
        let came = bench.send(&wire::question(name, rtype), client);
        let context = format!("{name} {rtype} for {client} at {now}: {said:?}");
        assert_eq!(sent(&came, name), said.answer, "{context}");
        if let Came::Asked(pending) = came {
            let message = wire::Message::default().with(1, &["example 60 SOA 60"]);
            let question = pending.wanted().question;
            let answer = Answer::read(&message.to(&question), &question).unwrap();
            let mut out = Vec::new();
            let outcome = schoolgate::dns::pipeline::Outcome::Answered(&answer, None);
            let now = bench.now;
            bench.pipeline.finish(&pending, &outcome, now, &mut out);
        }
        assert_eq!(decided(&bench), before + 1, "{context}");
        assert_eq!(bench.events(), n as u64 + 1, "{context}");
        if blocks {
            let categories = said.categories.join(" ");
            let line = (
                said.name,
                said.group,
                client.to_owned(),
                said.layer.id(),
                categories,
                said.source,
            );
            *expected.entry(line).or_default() += 1;
        }
        if n % 500 == 0 {
            bench.rows();
        }
    }
    compare(&mut bench, &expected);
}

/// The log of the blocked: every one is written in full. A mandatory source is
/// in the log and never in an explanation.
fn compare(bench: &mut Bench, expected: &BTreeMap<Line, u64>) {
    let mut logged: BTreeMap<Line, u64> = BTreeMap::new();
    let blocked = |row: &schoolgate::querylog::row::Row| {
        row.layer != Layer::Allow && row.action.id() == "block"
    };
    for row in bench.rows().into_iter().filter(blocked) {
        let ip = row.ip.map(|ip| ip.to_string()).unwrap_or_default();
        let source = row.source.filter(|_| row.layer != Layer::Mandatory);
        let categories = row.categories.join(" ");
        let line = (row.name, row.group, ip, row.layer.id(), categories, source);
        *logged.entry(line).or_default() += row.count;
    }
    assert!(expected.len() > 80, "{}", expected.len());
    assert_eq!(&logged, expected);
}
