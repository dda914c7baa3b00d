//! The log as people read it: incidents instead of rows, and what the school
//! has noted about them.
//!
//! [`book::Book`] is what everybody asks: lists of incidents, one incident, the
//! numbers of the overview, a search over all days, a device's day. What is
//! worth reading is said once in [`interest`], who may see which host in
//! [`sight`], when school is in [`hours`]. [`casework`] is what people add:
//! notes, reviews, assignments.
//!
//! It must never write to the query log nor hold up its writer, and a day that
//! cannot be read costs that day and no other.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod book;
pub mod casework;
pub mod clients;
mod collapse;
pub mod device;
pub mod digest;
mod files;
mod finding;
pub mod hours;
pub mod interest;
mod lexicon;
pub mod listing;
pub mod opened;
pub mod overview;
pub mod search;
mod shelf;
mod sieve;
pub mod sight;
pub mod wanted;
mod words;
