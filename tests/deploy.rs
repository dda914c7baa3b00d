//! What is in `deploy/` for Prometheus and Grafana: the rules by Prometheus' own
//! tool, the boards by a real Prometheus that has scraped a real server.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use schoolgate::lists::category::Category;
use serde_json::Value;

use crate::serve::school::{Plan, Running};
use crate::serve::upstream::Upstream;
use crate::serve::{has, within};

/// What no number may be told apart by: everything but these.
const LABELS: [&str; 13] = [
    "__name__",
    "category",
    "group",
    "instance",
    "job",
    "kind",
    "layer",
    "rcode",
    "result",
    "server",
    "transport",
    "verdict",
    "alertname",
];

fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy")
        .join(path)
}

#[test]
fn the_rules_are_right_and_speak_when_they_must() {
    if !has("promtool", "the rules of deploy/prometheus") {
        return;
    }
    for (verb, file) in [
        (["check", "config"], "prometheus.yml"),
        (["test", "rules"], "rules_test.yml"),
        (["test", "rules"], "week_test.yml"),
    ] {
        let output = Command::new("promtool")
            .args(verb)
            .arg(file)
            .current_dir(deploy("prometheus"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    // None is without its test.
    let rules = fs::read_to_string(deploy("prometheus/rules.yml")).unwrap();
    let tests = ["rules_test.yml", "week_test.yml"];
    let tests = tests.map(|file| fs::read_to_string(deploy("prometheus").join(file)).unwrap());
    let tests = tests.concat();
    let alerts = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let untested: Vec<_> = alerts
        .filter(|a| !tests.contains(&format!("alertname: {a}\n")))
        .collect();
    assert_eq!(untested, Vec::<&str>::new());
}

/// What `tests/hostile_pages.rs` takes for granted.
#[test]
fn the_pages_can_neither_write_the_record_nor_read_who_is_at_the_machine() {
    let unit = fs::read_to_string(deploy("systemd/schoolgate-dashboard.service")).unwrap();
    let made = fs::read_to_string(deploy("systemd/schoolgate.tmpfiles")).unwrap();
    let says = |text: &str, line: &str| text.lines().any(|other| other == line);
    for (path, how) in [
        ("lists", "ReadOnlyPaths"),
        ("changes", "ReadOnlyPaths"),
        ("serve", "ReadOnlyPaths"),
        ("console", "InaccessiblePaths"),
    ] {
        let line = format!("{how}=-/var/lib/schoolgate/{path}");
        assert!(says(&unit, &line), "{line}");
        // A path that is not there when the unit starts would be the pages' own.
        let line = format!("d      /var/lib/schoolgate/{path} 0700 schoolgate schoolgate -");
        assert!(says(&made, &line), "{line}");
    }
    for gone in ["ReadWritePaths", "BindPaths", "ptrace"] {
        assert!(!unit.contains(gone), "{gone}");
    }
    let refresh = fs::read_to_string(deploy("systemd/schoolgate-refresh.service")).unwrap();
    assert!(says(&refresh, "TemporaryFileSystem=/var/lib/schoolgate:ro"));
    assert!(says(&refresh, "ReadWritePaths=/var/lib/schoolgate/lists"));
}

#[test]
fn the_boards_speak_of_categories_that_exist_and_of_no_device() {
    for (file, board) in boards() {
        for expr in queries(&board) {
            for start in ["category=~\"", "category!~\""] {
                for rest in expr.split(start).skip(1) {
                    for id in rest.split('"').next().unwrap().split('|') {
                        assert_eq!(Category::named(id).map(Category::id), Some(id), "{file}");
                    }
                }
            }
        }
        let text = board.to_string();
        for word in [
            "device\"", "client=", "{name=", "{{device", "{{name", "http",
        ] {
            assert!(!text.contains(word), "{file}: {word}");
        }
    }
}

#[test]
fn each_query_of_the_boards_and_rules_finds_what_a_real_server_told() {
    if !has("prometheus", "the boards of deploy/grafana") {
        return;
    }
    let upstream = Upstream::plain();
    let school = plan(upstream.address).start();
    let prometheus = Prometheus::start(school.metrics);
    let mut traffic = 0_u32;
    let mut pending: Vec<(String, String)> = boards()
        .into_iter()
        .flat_map(|(file, board)| queries(&board).into_iter().map(move |q| (file.clone(), q)))
        .collect();
    assert!(pending.len() > 50, "{}", pending.len());
    within(Duration::from_secs(60), "an answer to each query", || {
        for name in [
            "bets.example",
            "hurt.example",
            "vile-things.example",
            "www.example",
        ] {
            school.ask(name);
        }
        school.ask(&format!("fresh{traffic}.example"));
        school.ask("www.google.com");
        traffic += 1;
        pending.retain(|(_, query)| {
            let answer = prometheus.ask(query);
            assert_eq!(answer["status"], "success", "{query}: {answer}");
            let all = answer["data"]["result"].as_array().unwrap();
            // A share of nothing is no number.
            let is_number = |row: &Value| row["value"][1].as_str().is_some_and(|v| v != "NaN");
            !all.iter().any(is_number)
        });
        assert!(traffic <= 400, "no data: {pending:#?}");
        pending.is_empty().then_some(())
    });
    let rules = prometheus.get("/api/v1/rules");
    let groups = rules["data"]["groups"].as_array().unwrap();
    let all: Vec<&Value> = groups
        .iter()
        .flat_map(|g| g["rules"].as_array().unwrap())
        .collect();
    assert!(all.len() > 20, "{rules}");
    for rule in all {
        assert_eq!(rule["health"], "ok", "{rule}");
        // A school that is well is told nothing.
        assert_ne!(rule["state"], "firing", "{rule}");
    }
    let labels = prometheus.get("/api/v1/labels");
    let labels = labels["data"].as_array().unwrap().iter();
    let labels: BTreeSet<&str> = labels.map(|label| label.as_str().unwrap()).collect();
    let known: BTreeSet<&str> = LABELS
        .into_iter()
        .chain(["alertstate", "severity"])
        .collect();
    assert!(labels.is_subset(&known), "{labels:?}");
}

/// A school with everything that has a number: encrypted listeners, an upstream
/// over a line, a grave category.
fn plan(upstream: SocketAddr) -> Plan {
    let mut plan = Plan::encrypted(&[upstream]);
    plan.ways = vec![format!("tcp://{upstream}")];
    plan.policy = plan
        .policy
        .replacen("\"gambling\"", "\"self_harm\", \"gambling\"", 1)
        .replacen("log =", "safe_search = \"strict\"\nlog =", 1);
    let folder = Plan::new(&[upstream]).write();
    let sources = fs::read_to_string(folder.path().join("sources.toml")).unwrap();
    let hurt = "[[source]]\nid = \"hurt\"\ncategory = \"self_harm\"\nformat = \"domains\"\n\
        match = \"subtree\"\nfile = \"hurt.txt\"\nlicence = \"CC0-1.0\"\n";
    plan.files
        .push(("sources.toml".to_owned(), format!("{sources}{hurt}")));
    plan.files
        .push(("hurt.txt".to_owned(), "hurt.example\n".to_owned()));
    plan
}

fn boards() -> Vec<(String, Value)> {
    ["safeguarding.json", "technician.json"]
        .map(|file| {
            let text = fs::read_to_string(deploy("grafana/dashboards").join(file)).unwrap();
            (file.to_owned(), serde_json::from_str(&text).unwrap())
        })
        .into()
}

/// The queries of a board, with what Grafana would put in.
fn queries(board: &Value) -> Vec<String> {
    let panels = board["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap());
    let exprs = targets.map(|target| target["expr"].as_str().unwrap());
    exprs
        .map(|expr| {
            expr.replace("$__rate_interval", "20s")
                .replace("$__range", "1h")
        })
        .collect()
}

/// Prometheus with the shipped configuration, but for where and how often.
struct Prometheus {
    address: SocketAddr,
    _process: Running,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    fn start(metrics: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shipped = fs::read_to_string(deploy("prometheus/prometheus.yml")).unwrap();
        let config = shipped
            .replace("127.0.0.1:9153", &metrics.to_string())
            .replace("15s", "1s");
        assert_ne!(config, shipped);
        fs::write(folder.path().join("prometheus.yml"), config).unwrap();
        let rules = folder.path().join("rules.yml");
        fs::copy(deploy("prometheus/rules.yml"), rules).unwrap();
        let mut process = Command::new("prometheus")
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .args(["--web.listen-address=127.0.0.1:0", "--log.level=info"])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(process.stderr.take().unwrap());
        let process = Running(process);
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert!(said.read_line(&mut line).unwrap() > 0, "prometheus ended");
            let on = line.split_once("msg=\"Listening on\" address=");
            if let Some((_, rest)) = on {
                break rest.trim().parse().unwrap();
            }
        };
        // It must be able to go on speaking.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        let started = Self {
            address,
            _process: process,
            _folder: folder,
        };
        within(Duration::from_secs(60), "prometheus", || {
            started.fetch("/-/ready").contains(" 200 OK").then_some(())
        });
        started
    }

    fn ask(&self, query: &str) -> Value {
        let query = serde_urlencoded::to_string([("query", query)]).unwrap();
        self.get(&format!("/api/v1/query?{query}"))
    }

    fn get(&self, path: &str) -> Value {
        let text = self.fetch(path);
        let (_, body) = text.split_once("\r\n\r\n").unwrap_or_default();
        serde_json::from_str(body).unwrap_or_else(|_| panic!("{path}: {text}"))
    }

    fn fetch(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }
}
