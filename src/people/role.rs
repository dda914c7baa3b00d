//! What somebody is at the school, and so what pages show.
//!
//! One account has one role: who both repairs the filter and reads
//! pupils' rows does so under two accounts, and every page stays what its role
//! needs. Roles do not contain one another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A role of the school.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Maintains filter and lists; sees counts, never a pupil's rows.
    Technician,
    /// The designated safeguarding lead: sees rows, edits no policy.
    Dsl,
    /// The headteacher: the second person for changes; sees rows of incidents.
    Head,
    /// A governor: aggregates, small numbers suppressed.
    Governor,
    /// Reads the record of changes and accesses.
    Auditor,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Technician,
        Self::Dsl,
        Self::Head,
        Self::Governor,
        Self::Auditor,
    ];

    /// As commands, files and the record write it.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Technician => "technician",
            Self::Dsl => "dsl",
            Self::Head => "head",
            Self::Governor => "governor",
            Self::Auditor => "auditor",
        }
    }

    /// As people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Technician => "Technician",
            Self::Dsl => "Safeguarding lead",
            Self::Head => "Headteacher",
            Self::Governor => "Governor",
            Self::Auditor => "Auditor",
        }
    }

    /// Whether a password alone is not enough.
    #[must_use]
    pub fn needs_second_factor(self) -> bool {
        matches!(self, Self::Technician | Self::Dsl)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|role| role.id() == word);
        found.ok_or_else(|| {
            let all: Vec<&str> = Self::ALL.into_iter().map(Self::id).collect();
            format!("\"{word}\" is no role; there are {}", all.join(", "))
        })
    }
}
