//! Who may see which host.
//!
//! The host of a mandatory hit is for the safeguarding lead alone: to
//! name it is to point at it. So whatever leaves for another role goes through
//! here first, and a search of theirs does not find such rows by their name.

use crate::people::role::Role;
use crate::querylog::row::Row;
use crate::querylog::told::WITHHELD;
use crate::querylog::visits::Incident;

/// How much somebody sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Every host.
    Full,
    /// Every host but those of mandatory hits.
    Guarded,
}

impl Sight {
    /// How much a role sees.
    #[must_use]
    pub fn of(role: Role) -> Self {
        match role {
            Role::Dsl => Self::Full,
            Role::Technician | Role::Head | Role::Governor | Role::Auditor => Self::Guarded,
        }
    }

    /// The incident as it may be shown.
    #[must_use]
    pub fn incident(self, mut incident: Incident) -> Incident {
        if self == Self::Guarded && incident.mandatory {
            WITHHELD.clone_into(&mut incident.domain);
        }
        incident
    }

    /// The row as it may be shown.
    #[must_use]
    pub fn row(self, mut row: Row) -> Row {
        if self == Self::Guarded && row.is_mandatory() {
            WITHHELD.clone_into(&mut row.name);
        }
        row
    }
}
