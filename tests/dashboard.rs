//! The pages, as a browser and as somebody hostile sees them: the real program
//! as a process of its own, asked over HTTP.

pub(crate) mod client;
pub(crate) mod running;
pub(crate) mod seed;

mod accounts;
mod block_page;
mod health;
mod record;
mod requests;
mod routes;
mod server;
mod set_up;
mod sign_in;
