//! Packets: reading a question and writing a reply, beside hickory-proto's full
//! reader and writer; and the whole of the pipeline that holds them.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion};
use hickory_proto::op::Message;
use schoolgate::dns::answer::Answer;
use schoolgate::dns::question::{self, Read};
use schoolgate::dns::reply::{self, Asked, Blocked, Ttl};
use schoolgate::policy::decision::Layer;

use crate::roads::{Packet, Road, School};
use crate::workers::travel;

const LISTED: usize = 100_000;
const NAME: &str = "www.learning-platform.co.uk";

pub(crate) fn bench(criterion: &mut Criterion) {
    let packet = Packet::new(NAME);
    questions(criterion, &packet);
    replies(criterion, &packet);
    roads(criterion);
}

fn questions(criterion: &mut Criterion, packet: &Packet) {
    let mut group = criterion.benchmark_group("question");
    group.bench_function("ours", |b| {
        b.iter(|| black_box(question::read(black_box(&packet.question))));
    });
    group.bench_function("hickory", |b| {
        b.iter(|| Message::from_vec(black_box(&packet.question)).unwrap());
    });
    group.finish();
}

fn replies(criterion: &mut Criterion, packet: &Packet) {
    let Read::Plain(query) = question::read(&packet.question) else {
        unreachable!("it is plain");
    };
    let asked = Asked::of(&query, true);
    let mut out = Vec::with_capacity(1232);
    let why = reply::why_blocked(Layer::Category, "Blocked by school policy");
    let answer = Answer::read(&packet.answer, query.question).unwrap();
    let ttl = Ttl {
        age: 7,
        least: 0,
        most: 3600,
    };

    // Hickory writes what we wrote.
    let read = |out: &[u8]| Message::from_vec(out).unwrap();
    reply::blocked(&asked, Blocked::Nxdomain, 30, why, &mut out);
    let block = read(&out);
    reply::answer(&asked, &answer, ttl, None, &mut out);
    let cached = read(&out);

    let mut group = criterion.benchmark_group("reply");
    group.bench_function(BenchmarkId::new("ours", "blocked"), |b| {
        b.iter(|| reply::blocked(black_box(&asked), Blocked::Nxdomain, 30, why, &mut out));
    });
    group.bench_function(BenchmarkId::new("hickory", "blocked"), |b| {
        b.iter(|| by_hickory(&block, 0));
    });
    group.bench_function(BenchmarkId::new("ours", "cached"), |b| {
        b.iter(|| reply::answer(&asked, black_box(&answer), ttl, None, &mut out));
    });
    group.bench_function(BenchmarkId::new("hickory", "cached"), |b| {
        b.iter(|| by_hickory(&cached, 7));
    });
    group.finish();
}

/// What a cache of decoded messages must do: another id, records that have aged,
/// encoded anew.
fn by_hickory(kept: &Message, age: u32) -> Vec<u8> {
    let mut message = black_box(kept).clone();
    message.metadata.id = 0x1234;
    for record in &mut message.answers {
        record.ttl = record.ttl.saturating_sub(age);
    }
    message.to_vec().unwrap()
}

/// Whole roads, the log's ring included; what empties it is not timed.
fn roads(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    School::compile(folder.path(), LISTED);
    let mut group = criterion.benchmark_group("road");
    for road in Road::ALL {
        let mut school = School::open(folder.path());
        let mut number = 0;
        group.bench_function(road.id(), |b| {
            b.iter_custom(|times| travel(&mut school, &mut number, road, times as usize));
        });
    }
    group.finish();
}
