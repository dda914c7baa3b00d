//! The flights of one worker: what is being asked, and who waits for it.
//!
//! A miss begins and ends a flight, so places and their buffers are used again:
//! a question that is asked on costs no allocation here. A place is known by
//! its index and a serial that changes with each use, so that a late answer or
//! timer can never touch the flight that came after.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::validation::Inquiry;
use crate::dns::answer::Answer;
use crate::dns::pipeline::{Pending, Wanted};
use crate::dns::reply::ede;

/// What a used place keeps of its room for those who wait; a crowd of thousands
/// must not be paid for ever after.
const KEPT_ROOM: usize = 16;

/// One question on its way, and those who wait for its answer.
#[derive(Debug, Default)]
pub(super) struct Flight {
    pub(super) serial: u32,
    hash: u64,
    live: bool,
    pub(super) wanted: Wanted,
    /// The question as it is sent, its name in random case.
    pub(super) sent: Vec<u8>,
    pub(super) waiting: Vec<Pending>,
    /// Validators that wait for it.
    pub(super) inquiries: Vec<Inquiry>,
    pub(super) began: u64,
    /// When to look at it again; earlier timers are of the past.
    pub(super) due: u64,
    /// Servers in the order in which to ask them, and how many have been.
    pub(super) order: Vec<usize>,
    pub(super) next: usize,
    /// Questions on their way.
    pub(super) out: usize,
    /// Servers that were asked and have not failed, and when they first were.
    pub(super) asked: Vec<(usize, u64)>,
    /// Rounds through all servers.
    pub(super) rounds: u32,
    pub(super) error: u16,
    outcome: Option<Result<Answer, u16>>,
}

/// A flight that ended, to be given back by [`super::Forwarder::release`].
pub struct Landed {
    index: u32,
    /// What was asked.
    pub wanted: Wanted,
    /// Who waits for it.
    pub waiting: Vec<Pending>,
    /// Validators that wait for it.
    pub inquiries: Vec<Inquiry>,
}

/// All of them.
#[derive(Default)]
pub(super) struct Flights {
    places: Vec<Flight>,
    free: Vec<u32>,
    index: HashTable<u32>,
    hasher: RandomState,
    landed: VecDeque<u32>,
    serial: u32,
}

impl Flights {
    /// The live flight that asks for `wanted`.
    pub(super) fn find(&mut self, wanted: &Wanted) -> Option<&mut Flight> {
        let (hash, places) = (self.hash(wanted), &self.places);
        let index = *self.index.find(hash, |index| {
            let flight = places.get(*index as usize);
            flight.is_some_and(|f| f.hash == hash && f.wanted == *wanted)
        })?;
        self.places.get_mut(index as usize)
    }

    /// Begins a flight for `wanted`, which none asks for yet; gives its index
    /// and serial.
    pub(super) fn begin(&mut self, wanted: &Wanted, now: u64) -> (u32, u32) {
        let hash = self.hash(wanted);
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Flight::default());
            (self.places.len() - 1) as u32
        });
        self.serial = self.serial.wrapping_add(1);
        if let Some(flight) = self.places.get_mut(index as usize) {
            flight.serial = self.serial;
            (flight.hash, flight.live) = (hash, true);
            flight.wanted.clone_from(wanted);
            flight.sent.clear();
            (flight.began, flight.due) = (now, now);
            flight.order.clear();
            flight.asked.clear();
            (flight.next, flight.out, flight.rounds) = (0, 0, 0);
            flight.error = ede::NO_REACHABLE_AUTHORITY;
        }
        let places = &self.places;
        let hash_of = |index: &u32| places.get(*index as usize).map_or(0, |f| f.hash);
        self.index.insert_unique(hash, index, hash_of);
        (index, self.serial)
    }

    /// The flight of an index and serial, unless it has landed.
    pub(super) fn find_live(&mut self, (index, serial): (u32, u32)) -> Option<&mut Flight> {
        let flight = self.places.get_mut(index as usize)?;
        (flight.live && flight.serial == serial).then_some(flight)
    }

    /// Ends a flight; says how many waited for it.
    pub(super) fn land(&mut self, index: u32, outcome: Result<Answer, u16>) -> usize {
        let Some(flight) = self.places.get_mut(index as usize).filter(|f| f.live) else {
            return 0;
        };
        flight.live = false;
        flight.outcome = Some(outcome);
        let waited = flight.waiting.len();
        if let Ok(entry) = self.index.find_entry(flight.hash, |other| *other == index) {
            entry.remove();
        }
        self.landed.push_back(index);
        waited
    }

    /// The next flight that has ended, with its answer or the reason why there
    /// is none (an EDE code).
    pub(super) fn next_landed(&mut self) -> Option<(Landed, Result<Answer, u16>)> {
        let index = self.landed.pop_front()?;
        let flight = self.places.get_mut(index as usize)?;
        let outcome = flight.outcome.take()?;
        let landed = Landed {
            index,
            wanted: std::mem::take(&mut flight.wanted),
            waiting: std::mem::take(&mut flight.waiting),
            inquiries: std::mem::take(&mut flight.inquiries),
        };
        Some((landed, outcome))
    }

    /// Takes a place back, with its buffers.
    pub(super) fn release(&mut self, landed: Landed) {
        let Landed {
            index,
            wanted,
            mut waiting,
            inquiries: _,
        } = landed;
        waiting.clear();
        waiting.shrink_to(KEPT_ROOM);
        if let Some(flight) = self.places.get_mut(index as usize) {
            (flight.wanted, flight.waiting) = (wanted, waiting);
            self.free.push(index);
        }
    }

    fn hash(&self, wanted: &Wanted) -> u64 {
        self.hasher.hash_one(wanted)
    }
}
