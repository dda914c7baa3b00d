//! How the live policy changes: change control.
//!
//! There is one way in. What somebody wants is a [`proposal`], told in words as
//! the [`difference`] between what is in force and what would be, and looked at
//! in a [`rehearsal`]; [`control`] judges who has agreed to it, by the
//! [`ledger`] that the record makes; and [`activation`] builds a whole policy
//! and, only when all of it is right, lets it take the place of the one that
//! serves.

pub mod activation;
pub mod anew;
pub mod ask;
pub mod change;
pub mod console;
pub mod control;
pub mod difference;
pub mod edited;
pub mod kept;
pub mod ledger;
pub mod news;
pub mod proposal;
pub mod rehearsal;
pub mod signatory;
