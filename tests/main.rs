//! The tests that use the crate as others do, in reading order.

mod devices;
mod querylog;
//! The tests that see the product from outside, in one binary.
mod configuration;
mod decisions;
mod demo_lists;
mod settings;
