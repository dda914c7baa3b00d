//! Notices a router that keeps its clients to itself, and strangers
//! that claim to be somebody (D13).
//!
//! A router that forwards without identity options makes a whole school one
//! device: the strictest pupil and the headteacher get the same answers, and no
//! log row names anybody. It shows by the number of *different* names one
//! address asks for. To count those cheaply, only names whose hash falls into
//! one bucket of [`ONE_IN`] are looked at, and each sets one bit.
//!
//! Memory is fixed: a few addresses share a slot's row, and the one with the
//! least against it makes room. `now` comes in; nothing is logged here, and
//! the addresses must go to the dashboard only.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};

use super::keys;

/// Of so many names one is counted.
pub const ONE_IN: u64 = 8;
/// Names are counted afresh after this long.
pub const WINDOW: SignedDuration = SignedDuration::from_hours(1);
/// A listed router that passes on this many different names in a window, none
/// with an identity option, hides its clients: its own needs are a handful.
pub const MANY_FOR_ROUTER: u32 = 100;
/// No single unlisted device asks for this many different names in a window.
pub const MANY_FOR_DEVICE: u32 = 2000;

const ROWS: usize = 128;
const SLOTS: usize = 4;
const BITS: u32 = 1024;

/// What is suspected of one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Suspicion {
    /// It asks for many devices and does not say which.
    HidesClients,
    /// It wrote identity options without being a listed router.
    ClaimsToBeSomebody,
}

/// One address with something against it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suspect {
    /// The address.
    pub ip: IpAddr,
    /// What it is.
    pub suspicion: Suspicion,
    /// When it was first noticed.
    pub since: Timestamp,
    /// About how many different names in the current window, or how many
    /// questions with options.
    pub count: u32,
}

/// The addresses under observation.
#[derive(Debug)]
pub struct Hidden {
    rows: Vec<[Option<Source>; SLOTS]>,
}

#[derive(Debug, Clone, Copy)]
struct Source {
    ip: IpAddr,
    window_began: Timestamp,
    bits: [u64; (BITS / 64) as usize],
    names: u32,
    claims: u32,
    hides_since: Option<Timestamp>,
    claims_since: Option<Timestamp>,
}

impl Default for Hidden {
    fn default() -> Self {
        Self {
            rows: vec![[None; SLOTS]; ROWS],
        }
    }
}

impl Hidden {
    /// Whether a name of this hash is counted at all. Ask before taking a lock.
    #[must_use]
    pub fn is_sampled(name_hash: u64) -> bool {
        name_hash.is_multiple_of(ONE_IN)
    }

    /// A question from an address that no option, inventory row or lease tells
    /// to be one device. `name_hash` must be well mixed. Speaks once per
    /// address.
    pub fn unnamed(
        &mut self,
        ip: IpAddr,
        is_listed_router: bool,
        name_hash: u64,
        now: Timestamp,
    ) -> Option<Suspicion> {
        if !Self::is_sampled(name_hash) {
            return None;
        }
        let many = if is_listed_router {
            MANY_FOR_ROUTER
        } else {
            MANY_FOR_DEVICE
        };
        let source = self.source(ip, now);
        if source.is_stale(now) {
            source.begin_window(many, now);
        }
        source.count(name_hash / ONE_IN);
        if source.hides_since.is_some() || source.estimate() < many {
            return None;
        }
        source.hides_since = Some(now);
        Some(Suspicion::HidesClients)
    }

    /// Identity options came from an address that is no listed router. Speaks
    /// once per address.
    pub fn claimed(&mut self, ip: IpAddr, now: Timestamp) -> Option<Suspicion> {
        let source = self.source(ip, now);
        if source.is_stale(now) && source.hides_since.is_none() {
            *source = Source::new(ip, now);
        }
        source.claims = source.claims.saturating_add(1);
        if source.claims_since.is_some() {
            return None;
        }
        source.claims_since = Some(now);
        Some(Suspicion::ClaimsToBeSomebody)
    }

