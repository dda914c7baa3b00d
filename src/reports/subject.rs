//! Whose rows are meant: a device, or everything of one person.
//!
//! A device that the inventory knows is asked for by its id and its hardware
//! addresses, so that what it asked before somebody entered it is found too. What
//! the inventory does not know is taken as it was typed: a MAC, an address, a
//! name from a lease. An address means whichever device had it.

use crate::devices::inventory::{Device, Inventory};
use crate::document::choices;

use super::ReportError;

/// Whose rows somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// A device's: its id, name, MAC or address.
    Device(String),
    /// A person's: whose devices they are, as the inventory has it.
    Person(String),
}

/// Whose rows, and how the log calls them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// As it was asked for.
    pub whose: Whose,
    /// The devices, as people call them.
    pub devices: Vec<String>,
    /// What to look for in the log.
    pub keys: Vec<String>,
}

impl Subject {
    /// Finds out who is meant.
    pub fn find(whose: Whose, inventory: &Inventory) -> Result<Self, ReportError> {
        let all = inventory.devices();
        let found: Vec<&Device> = match &whose {
            Whose::Device(asked) => {
                let asked = asked.trim();
                if asked.is_empty() || asked.len() > MOST_BYTES {
                    return Err(ReportError::refused("say which device"));
                }
                let is_it = |device: &&Device| device.id.eq_ignore_ascii_case(asked);
                all.iter().find(is_it).into_iter().collect()
            }
            Whose::Person(name) => {
                let wanted = name.trim().to_lowercase();
                let theirs = |device: &&Device| device.owner.trim().to_lowercase() == wanted;
                let found: Vec<&Device> = all.iter().filter(theirs).collect();
                if found.is_empty() || wanted.is_empty() {
                    let owners = all.iter().map(|device| &*device.owner);
                    let owners = owners.filter(|owner| !owner.is_empty());
                    let why = format!(
                        "devices.csv has no device whose owner is \"{name}\"; {}",
                        choices(name, owners)
                    );
                    return Err(ReportError::Refused(why));
                }
                found
            }
        };
        let mut keys = Vec::new();
        for device in &found {
            keys.push(device.id.clone());
            keys.extend(device.macs.iter().map(ToString::to_string));
        }
        let mut devices: Vec<String> = found.iter().map(|device| device.id.clone()).collect();
        if let (Whose::Device(asked), true) = (&whose, found.is_empty()) {
            keys.push(asked.trim().to_owned());
            devices.push(asked.trim().to_owned());
        }
        Ok(Self {
            whose,
            devices,
            keys,
        })
    }

    /// The person, if one was asked for.
    #[must_use]
    pub fn person(&self) -> Option<&str> {
        match &self.whose {
            Whose::Person(name) => Some(name.trim()),
            Whose::Device(_) => None,
        }
    }

    /// Whether `text` is one of the words for them.
    #[must_use]
    pub fn is_called(&self, text: &str) -> bool {
        let mut words = self.keys.iter().map(String::as_str).chain(self.person());
        let text = text.trim().to_lowercase();
        words.any(|word| word.to_lowercase() == text)
    }
}

/// Longest word for a device.
const MOST_BYTES: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICES: &str = "id,name,mac,owner\n\
        ipad-7,iPad 7,00:1a:2b:3c:4d:5e,Ada Smith\n\
        laptop-1,Laptop,00:1a:2b:3c:4d:5f;00:1a:2b:3c:4d:60,ada smith\n\
        printer,Printer,,\n";

    fn find(whose: Whose) -> Result<Subject, ReportError> {
        let (inventory, wrong) = Inventory::parse("devices.csv", DEVICES, |_| None, &[]);
        assert_eq!(wrong, []);
        Subject::find(whose, &inventory)
    }

    #[test]
    fn a_person_is_all_their_devices() {
        let found = find(Whose::Person(" ADA smith".to_owned())).unwrap();
        assert_eq!(found.devices, ["ipad-7", "laptop-1"]);
        assert_eq!(found.keys.len(), 5);
        assert!(found.is_called("Ada Smith") && found.is_called("00:1a:2b:3c:4d:60"));
        assert!(!found.is_called("printer"));
        for nobody in ["", "Ada Smyth"] {
            let error = find(Whose::Person(nobody.to_owned())).unwrap_err();
            assert!(error.to_string().contains("owner"), "{error}");
        }
    }

    #[test]
    fn an_unknown_device_is_what_was_typed() {
        let found = find(Whose::Device("IPAD-7".to_owned())).unwrap();
        assert_eq!(found.keys, ["ipad-7", "00:1a:2b:3c:4d:5e"]);
        let found = find(Whose::Device(" 10.1.0.9 ".to_owned())).unwrap();
        assert_eq!(found.keys, ["10.1.0.9"]);
        assert!(find(Whose::Device("  ".to_owned())).is_err());
    }
}
