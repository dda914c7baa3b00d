//! A list of incidents, newest first, a page at a time.

use jiff::civil::Date;

use crate::querylog::read::Unreadable;
use crate::querylog::visits::Incident;

use super::wanted::Cursor;

/// One page of incidents.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// The newest first. They hold what the log holds: show them through
    /// [`super::sight::Sight`].
    pub incidents: Vec<Incident>,
    /// Where the next page begins; none if there is nothing more.
    pub next: Option<Cursor>,
    /// The oldest day that was looked at.
    pub looked_back_to: Option<Date>,
    /// The page is not full and there are days left: looking on was worth a
    /// click of its own.
    pub more_to_look: bool,
    /// Days that are not, or not all, in it.
    pub damaged: Vec<Unreadable>,
}
