//! The verb as a technician runs it, on a log that the real server wrote.

use std::process::Output;

use serde_json::Value;

use crate::serve::school::{Folder, POLICY, Plan};
use crate::serve::upstream::Upstream;

/// A school that has answered a few questions: 127.0.0.1 is a pupil, 127.0.0.3
/// staff.
fn school() -> Folder {
    let upstream = Upstream::plain();
    let school = Plan::new(&[upstream.address]).start();
    for name in ["www.chat.example", "lessons.example", "www.bets.example"] {
        school.ask(name);
    }
    school.ask_from("127.0.0.3", "www.bets.example");
    school.ask("vile-things.example");
    school.stop()
}

fn rehearse(folder: &Folder, expected: i32) -> (Value, String) {
    let output = folder.run(&["rehearse", "--json"]);
    assert_eq!(output.status.code(), Some(expected), "{}", text(&output));
    let json = serde_json::from_slice(&output.stdout).unwrap();
    (json, text(&folder.run(&["rehearse"])))
}

fn text(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8(both).unwrap()
}

#[test]
fn an_edit_is_tried_on_what_was_asked() {
    let folder = school();
    let (same, said) = rehearse(&folder, 0);
    assert_eq!(
        (&same["policy"], &same["edited"]),
        (&1.into(), &false.into())
    );
    assert!(said.contains("the files say the same"), "{said}");

    let edited = POLICY.replacen("\"gambling\", \"games\"", "\"games\", \"social_media\"", 1);
    folder.put("policy.toml", &edited);
    let (found, said) = rehearse(&folder, 0);
    assert_eq!(
        (&found["edited"], &found["refused"]),
        (&true.into(), &false.into())
    );
    let groups = found["rehearsal"]["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 1, "{found}");
    assert_eq!(groups[0]["group"], "pupil");
    assert_eq!(groups[0]["blocked_names"][0]["name"], "www.chat.example");
    assert_eq!(groups[0]["allowed_names"][0]["name"], "www.bets.example");
    let words =
        "would have newly blocked 1 name for pupil (1 look-up) and newly allowed 1 (1 look-up)";
    assert!(said.contains(words), "{said}");
    assert!(said.contains("tried on the 5 look-ups"), "{said}");
    assert!(
        said.contains("newly blocked for pupil, by look-ups:\n          1  www.chat.example"),
        "{said}"
    );
    assert!(!said.contains("vile") && !found.to_string().contains("vile"));
    // Nothing was put in force by it.
    assert!(text(&folder.run(&["rehearse"])).contains("Compared with policy 1,"));
}

#[test]
fn a_helpline_is_not_closed() {
    let folder = school();
    let deny = "[[exceptions]]\nname = \"org.uk\"\nverdict = \"deny\"\ngroups = [\"pupil\"]\nreason = \"x\"\n";
    folder.put("policy.toml", &format!("{POLICY}{deny}"));
    let (found, said) = rehearse(&folder, 1);
    assert_eq!(found["refused"], true);
    assert!(said.contains("Refused: policy.toml:"), "{said}");
    assert!(said.contains("denies org.uk for pupil"), "{said}");
    assert!(said.contains("must resolve"), "{said}");
}

#[test]
fn what_cannot_be_tried_is_said() {
    let folder = Plan::new(&["127.0.0.1:9".parse().unwrap()]).write();
    folder.refresh();
    let (found, said) = rehearse(&folder, 0);
    assert_eq!(found["policy"], Value::Null);
    assert!(said.contains("No policy is in force yet"), "{said}");
    folder.put("policy.toml", &POLICY.replace("\"games\"", "\"gmaes\""));
    folder.put("must-block.txt", "bets.example\n");
    let output = folder.run(&["rehearse"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output).contains("policy.toml:7:"),
        "{}",
        text(&output)
    );
}
