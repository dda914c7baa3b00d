//! Schoolgate.
pub mod document;
pub mod name;
pub mod lists;
