//! The numbers of the record of changes.

use jiff::Timestamp;

use crate::status::Changes;

/// Name, help and value of each gauge.
pub(super) fn gauges(changes: &Changes, now: Timestamp) -> [(&'static str, &'static str, f64); 5] {
    let oldest = changes.oldest_unacknowledged;
    let age = oldest.map_or(0.0, |at| now.duration_since(at).as_secs_f64().max(0.0));
    [
        (
            "schoolgate_changes_entries",
            "Entries in the record of changes.",
            changes.entries as f64,
        ),
        (
            "schoolgate_changes_head",
            "The first 48 bits of the digest of the record's last entry, as a number: with schoolgate_changes_entries it tells later whether what was before has been altered.",
            first_bits(&changes.head) as f64,
        ),
        (
            "schoolgate_changes_waiting",
            "Proposals that wait for another person.",
            changes.waiting as f64,
        ),
        (
            "schoolgate_changes_unacknowledged",
            "Changes that acted at once and that nobody has taken note of.",
            changes.unacknowledged as f64,
        ),
        (
            "schoolgate_changes_oldest_unacknowledged_seconds",
            "For how long the oldest of those acts; 0 if there is none.",
            age,
        ),
    ]
}

/// A label for each head would grow for ever; 48 bits are exact in a float.
fn first_bits(digest: &str) -> u64 {
    let start = digest.get(..12).unwrap_or_default();
    u64::from_str_radix(start, 16).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_is_exact_as_a_number() {
        let changes = Changes {
            head: "fffffffffffe".to_owned() + &"a".repeat(52),
            ..Changes::default()
        };
        let told = gauges(&changes, Timestamp::UNIX_EPOCH)[1].2;
        assert_eq!(told.to_string(), "281474976710654");
        assert!(gauges(&Changes::default(), Timestamp::UNIX_EPOCH)[1].2 < 0.5);
    }
}
