//! The pages, as a browser and as somebody hostile sees them: the real program
//! as a process of its own, asked over HTTP.

mod accounts;
mod block_page;
pub(crate) mod browser;
mod changes;
pub(crate) mod client;
mod health;
mod looks;
mod reading;
mod record;
mod requests;
mod routes;
pub(crate) mod running;
pub(crate) mod seed;
mod server;
mod set_up;
mod sign_in;
mod tour;
mod walk;
