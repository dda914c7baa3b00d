//! Requests: what strangers send, what is kept of it, and what is done about it.

use std::net::IpAddr;
use std::sync::{Arc, Barrier};

use jiff::{SignedDuration, Timestamp};
use schoolgate::name::Name;
use schoolgate::requests::{
    Answer, Asking, Line, NotTaken, Outcome, Received, Requests, State, Text, Voice, Wish,
};

use super::client::{Account, Client, Pages as Served};
use super::running::{Page, Pages};
use crate::serve::eventually;
use crate::serve::school::Plan;

fn start() -> Timestamp {
    "2026-11-21T09:00:00Z".parse().unwrap()
}

fn asking(site: &str, account: Option<&str>, now: Timestamp) -> Asking {
    Asking {
        site: Name::parse(site).unwrap(),
        wish: Wish::Unblock,
        group: "pupil".to_owned(),
        voice: Voice {
            time: now,
            who: Line::new("A teacher"),
            account: account.map(ToOwned::to_owned),
            device: Some("ipad-7".to_owned()),
            for_whom: Line::new("Year 5"),
            why: Text::new("for maths"),
        },
    }
}

fn client(n: u32) -> IpAddr {
    IpAddr::from((u32::from_be_bytes([10, 0, 0, 0]) + n).to_be_bytes())
}

fn queue() -> (tempfile::TempDir, Requests) {
    let folder = tempfile::tempdir().unwrap();
    let requests = Requests::new(folder.path(), [7; 32]);
    (folder, requests)
}

