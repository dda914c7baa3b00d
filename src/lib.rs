//! Schoolgate.
pub mod appliance;
pub mod changes;
pub mod configuration;
pub mod devices;
pub mod dns;
pub mod document;
pub mod lists;
pub mod mac;
pub mod metrics;
pub mod name;
pub mod policy;
pub mod querylog;
pub mod settings;
pub mod up;
pub mod why;
