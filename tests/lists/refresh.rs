//! What replaces a list, and what does not (cases R1 to R12; ).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use jiff::SignedDuration;
use schoolgate::lists::category::Category;
use schoolgate::lists::lookup::Class;
use schoolgate::lists::refresh::RefreshError;
use schoolgate::lists::report::lists_report;
use schoolgate::lists::sample;
use schoolgate::lists::store::Health;

use super::support::{Place, Reply, Server, domains, name};

fn names(count: usize) -> String {
    let lines: Vec<_> = (0..count).map(|n| format!("n{n}.example")).collect();
    lines.join(
        "
",
    )
}

#[test]
fn a_source_that_fails_keeps_its_last_good_list() {
    // R4
    let place = Place::new();
    let one = domains("one", "games", "file = \"one.txt\"");
    let two = domains("two", "games", "file = \"two.txt\"");
    place.write("sources.toml", &(one + &two));
    place.write("one.txt", "one.example\n");
    place.write("two.txt", "two.example\n");
    place.refresh();
    fs::remove_file(place.config.config_dir.join("one.txt")).unwrap();
    place.write("two.txt", "two-b.example\n");
    let (report, said) = place.try_refresh();
    assert!(!report.unwrap().all_fresh());
    assert!(said.contains("last good list kept"), "{said}");
    assert!(place.is_listed("one.example"));
    assert!(place.is_listed("two-b.example"));
    assert!(!place.is_listed("two.example"));
    let report = place.report();
    assert_eq!(report.sources[0].state, Health::Failed);
    assert_eq!(report.sources[0].tally.entries, 1);
    assert!(
        report.sources[0]
            .last_error
            .as_ref()
            .unwrap()
            .contains("one.txt")
    );
    assert_eq!(report.sources[1].state, Health::Fresh);
}

#[test]
fn a_list_that_shrinks_waits_for_a_person() {
    // R6
    let mut place = Place::new();
    place.write(
        "sources.toml",
        &domains("one", "games", "file = \"one.txt\"\nmin_entries = 0"),
    );
    place.write("one.txt", &names(100));
    place.refresh();
    let first = place.config.now;
    place.config.now = first + SignedDuration::from_hours(1);
    for refused in ["", &names(79), "<html>n1.example", "# nothing\n"] {
        place.write("one.txt", refused);
        place.refresh();
        let report = place.report();
        let source = &report.sources[0];
        assert_eq!(
            (source.state, source.tally.entries),
            (Health::Refused, 100),
            "{refused}"
        );
        assert_eq!(source.last_success, Some(first), "{refused}");
        assert!(place.is_listed("n99.example"), "{refused}");
    }
    place.write("one.txt", &names(80));
    place.refresh();
    assert_eq!(place.report().sources[0].state, Health::Fresh);
    place.write("one.txt", &names(10));
    place.config.accept = vec!["one".to_owned()];
    place.refresh();
    assert!(!place.is_listed("n10.example"));
    place.config.accept = vec!["two".to_owned()];
    assert!(matches!(
        place.try_refresh().0,
        Err(RefreshError::NoSuchSource(_))
    ));
}

#[test]
fn too_few_entries_are_no_list_and_without_any_there_is_nothing() {
    let place = Place::new();
    let one = domains("one", "games", "file = \"one.txt\"\nmin_entries = 3");
    place.write("sources.toml", &one);
    place.write("one.txt", &names(2));
    let (report, said) = place.try_refresh();
    assert!(matches!(report, Err(RefreshError::Nothing)));
    assert!(
        said.contains("2 entries, fewer than min_entries = 3"),
        "{said}"
    );
    assert!(schoolgate::lists::load::open(place.state()).is_err());
}

#[test]
fn the_wrong_file_is_refused() {
    let place = Place::new();
    let hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let one = domains(
        "one",
        "games",
        &format!("file = \"one.txt\"\nsha256 = \"{hash}\""),
    );
    place.write("sources.toml", &one);
    place.write("one.txt", "one.example\n");
    assert!(place.try_refresh().1.contains("SHA-256 is not the one"));
}