#[test]
fn a_request_goes_from_new_to_answered_and_its_history_stays() {
    let (folder, requests) = queue();
    let now = start();
    let taken = requests.ask(&asking("games.example", None, now), client(1));
    assert_eq!(taken.unwrap(), Received::New(1));
    assert_eq!(requests.waiting().unwrap()[0].state, State::New);
    assert!(
        requests
            .consider(1, "t.tech", &Text::new("looking"), now)
            .unwrap()
    );
    assert!(
        !requests
            .consider(1, "h.head", &Text::new("too late"), now)
            .unwrap()
    );
    let answer = Answer {
        outcome: Outcome::Granted,
        reason: Text::new("for the maths week"),
        expires: Some("2027-02-20".parse().unwrap()),
    };
    assert!(requests.answer(1, "d.lead", &answer, now).unwrap());
    let refused = Answer {
        outcome: Outcome::Refused,
        ..answer.clone()
    };
    assert!(!requests.answer(1, "t.tech", &refused, now).unwrap());
    // All of it is there for whoever opens the file next.
    drop(requests);
    let requests = Requests::new(folder.path(), [8; 32]);
    let file = requests.file(1).unwrap().unwrap();
    assert_eq!(file.request.state, State::Answered(Outcome::Granted));
    assert_eq!(file.request.expires, answer.expires);
    assert_eq!(file.voices[0].for_whom.as_str(), "Year 5");
    let steps: Vec<_> = file.history.iter().map(|s| (&*s.who, &*s.what)).collect();
    assert_eq!(
        steps,
        [
            ("somebody", "asked"),
            ("t.tech", "considered"),
            ("d.lead", "granted")
        ]
    );
    assert!(requests.waiting().unwrap().is_empty());
    // The same may be asked again, under another number.
    let taken = requests.ask(&asking("games.example", None, now), client(1));
    assert_eq!(taken.unwrap(), Received::New(2));
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(folder.path().join("requests.db"))
            .unwrap()
            .permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn those_who_want_the_same_are_one_request_and_are_counted_once() {
    let (_folder, requests) = queue();
    let mut now = start();
    for (n, received) in [
        (1, Received::New(1)),
        (2, Received::Joined(1)),
        (2, Received::Joined(1)),
        (3, Received::Joined(1)),
    ] {
        now += SignedDuration::from_secs(60);
        let taken = requests.ask(&asking("games.example", None, now), client(n));
        assert_eq!(taken.unwrap(), received);
    }
    let all = requests.waiting().unwrap();
    assert_eq!((all.len(), all[0].voices), (1, 3));
    // Many more are counted, and what each said is not kept.
    for n in 10..300 {
        now += SignedDuration::from_secs(60);
        requests
            .ask(&asking("games.example", None, now), client(n))
            .unwrap();
    }
    let file = requests.file(1).unwrap().unwrap();
    assert_eq!((file.request.voices, file.voices.len()), (293, 10));
    // Another group or wish is another request.
    let mut other = asking("games.example", None, now);
    other.wish = Wish::Block;
    assert_eq!(requests.ask(&other, client(1)).unwrap(), Received::New(2));
}

#[test]
fn two_people_answer_the_same_request_and_one_answer_stands() {
    let (_folder, requests) = queue();
    let now = start();
    requests
        .ask(&asking("games.example", None, now), client(1))
        .unwrap();
    let requests = Arc::new(requests);
    let barrier = Arc::new(Barrier::new(2));
    let answers = ["t.tech", "d.lead"].map(|by| {
        let (requests, barrier) = (Arc::clone(&requests), Arc::clone(&barrier));
        std::thread::spawn(move || {
            barrier.wait();
            let answer = Answer {
                outcome: Outcome::Refused,
                reason: Text::new(by),
                expires: None,
            };
            requests.answer(1, by, &answer, now).unwrap()
        })
    });
    let done = answers.map(|thread| thread.join().unwrap());
    assert_eq!(done.iter().filter(|done| **done).count(), 1);
    assert_eq!(requests.file(1).unwrap().unwrap().history.len(), 2);
}

#[test]
fn ten_thousand_hostile_requests_fill_no_more_than_their_bound() {
    let (folder, requests) = queue();
    let now = start();
    let nasty = "<script>alert(1)</script>'; DROP TABLE request; --\u{202e}\u{0}".repeat(400);
    let mut taken = 0;
    // Each from another address, over three weeks: the rate alone does not hold.
    for n in 0..10_000 {
        let now = now + SignedDuration::from_mins(3 * i64::from(n));
        let mut asking = asking(&format!("s{n}.example"), None, now);
        asking.voice.why = Text::new(&nasty);
        asking.voice.who = Line::new(&nasty);
        match requests.ask(&asking, client(n)) {
            Ok(_) => taken += 1,
            Err(NotTaken::Full) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(taken, 400);
    // A teacher who has signed in is not kept out by them.
    let late = now + SignedDuration::from_hours(24 * 30);
    let taken = requests.ask(&asking("maths.example", Some("t.each"), late), client(1));
    assert_eq!(taken.unwrap(), Received::New(401));
    drop(requests);
    let bytes = std::fs::metadata(folder.path().join("requests.db"))
        .unwrap()
        .len();
    assert!(bytes < 4 << 20, "{bytes}");
}

#[test]
fn a_damaged_file_is_set_aside() {
    let (folder, requests) = queue();
    let file = folder.path().join("requests.db");
    std::fs::write(&file, [b'x'; 8192]).unwrap();
    let taken = requests.ask(&asking("games.example", None, start()), client(1));
    assert_eq!(taken.unwrap(), Received::New(1));
    assert!(folder.path().join("requests.db.damaged-1").is_file());
}

#[test]
fn answered_requests_are_forgotten_after_two_years() {
    let (_folder, requests) = queue();
    let answer = Answer {
        outcome: Outcome::AlreadySo,
        reason: Text::new("it is open"),
        expires: None,
    };
    let mut now = start();
    for site in ["a.example", "b.example", "c.example"] {
        let Ok(Received::New(id)) = requests.ask(&asking(site, None, now), client(1)) else {
            panic!("{site}");
        };
        requests.answer(id, "t.tech", &answer, now).unwrap();
        now += SignedDuration::from_hours(24 * 400);
    }
    // The first is more than two years old when the last is answered.
    assert!(requests.file(1).unwrap().is_none());
    assert!(requests.file(2).unwrap().is_some());
    assert_eq!(requests.answered(None, 10).unwrap().len(), 2);
}

#[test]
fn anybody_may_ask_and_what_they_write_stays_text() {
    let pages = Pages::start(&Plan::new(&["127.0.0.1:9".parse().unwrap()]));
    let hostile =
        "site=%3Cscript%3Ealert(1)%3C/script%3E&wish=unblock&why=%3Cb%3E%00%ff&group=%27%22%3E";
    let page = pages.send("127.0.0.1", hostile);
    assert_eq!(page.status, 422);
    assert!(page.body.contains("&lt;script&gt;"), "{}", page.body);
    assert!(!page.body.contains("<script"), "{}", page.body);
    for form in [
        "",
        "site=bets.example",
        "site=bets.example&wish=open&why=x",
        "site=a&site=b",
        "\u{0}",
    ] {
        assert_eq!(pages.send("127.0.0.1", form).status, 422, "{form:?}");
    }
    // What is right is taken, but not for ever from one device.
    let good = |n| format!("site=https://www.bets{n}.example/page&wish=unblock&why=Maths&who=Mr+A");
    let statuses: Vec<u16> = (0..8)
        .map(|n| pages.send("127.0.0.1", &good(n)).status)
        .collect();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 200, 429, 429]);
    assert_eq!(pages.send("127.0.0.3", &good(0)).status, 200);
    // It is for the group of the device that asked, unless another was chosen.
    let page = pages.send("127.0.0.3", "site=x.example&wish=block&why=x&group=pupil");
    assert!(page.body.contains("number 8"), "{}", page.body);
    let requests = Requests::new(&pages.folder.join("state"), [0; 32]);
    let mut all = requests.waiting().unwrap();
    all.sort_by_key(|request| request.id);
    let seen: Vec<_> = all
        .iter()
        .map(|r| (r.site.to_string(), &*r.group))
        .collect();
    assert_eq!(seen[0], ("www.bets0.example".to_owned(), "pupil"));
    assert_eq!(seen[6], ("www.bets0.example".to_owned(), "staff"));
    assert_eq!(seen[7], ("x.example".to_owned(), "pupil"));
}

#[test]
fn the_queue_is_for_those_who_have_signed_in_and_the_form_for_all() {
    let pages = Pages::start(&Plan::new(&["127.0.0.1:9".parse().unwrap()]));
    let ask = |method: &str, path: &str| {
        let text = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            pages.address
        );
        Page::of("127.0.0.1", pages.address, text.as_bytes())
    };
    for (method, path) in [
        ("GET", "/requests"),
        ("GET", "/requests/1"),
        ("POST", "/requests/1/consider"),
        ("POST", "/requests/1/answer"),
    ] {
        let page = ask(method, path);
        assert_eq!(page.status, 303, "{method} {path}");
    }
    let page = ask("GET", "/request?site=%3Cb%3Egames.example&why=%22onload%3D");
    assert_eq!(page.status, 200);
    assert!(
        page.body.contains("&lt;b&gt;games.example"),
        "{}",
        page.body
    );
    assert!(!page.body.contains("<b>"), "{}", page.body);
}

