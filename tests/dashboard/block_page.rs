//! What a browser gets that was sent here instead of to a blocked site.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use super::running::{Page, Pages, STDERR, connect};
use crate::serve::school::{Client, Plan};
use crate::serve::upstream::{ADDRESS, Upstream};
use crate::serve::{eventually, has, wire};

/// 127.0.0.1 is a pupil, 127.0.0.3 staff.
pub(super) fn plan() -> Plan {
    let nobody: SocketAddr = "127.0.0.1:9".parse().unwrap();
    let mut plan = Plan::new(&[nobody]);
    plan.policy = plan.policy.replace(
        "block = [\"gambling\", \"games\"]\nlog",
        "block = [\"gambling\", \"games\"]\nanswer = \"page\"\nlog",
    );
    plan.policy.push_str(
        "[[exceptions]]\nname = \"quarrel.example\"\nverdict = \"deny\"\ngroups = [\"pupil\"]\n\
         reason = \"a fight about it, Mrs Secret\"\n",
    );
    "[answers]\npage_addresses = [\"127.0.0.1\"]\n\
     page_name = \"filter.school.internal\"\ncontact = \"the IT room, ext. 42\"\n"
        .clone_into(&mut plan.tables);
    plan
}

#[test]
fn it_says_what_is_blocked_for_whom_and_whom_to_ask() {
    let pages = Pages::start(&plan());
    let page = pages.about("127.0.0.1", "www.bets.example");
    assert_eq!(page.status, 403);
    for words in [
        "This site is blocked",
        "www.bets.example",
        "Gambling",
        "the IT room, ext. 42",
        "monitored",
        "filter.school.internal",
        "/request?site=www.bets.example",
    ] {
        assert!(page.body.contains(words), "{words}: {}", page.body);
    }
    assert!(!page.body.contains("at this time"), "{}", page.body);
    assert!(
        page.head.contains("cache-control: no-store"),
        "{}",
        page.head
    );
    assert!(page.head.contains("connection: close"), "{}", page.head);
    assert!(page.head.contains("default-src 'none'"), "{}", page.head);
    // Staff may go there, and the school's own word needs no category and tells no
    // reason.
    assert_eq!(pages.about("127.0.0.3", "www.bets.example").status, 404);
    let page = pages.about("127.0.0.1", "quarrel.example");
    assert_eq!(page.status, 403);
    assert!(page.body.contains("the school has decided so"));
    assert!(!page.body.contains("Secret"), "{}", page.body);
    // Nobody is another because he says so.
    let forged =
        "X-Forwarded-For: 127.0.0.3\r\nForwarded: for=127.0.0.3\r\nX-Real-IP: 127.0.0.3\r\n";
    let page = pages.ask("127.0.0.1", "GET", "bets.example", "/", forged);
    assert_eq!(page.status, 403);
}

#[test]
fn whatever_is_asked_of_a_site_gets_the_same_page() {
    let pages = Pages::start(&plan());
    let page = pages.about("127.0.0.1", "bets.example");
    for (method, path) in [
        ("GET", "/a/b?c=d&e=%00"),
        ("GET", "http://bets.example/"),
        ("POST", "/login"),
        ("GET", "/request?site=other.example"),
        ("POST", "/request"),
        ("PUT", "/%2e%2e/%2e%2e/etc/passwd"),
        ("OPTIONS", "*"),
        ("DELETE", "/style.css"),
        ("BREW", "/pot"),
    ] {
        let other = pages.ask(
            "127.0.0.1",
            method,
            "bets.example",
            path,
            "Content-Length: 0\r\n",
        );
        assert_eq!(
            (other.status, &other.body),
            (403, &page.body),
            "{method} {path}"
        );
    }
    let head = pages.ask("127.0.0.1", "HEAD", "bets.example", "/", "");
    assert_eq!((head.status, head.body.as_str()), (403, ""));
    for host in ["BETS.Example.:80", "bets.example:8080", "u:p@bets.example"] {
        assert_eq!(pages.about("127.0.0.1", host).body, page.body, "{host}");
    }
}

