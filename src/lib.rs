//! Schoolgate: a DNS resolver that filters what a school's devices may reach.
//!
//! The crate in reading order.
//!
//! **What is known.** [`name`] and [`mac`] are the two words everything speaks
//! in. [`document`] reads a TOML file and reports all its mistakes at once, by
//! file and line; [`settings`] (the installer's) and [`policy::document`] (the
//! school's) say what may stand in theirs, and [`configuration`] reads a whole
//! folder. [`lists`] goes from a published list to the answer to "what covers
//! this name?".
//!
//! **What is decided.** [`policy`] is the school's rules as one immutable
//! value, and [`policy::decide`] the one question put to it: pure, the same
//! arguments give the same answer. [`devices`] says who asked. [`why`] tells
//! the decision step by step, by the same code.
//!
//! **What is answered.** [`dns`] is a packet's journey from arrival to reply.
//! [`querylog`] writes down each finished query, and [`metrics`] counts them
//! without naming anyone; [`limiter`] keeps one device from taking all of either. [`changes`] puts another policy in force while
//! questions arrive.
//!
//! **What people see.** [`incidents`] is the log as people read it, [`alerts`]
//! tells somebody, [`reports`] is what leaves on paper, [`requests`] what staff
//! ask for. [`status`] is how the resolver fares, as it says itself. [`people`] says who may look, [`record`] who did what, and
//! [`dashboard`] shows it all.
//!
//! **What is run.** [`appliance`] assembles all of it to the process behind
//! `serve`; [`up`] is the same with a ready-made configuration. [`profile`] writes
//! what makes devices ask it, [`selftest`] asks it from their place, and
//! [`rehearse`] tries an edit of the school's files on the log.
//!
//! ARCHITECTURE.md has the promises, each with the test that holds it.

pub mod alerts;
pub mod appliance;
pub mod approve;
pub mod changes;
pub mod configuration;
pub mod dashboard;
pub mod devices;
pub mod dns;
pub mod document;
pub mod history;
pub mod incidents;
pub mod limiter;
pub mod lists;
pub mod mac;
pub mod metrics;
pub mod name;
pub mod over_block;
pub mod people;
pub mod policy;
pub mod profile;
pub mod propose;
pub mod querylog;
pub mod record;
pub mod rehearse;
pub mod reports;
pub mod requests;
pub mod selftest;
pub mod settings;
pub mod signature;
pub mod standing;
pub mod status;
pub mod terminal;
pub mod up;
pub mod why;
