//! Questions and answers of upstreams as bytes.

use rand::Rng;
use rand::rngs::StdRng;

use super::untangle;
use crate::dns::answer::{Answer, NoAnswer};
use crate::dns::pipeline::Wanted;
use crate::dns::question::HEADER;

/// Reads an answer; one whose records are out of order or mixed with others is
/// put straight first.
pub(super) fn read(message: &[u8], question: &[u8]) -> Result<Answer, NoAnswer> {
    match Answer::read(message, question) {
        Err(NoAnswer::Tangled) => {
            let straight = untangle::untangle(message).ok_or(NoAnswer::Malformed)?;
            Answer::read(&straight, question)
        }
        read => read,
    }
}

/// Appends a question for an upstream: RD, one OPT record, nothing else. Its id
/// is for the caller to choose.
pub(super) fn write_packet(question: &[u8], wanted: &Wanted, out: &mut Vec<u8>) {
    let checking_disabled = if wanted.checking_disabled { 0x10 } else { 0 };
    let dnssec_ok = if wanted.dnssec_ok { 0x80 } else { 0 };
    out.extend_from_slice(&[0, 0, 0x01, checking_disabled, 0, 1, 0, 0, 0, 0, 0, 1]);
    out.extend_from_slice(question);
    // UDP size 1232 (DNS Flag Day 2020).
    out.extend_from_slice(&[0, 0, 41, 0x04, 0xd0, 0, 0, dnssec_ok, 0, 0, 0]);
}

/// The length of the question section of a packet of our own.
pub(super) fn question_length(packet: &[u8]) -> usize {
    packet.len().saturating_sub(HEADER + 11)
}

/// Draft-vixie-dnsext-dns0x20: one more bit to guess for each letter.
pub(super) fn randomise_case(question: &mut [u8], random: &mut StdRng) {
    let end = question.len().saturating_sub(4);
    let mut bits = random.next_u64();
    for byte in question.get_mut(..end).unwrap_or_default() {
        if byte.is_ascii_alphabetic() {
            if bits & 1 == 1 {
                byte.make_ascii_uppercase();
            }
            bits = bits.rotate_right(1);
        }
    }
}