#[test]
fn a_list_is_asked_for_anew_when_ours_is_lost() {
    // R1
    let mut place = Place::new();
    let answers = Arc::new(Mutex::new("one.example\n"));
    let text = Arc::clone(&answers);
    let server = Server::start(place.path(), move |head| {
        if head.contains("if-none-match") {
            Reply::of("304 Not Modified", "", b"")
        } else {
            Reply::of("200 OK", "ETag: \"v\"\r\n", text.lock().unwrap().as_bytes())
        }
    });
    place.config.fetch.extra_ca = Some(server.ca.clone());
    let url = |path| domains("one", "games", &format!("url = \"{}\"", server.url(path)));
    place.write("sources.toml", &url("list"));
    place.refresh();
    *answers.lock().unwrap() = "two.example\n";
    place.refresh();
    assert!(server.last_request().contains("if-none-match: \"v\""));
    assert_eq!(place.report().sources[0].state, Health::Fresh);
    assert!(place.is_listed("one.example"));
    fs::remove_file(place.lists_dir().join("sources/one/list.gz")).unwrap();
    place.refresh();
    assert!(!server.last_request().contains("if-none-match"));
    assert!(place.is_listed("two.example"));
    // Another address: another list, whatever its tag.
    place.write("sources.toml", &url("other"));
    place.refresh();
    assert!(!server.last_request().contains("if-none-match"));
}

#[test]
fn an_error_page_with_200_is_refused() {
    let mut place = Place::new();
    let server = Server::start(place.path(), |_| {
        Reply::ok("<!DOCTYPE html>\nlogin.example\n")
    });
    place.config.fetch.extra_ca = Some(server.ca.clone());
    let url = format!("url = \"{}\"", server.url("list"));
    place.write("sources.toml", &domains("one", "games", &url));
    assert!(
        place
            .try_refresh()
            .1
            .contains("it is a web page, not a list")
    );
}

#[test]
fn names_that_must_resolve_are_left_out_and_reported() {
    // R8
    let place = Place::new();
    place.write(
        "sources.toml",
        &domains("one", "games", "file = \"one.txt\""),
    );
    place.write("must-resolve.txt", "www.our-school.example # ours\n");
    place.write(
        "one.txt",
        "our-school.example\nchildline.org.uk\none.example\n",
    );
    let said = place.refresh();
    assert!(said.contains("2 in quarantine"), "{said}");
    assert!(!place.is_listed("www.our-school.example"));
    assert!(!place.is_listed("childline.org.uk"));
    assert!(place.is_listed("one.example"));
    let quarantine = &place.report().sources[0].quarantine;
    assert_eq!(quarantine[0].protects, "www.our-school.example");
    assert_eq!(
        (quarantine[1].line, &*quarantine[1].name),
        (2, "childline.org.uk")
    );
    place.write("must-resolve.txt", "ours.example\nnot a name\n");
    let Err(RefreshError::Config(complaints)) = place.try_refresh().0 else {
        panic!("a mistake was expected");
    };
    assert_eq!(complaints[0].place.line, 2);
}

const SECRET: &str = "http://sécret-host.example/\nhttps://secret-host-two.example\n\
    secret-host-three.test\nhttp://secret-!-bad.example/\nhttp://mixed-host.example/secret-path/1\n\
    http://mixed-host.example/secret-path/2\nhttp://other-host.example/?secret=3\n";

fn mandatory(id: &str, class: &str) -> String {
    format!(
        "[[source]]\nid = \"{id}\"\ncategory = \"illegal\"\nclass = \"{class}\"\n\
         format = \"urls\"\nmatch = \"subtree\"\nfile = \"secret.txt\"\nmax_shrink = 1\n"
    )
}

/// Every file below a folder that has `needle` in its bytes, unpacked or not.
fn telling(folder: &Path, needle: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(telling(&path, needle));
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let mut plain = Vec::new();
        let mut reader = schoolgate::lists::fetch::text(&bytes);
        let _ = std::io::Read::read_to_end(&mut reader, &mut plain);
        let reversed: String = needle.chars().rev().collect();
        let tells = [needle, &reversed].iter().any(|n| {
            let n = n.as_bytes();
            [&bytes, &plain]
                .iter()
                .any(|b| b.windows(n.len()).any(|w| w == n))
        });
        if tells {
            found.push(path);
        }
    }
    found
}

