//! Names for the benches: as many as wanted, always the same, none twice.
//!
//! They are made to weigh on an index as published lists do: half have two
//! labels and most others three, the mean length is 19, half end in `com`, some
//! stand in great numbers under one host, some `www.` names stand beside the
//! name without it. What makes a name unlike all others is its core, a number
//! spelt in syllables that can be read back in one way only; hosts, hyphens and
//! digits are put around it.
//!
//! They are made up. Nothing here may ask anybody for one.

/// A syllable is one of each. No coda begins another syllable, so two different
/// numbers never spell the same.
const ONSETS: &[u8; 16] = b"bcdfghjklmpstvwz";
const VOWELS: &[u8; 4] = b"aeio";
const CODAS: [&str; 4] = ["", "n", "r", "y"];

const ENDS: [&str; 32] = [
    "com", "com", "com", "com", "com", "com", "com", "com", "com", "com", "com", "com", "com",
    "com", "com", "net", "net", "info", "info", "org", "tk", "de", "ru", "com.br", "co.uk", "fr",
    "top", "cc", "in", "xyz", "pl", "shop",
];
const HOSTS: [&str; 12] = [
    "www",
    "www",
    "www",
    "www",
    "m",
    "analytics",
    "stats",
    "metrics",
    "track",
    "cdn",
    "smtp",
    "login",
];
/// Where anybody may have a name.
const PLATFORMS: [&str; 8] = [
    "freewebhostapp.com",
    "blogplace.com",
    "my-dyn.org",
    "pagesby.com",
    "appspotted.com",
    "ninja-mail.ninja",
    "co.cc",
    "shopsite.com",
];
const POPULAR_FROM: u64 = 1 << 31;

/// The first `count` names of a block list.
pub(crate) fn listed(count: usize) -> impl Iterator<Item = String> {
    (0..count as u64).map(|number| match (number % 8, mix(number) >> 60) {
        // The name before it is listed too.
        (7, 0..=7) => format!("www.{}", registered(number - 1)),
        (6, _) | (_, 0..=8) => registered(number),
        (_, 9..=13) => format!("{}.{}", pick(&HOSTS, number, 7), registered(number)),
        _ => format!("{}.{}", core(number), pick(&PLATFORMS, number, 7)),
    })
}

/// `count` names that people ask for; no listed name covers one of them.
pub(crate) fn popular(count: usize) -> impl Iterator<Item = String> {
    (POPULAR_FROM..POPULAR_FROM + count as u64).map(|number| match mix(number) >> 61 {
        0..=3 => format!("www.{}", registered(number)),
        4 => format!("{}.cdn.{}", mix(number) % 32, registered(number)),
        _ => registered(number),
    })
}

fn registered(number: u64) -> String {
    format!("{}.{}", core(number), pick(&ENDS, number, 13))
}

/// A label that no other number has.
fn core(number: u64) -> String {
    let syllables = match number {
        POPULAR_FROM.. => 4,
        _ => 3 + (number % 4).min(2),
    };
    // Each step sends no two numbers of so many bits to one.
    let mask = (1 << (8 * syllables)) - 1;
    let spread = |z: u64| (z ^ (z >> (4 * syllables))).wrapping_mul(0x9e37_79b9_7f4a_7c15) & mask;
    let (mut spelt, digits) = (spread(spread(number)), mix(number));
    let mut label = String::with_capacity(24);
    for at in 0..syllables {
        let part = spelt as usize & 0xff;
        spelt >>= 8;
        label.push(char::from(ONSETS[part >> 4]));
        label.push(char::from(VOWELS[part >> 2 & 3]));
        label.push_str(CODAS[part & 3]);
        if at == 1 && digits.is_multiple_of(7) {
            label.push('-');
        }
    }
    if digits % 8 == 1 {
        label.push_str(&(digits >> 32 & 0x7f).to_string());
    }
    label
}

fn pick<'a>(all: &[&'a str], number: u64, shift: u32) -> &'a str {
    all[(mix(number) >> shift) as usize % all.len()]
}

/// Every number to another one that looks random (SplitMix64's last steps).
fn mix(number: u64) -> u64 {
    let z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