    /// Everything suspected now. A router that was put right falls silent here
    /// and is left out two windows later.
    pub fn suspects(&self, now: Timestamp) -> impl Iterator<Item = Suspect> {
        let is_recent = move |s: &&Source| now.duration_since(s.window_began) < WINDOW * 2;
        let sources = self.rows.iter().flatten().flatten();
        sources.filter(is_recent).flat_map(Source::suspicions)
    }

    #[expect(clippy::indexing_slicing, reason = "a remainder of the length")]
    fn row(&mut self, ip: IpAddr) -> &mut [Option<Source>; SLOTS] {
        let row = usize::try_from(keys::hash(ip) % (ROWS as u64)).unwrap_or(0);
        &mut self.rows[row]
    }

    /// The source of this address; a new one takes a free slot, or that of the
    /// source with the least against it.
    #[expect(
        clippy::indexing_slicing,
        reason = "a place found in the row, or one of its slots"
    )]
    fn source(&mut self, ip: IpAddr, now: Timestamp) -> &mut Source {
        let row = self.row(ip);
        let is_it = |slot: &Option<Source>| slot.is_some_and(|source| source.ip == ip);
        let at = row.iter().position(is_it).unwrap_or_else(|| {
            let least =
                (0..SLOTS).min_by_key(|at| row[*at].as_ref().map(|source| source.weight(now)));
            least.unwrap_or(0)
        });
        let slot = &mut row[at];
        if !is_it(slot) {
            *slot = None;
        }
        slot.get_or_insert_with(|| Source::new(ip, now))
    }
}

impl Source {
    fn new(ip: IpAddr, now: Timestamp) -> Self {
        Self {
            ip,
            window_began: now,
            bits: [0; (BITS / 64) as usize],
            names: 0,
            claims: 0,
            hides_since: None,
            claims_since: None,
        }
    }

    fn is_stale(&self, now: Timestamp) -> bool {
        now.duration_since(self.window_began) >= WINDOW
    }

    /// A whole window without many names lifts the suspicion.
    fn begin_window(&mut self, many: u32, now: Timestamp) {
        if self.estimate() < many {
            self.hides_since = None;
        }
        self.bits = [0; (BITS / 64) as usize];
        self.names = 0;
        self.window_began = now;
    }

    #[expect(clippy::indexing_slicing, reason = "a remainder of the length")]
    fn count(&mut self, name: u64) {
        let bit = name % u64::from(BITS);
        let words = self.bits.len() as u64;
        let word = &mut self.bits[usize::try_from(bit % words).unwrap_or(0)];
        let mask = 1 << (bit / words);
        self.names += u32::from(*word & mask == 0);
        *word |= mask;
    }

    /// How many different names, from how many bits are set: two names that
    /// share a bit are made up for by linear counting.
    fn estimate(&self) -> u32 {
        let all = f64::from(BITS);
        let free = f64::from(BITS.saturating_sub(self.names).max(1));
        let names = -all * (free / all).ln();
        to_count(names) * u32::try_from(ONE_IN).unwrap_or(1)
    }

    /// What is suspected outweighs what is only counted, and all that is new
    /// what is old.
    fn weight(&self, now: Timestamp) -> (bool, bool, bool, u32) {
        (
            !self.is_stale(now),
            self.hides_since.is_some(),
            self.claims_since.is_some(),
            self.names,
        )
    }

