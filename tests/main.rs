//! The tests that use the crate as others do, in reading order.

mod devices;
mod querylog;
