//! Packets, as tables of bytes in and words out (`tests/packets/*.txt`), and
//! what holds for all of them.
//!
//! ```text
//! # why, with the RFC
//! from 10.1.0.7                      who asks from here on
//! in   header 0100 1 0 0 0  q www.example A  opt 0 1232 0000
//! out  NOERROR rd ra | www.example. A | … what the reply says
//! ```
//!
//! `in` is a list of: `header FLAGS QD AN NS AR`, `q NAME TYPE`, `opt VERSION
//! SIZE FLAGS [OPTIONS]`, `rr RECORD;`, and bytes in hex. `ask NAME TYPE` is a
//! usual question with EDNS, `plain NAME TYPE` one without. `out` is `silence`,
//! `asked`, or the reply. With `upstream RECORD; RECORD` before `in`, a question
//! that is asked on gets this answer.

use std::fmt::Write;
use std::path::Path;

mod agreement;
mod allocations;
mod altered;
mod answers;
mod any;
mod bench;
mod endpoints;
mod promises;
mod safe_mode;
mod wire;

use bench::{Bench, Came};
use wire::Seen;

#[test]
fn every_packet_gets_its_reply() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packets");
    let (mut wrong, mut cases) = (String::new(), 0);
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "txt") {
            cases += check(&path, &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(cases > 60, "only {cases} cases were read");
}

fn check(path: &Path, wrong: &mut String) -> usize {
    let text = std::fs::read_to_string(path).unwrap();
    let file = path.file_name().unwrap().to_string_lossy().into_owned();
    let mut bench = Bench::new();
    let (mut from, mut packet, mut upstream) = ("10.1.0.7", Vec::new(), None);
    let mut cases = 0;
    for (line, number) in text.lines().zip(1..) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "" | "#" => {}
            "from" => from = rest.trim(),
            "policy" if rest == "none" => bench.live.store(None),
            "upstream" => {
                let records: Vec<&str> = rest.split(';').map(str::trim).collect();
                upstream = Some(wire::Message::answering(&records));
            }
            "in" => packet = bytes(rest),
            "out" => {
                let got = match (bench.send(&packet, from), upstream.take()) {
                    (Came::Reply(reply), _) => Seen::of(&reply).text,
                    (Came::Silence, _) => "silence".to_owned(),
                    (Came::Asked(_), None) => "asked".to_owned(),
                    (Came::Asked(pending), Some(message)) => {
                        let question = &pending.wanted().question;
                        let message = message.to(question);
                        let answer = schoolgate::dns::answer::Answer::read(&message, question);
                        bench.land(&pending, answer.map_err(|_| 22)).text
                    }
                };
                if got != rest.trim() {
                    let want = rest.trim();
                    writeln!(wrong, "{file}:{number}:\n  want {want}\n  got  {got}").unwrap();
                }
                cases += 1;
            }
            _ => panic!("{file}:{number}: {line}"),
        }
    }
    cases
}

fn bytes(text: &str) -> Vec<u8> {
    let mut words = text.split_whitespace();
    let mut out = Vec::new();
    let next = |words: &mut std::str::SplitWhitespace<'_>| words.next().unwrap().to_owned();
    let short = |text: &str| text.parse::<u16>().unwrap().to_be_bytes();
    while let Some(word) = words.next() {
        match word {
            "header" => {
                out.extend([0x12, 0x34]);
                out.extend(wire::hex(&next(&mut words)));
                for _ in 0..4 {
                    out.extend(short(&next(&mut words)));
                }
            }
            "q" => out.extend(wire::question_section(&next(&mut words), &next(&mut words))),
            "opt" => {
                out.extend([0, 0, 41]);
                let version: u8 = next(&mut words).parse().unwrap();
                out.extend(short(&next(&mut words)));
                out.extend([0, version]);
                out.extend(wire::hex(&next(&mut words)));
                let options = wire::hex(&words.next().map(str::to_owned).unwrap_or_default());
                out.extend(u16::try_from(options.len()).unwrap().to_be_bytes());
                out.extend(options);
            }
            "rr" => {
                let rest: Vec<&str> = words.by_ref().take_while(|w| *w != ";").collect();
                out.extend(wire::record(&rest.join(" ")));
            }
            "ask" => out.extend(wire::question(&next(&mut words), &next(&mut words))),
            "plain" => {
                out.extend([0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
                out.extend(wire::question_section(&next(&mut words), &next(&mut words)));
            }
            hex => out.extend(wire::hex(hex)),
        }
    }
    out
}
