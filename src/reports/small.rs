//! Numbers that are too small to be told.
//!
//! In a school everybody knows somebody: "one pupil of Year 9" is a name. So a
//! count of one to four is told as "fewer than 5", and no total may give it away
//! again. Here a total is never counted by itself: it is worked out from
//! what is shown, as from the least to the most it can be. Whatever a reader adds
//! or takes away, they work with what was told, and so each hidden count can
//! still be any of one to four.
//!
//! That holds as long as nothing else counts the same incidents in another way,
//! which is why a report for governors has one table of counts and no second.

use std::fmt;

use serde::{Serialize, Serializer};

/// The least count that is told.
pub const LEAST: u64 = 5;

/// A count as it may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shown {
    /// None, or enough.
    Exactly(u64),
    /// One to four.
    Few,
}

/// A total as it may be shown: from the least to the most it can be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Total {
    /// At least.
    pub least: u64,
    /// At most.
    pub most: u64,
}

impl From<u64> for Shown {
    fn from(count: u64) -> Self {
        match count {
            1..LEAST => Self::Few,
            _ => Self::Exactly(count),
        }
    }
}

impl Total {
    /// Of counts that are shown.
    #[must_use]
    pub fn of(shown: impl IntoIterator<Item = Shown>) -> Self {
        shown.into_iter().fold(Self::default(), |total, shown| {
            let (least, most) = match shown {
                Shown::Exactly(count) => (count, count),
                Shown::Few => (1, LEAST - 1),
            };
            Self {
                least: total.least.saturating_add(least),
                most: total.most.saturating_add(most),
            }
        })
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(count) => write!(f, "{count}"),
            Self::Few => write!(f, "fewer than {LEAST}"),
        }
    }
}

impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { least, most } if least == most => write!(f, "{least}"),
            // A single hidden count says no more here than in its own place.
            Self { least: 1, most } if *most < LEAST => write!(f, "fewer than {LEAST}"),
            Self { least, most } => write!(f, "{least} to {most}"),
        }
    }
}

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Exactly(count) => to.serialize_u64(*count),
            Self::Few => to.serialize_str("<5"),
        }
    }
}
