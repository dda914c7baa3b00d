//! Schoolgate.
pub mod configuration;
pub mod document;
pub mod lists;
pub mod mac;
pub mod name;
pub mod policy;
pub mod querylog;
pub mod settings;
