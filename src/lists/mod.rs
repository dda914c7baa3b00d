//! Lists
pub mod category;
pub mod lookup;
