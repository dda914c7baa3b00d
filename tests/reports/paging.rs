//! Reports, evidence and holds as pages, signed in over HTTP.

use std::io::Read;

use jiff::{Timestamp, ToSpan};
use schoolgate::reports::verify::{Expected, verify};

use super::{deeds, fine};
use crate::dashboard::client::{Client, Pages};
use crate::dashboard::seed;
use crate::serve::school::Folder;

const WHY: &str = "Safeguarding meeting <script>alert(1)</script>";

fn pages() -> (Folder, Pages) {
    let folder = seed::fortnight(&seed::plan(), Timestamp::now());
    let pages = Pages::start(&folder);
    (folder, pages)
}

/// What a form is answered with, byte by byte.
fn sent(client: &Client, address: &str, fields: &[(&str, &str)]) -> (u16, String, Vec<u8>) {
    let pairs: Vec<String> = client
        .cookies
        .iter()
        .map(|(n, v)| format!("{n}={v}"))
        .collect();
    let csrf = client.csrf.clone().unwrap();
    let form = fields.iter().copied().chain([("csrf", &*csrf)]);
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    let answer = agent
        .post(address)
        .header("Cookie", pairs.join("; "))
        .send_form(form);
    let mut answer = answer.unwrap();
    let kind = answer.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    let mut bytes = Vec::new();
    answer
        .body_mut()
        .as_reader()
        .read_to_end(&mut bytes)
        .unwrap();
    (answer.status().as_u16(), kind, bytes)
}

#[test]
fn the_lead_takes_evidence_out_and_it_verifies() {
    let (folder, pages) = pages();
    let mut client = Client::signed_in(&pages, &folder, "dsl");
    for path in [
        "/reports",
        "/reports/weekly",
        "/holds",
        "/reports/deployment",
        "/reports/dpia",
    ] {
        let answer = client.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        assert!(!answer.body.contains(seed::MANDATORY), "{path}");
        assert!(!answer.body.contains(seed::TRIED_SITE), "{path}");
    }
    let form = client.get(&format!("/evidence/new?device={}", seed::TRIED));
    let fingerprint = fine(&folder.run(&["report", "key"]));
    let fingerprint = fingerprint
        .lines()
        .next()
        .unwrap()
        .replace("fingerprint ", "");
    assert!(form.body.contains(&fingerprint), "{}", form.body);
    assert!(form.body.contains(&format!("value=\"{}\"", seed::TRIED)));
    let address = format!("http://{}/evidence", pages.address);
    let (status, kind, bytes) = sent(
        &client,
        &address,
        &[("kind", "evidence"), ("device", seed::TRIED), ("why", WHY)],
    );
    assert_eq!((status, &*kind), (200, "application/zip"));
    let verdict = verify(&bytes, &Expected::Fingerprint(fingerprint));
    assert!(verdict.is_sound(), "{:?}", verdict.faults);
    let facts = verdict.manifest.unwrap().facts;
    assert_eq!((&*facts.why, facts.mandatory_hosts), (WHY, false));
    let done = deeds(&folder, "exported_evidence");
    assert_eq!(done[0]["who"], facts.exported_by);
    assert_eq!(done[0]["from"], "127.0.0.1");
    // With the hosts, for the police.
    let (status, _, bytes) = sent(
        &client,
        &address,
        &[
            ("kind", "evidence"),
            ("device", seed::MANDATORY_DEVICE),
            ("why", "police, ref. 4711"),
            ("mandatory_hosts", "yes"),
        ],
    );
    assert_eq!(status, 200);
    assert!(
        verify(&bytes, &Expected::Any)
            .manifest
            .unwrap()
            .facts
            .mandatory_hosts
    );
    assert_eq!(
        deeds(&folder, "exported_evidence")[1]["about"]["mandatory_hosts"],
        true
    );
    // Subject access never has them.
    let (status, _, bytes) = sent(
        &client,
        &address,
        &[
            ("kind", "subject_access"),
            ("device", seed::MANDATORY_DEVICE),
            ("why", "asked by parent"),
            ("mandatory_hosts", "yes"),
        ],
    );
    assert_eq!(status, 200);
    assert!(
        !verify(&bytes, &Expected::Any)
            .manifest
            .unwrap()
            .facts
            .mandatory_hosts
    );
    for (fields, says) in [
        (&[("device", seed::TRIED), ("why", "")][..], "say why"),
        (&[("why", "because of it")], "Say whose look-ups"),
        (
            &[("person", "Nobody Here"), ("why", "because of it")],
            "whose owner",
        ),
        (
            &[("device", "x"), ("since", "soon"), ("why", "because of it")],
            "no date",
        ),
        (
            &[("incident", "1"), ("why", "because of it")],
            "no incident 1",
        ),
    ] {
        let (status, _, bytes) = sent(&client, &address, fields);
        let said = String::from_utf8(bytes).unwrap();
        assert_eq!(status, 400, "{said}");
        assert!(said.contains(says), "{says}: {said}");
    }
}

