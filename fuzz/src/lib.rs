//! A small school for the fuzz targets: made once, asked millions of times.

use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock, Mutex};

use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;
use schoolgate::devices::leases::Leases;
use schoolgate::dns::cache::{Cache, Limits};
use schoolgate::dns::local::Local;
use schoolgate::dns::pipeline::{Checks, Desk, Pipeline};
use schoolgate::dns::second_look::Rebinding;
use schoolgate::limiter::Limiter;
use schoolgate::lists::lookup::Lists;
use schoolgate::lists::sample;
use schoolgate::metrics::{Counters, GroupLabels};
use schoolgate::policy::Policy;
use schoolgate::policy::compile::{File, Live, compile};
use schoolgate::policy::group::Network;
use schoolgate::querylog::recorder::recorder;

const POLICY: &str = "school = \"Fuzz\"\ntimezone = \"Europe/London\"\nunknown = \"pupil\"\n\
                      [groups.pupil]\nblock = [\"games\"]\n";

static LISTS: LazyLock<Arc<Lists>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    sample::of_names(folder.path(), &[("games", &["games.example", "a.b"])]).unwrap()
});

thread_local! {
    static PIPELINE: RefCell<Pipeline> = RefCell::new(pipeline());
}

/// Calls `ask` with the lists.
pub fn with_lists<T>(ask: impl FnOnce(&Lists) -> T) -> T {
    ask(&LISTS)
}

/// Calls `ask` with a pipeline that knows 10.0.0.0/8 and the router 10.0.0.1.
pub fn with_pipeline<T>(ask: impl FnOnce(&mut Pipeline) -> T) -> T {
    PIPELINE.with_borrow_mut(ask)
}

fn policy() -> Policy {
    let file = |name, text| File { name, text };
    let live = Live {
        number: 1,
        not_before: Timestamp::UNIX_EPOCH,
        lists: Arc::clone(&LISTS),
        standing: false,
    };
    let devices = file("devices.csv", "id,name,mac,ip,group,owner,kind\n");
    compile(file("policy.toml", POLICY), devices, live).unwrap_or_else(|all| panic!("{all:?}"))
}

fn pipeline() -> Pipeline {
    let network = |text: &str| Network::parse(text).unwrap();
    let desk = Desk {
        live: Arc::new(ArcSwapOption::from_pointee(policy())),
        leases: Arc::new(ArcSwap::from_pointee(Leases::default())),
        allow: vec![network("10.0.0.0/8")],
        routers: vec![network("10.0.0.1")],
        block_ttl: 30,
        max_ttl: 86_400,
        page: vec![IpAddr::from([10, 0, 0, 80])],
        block_text: "".into(),
        dnssec: true,
        checks: Checks::None,
        rebinding: Rebinding::default(),
        local: Local::new(&[], &[], Vec::new()).unwrap(),
        prefetch: false,
        stream_idle: 100,
        labels: Arc::new(GroupLabels::default()),
        hidden: Mutex::default(),
    };
    let limits = Limits {
        bytes: 1 << 20,
        entries: 1000,
        max_ttl: 86_400,
        min_ttl: 0,
        stale: 0,
    };
    // Nobody reads the log: it fills up, and that must not matter.
    let (recorder, _) = recorder(1 << 16);
    Pipeline::new(
        Arc::new(desk),
        Cache::new(limits),
        Limiter::new(0, 0),
        Arc::new(Counters::default()),
        recorder,
    )
}
