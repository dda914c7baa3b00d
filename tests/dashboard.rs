//! The pages, as a browser and as somebody hostile sees them: the real program
//! as a process of its own, asked over HTTP.

mod block_page;
pub(crate) mod client;
mod health;
mod requests;
pub(crate) mod running;
pub(crate) mod seed;
mod sign_in;
