//! The numbers as Prometheus reads them: names, help texts and labels.
//!
//! One place for all of them, so that a dashboard can be written from this
//! file. Counters end in `_total`, times are in seconds.

use std::sync::Arc;

use jiff::Timestamp;
use prometheus::proto::{Counter as Count, Gauge, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Encoder, TextEncoder};

use super::{Counter, Counters, GroupLabels, Transport, changes};
use crate::lists::category::Category;
use crate::policy::decision::{Layer, Verdict};
use crate::querylog::health::Report;
use crate::status::Changes;

/// What is told beside what the workers count.
pub struct State {
    /// When this is told.
    pub now: Timestamp,
    /// When this process started.
    pub started: Timestamp,
    /// The number of the live policy; none: there is none.
    pub policy: Option<u64>,
    /// Names in the lists.
    pub names: usize,
    /// When the lists in force were compiled.
    pub lists_compiled: Option<Timestamp>,
    /// Activations that failed since the start.
    pub failed_activations: u64,
    /// Whether the last activation failed.
    pub activation_failed: bool,
    /// How the record of changes fares.
    pub changes: Changes,
    /// How the log fares.
    pub log: Report,
    /// Addresses that seem to hide devices or to claim to be one.
    pub hiding: usize,
    /// Lease files that cannot be read.
    pub lease_trouble: usize,
    /// Each upstream as it stands in the settings, and whether its line is well.
    pub upstreams: Vec<(String, bool)>,
    /// Safe modes of search engines that could not be found last night.
    pub targets_missing: usize,
    /// Open streams of each kind.
    pub streams: Vec<(Transport, usize)>,
    /// TLS handshakes that came to nothing.
    pub failed_handshakes: u64,
    /// Whether the certificate's files are what is served, and when that ends;
    /// none: there is no encrypted listener.
    pub certificate: Option<(bool, Option<Timestamp>)>,
}

