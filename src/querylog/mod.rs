//! Query log
pub mod event;
