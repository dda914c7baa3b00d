//! Where the miss road meets the validator: flights whose answers are checked.
//!
//! Such a flight asks no server itself. It waits for a verdict, while the
//! validator's inquiries make flights of their own, which others may join and
//! which are kept like any answer.

use std::time::Duration;

use super::message::read;
use super::validation::{Case, Inquiry, Verdict};
use super::{DEADLINE, Forwarder};
use crate::dns::answer::Answer;
use crate::dns::pipeline::Wanted;
use crate::dns::reply::ede;

impl Forwarder {
    /// Asks for what a validator needs, or joins it to those who wait for the
    /// same.
    pub fn inquire(&mut self, wanted: &Wanted, answer: Inquiry, now: u64) {
        let known = self.flights.find(wanted);
        if let Some(flight) = known {
            flight.inquiries.push(answer);
            return;
        }
        let place = self.flights.begin(wanted, now);
        if let Some(flight) = self.flights.find_live(place) {
            flight.inquiries.push(answer);
        }
        self.depart(place, now);
    }

    /// Takes what came of an examination.
    pub fn verdict(&mut self, place: (u32, u32), verdict: Verdict) {
        let Some(flight) = self.flights.find_live(place) else {
            return;
        };
        let question = &flight.wanted.question;
        let outcome = verdict.and_then(|examined| {
            let answer = read(&examined.message, question).map_err(|_| ede::OTHER)?;
            Ok(Answer {
                is_secure: examined.is_secure,
                ..answer
            })
        });
        if outcome.as_ref().is_err_and(|code| ede::is_bogus(*code)) {
            self.counters.bogus.count();
        }
        self.land(place.0, outcome);
    }

    /// Has a flight's answer found and checked by the validator.
    pub(super) fn hand_in(&mut self, place: (u32, u32), now: u64) {
        let Some(flight) = self.flights.find_live(place) else {
            return;
        };
        flight.due = now + DEADLINE;
        self.timers.set(now, flight.due, place);
        let case = Case {
            wanted: flight.wanted.clone(),
            place,
            limit: Duration::from_millis(DEADLINE),
        };
        if self.validator.try_send(case).is_err() {
            self.land(place.0, Err(ede::OTHER));
        }
    }
}
