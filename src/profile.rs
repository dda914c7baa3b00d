//! What makes a device ask this school's resolver wherever it is, as its own
//! management takes it.
//!
//! A device off site is known by its `client_id` alone, a secret of devices.csv
//! that rides in what is written here.

pub mod apple;
pub mod client_id;
pub mod dnr;
pub mod documents;
pub mod endpoint;
pub mod policies;
pub mod windows;
