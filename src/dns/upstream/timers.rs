//! When to look at a flight again: a wheel of time slots.
//!
//! Nearly every flight lands long before its timer, and then the timer is
//! nothing but work. So setting one is a push onto a slot's list and dropping
//! one is nothing at all: what comes due is only a hint, and the flight itself
//! knows whether it still waits for that moment.

/// Milliseconds of one slot: by so much a timer may be late.
const STEP: u64 = 8;
/// Slots of the wheel; with [`STEP`], longer than any flight lasts.
const SLOTS: usize = 256;

/// Timers of one worker's flights.
#[derive(Debug)]
pub(super) struct Timers {
    /// Index and serial of a flight, by the slot in which to look at it.
    slots: Box<[Vec<(u32, u32)>]>,
    /// Everything before this slot, counted from the clock's start, is done.
    next: u64,
    waiting: usize,
}

impl Timers {
    pub(super) fn new() -> Self {
        Self {
            slots: vec![Vec::new(); SLOTS].into_boxed_slice(),
            next: 0,
            waiting: 0,
        }
    }

    /// Has the flight looked at once `when` has come, and not before.
    pub(super) fn set(&mut self, now: u64, when: u64, (index, serial): (u32, u32)) {
        if self.waiting == 0 {
            self.next = now / STEP;
        }
        // Later than the wheel reaches is at its far end: too early is mended
        // by setting it again.
        let last = self.next + SLOTS as u64 - 1;
        let slot = when.div_ceil(STEP).clamp(self.next, last);
        if let Some(list) = self.slots.get_mut(slot as usize % SLOTS) {
            list.push((index, serial));
            self.waiting += 1;
        }
    }

    /// A flight whose time has come.
    pub(super) fn due(&mut self, now: u64) -> Option<(u32, u32)> {
        while self.waiting > 0 && self.next * STEP <= now {
            let list = self.slots.get_mut(self.next as usize % SLOTS)?;
            if let Some(flight) = list.pop() {
                self.waiting -= 1;
                return Some(flight);
            }
            self.next += 1;
        }
        None
    }

    /// When the next one may be due.
    pub(super) fn next(&self) -> Option<u64> {
        let filled = |slot: &u64| {
            let list = self.slots.get(*slot as usize % SLOTS);
            list.is_some_and(|list| !list.is_empty())
        };
        let all = self.next..self.next + SLOTS as u64;
        let slot = (self.waiting > 0).then(|| all.into_iter().find(filled))??;
        Some(slot * STEP)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn none_is_early_none_is_lost_and_none_is_late(
            steps in vec((0u64..3_000, 0u64..1_900), 1..200)
        ) {
            let mut timers = Timers::new();
            let (mut now, mut set): (u64, Vec<(u64, u32)>) = (0, Vec::new());
            for (number, (pause, wait)) in (0u32..).zip(steps) {
                let latest = set.iter().map(|(when, _)| *when).min();
                if let Some(next) = timers.next() {
                    prop_assert!(latest.is_some_and(|when| next < when + 2 * STEP));
                } else {
                    prop_assert!(set.is_empty());
                }
                now += pause;
                while let Some((index, _)) = timers.due(now) {
                    let at = set.iter().position(|(_, n)| *n == index);
                    let (when, _) = set.swap_remove(at.expect("it was set"));
                    prop_assert!(when <= now);
                }
                prop_assert!(set.iter().all(|(when, _)| now < when + STEP));
                timers.set(now, now + wait, (number, 0));
                set.push((now + wait, number));
            }
        }
    }
}
