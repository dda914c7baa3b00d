//! How the live policy changes.
//!
//! There is one way in: [`activation`] builds a whole policy, and only when all
//! of it is right does it take the place of the one that serves.

pub mod activation;
pub mod difference;
pub mod kept;
pub mod rehearsal;
