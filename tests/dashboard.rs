//! The pages, as a browser and as somebody hostile sees them: the real program
//! as a process of its own, asked over HTTP.

pub(crate) mod client;

mod accounts;
mod record;
mod routes;
mod set_up;
mod sign_in;