/// The technician looks, the lead decides, and nobody sees more than is theirs.
#[test]
fn the_queue_is_worked_through_and_shows_each_role_what_is_theirs() {
    let folder = Plan::new(&["127.0.0.1:9".parse().unwrap()]).write();
    folder.refresh();
    let queue = Requests::new(&folder.state(), [7; 32]);
    let mut hostile = asking("bets.example", None, start());
    hostile.voice.why = Text::new("<script>alert(1)</script> =cmd");
    queue.ask(&hostile, client(1)).unwrap();
    // It has come onto a mandatory list since it was asked for.
    queue
        .ask(&asking("www.vile-things.example", None, start()), client(2))
        .unwrap();
    let pages = Served::start(&folder);
    let mut technician = Client::signed_in(&pages, &folder, "technician");
    let mut lead = Client::signed_in(&pages, &folder, "dsl");
    let mut head = Client::signed_in(&pages, &folder, "head");
    for role in ["governor", "auditor"] {
        let mut other = Client::signed_in(&pages, &folder, role);
        for path in ["/requests", "/requests/1"] {
            assert_eq!(other.get(path).status, 403, "{role} {path}");
        }
    }
    // Until the lists are read no site is shown to anybody.
    eventually("the lists", || {
        let list = technician.get("/requests");
        list.page().contains("bets.example").then_some(())
    });
    for (person, sees_device) in [
        (&mut technician, false),
        (&mut lead, true),
        (&mut head, true),
    ] {
        let list = person.get("/requests");
        assert!(!list.page().contains("vile-things"), "{}", list.body);
        let one = person.get("/requests/1");
        assert!(one.page().contains("&lt;script&gt;"), "{}", one.body);
        assert!(one.body.contains("Gambling"), "{}", one.body);
        assert!(!one.body.contains("<script"), "{}", one.body);
        assert_eq!(one.body.contains("ipad-7"), sees_device);
    }
    let record = || std::fs::read_to_string(folder.state().join("record/access.jsonl")).unwrap();
    assert!(!technician.get("/requests/2").page().contains("vile-things"));
    assert!(!head.get("/requests/2").page().contains("vile-things"));
    assert!(!record().contains("read_mandatory_host"));
    assert!(lead.get("/requests/2").page().contains("vile-things"));
    assert!(record().contains("read_mandatory_host") && !record().contains("vile"));

    let note = [("note", "asked the class teacher")];
    assert_eq!(technician.post("/requests/1/consider", &note).status, 303);
    let decided = |reason, expires| {
        [
            ("outcome", "granted"),
            ("reason", reason),
            ("expires", expires),
        ]
    };
    let at = "/requests/1/answer";
    // Without the token of the session, without a reason, for ever.
    assert_eq!(lead.send(at, &decided("Maths", "")).status, 400);
    assert_eq!(lead.post(at, &decided(" ", "")).status, 400);
    assert_eq!(lead.post(at, &decided("Maths", "2999-01-01")).status, 400);
    assert_eq!(lead.post(at, &decided("Maths", "tomorrow")).status, 400);
    assert_eq!(lead.post(at, &decided("Maths", "")).status, 303);
    let late = technician.post(at, &decided("Maths", ""));
    assert!(
        late.status == 400 && late.body.contains("Somebody else"),
        "{late:?}"
    );
    let one = head.get("/requests/1");
    for words in ["granted by", "considered by", "asked the class teacher"] {
        assert!(one.page().contains(words), "{words}: {}", one.body);
    }
    assert_eq!(head.get("/requests/99").status, 404);
    assert!(matches!(head.get("/requests/x").status, 400 | 404));
    assert!(record().contains("answered_request") && !record().contains("bets"));
    // Who has signed in asks under their own name.
    let sent = [
        ("site", "maths.example"),
        ("wish", "unblock"),
        ("why", "x"),
        ("who", "Other"),
    ];
    assert_eq!(lead.post("/request", &sent).status, 200);
    let voice = &queue.file(3).unwrap().unwrap().voices[0];
    assert_eq!(
        (voice.who.as_str(), voice.account.as_deref()),
        ("Jo Bloggs", Some("dsl"))
    );
}

