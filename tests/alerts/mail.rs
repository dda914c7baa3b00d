//! E-mail: in time, once, encrypted, and with nothing in it that must not be.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::{FIVE_SECONDS, Post, both, eventually, number, school};
use crate::serve::peer::Authority;
use crate::serve::school::School;
use crate::serve::within;

const PEOPLE: &str = r#"
[alerts.people]
dsl = ["dsl@school.example", "deputy@school.example"]
technician = ["it@school.example"]
"#;

/// The requirement: an alert within 5 seconds of a suicide-theme block.
#[test]
fn a_look_up_of_self_harm_is_told_within_five_seconds() {
    let Some(post) = Post::start(&[], "alerts by e-mail") else {
        return;
    };
    let (school, _alerts) = both(school(&post.plain(), PEOPLE));
    let asked = Instant::now();
    school.ask_from("127.0.0.7", "www.hurt.example");
    let letters = within(FIVE_SECONDS, "an alert", || {
        Some(post.letters()).filter(|letters| letters.len() == 2)
    });
    let took = asked.elapsed();
    assert!(took < FIVE_SECONDS, "{took:?}");
    eprintln!("told after {took:?}");
    let to: BTreeSet<&str> = letters.iter().map(super::Letter::to).collect();
    let people = ["deputy@school.example", "dsl@school.example"];
    assert_eq!(to, people.into());
    let letter = &letters[0];
    let text = letter.of("text");
    for word in [
        "Suicide and self-harm",
        "iPad 7 [ipad-7]",
        "pupil",
        "blocked",
        "https://filter.school.example/alerts/1",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(!letter.of("raw").contains("hurt.example"), "{text}");
    // Subjects show on locked phones.
    assert!(!letter.of("subject").contains("iPad"));
    assert!(letter.of("raw").contains("Auto-Submitted: auto-generated"));
    // More of the same is the same alert.
    for name in ["hurt.example", "forum.hurt.example"] {
        school.ask_from("127.0.0.7", name);
    }
    eventually("the look-ups to be counted", || {
        let counted = number(&school.folder, "SELECT count FROM alerts");
        (counted >= 3).then_some(())
    });
    // Another child's is another.
    school.ask_from("127.0.0.8", "hurt.example");
    eventually("the other child's alert", || {
        (post.letters().len() == 4).then_some(())
    });
    let letters = post.letters();
    assert!(letters[3].of("text").contains("127.0.0.8"));
    let ids: BTreeSet<&str> = letters.iter().map(|letter| letter.of("id")).collect();
    assert_eq!(ids.len(), 4);
}

#[test]
fn a_mandatory_hit_names_no_site_even_where_others_are_named() {
    let Some(post) = Post::start(&[], "alerts by e-mail") else {
        return;
    };
    let policy = format!("include_domain = true\n{PEOPLE}");
    let (school, _alerts) = both(school(&post.plain(), &policy));
    school.ask_from("127.0.0.7", "www.vile-things.example");
    school.ask_from("127.0.0.7", "www.hurt.example");
    let letters = eventually("both alerts", || {
        Some(post.letters()).filter(|letters| letters.len() == 4)
    });
    let (vile, harm): (Vec<_>, Vec<_>) = letters
        .iter()
        .partition(|letter| letter.of("subject").contains("Illegal"));
    assert_eq!((vile.len(), harm.len()), (2, 2));
    for letter in vile {
        assert!(!letter.of("raw").contains("vile"), "{letter:?}");
        assert!(letter.of("text").contains("Do not visit it"));
    }
    assert!(harm[0].of("text").contains("hurt.example"));
    let kept = std::fs::read(school.folder.state().join("alerts.db-wal")).unwrap();
    let kept = String::from_utf8_lossy(&kept);
    assert!(!kept.contains("vile-things"));
}

/// Five tries to get around the filter are an alert; four are none.
#[test]
fn a_threshold_is_reached_by_attempts_and_not_by_look_ups() {
    let Some(post) = Post::start(&[], "alerts by e-mail") else {
        return;
    };
    let policy = "[alerts.themes.bypass]\ntell = \"threshold\"\ntimes = 2\nminutes = 10\n";
    let (school, _alerts) = both(school(&post.plain(), policy));
    // A page asks for a name a dozen times over.
    for _ in 0..12 {
        school.ask_from("127.0.0.7", "tunnel.example");
    }
    eventually("the look-ups to be seen", || {
        (number(&school.folder, "SELECT count(*) FROM attempts") > 0).then_some(())
    });
    let attempts = number(&school.folder, "SELECT count(*) FROM attempts");
    if attempts == 1 {
        assert_eq!(number(&school.folder, "SELECT count(*) FROM alerts"), 0);
    }
    school.ask_from("127.0.0.7", "proxy.example");
    let letters = eventually("the alert", || {
        Some(post.letters()).filter(|letters| !letters.is_empty())
    });
    // Nobody has the role: the fallback is told.
    assert_eq!(letters[0].to(), "office@school.example");
    assert!(letters[0].of("text").contains("attempts within 10 minutes"));
}

#[test]
fn while_the_server_is_down_messages_wait_and_then_leave_once() {
    let Some(mut post) = Post::start(&[], "alerts by e-mail") else {
        return;
    };
    let (school, alerts) = both(school(&post.plain(), PEOPLE));
    post.goes_down();
    for last in 10..20 {
        school.ask_from(&format!("127.0.0.{last}"), "hurt.example");
    }
    eventually("the way to fail", || {
        let failed = "SELECT count(*) FROM channels WHERE tries > 0";
        (number(&school.folder, failed) == 1).then_some(())
    });
    let waiting = "SELECT count(*) FROM outbox WHERE state = 'waiting'";
    eventually("all alerts", || {
        (number(&school.folder, waiting) == 20).then_some(())
    });
    // A restart in between changes nothing.
    drop(alerts);
    let _alerts = super::alerts(&school.folder);
    post.comes_back();
    within(Duration::from_secs(120), "all messages", || {
        (number(&school.folder, waiting) == 0).then_some(())
    });
    let letters = post.letters();
    let ids: BTreeSet<&str> = letters.iter().map(|letter| letter.of("id")).collect();
    assert_eq!((letters.len(), ids.len()), (20, 20));
}

#[test]
fn starttls_with_a_password_and_a_certificate_in_order() {
    let keys = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    authority.sign().write(keys.path());
    let folder = keys.path().to_str().unwrap();
    for mode in ["starttls", "tls"] {
        let Some(post) = Post::start(&[mode, folder, "login"], "encrypted e-mail") else {
            return;
        };
        let settings = encrypted(&post, mode);
        let place = school(&settings, PEOPLE);
        place.put("authority.pem", &authority.pem);
        place.put("password", "pass word\n");
        let (school, _alerts) = both(place);
        school.ask_from("127.0.0.7", "hurt.example");
        let letters = eventually("the alert", || {
            Some(post.letters()).filter(|letters| letters.len() == 2)
        });
        assert_eq!(letters[0].of("user"), "filter");
        assert_eq!(
            letters[0].0["tls"],
            mode == "starttls" || letters[0].0["tls"] == true
        );
    }
}

/// A certificate that is not in order: nothing is said to that server, and what
/// waits leaves once it has another.
#[test]
fn a_server_with_a_bad_certificate_is_told_nothing() {
    let keys = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    authority.sign_until(2021).write(keys.path());
    let folder = keys.path().to_str().unwrap();
    let Some(mut post) = Post::start(&["starttls", folder, "login"], "encrypted e-mail") else {
        return;
    };
    let place = school(&encrypted(&post, "starttls"), PEOPLE);
    place.put("authority.pem", &authority.pem);
    place.put("password", "pass word\n");
    let (school, _alerts) = both(place);
    school.ask_from("127.0.0.7", "hurt.example");
    eventually("the way to fail", || {
        let failed = "SELECT count(*) FROM channels WHERE tries > 0 AND error LIKE '%xpired%'";
        (number(&school.folder, failed) == 1).then_some(())
    });
    assert!(post.letters().is_empty());
    post.goes_down();
    authority.sign().write(keys.path());
    post.comes_back();
    let letters = within(Duration::from_secs(120), "the alert", || {
        Some(post.letters()).filter(|letters| letters.len() == 2)
    });
    assert!(letters[0].0["tls"].as_bool().unwrap());
}

#[test]
fn what_a_server_refuses_for_good_goes_to_the_fallback() {
    let Some(post) = Post::start(&[], "alerts by e-mail") else {
        return;
    };
    let people = "[alerts.people]\ndsl = [\"gone@school.example\", \"dsl@school.example\"]\n";
    let (school, _alerts) = both(school(&post.plain(), people));
    school.ask_from("127.0.0.7", "hurt.example");
    let letters = eventually("both messages", || {
        Some(post.letters()).filter(|letters| letters.len() == 2)
    });
    let to: BTreeSet<&str> = letters.iter().map(super::Letter::to).collect();
    let people = ["dsl@school.example", "office@school.example"];
    assert_eq!(to, people.into());
    let office = letters
        .iter()
        .find(|l| l.to().starts_with("office"))
        .unwrap();
    assert!(office.of("text").contains("gone@school.example"));
}

/// Who writes another address into the policy and has nobody put it in force
/// diverts nothing.
#[test]
fn what_is_typed_and_not_in_force_changes_nothing() {
    let Some(post) = Post::start(&[], "alerts by the policy in force") else {
        return;
    };
    let school = School::start(school(&post.plain(), PEOPLE));
    let typed = std::fs::read_to_string(school.folder.path().join("policy.toml")).unwrap();
    let hushed = typed.replace("dsl@school.example", "pupil@school.example")
        + "[alerts.themes.suicide_self_harm]\ntell = \"digest\"\n";
    school.folder.put("policy.toml", &hushed);
    let _alerts = super::alerts(&school.folder);
    school.ask_from("127.0.0.7", "hurt.example");
    let letters = eventually("the alert", || {
        Some(post.letters()).filter(|letters| letters.len() == 2)
    });
    assert!(
        letters
            .iter()
            .all(|letter| !letter.to().starts_with("pupil"))
    );
}

fn encrypted(post: &Post, security: &str) -> String {
    format!(
        "[mail]\nserver = \"127.0.0.1\"\nport = {}\nsecurity = \"{security}\"\n\
         user = \"filter\"\npassword_file = \"password\"\nca_file = \"authority.pem\"\n\
         from = \"filter@school.example\"\n",
        post.port
    )
}
