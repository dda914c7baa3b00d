//! What all pages share.

use super::standing::Standing;
use crate::configuration::Configuration;
use crate::people::People;
use crate::record::Record;
use crate::requests::Requests;
use crate::settings::Settings;

/// What all pages share; made once.
pub struct App {
    /// The folder as it was when the process started.
    pub configuration: Configuration,
    /// The school's people.
    pub people: People,
    /// Who did what.
    pub record: Record,
    /// Sites that somebody wants opened or blocked.
    pub requests: Requests,
    /// The policy in force.
    pub standing: Standing,
}

impl App {
    /// Opens what the pages are made of.
    pub fn new(configuration: Configuration) -> anyhow::Result<Self> {
        let state_dir = &configuration.settings.state_dir;
        Ok(Self {
            people: People::open(state_dir)?,
            record: Record::of_access(state_dir),
            requests: Requests::new(state_dir, rand::random()),
            standing: Standing::default(),
            configuration,
        })
    }

    /// The machine's settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.configuration.settings
    }

    /// The school's name.
    #[must_use]
    pub fn school(&self) -> &str {
        &self.configuration.document.school
    }
}
