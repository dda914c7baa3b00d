//! The tests that see the product from outside, in one binary and in reading
//! order.

mod architecture;
mod configuration;
mod decisions;
mod demo_lists;
mod devices;
mod lists;
mod querylog;
mod settings;
