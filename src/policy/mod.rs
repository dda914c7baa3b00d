//! Policy
pub mod decision;
