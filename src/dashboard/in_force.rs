//! The policy that decides now, as the pages read it.
//!
//! Not what stands in the folder: somebody may be typing there, and what was
//! refused is not in force. The resolver's own record says which texts were
//! activated and keeps them. Reading the lists takes a moment, so what was read
//! serves until record or lists change. Nothing here can put a policy in force.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use anyhow::Context;
use jiff::Timestamp;

use crate::appliance::all_of;
use crate::changes::activation::Activated;
use crate::changes::kept;
use crate::configuration::{Configuration, PolicyTexts};
use crate::lists::load;
use crate::policy::Policy;
use crate::policy::compile::Live;
use crate::policy::document::PolicyDocument;

/// The policy in force, and as what it was typed.
pub struct InForce {
    /// The policy.
    pub policy: Policy,
    /// The same as somebody typed it.
    pub document: PolicyDocument,
    /// When it was put in force; none: the resolver has never run, and these
    /// are the folder's rules.
    pub since: Option<Timestamp>,
}

/// What was last read.
#[derive(Default)]
pub struct LastRead(Mutex<Option<(Key, Arc<InForce>)>>);

/// What a reading depends on.
type Key = (Option<Activated>, Option<SystemTime>);

impl LastRead {
    /// The policy in force. Reads files.
    pub fn policy(&self, configuration: &Configuration) -> anyhow::Result<Arc<InForce>> {
        let state_dir = &configuration.settings.state_dir;
        let record = kept::last(state_dir)?;
        let key = (record, load::pointer_changed(state_dir));
        // Whoever comes meanwhile waits for the same reading.
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, policy)) = &*last
            && *known == key
        {
            return Ok(Arc::clone(policy));
        }
        let policy = Arc::new(read(key.0.as_ref(), configuration)?);
        *last = Some((key, Arc::clone(&policy)));
        Ok(policy)
    }
}

fn read(record: Option<&Activated>, configuration: &Configuration) -> anyhow::Result<InForce> {
    let state_dir = &configuration.settings.state_dir;
    let texts: PolicyTexts = match record {
        Some(record) => kept::texts(state_dir, record)?
            .context("the texts of the policy in force are no longer kept")?,
        None => configuration.texts.clone(),
    };
    let live = Live {
        number: record.map_or(0, |record| record.number),
        not_before: load::put_in_force(state_dir),
        lists: load::open(state_dir)?,
        // What is in force is shown even where `check` would complain.
        standing: true,
    };
    Ok(InForce {
        policy: texts.compile(live).map_err(all_of)?,
        document: texts.typed().map_err(all_of)?.document,
        since: record.map(|record| record.time),
    })
}
