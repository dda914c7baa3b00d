//! The pages as a process of their own, asked over HTTP.

mod block_page;
mod requests;
pub(crate) mod running;
