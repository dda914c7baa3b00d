//! Telling somebody: alerts, and the ways on which they leave.
//!
//! The road of an alert: `follow` (rows of the log that are new) → `rules` (what
//! the school wants told of them) → `desk` (whom, when) → `outbox` (on disk, in
//! the same transaction) → `post` (one thread a way: `mail`, `webhook`,
//! `syslog`). `appliance` raises those about the filter itself, `drop` those
//! about what is missing; `digest` tells the rest once a week. All of it is in
//! `alerts.db`, so that being killed loses nothing and tells nothing twice.
//!
//! It must never name the site of a mandatory hit, and never change what is in
//! force.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod alert;
pub mod desk;
pub mod follow;
pub mod message;
pub mod outbox;
pub mod rules;
pub mod store;
