//! What happens to a packet between its arrival and its answer.
//!
//! ```text
//! bytes ─ udp, streams ─ question ─ pipeline
//!                                     ├ devices::identify   who asked: device, group
//!                                     ├ policy::decide      group + name + now → Decision
//!                                     │   └ lists::lookup     one walk, top-level label first
//!   Block ─────────────────── reply ──┤
//!   Local ─────────────────── local ──┤
//!   Allow ────────── cache ─────────┬─┤ hit: second_look, reply
//!                              miss └─┤ upstream → answer → second_look → reply
//!                                     └ Event → querylog::recorder
//! ```
//!
//! Read the files in the order of that journey. [`question`] slices the plain
//! shape of a question and puts every other into it first. [`pipeline`] is the
//! one road all transports share, and does no I/O. [`reply`] writes
//! bytes, [`cache`] keeps what upstreams said, [`answer`] reads it, and
//! [`second_look`] judges the names and addresses inside it, with `svcb` for those
//! of service records. [`upstream`] asks;
//! [`local`] is what the school and the RFCs let us answer ourselves.
//!
//! Around them: [`worker`] is a thread with everything on it that a question
//! needs, [`udp`] its short road, by the [`batch`]; [`streams`] are the long
//! ones, [`mailbox`] how the two talk and [`way_back`] how replies leave; [`limiter`](crate::limiter) keeps one
//! device from taking all.
//!
//! An error here becomes a reply or silence, never a panic: one packet must not
//! end the answers of a whole school.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod answer;
pub mod batch;
pub mod cache;
pub mod local;
pub mod mailbox;
pub mod pipeline;
pub mod question;
pub mod reply;
pub mod second_look;
pub mod streams;
mod svcb;
pub mod udp;
pub mod upstream;
pub mod way_back;
pub mod worker;
