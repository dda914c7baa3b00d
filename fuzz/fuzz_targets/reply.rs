//! Any bytes as an upstream's message behind the question we asked: read and
//! looked at a second time.
//!
//! Beside not panicking: every name that an answer keeps can be read, so that
//! none passes the second look by.

#![no_main]

use libfuzzer_sys::fuzz_target;
use schoolgate::dns::answer::Answer;
use schoolgate::dns::second_look::{Rebinding, second_look};
use schoolgate_fuzz::with_lists;

const QUESTION: &[u8] = b"\x01x\x07example\x00\x00\x01\x00\x01";

fuzz_target!(|bytes: &[u8]| {
    let _ = Answer::read(bytes, QUESTION);
    // The first four bytes are what of the header may vary.
    let Some((&[rcode, an, ns, ar], rest)) = bytes.split_first_chunk::<4>() else {
        return;
    };
    let header = [0, 0, 0x81, 0x80 | rcode & 15, 0, 1, 0, an, 0, ns, 0, ar];
    let message = [&header[..], QUESTION, rest].concat();
    if let Ok(answer) = Answer::read(&message, QUESTION) {
        for record in answer.answers() {
            assert!(answer.name_at(record.owner).is_some());
        }
        with_lists(|lists| second_look(&answer, lists, &Rebinding::default()));
    }
});
