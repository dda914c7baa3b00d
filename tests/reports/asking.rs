//! Requests for sites, which may name a person: in what somebody is told of
//! themselves, and in what is erased of them.

use std::fs;
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use schoolgate::name::Name;
use schoolgate::requests::{Answer, Asking, Line, Outcome, Requests, Text, Voice, Wish};
use serde_json::Value;

use super::bundles::members;
use super::{deeds, fine, hours_ago, stands_below};
use crate::dashboard::seed;
use crate::serve::school::Folder;

/// Who has the device that tried, as the inventory has it.
const OWNER: &str = "C. Price";
const OTHER: &str = "ipad-7a-02";

/// The queue, as the pages have it open.
struct Queue {
    folder: Folder,
    requests: Requests,
    asked: u8,
}

impl Queue {
    fn new() -> Self {
        let folder = seed::plan().write();
        folder.refresh();
        let requests = Requests::new(&folder.state(), [7; 32]);
        Self {
            folder,
            requests,
            asked: 0,
        }
    }

    /// `who` asks for `site` at `device`, for somebody, and says why.
    fn asks(&mut self, time: Timestamp, site: &str, device: &str, [who, for_whom]: [&str; 2]) {
        self.asked += 1;
        let voice = Voice {
            time,
            who: Line::new(who),
            account: None,
            device: Some(device.to_owned()),
            for_whom: Line::new(for_whom),
            why: Text::new(&format!("reason number {}", self.asked)),
        };
        let asking = Asking {
            site: Name::parse(site).unwrap(),
            wish: Wish::Unblock,
            group: "year-9".to_owned(),
            voice,
        };
        let from = IpAddr::from([10, 1, 1, self.asked]);
        self.requests.ask(&asking, from).unwrap();
    }

    fn told(&self, whose: [&str; 2]) -> Vec<Value> {
        let file = self.folder.path().join("subject.zip");
        let verb = ["report", "subject", "--why", "asked by parent", "--out"];
        let verb = [&verb[..], &[file.to_str().unwrap()], &whose].concat();
        fine(&self.folder.run(&verb));
        let all = members(&fs::read(&file).unwrap());
        fs::remove_file(&file).unwrap();
        let readme = String::from_utf8_lossy(&all["README.txt"]).into_owned();
        assert!(readme.contains("requests.json"), "{readme}");
        serde_json::from_slice(&all["requests.json"]).unwrap()
    }

    fn reasons(&self, whose: [&str; 2]) -> Vec<String> {
        let all = self.told(whose).into_iter();
        all.map(|told| told["why"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Which of the reasons stand anywhere in the state folder.
    fn left(&self) -> Vec<u8> {
        let state = self.folder.state();
        let stands = |n: &u8| !stands_below(&state, &format!("reason number {n}")).is_empty();
        (1..=self.asked).filter(stands).collect()
    }
}

#[test]
fn who_asks_for_what_is_held_of_them_gets_their_requests_and_nobody_elses() {
    let mut queue = Queue::new();
    let now = hours_ago(5);
    queue.asks(now, "maths.example", seed::TRIED, ["", "my class"]);
    queue.asks(now, "maths.example", OTHER, ["Ms Other", "Year 7"]);
    queue.asks(now, "music.example", OTHER, ["c. price", ""]);
    queue.asks(now, "chess.example", OTHER, ["Ms Other", OWNER]);
    let answer = Answer {
        outcome: Outcome::Refused,
        reason: Text::new("not in lessons"),
        expires: None,
    };
    queue.requests.answer(1, "t.tech", &answer, now).unwrap();
    let device = queue.told(["--device", seed::TRIED]);
    assert_eq!(device.len(), 1, "{device:?}");
    let expected = serde_json::json!({
        "request": 1, "time": now, "site": "maths.example", "wish": "unblock",
        "group": "year-9", "who": "", "account": null, "device": seed::TRIED,
        "for_whom": "my class", "why": "reason number 1", "state": "refused",
        "answers": [
            { "time": now, "who": "t.tech", "what": "refused", "said": "not in lessons" }
        ]
    });
    assert_eq!(device[0], expected);
    let person = queue.reasons(["--person", OWNER]);
    let of_person = ["reason number 1", "reason number 3", "reason number 4"];
    assert_eq!(person, of_person);
    assert_eq!(queue.reasons(["--device", "staff-01"]), [""; 0]);
    // What has become mandatory since is withheld, as everywhere.
    let mandatory = format!("http://{}/\nhttp://maths.example/\n", seed::MANDATORY);
    queue.folder.put("illegal.txt", &mandatory);
    queue.folder.refresh();
    let device = queue.told(["--device", seed::TRIED]);
    assert_eq!(device[0]["site"], "(withheld)");
    assert_eq!(device[0]["why"], "(withheld)");
    // So is what no list can be asked about.
    fs::remove_dir_all(queue.folder.state().join("lists")).unwrap();
    assert_eq!(queue.reasons(["--person", OWNER]), ["(withheld)"; 3]);
}

#[test]
fn what_somebody_said_is_erased_to_the_last_byte_but_on_days_that_are_held() {
    let mut queue = Queue::new();
    let now = hours_ago(0);
    let days_ago = |days: i64| now - SignedDuration::from_hours(24 * days);
    queue.asks(days_ago(9), "maths.example", seed::TRIED, [OWNER, ""]);
    queue.asks(days_ago(6), "maths.example", seed::TRIED, ["", "my class"]);
    queue.asks(days_ago(3), "maths.example", OTHER, ["Ms Other", "Year 7"]);
    queue.asks(days_ago(3), "music.example", OTHER, [OWNER, ""]);
    queue.asks(now, "chess.example", seed::TRIED, ["", ""]);
    let held = days_ago(6).to_zoned(super::london()).date().to_string();
    let placed = ["report", "hold", "add", &held, "--why", "police"];
    fine(&queue.folder.run(&placed));
    let until = days_ago(2).to_zoned(super::london()).date().to_string();
    let verb = [
        "report",
        "erase",
        "--why",
        "letter of 3 November",
        "--until",
    ];
    let erase = |whose: &[&str]| {
        let output = queue.folder.run(&[&verb[..], &[&until], whose].concat());
        let said = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), said)
    };
    // A held day is named, although there are no rows of it.
    let (code, said) = erase(&["--device", seed::TRIED]);
    assert!(said.contains("their words in 1 requests"), "{said}");
    assert!(
        said.contains(&format!("left as they are: {held}.")),
        "{said}"
    );
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(queue.left(), [2, 3, 4, 5]);
    let (_, said) = erase(&["--person", OWNER]);
    assert!(said.contains("their words in 1 requests"), "{said}");
    assert_eq!(queue.left(), [2, 3, 5]);
    let done = deeds(&queue.folder, "erased");
    assert_eq!(done[0]["about"]["requests"], 1);
    // The requests stay, and so does how many asked.
    let file = queue.requests.file(1).unwrap().unwrap();
    assert_eq!((file.request.voices, file.voices.len()), (3, 2));
    assert_eq!(file.history.len(), 1);
    let gone = queue.requests.file(2).unwrap().unwrap();
    assert_eq!((gone.request.voices, gone.voices.len()), (1, 0));
    // Once more finds nothing and harms nothing.
    let (_, said) = erase(&["--device", seed::TRIED]);
    assert!(said.contains("their words in 0 requests"), "{said}");
    assert_eq!(queue.left(), [2, 3, 5]);
}
