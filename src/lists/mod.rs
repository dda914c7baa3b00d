//! Lists: what is published about names, from the address in `sources.toml` to
//! the answer to "what covers this name?".
//!
//! The road of one refresh, in order: [`source`] reads what to take and from
//! where, [`fetch`] brings it, [`parse`] makes names and complaints of it,
//! [`admit`] judges whether it may replace the last good one, [`store`] keeps
//! that, [`compile`] merges all of it to one generation. [`refresh`] walks that
//! road. A server only ever walks the last step back: [`load`], then
//! [`lookup`]. So the process that answers DNS parses no download.
//!
//! No list line may panic anything here, and no mandatory entry may be written
//! down in the clear.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod addresses;
pub mod admit;
mod ancestors;
pub mod category;
pub mod compile;
pub mod durable;
pub mod exact;
pub mod fetch;
mod generation;
pub mod load;
pub mod lookup;
pub mod mandatory;
pub mod names;
pub mod outside;
pub mod parse;
pub mod refresh;
pub mod report;
pub mod sample;
pub mod source;
pub mod store;
pub mod table;