    fn suspicions(&self) -> impl Iterator<Item = Suspect> {
        let ip = self.ip;
        let of = |suspicion, since: Option<Timestamp>, count| {
            since.map(|since| Suspect {
                ip,
                suspicion,
                since,
                count,
            })
        };
        [
            of(Suspicion::HidesClients, self.hides_since, self.estimate()),
            of(
                Suspicion::ClaimsToBeSomebody,
                self.claims_since,
                self.claims,
            ),
        ]
        .into_iter()
        .flatten()
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate between 0 and BITS * ln BITS; `as` saturates"
)]
fn to_count(names: f64) -> u32 {
    names as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Well-mixed hashes, another one for each number.
    fn hash(name: u32) -> u64 {
        keys::hash(IpAddr::from(name.to_be_bytes()))
    }

    struct Traffic {
        hidden: Hidden,
        now: Timestamp,
    }

    impl Traffic {
        fn new() -> Self {
            let (hidden, now) = (Hidden::default(), Timestamp::UNIX_EPOCH);
            Self { hidden, now }
        }

        /// So many different names, each three times; how often it spoke.
        fn ask(&mut self, ip: IpAddr, is_router: bool, names: u32) -> usize {
            let all = (0..names).chain(0..names).chain(0..names);
            let hashes: Vec<u64> = all.map(hash).collect();
            let (hidden, now) = (&mut self.hidden, self.now);
            let spoken = hashes
                .iter()
                .filter_map(|name| hidden.unnamed(ip, is_router, *name, now));
            spoken.count()
        }

        fn suspects(&self) -> Vec<IpAddr> {
            self.hidden.suspects(self.now).map(|s| s.ip).collect()
        }
    }

    #[test]
    fn many_names_without_a_device_are_told_once() {
        let mut traffic = Traffic::new();
        let (router, gateway, laptop, own): (IpAddr, IpAddr, IpAddr, IpAddr) = (
            [10, 0, 0, 1].into(),
            [10, 0, 0, 2].into(),
            [10, 0, 0, 3].into(),
            [10, 0, 0, 4].into(),
        );
        assert_eq!(traffic.ask(own, true, 30), 0, "a router's own needs");
        assert_eq!(traffic.ask(router, true, 300), 1);
        assert_eq!(traffic.ask(laptop, false, 1000), 0, "a busy device");
        assert_eq!(traffic.ask(gateway, false, 4000), 1, "address translation");
        let mut suspects = traffic.suspects();
        suspects.sort();
        assert_eq!(suspects, [router, gateway]);
        let count = |s: Suspect| (s.ip == gateway).then_some(s.count);
        let about = traffic
            .hidden
            .suspects(traffic.now)
            .find_map(count)
            .unwrap();
        assert!((3200..4800).contains(&about), "{about}");

        // A quiet hour lifts it, and so does silence.
        traffic.now += WINDOW;
        assert_eq!(traffic.ask(router, true, 30), 0);
        traffic.now += WINDOW;
        assert_eq!(traffic.ask(router, true, 30), 0);
        assert!(traffic.suspects().is_empty());
        assert_eq!(
            traffic.ask(router, true, 300),
            1,
            "and then it is news again"
        );
    }

    #[test]
    fn a_stranger_with_options_is_told_once_and_counted() {
        let mut traffic = Traffic::new();
        let ip = IpAddr::from([10, 0, 0, 9]);
        let said = [0, 1, 2].map(|_| traffic.hidden.claimed(ip, traffic.now));
        assert_eq!(said, [Some(Suspicion::ClaimsToBeSomebody), None, None]);
        let suspect = traffic.hidden.suspects(traffic.now).next().unwrap();
        assert_eq!((suspect.ip, suspect.count), (ip, 3));
    }

    #[test]
    fn a_flood_of_addresses_does_not_push_a_suspect_out() {
        let mut traffic = Traffic::new();
        let router = IpAddr::from([10, 0, 0, 1]);
        assert_eq!(traffic.ask(router, true, 300), 1);
        let sampled = (0..1000).map(hash).find(|name| Hidden::is_sampled(*name));
        for number in 0..100_000_u32 {
            let flood = IpAddr::from((0x0b00_0000 + number).to_be_bytes());
            let now = traffic.now;
            traffic.hidden.unnamed(flood, false, sampled.unwrap(), now);
        }
        assert_eq!(traffic.suspects(), [router]);
    }
}