/// Whoever knows a password and has no code yet asks as anybody does, and sees
/// nothing of whose account it is.
#[test]
fn half_a_sign_in_is_nobody() {
    let folder = Plan::new(&["127.0.0.1:9".parse().unwrap()]).write();
    folder.refresh();
    let pages = Served::start(&folder);
    let mut account = Account::make(&folder, "dsl");
    let mut whole = Client::as_account(&pages, &mut account);
    let mut half = Client::new(&pages);
    let answer = half.give_password(&account.name, &account.password);
    assert_eq!(answer.status, 303, "{answer:?}");
    // The page that asks for the code has the token of this session.
    half.csrf = None;
    half.get("/sign-in/code").page();
    assert!(half.csrf.is_some());
    for (client, is_somebody) in [(&mut whole, true), (&mut half, false)] {
        let form = client.get("/request");
        assert_eq!(form.page().contains("Sign out"), is_somebody);
        let site = format!("maths{is_somebody}.example");
        let sent = [("site", &*site), ("wish", "unblock"), ("why", "x")];
        let page = eventually("the lists", || {
            let page = client.post("/request", &sent);
            (page.status != 503).then_some(page)
        });
        assert_eq!(page.page().contains("Sign out"), is_somebody);
    }
    let queue = Requests::new(&folder.state(), [7; 32]);
    let voices = [1, 2].map(|id| queue.file(id).unwrap().unwrap().voices.remove(0));
    assert_eq!(voices[0].account.as_deref(), Some("dsl"));
    assert_eq!(
        (voices[1].account.as_deref(), voices[1].who.as_str()),
        (None, "")
    );
}