#[test]
fn a_hold_is_placed_and_lifted_on_its_page() {
    let (folder, pages) = pages();
    let mut client = Client::signed_in(&pages, &folder, "dsl");
    client.get("/holds");
    let fields = [
        ("first", "2026-10-01"),
        ("last", "2026-10-07"),
        ("why", WHY),
    ];
    assert_eq!(client.post("/holds", &fields).status, 303);
    let page = client.get("/holds");
    assert!(
        page.body.contains("1 October 2026 to 7 October 2026"),
        "{}",
        page.body
    );
    assert!(!page.body.contains("<script>"), "{}", page.body);
    let id = page.field("id").unwrap();
    assert_eq!(
        client
            .post("/holds/lift", &[("id", &id), ("why", "")])
            .status,
        400
    );
    assert_eq!(
        client
            .post("/holds/lift", &[("id", &id), ("why", "over")])
            .status,
        303
    );
    assert!(client.get("/holds").body.contains("Nothing is held."));
    assert_eq!(deeds(&folder, "placed_hold").len(), 1);
    assert_eq!(deeds(&folder, "lifted_hold").len(), 1);
}

/// whoever may see numbers alone has no span of their own to ask for.
#[test]
fn governors_see_ended_terms_and_nothing_else() {
    let (folder, pages) = pages();
    let mut head = Client::signed_in(&pages, &folder, "head");
    let mut governor = Client::signed_in(&pages, &folder, "governor");
    let today = Timestamp::now().to_zoned(super::london()).date();
    let path = format!(
        "/reports/governors?from={}&to={today}",
        today.saturating_sub(20.days())
    );
    let seen = head.get(&path);
    assert_eq!(seen.status, 200);
    assert!(seen.body.contains("year-9"), "{}", seen.body);
    assert!(seen.body.contains("fewer than 5"), "{}", seen.body);
    let seen = governor.get(&path);
    assert_eq!(seen.status, 200);
    assert!(!seen.body.contains(&format!("to {today}")), "{}", seen.body);
    assert!(!seen.body.contains("name=\"from\""), "{}", seen.body);
    let csv = governor.get(&path.replace("governors?", "governors.csv?"));
    assert!(!csv.body.contains(&today.to_string()), "{}", csv.body);
    for path in [
        "/reports/weekly",
        "/reports/weekly.csv",
        "/evidence/new",
        "/holds",
    ] {
        assert_eq!(governor.get(path).status, 403, "{path}");
    }
    for path in [
        "/reports/governors?term=' OR 1=1 --",
        "/reports/governors?term=9999-12-31",
        "/reports/weekly?week=0000-W01",
        "/reports/weekly?week=9999-W52",
        "/reports/weekly?week=%00",
    ] {
        let path = path.replace(' ', "%20");
        assert_eq!(head.get(&path).status, 200, "{path}");
    }
    let path = "/reports/governors?from=2016-01-01&to=2026-01-01";
    assert_eq!(head.get(path).status, 400);
}
