//! The tests that see the product from outside, in one binary and in reading
//! order.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a test is told by the environment to write its golden files, and speaks to whoever runs it"
)]

mod alerts;
mod architecture;
mod changes;
mod configuration;
mod dashboard;
mod decisions;
mod demo_lists;
mod deploy;
mod devices;
mod difference;
mod encrypted;
mod history;
mod hostile_pages;
mod incidents;
mod lists;
mod packets;
mod privacy;
mod profile;
mod querylog;
mod rehearsal;
mod reports;
mod serve;
mod settings;
mod status;