#[test]
fn a_mandatory_site_is_not_named_and_cannot_be_asked_for() {
    let pages = Pages::start(&plan());
    for from in ["127.0.0.1", "127.0.0.3"] {
        let page = pages.about(from, "www.vile-things.example");
        assert_eq!(page.status, 403);
        for words in [
            "vile",
            "request",
            "llegal",
            "Ask for",
            "mandatory",
            "category",
        ] {
            assert!(!page.body.contains(words), "{words}: {}", page.body);
        }
        assert!(page.body.contains("the IT room"), "{}", page.body);
    }
    let form = "site=vile-things.example&wish=unblock&why=please";
    let page = pages.send("127.0.0.1", form);
    assert_eq!(page.status, 422);
    assert!(
        page.body.contains("cannot be asked for here"),
        "{}",
        page.body
    );
    let state = pages.folder.join("state");
    let kept = std::fs::read(state.join("requests.db")).unwrap_or_default();
    let wal = std::fs::read(state.join("requests.db-wal")).unwrap_or_default();
    for bytes in [kept, wal] {
        let vile = b"vile-things";
        assert!(!bytes.windows(vile.len()).any(|window| window == vile));
    }
}

#[test]
fn by_its_own_name_it_says_what_the_filter_is() {
    let pages = Pages::start(&plan());
    for host in [
        "filter.school.internal",
        "127.0.0.1",
        "[::1]:80",
        "localhost",
    ] {
        let page = pages.about("127.0.0.1", host);
        assert_eq!(page.status, 200, "{host}");
        for words in [
            "You are monitored",
            "The filter's rules",
            "pupil",
            "183 days",
        ] {
            assert!(page.body.contains(words), "{words}: {}", page.body);
        }
    }
    // A name that is blocked for nobody, no name, and none at all.
    assert_eq!(pages.about("127.0.0.1", "www.example").status, 404);
    for host in ["", "<script>alert(1)</script>", "a..b", "é", "' OR 1=1"] {
        let page = pages.about("127.0.0.1", host);
        assert_eq!(page.status, 400, "{host}");
        assert!(!page.body.contains("<script"), "{host}");
    }
    let page = Page::of("127.0.0.1", pages.block_page, b"GET / HTTP/1.0\r\n\r\n");
    assert_eq!(page.status, 400);
    // Who is not filtered here is not told what is.
    let mut narrow = plan();
    narrow
        .tables
        .push_str("[clients]\nallow = [\"127.0.0.1/32\"]\n");
    let pages = Pages::start(&narrow);
    let page = pages.about("127.0.0.3", "bets.example");
    assert_eq!((page.status, page.body.as_str()), (0, ""));
    assert_eq!(pages.about("127.0.0.1", "bets.example").status, 403);
}

#[test]
fn it_follows_what_the_resolver_has_in_force() {
    let upstream = Upstream::plain();
    let mut plan = plan();
    plan.upstreams = vec![upstream.address];
    let school = plan.start();
    // The name of the page is answered by the resolver, as local names are.
    assert_eq!(
        school
            .ask_from("127.0.0.3", "filter.school.internal")
            .addresses(),
        [[127, 0, 0, 1]]
    );
    assert_eq!(school.ask("www.bets.example").addresses().len(), 1);
    assert_eq!(school.ask("www.example").addresses(), [ADDRESS]);
    let pages = Pages::beside(&school.folder);
    assert_eq!(pages.about("127.0.0.1", "bets.example").status, 403);
    // What somebody types is not in force before the resolver has it.
    let hup = nix::sys::signal::Signal::SIGHUP;
    for typed in [
        "school = \"half",
        &plan.policy.replace("\"gambling\", ", ""),
    ] {
        let before = school.stderr().len();
        school.folder.put("policy.toml", typed);
        school.server.signal(hup);
        eventually("the word that it is not in force", || {
            let said = school.stderr();
            said[before..].contains("schoolgate propose").then_some(())
        });
        assert_eq!(pages.about("127.0.0.1", "bets.example").status, 403);
    }
    school.folder.put_in_force();
    eventually("the new policy", || {
        (pages.about("127.0.0.1", "bets.example").status == 404).then_some(())
    });
}