/// The text of `/metrics`.
#[must_use]
pub fn exposition(workers: &[Arc<Counters>], labels: &GroupLabels, state: &State) -> String {
    let mut page = Page {
        workers,
        families: Vec::new(),
    };
    page.traffic();
    page.streams(state);
    page.decisions(labels);
    page.cache();
    page.upstream();
    page.upstreams(&state.upstreams);
    page.state(state);
    page.changes(state);
    let mut text = Vec::new();
    // Writing to memory does not fail, and a family without a row is left out.
    page.families
        .retain(|family| !family.get_metric().is_empty());
    let _ = TextEncoder::new().encode(&page.families, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

struct Page<'w> {
    workers: &'w [Arc<Counters>],
    families: Vec<MetricFamily>,
}

impl Page<'_> {
    fn traffic(&mut self) {
        let rows = Transport::ALL.iter().map(|transport| {
            let of = |c: &Counters| c.queries.get(*transport as usize).map_or(0, Counter::value);
            (vec![("transport", transport.id().to_owned())], self.sum(of))
        });
        let rows = rows.collect();
        self.counter("schoolgate_queries_total", "Questions received.", rows);
        let rows = (0..=16).filter_map(|rcode| {
            let count = self.sum(|c| c.replied(rcode));
            (count > 0).then(|| (vec![("rcode", rcode_id(rcode))], count))
        });
        let rows = rows.collect();
        self.counter(
            "schoolgate_replies_total",
            "Replies sent, by response code.",
            rows,
        );
        self.count(
            "schoolgate_ignored_packets_total",
            "Packets met with silence.",
            |c| c.ignored.value(),
        );
        self.count(
            "schoolgate_stranger_queries_total",
            "Questions refused because their sender is not in clients.allow.",
            |c| c.strangers.value(),
        );
        self.count(
            "schoolgate_limited_queries_total",
            "Questions refused because their device asked too many.",
            |c| c.limited.value(),
        );
        self.count(
            "schoolgate_untrusted_identities_total",
            "Questions with identity options from an address that is no listed router's.",
            |c| c.untrusted_identities.value(),
        );
        self.count(
            "schoolgate_identity_conflicts_total",
            "Questions whose identities contradict each other.",
            |c| c.conflicts.value(),
        );
        self.count(
            "schoolgate_unknown_client_ids_total",
            "Encrypted questions with a client id that no device has.",
            |c| c.unknown_client_ids.value(),
        );
        self.count(
            "schoolgate_send_errors_total",
            "Replies the kernel would not take.",
            |c| c.send_errors.value(),
        );
        self.count(
            "schoolgate_receive_errors_total",
            "Errors while receiving.",
            |c| c.receive_errors.value(),
        );
    }

    fn streams(&mut self, state: &State) {
        let rows = state.streams.iter().map(|(transport, open)| {
            let label = ("transport", transport.id().to_owned());
            (vec![label], *open as f64)
        });
        self.gauges(
            "schoolgate_connections",
            "Connections open now.",
            rows.collect(),
        );
        self.counter(
            "schoolgate_failed_handshakes_total",
            "TLS handshakes that came to nothing: clients that gave up, stalled or do not believe the certificate.",
            vec![(vec![], state.failed_handshakes)],
        );
        let Some((ok, expires)) = state.certificate else {
            return;
        };
        self.gauge(
            "schoolgate_certificate_ok",
            "1 while the certificate's files are what is served; 0: they cannot be used, and an older one or none is.",
            f64::from(u8::from(ok)),
        );
        if let Some(expires) = expires {
            self.gauge(
                "schoolgate_certificate_expiry_seconds",
                "When the certificate that is served ends, in seconds since 1970.",
                expires.as_second() as f64,
            );
        }
    }

    fn decisions(&mut self, labels: &GroupLabels) {
        let mut rows = Vec::new();
        for layer in Layer::ALL {
            for verdict in [Verdict::Block, Verdict::Allow, Verdict::Rewrite] {
                let count = self.sum(|c| c.decided(layer, verdict));
                let labels = vec![
                    ("layer", layer.id().to_owned()),
                    ("verdict", verdict.id().to_owned()),
                ];
                if count > 0 {
                    rows.push((labels, count));
                }
            }
        }
        self.counter(
            "schoolgate_decisions_total",
            "Questions decided, by the layer that spoke.",
            rows,
        );
        self.count(
            "schoolgate_ech_stripped_total",
            "Replies from which keys for encrypting a server's name were taken.",
            |c| c.ech_stripped.value(),
        );
        let mut rows = Vec::new();
        for (group, id) in labels.all() {
            for category in Category::all().map(Some).chain([None]) {
                let count = self.sum(|c| c.blocked(group, category));
                if count > 0 {
                    let category = category.map_or("none", Category::id).to_owned();
                    rows.push((
                        vec![("group", id.to_string()), ("category", category)],
                        count,
                    ));
                }
            }
        }
        self.counter(
            "schoolgate_blocked_total",
            "Blocked questions, by group and category.",
            rows,
        );
    }

    fn cache(&mut self) {
        type Read = fn(&Counters) -> u64;
        let results: [(&str, Read); 3] = [
            ("hit", |c| c.cache_hits.value()),
            ("miss", |c| c.cache_misses.value()),
            ("stale", |c| c.cache_stale.value()),
        ];
        let rows = results.map(|(id, of)| (vec![("result", id.to_owned())], self.sum(of)));
        self.counter(
            "schoolgate_cache_lookups_total",
            "Look-ups in the cache.",
            rows.into(),
        );
        let (bytes, entries) = (
            self.sum(|c| c.cache_bytes.value()),
            self.sum(|c| c.cache_entries.value()),
        );
        self.gauge(
            "schoolgate_cache_bytes",
            "Bytes in the cache.",
            bytes as f64,
        );
        self.gauge(
            "schoolgate_cache_entries",
            "Answers in the cache.",
            entries as f64,
        );
    }

    fn upstream(&mut self) {
        self.count(
            "schoolgate_upstream_queries_total",
            "Questions sent to upstreams.",
            |c| c.upstream_queries.value(),
        );
        self.count(
            "schoolgate_upstream_failures_total",
            "Upstream questions that failed or timed out.",
            |c| c.upstream_failures.value(),
        );
        self.count(
            "schoolgate_upstream_mismatches_total",
            "Upstream replies that were not to what had been asked.",
            |c| c.upstream_mismatches.value(),
        );
        self.count(
            "schoolgate_upstream_shared_total",
            "Questions that joined one already on its way.",
            |c| c.upstream_shared.value(),
        );
        self.count(
            "schoolgate_dnssec_bogus_total",
            "Answers refused because their signatures are not in order.",
            |c| c.bogus.value(),
        );
        self.count(
            "schoolgate_dnssec_unchecked_total",
            "Questions whose answers were not checked because the clock is wrong.",
            |c| c.unchecked.value(),
        );
        let waiting = self.sum(|c| c.upstream_waiting.value());
        self.gauge(
            "schoolgate_upstream_waiting",
            "Questions now waiting for an upstream.",
            waiting as f64,
        );
    }

    fn upstreams(&mut self, upstreams: &[(String, bool)]) {
        let rows = upstreams.iter().map(|(server, up)| {
            let mut gauge = Gauge::default();
            gauge.set_value(f64::from(u8::from(*up)));
            let mut metric = Metric::default();
            metric.set_label(vec![label(("server", server.clone()))]);
            metric.set_gauge(gauge);
            metric
        });
        let rows = rows.collect();
        self.family(
            "schoolgate_upstream_up",
            "0 while a server that is asked over TCP, TLS, HTTPS or QUIC fails.",
            MetricType::GAUGE,
            rows,
        );
    }

    fn state(&mut self, state: &State) {
        let seconds = |time: Timestamp| time.as_millisecond() as f64 / 1000.0;
        self.gauge(
            "schoolgate_start_time_seconds",
            "When this process started.",
            seconds(state.started),
        );
        self.gauge(
            "schoolgate_ready",
            "1 while a valid policy and lists are in force.",
            f64::from(u8::from(state.policy.is_some())),
        );
        self.gauge(
            "schoolgate_policy_number",
            "The number of the live policy.",
            state.policy.unwrap_or(0) as f64,
        );
        self.gauge(
            "schoolgate_policy_reload_failed",
            "1 if the last change of policy or lists was refused; the old one serves.",
            f64::from(u8::from(state.activation_failed)),
        );
        self.counter(
            "schoolgate_policy_reload_failures_total",
            "Changes of policy or lists that were refused.",
            vec![(vec![], state.failed_activations)],
        );
        self.gauge(
            "schoolgate_list_names",
            "Names in the lists.",
            state.names as f64,
        );
        if let Some(time) = state.lists_compiled {
            self.gauge(
                "schoolgate_lists_compiled_time_seconds",
                "When the lists in force were compiled.",
                seconds(time),
            );
        }
        self.gauge("schoolgate_hidden_clients_routers", "Addresses that seem to stand for many devices without saying for which, or that claim to be one.", state.hiding as f64);
        self.gauge(
            "schoolgate_lease_files_unreadable",
            "DHCP lease files that cannot be read.",
            state.lease_trouble as f64,
        );
        self.gauge(
            "schoolgate_safe_search_targets_missing",
            "Safe modes of search engines that could not be found when they were last looked for.",
            state.targets_missing as f64,
        );
        let log = &state.log;
        self.gauge(
            "schoolgate_querylog_pending_rows",
            "Log rows waiting in memory.",
            log.pending_rows as f64,
        );
        self.gauge(
            "schoolgate_querylog_pending_bytes",
            "Bytes of log rows waiting in memory.",
            log.pending_bytes as f64,
        );
        self.gauge(
            "schoolgate_querylog_failing",
            "1 while the log cannot be written.",
            f64::from(u8::from(log.failing)),
        );
        self.counter(
            "schoolgate_querylog_written_total",
            "Look-ups made durable in the log.",
            vec![(vec![], log.written)],
        );
        let lost = [
            ("allowed", log.lost_allowed),
            ("blocked", log.lost_blocked),
            ("mandatory", log.lost_mandatory),
        ];
        let lost = lost.map(|(kind, count)| (vec![("kind", kind.to_owned())], count));
        self.counter(
            "schoolgate_querylog_lost_total",
            "Look-ups that should be in the log and are not.",
            lost.into(),
        );
        let collapsed = [
            ("allowed", log.collapsed_allowed),
            ("blocked", log.collapsed_blocked),
        ];
        let collapsed = collapsed.map(|(kind, count)| (vec![("kind", kind.to_owned())], count));
        self.counter(
            "schoolgate_querylog_collapsed_total",
            "Look-ups of a flood that are in the log as a count of various names.",
            collapsed.into(),
        );
        if let Some(time) = log.last_write {
            self.gauge(
                "schoolgate_querylog_last_write_time_seconds",
                "When rows were last made durable.",
                seconds(time),
            );
        }
    }

    fn changes(&mut self, state: &State) {
        for (name, help, value) in changes::gauges(&state.changes, state.now) {
            self.gauge(name, help, value);
        }
    }

    fn sum(&self, of: impl Fn(&Counters) -> u64) -> u64 {
        self.workers.iter().map(|counters| of(counters)).sum()
    }

    fn count(&mut self, name: &str, help: &str, of: impl Fn(&Counters) -> u64) {
        let sum = self.sum(of);
        self.counter(name, help, vec![(vec![], sum)]);
    }

    fn counter(&mut self, name: &str, help: &str, rows: Vec<(Vec<(&str, String)>, u64)>) {
        let metrics = rows.into_iter().map(|(labels, value)| {
            let mut count = Count::default();
            count.set_value(value as f64);
            let mut metric = Metric::default();
            metric.set_label(labels.into_iter().map(label).collect());
            metric.set_counter(count);
            metric
        });
        self.family(name, help, MetricType::COUNTER, metrics.collect());
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.gauges(name, help, vec![(vec![], value)]);
    }

    fn gauges(&mut self, name: &str, help: &str, rows: Vec<(Vec<(&str, String)>, f64)>) {
        let metrics = rows.into_iter().map(|(labels, value)| {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            let mut metric = Metric::default();
            metric.set_label(labels.into_iter().map(label).collect());
            metric.set_gauge(gauge);
            metric
        });
        self.family(name, help, MetricType::GAUGE, metrics.collect());
    }

    fn family(&mut self, name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) {
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        family.set_metric(metrics);
        self.families.push(family);
    }
}

fn label((name, value): (&str, String)) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value);
    pair
}

fn rcode_id(rcode: usize) -> String {
    let id = match rcode {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        16 => "other",
        other => return other.to_string(),
    };
    id.to_owned()
}
