//! One thing that somebody did, before it is written down.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One thing that somebody did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// Who: an account's name, `console` for somebody at the machine, or
    /// `schoolgate` for the appliance itself.
    pub who: String,
    /// From where: an address, if they came over the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What: a short word such as `signed_in` or `read_rows`.
    pub what: String,
    /// To what and why; keys as the kind of deed has them.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub about: Map<String, Value>,
}

impl Deed {
    /// A deed of `who`.
    #[must_use]
    pub fn new(who: &str, what: &str) -> Self {
        Self {
            who: who.to_owned(),
            from: None,
            what: what.to_owned(),
            about: Map::new(),
        }
    }

    /// Done from this address.
    #[must_use]
    pub fn from(mut self, address: &(impl ToString + ?Sized)) -> Self {
        self.from = Some(address.to_string());
        self
    }

    /// With something more to say of it.
    #[must_use]
    pub fn about(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.about.insert(key.to_owned(), value.into());
        self
    }
}