#[test]
fn a_mandatory_name_is_enforced_and_nowhere_to_be_read() {
    //
    let place = Place::new();
    let harmless = domains("games", "games", "file = \"games.txt\"");
    place.write("sources.toml", &(mandatory("iwf", "mandatory") + &harmless));
    place.write("secret.txt", SECRET);
    place.write("games.txt", "arcade.example\n");
    let said = place.refresh();
    for secret in ["secret", "sécret", "xn--scret", "mixed-host", "other-host"] {
        assert_eq!(
            telling(place.state(), secret),
            [] as [PathBuf; 0],
            "{secret}"
        );
        assert!(!said.contains(secret), "{said}");
    }
    let lists = place.lists();
    let is_mandatory = |text: &str| lists.covering(name(text).as_ref()).is_mandatory();
    assert!(is_mandatory("sécret-host.example"));
    assert!(is_mandatory("www.secret-host-two.example"));
    assert!(is_mandatory("secret-host-three.test"));
    assert!(!is_mandatory("mixed-host.example"));
    assert!(!is_mandatory("other-host.example"));
    assert!(!is_mandatory("arcade.example"));
    let report = place.report();
    let source = &report.sources[0];
    assert_eq!(
        (source.tally.entries, source.tally.needs_url_filter),
        (3, 3)
    );
    assert_eq!(source.complaints[0].reason, "bad character");
    for file in ["key", "sources/iwf/hashed", "sources/iwf/state.json"] {
        let mode = fs::metadata(place.lists_dir().join(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    // When the list does not come, the hashed form counts on.
    fs::remove_file(place.config.config_dir.join("secret.txt")).unwrap();
    place.refresh();
    let covering = place
        .lists()
        .covering(name("secret-host-three.test").as_ref());
    assert!(covering.is_mandatory());
    assert_eq!(place.report().sources[0].tally.entries, 3);
}

#[test]
fn what_becomes_mandatory_leaves_no_clear_text_behind() {
    let place = Place::new();
    place.write("secret.txt", SECRET);
    place.write("sources.toml", &mandatory("iwf", "category"));
    place.refresh();
    assert!(
        !telling(place.state(), "secret-host-two").is_empty(),
        "the search finds names"
    );
    place.write("sources.toml", &mandatory("iwf", "mandatory"));
    // Not even if the list does not come at that moment.
    fs::remove_file(place.config.config_dir.join("secret.txt")).unwrap();
    place.refresh();
    assert_eq!(
        telling(place.state(), "secret-host-two"),
        [] as [PathBuf; 0]
    );
    assert!(
        place
            .lists()
            .covering(name("secret-host-two.example").as_ref())
            .is_mandatory()
    );
}

#[test]
fn a_mandatory_list_that_is_lost_keeps_the_generation_that_has_it() {
    // without the check, a bad disk and a bad line together would lift it.
    let place = Place::new();
    place.write("secret.txt", SECRET);
    place.write("games.txt", "arcade.example\n");
    let games = domains("games", "games", "file = \"games.txt\"");
    place.write("sources.toml", &(mandatory("iwf", "mandatory") + &games));
    place.refresh();
    fs::remove_file(place.config.config_dir.join("secret.txt")).unwrap();
    fs::write(place.lists_dir().join("sources/iwf/hashed"), "damaged").unwrap();
    let (report, _) = place.try_refresh();
    assert!(matches!(report, Err(RefreshError::LostMandatory(id)) if id == "iwf"));
    let covering = place
        .lists()
        .covering(name("secret-host-three.test").as_ref());
    assert!(covering.is_mandatory());
}

#[test]
fn a_mandatory_list_is_never_put_in_quarantine() {
    //
    let place = Place::new();
    place.write("sources.toml", &mandatory("iwf", "mandatory"));
    place.write("secret.txt", "http://www.nspcc.org.uk/\n");
    let said = place.refresh();
    assert!(said.contains("1 cover a name that must resolve"), "{said}");
    assert!(
        place
            .lists()
            .covering(name("www.nspcc.org.uk").as_ref())
            .is_mandatory()
    );
}

#[test]
fn three_hosts_are_enforced_and_seven_paths_are_counted() {
    // R-03's own test, on the lists of the demonstration.
    let mut place = Place::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    place.config.config_dir = root.join("config/demo");
    place.refresh();
    let report = place.report();
    let illegal = report
        .sources
        .iter()
        .find(|s| s.class == Class::Mandatory)
        .unwrap();
    assert_eq!(
        (illegal.tally.entries, illegal.tally.needs_url_filter),
        (3, 7)
    );
    let paths = fs::read_to_string(root.join("blocklists/demo/illegal.txt")).unwrap();
    let hosts = [
        "picture-host.example",
        "files.example",
        "forum.example",
        "blog.example",
        "video.example",
        "photos.test",
    ];
    for host in hosts {
        assert!(paths.contains(host) && !place.is_listed(host), "{host}");
    }
    let category_of = |text: &str| {
        let covering = place.lists().covering(name(text).as_ref());
        covering.categories.first().map(Category::id)
    };
    assert_eq!(category_of("www.bets.example"), Some("gambling"));
    assert_eq!(category_of("arcade.example"), Some("games"));
    assert_eq!(category_of("chatter.example"), Some("social_media"));
    assert_eq!(category_of("groups.test"), None);
    assert_eq!(category_of("a.groups.test"), Some("social_media"));
    assert_eq!(category_of("adult.example"), Some("pornography"));
    assert_eq!(category_of("cdn.adult.example"), None);
}

#[test]
fn only_one_refresh_runs() {
    let place = Place::new();
    place.write(
        "sources.toml",
        &domains("one", "games", "file = \"one.txt\""),
    );
    place.write("one.txt", "one.example\n");
    place.refresh();
    let held = fs::File::open(place.lists_dir().join("lock")).unwrap();
    held.lock().unwrap();
    assert!(matches!(place.try_refresh().0, Err(RefreshError::Busy)));
    drop(held);
    place.refresh();
}

#[test]
fn age_is_seen_from_the_report() {
    //
    let place = Place::new();
    place.write(
        "sources.toml",
        &(mandatory("iwf", "mandatory") + &domains("one", "games", "file = \"one.txt\"")),
    );
    place.write("one.txt", "one.example\n");
    place.write("secret.txt", SECRET);
    place.refresh();
    let states = |hours| {
        let report = place.report_at(place.config.now + SignedDuration::from_hours(hours));
        report.sources.iter().map(|s| s.state).collect::<Vec<_>>()
    };
    assert_eq!(states(1), [Health::Fresh, Health::Fresh]);
    assert_eq!(states(49), [Health::Stale, Health::Fresh]);
    assert_eq!(states(8 * 24), [Health::Stale, Health::Stale]);
}

#[test]
fn the_report_has_the_keys_of_the_contract() {
    let place = Place::new();
    place.write(
        "sources.toml",
        &domains("one", "games", "file = \"one.txt\""),
    );
    place.write(
        "one.txt",
        "one.example\none.example\nbad!\n# comment\nwww.one.example\n",
    );
    place.refresh();
    let mut out = Vec::new();
    lists_report(place.state(), true, place.config.now, &mut out).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
    let source = &json["sources"][0];
    assert_eq!(json["names"], 1);
    assert_eq!(json["redundant"], 1);
    assert!(json["generation"].as_str().unwrap().starts_with("lists-"));
    assert_eq!(source["id"], "one");
    assert_eq!(source["category"], "games");
    assert_eq!(source["class"], "category");
    assert_eq!(source["state"], "fresh");
    assert_eq!(source["entries"], 2);
    assert_eq!(source["complaints"][0]["line"], 3);
    assert_eq!(source["complaints"][0]["reason"], "bad character '!'");
    assert_eq!(source["last_success"], "2026-11-20T06:00:00Z");
    assert_eq!(source["needs_url_filter"], 0);
    assert_eq!(
        (&source["lines"], &source["duplicates"]),
        (&5.into(), &1.into())
    );
    let mut table = Vec::new();
    lists_report(place.state(), false, place.config.now, &mut table).unwrap();
    assert!(String::from_utf8(table).unwrap().lines().count() == 3);
}

#[test]
fn a_sample_is_what_a_refresh_makes() {
    let folder = tempfile::tempdir().unwrap();
    let lists = sample::of_names(folder.path(), &[("games", &["arcade.example"])]).unwrap();
    let covering = lists.covering(name("www.arcade.example").as_ref());
    assert_eq!(covering.categories.first().map(Category::id), Some("games"));
}