#[test]
fn slow_and_many_clients_are_cut_and_others_are_served() {
    let pages = Pages::start(&plan());
    let began = Instant::now();
    let mut slow: Vec<_> = (0..200)
        .map(|_| connect("127.0.0.1", pages.block_page))
        .collect();
    for stream in &mut slow {
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: bets");
    }
    // One client has its places, and another is not kept waiting for them.
    assert_eq!(pages.about("127.0.0.3", "bets.example").status, 404);
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
    for stream in &mut slow {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(!rest.starts_with(b"HTTP/1.1 200") && !rest.starts_with(b"HTTP/1.1 403"));
    }
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(pages.about("127.0.0.1", "bets.example").status, 403);
    // A header that never ends, and a form that is too long.
    let endless = format!(
        "GET / HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n",
        "a".repeat(1 << 20)
    );
    assert_ne!(
        Page::of("127.0.0.1", pages.block_page, endless.as_bytes()).status,
        200
    );
    assert_eq!(pages.send("127.0.0.1", &"a=b&".repeat(30_000)).status, 400);
}

#[test]
fn nothing_that_was_asked_is_in_the_machines_log() {
    let pages = Pages::start(&plan());
    for host in ["bets.example", "vile-things.example", "unheard-of.example"] {
        pages.about("127.0.0.1", host);
        let odd = format!("GET /{host} HTTP/9.9\r\nHost: {host}\r\n\r\n\u{0}");
        Page::of("127.0.0.1", pages.block_page, odd.as_bytes());
    }
    let state = std::fs::read_dir(pages.folder.join("state")).unwrap();
    let files = state.map(|entry| entry.unwrap().path());
    for path in files.chain([pages.folder.join(STDERR)]) {
        if path.is_file() {
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            for name in ["unheard-of", "bets.example", "vile-things", "127.0.0.1"] {
                assert!(!text.contains(name), "{name} in {}", path.display());
            }
        }
    }
}

/// The whole way: a browser looks a site up, is sent here, reads the page, fills
/// in the form and sends it.
#[test]
fn curl_is_led_from_the_blocked_name_to_the_form() {
    if !has("curl", "the way to the block page") {
        return;
    }
    let upstream = Upstream::plain();
    let mut plan = plan();
    plan.upstreams = vec![upstream.address];
    let school = plan.start();
    let dns = school.dns;
    let pages = Pages::beside(&school.folder);
    let at = Client::new("127.0.0.1");
    let reply = at.exchange(dns, &wire::question(7, "www.bets.example", wire::A));
    let address = std::net::Ipv4Addr::from(wire::Reply::read(&reply.unwrap()).addresses()[0]);
    let port = pages.block_page.port();
    let curl = |arguments: &[&str]| {
        let to = format!("www.bets.example:80:{address}:{port}");
        let own = format!("filter.school.internal:{port}:{address}:{port}");
        let output = Command::new("curl")
            .args(["-sS", "--max-time", "10", "-i"])
            .args(["--connect-to", &to, "--connect-to", &own])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let page = curl(&["http://www.bets.example/odds?horse=7"]);
    assert!(page.starts_with("HTTP/1.1 403"), "{page}");
    let link = page
        .split("href=\"")
        .find(|rest| rest.contains("/request?"))
        .unwrap();
    let link = link.split('"').next().unwrap();
    let form = curl(&[link]);
    assert!(form.starts_with("HTTP/1.1 200"), "{form}");
    assert!(form.contains("value=\"www.bets.example\""), "{form}");
    let to = link.split('?').next().unwrap();
    let origin = format!("Origin: {}", to.trim_end_matches("/request"));
    let sent = curl(&[
        to,
        "-H",
        &origin,
        "--data-urlencode",
        "site=www.bets.example",
        "--data-urlencode",
        "wish=unblock",
        "--data-urlencode",
        "why=Maths, chance & odds",
    ]);
    assert!(
        sent.starts_with("HTTP/1.1 200") && sent.contains("number 1"),
        "{sent}"
    );
    let sent = curl(&[
        to,
        "-H",
        "Origin: http://www.bets.example",
        "--data",
        "site=a.example&wish=block&why=x",
    ]);
    assert!(sent.starts_with("HTTP/1.1 400"), "{sent}");
}
