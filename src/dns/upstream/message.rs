//! Questions and answers of upstreams as bytes.

use rand::Rng;
use rand::rngs::StdRng;

use super::untangle;
use crate::dns::answer::{Answer, NoAnswer};
use crate::dns::pipeline::Wanted;
use crate::dns::question::HEADER;

/// Padded questions are as long as so many of these.
const BLOCK: usize = 128;

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

/// Pads a question, whose last record is an empty OPT, so that its length tells
/// nothing of the name (RFC 7830; RFC 8467 section 4.1: blocks of 128).
pub(super) fn pad(packet: &mut Vec<u8>) {
    const PADDING: [u8; 2] = [0, 12];
    let zeros = (packet.len() + 4).next_multiple_of(BLOCK) - packet.len() - 4;
    let at = packet.len().saturating_sub(2);
    packet.truncate(at);
    packet.extend_from_slice(&(zeros as u16 + 4).to_be_bytes());
    packet.extend_from_slice(&PADDING);
    packet.extend_from_slice(&(zeros as u16).to_be_bytes());
    packet.resize(packet.len() + zeros, 0);
}

/// The length of the question section of a packet of our own.
pub(super) fn question_length(packet: &[u8]) -> usize {
    let name = packet.get(HEADER..).unwrap_or_default();
    let mut at = 0;
    while let Some(label @ 1..) = name.get(at) {
        at += 1 + usize::from(*label);
    }
    at + 5
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_padded_question_is_whole_blocks_long_and_still_the_same() {
        for letters in 1..63 {
            let label = "a".repeat(letters);
            let question = [&[letters as u8], label.as_bytes(), b"\0\0\x01\0\x01"].concat();
            let mut packet = Vec::new();
            write_packet(&question, &Wanted::default(), &mut packet);
            assert_eq!(question_length(&packet), question.len());
            let plain = packet.len();
            pad(&mut packet);
            assert_eq!(packet.len() % BLOCK, 0);
            assert_eq!(question_length(&packet), question.len());
            let length = usize::from(u16::from_be_bytes([packet[plain - 2], packet[plain - 1]]));
            assert_eq!(plain + length, packet.len());
            let message = hickory_proto::op::Message::from_vec(&packet).unwrap();
            assert_eq!(message.queries.len(), 1);
            assert!(message.edns.is_some());
        }
    }
}
