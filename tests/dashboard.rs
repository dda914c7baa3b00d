//! The pages, as a browser and as somebody hostile sees them: the real program
//! as a process of its own, asked over HTTP.

pub(crate) mod seed;
pub(crate) mod client;

mod health;
mod sign_in;
