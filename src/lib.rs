//! Schoolgate.
pub mod devices;
pub mod document;
pub mod lists;
pub mod mac;
pub mod name;
pub mod policy;
pub mod querylog;
