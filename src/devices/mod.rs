//! Which device asked, and so which group it belongs to.
//!
//! `edns` cuts and decodes what a router wrote into a question, `identify`
//! decides whom to believe (`client_id` is what an
//! encrypted transport tells it), `find` finds the device, `inventory` and `leases` are
//! the tables it looks in, `hidden` notices a router that keeps its clients to
//! itself. Names and addresses found here go to the query log and nowhere
//! else.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod client_id;
pub mod edns;
pub mod find;
pub mod hidden;
pub mod identify;
pub mod inventory;
mod keys;
pub mod leases;
