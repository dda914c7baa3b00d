//! Schoolgate.
pub mod document;
pub mod lists;
pub mod name;
