//! What holds for somebody now: the rules in force, and who has which address.
//!
//! It is looked after in the background: whoever needs it, such as the block
//! page, takes what there is and never waits.
//!
//! It must never put anything in force.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;

use super::app::App;
use super::in_force::InForce;
use crate::devices::find::find;
use crate::devices::identify::identify;
use crate::devices::leases::Leases;
use crate::devices::leases::watch::Watcher;
use crate::name::NameRef;
use crate::policy::decision::Decision;
use crate::policy::{Asker, DeviceIndex, GroupIndex, Policy};

/// How often it is looked whether there is a newer one.
const PAUSE: Duration = Duration::from_secs(2);

/// What is in force, and who has which address.
pub struct Present {
    /// The rules.
    pub rules: Arc<InForce>,
    leases: Arc<Leases>,
}

/// Where the latest of them is found.
#[derive(Default)]
pub struct Standing {
    latest: ArcSwapOption<Present>,
}

impl Standing {
    /// What is in force; none: there are no lists yet, or they cannot be read.
    #[must_use]
    pub fn latest(&self) -> Option<Arc<Present>> {
        self.latest.load_full()
    }
}

impl Present {
    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.rules.policy
    }

    /// Who `address` is to the resolver, no router between.
    #[must_use]
    pub fn asker(&self, address: IpAddr, now: Timestamp) -> Asker {
        let policy = self.policy();
        let networks = |ip| policy.networks.group_of(ip).map(|group| group.0);
        let identity = identify(address.to_canonical(), false, &[], None, None);
        let unknown = policy.unknown.0;
        let who = find(
            &identity,
            &policy.devices,
            &self.leases,
            networks,
            unknown,
            now,
        );
        Asker {
            group: GroupIndex(who.group),
            device: who.device.map(DeviceIndex),
        }
    }

    /// What becomes of `name`, asked by `asker`.
    #[must_use]
    pub fn decide(&self, asker: Asker, name: NameRef<'_>, now: Timestamp) -> Decision {
        let covering = self.policy().lists.covering(name);
        let moment = self.policy().at(now);
        self.policy()
            .decide(asker, name, &covering, &moment, &mut ())
    }

    /// Whether `name` is on a mandatory list, and so may not be shown or kept.
    #[must_use]
    pub fn is_mandatory(&self, name: NameRef<'_>) -> bool {
        self.policy().lists.covering(name).is_mandatory()
    }

    /// The id of a group.
    #[must_use]
    pub fn group(&self, group: GroupIndex) -> &str {
        self.policy().group(group).map_or("", |group| &group.id)
    }

    /// The group of that id.
    #[must_use]
    pub fn group_named(&self, id: &str) -> Option<GroupIndex> {
        let at = self
            .policy()
            .groups
            .iter()
            .position(|group| &*group.id == id);
        at.and_then(|at| u16::try_from(at).ok()).map(GroupIndex)
    }

    /// The inventory's id of a device.
    #[must_use]
    pub fn device(&self, asker: Asker) -> Option<&str> {
        let device = self.policy().devices.device(asker.device?.0)?;
        Some(&*device.id)
    }
}

/// Looks after it for as long as the pages are served.
pub(super) async fn keep(app: Arc<App>) {
    let mut keeper = Keeper {
        leases: Watcher::new(app.settings().clients.leases.clone()),
        known: Arc::default(),
        rules: None,
        failing: false,
    };
    loop {
        let looking = Arc::clone(&app);
        let looked = tokio::task::spawn_blocking(move || {
            keeper.look(&looking, Timestamp::now());
            keeper
        });
        match looked.await {
            Ok(back) => keeper = back,
            Err(_) => return,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

struct Keeper {
    leases: Watcher,
    known: Arc<Leases>,
    rules: Option<Arc<InForce>>,
    failing: bool,
}

impl Keeper {
    fn look(&mut self, app: &App, now: Timestamp) {
        let leases = self.leases.poll(now);
        let new_leases = leases.is_some();
        self.known = leases.map_or_else(|| Arc::clone(&self.known), Arc::new);
        let before = self.rules.clone();
        match app.policy_in_force() {
            Ok(rules) => {
                self.failing = false;
                self.rules = Some(rules);
            }
            // What was read last stays; before the first lists there is nothing.
            Err(error) if !self.failing => {
                self.failing = true;
                let error = format!("{error:#}");
                tracing::warn!(error, "the pages cannot read the policy in force");
            }
            Err(_) => {}
        }
        let is_same = match (&before, &self.rules) {
            (Some(before), Some(rules)) => Arc::ptr_eq(before, rules),
            (None, None) => true,
            _ => false,
        };
        if let (Some(rules), false) = (&self.rules, is_same) {
            app.book.go_by(&rules.document);
        }
        if new_leases || !is_same {
            let latest = self.rules.as_ref().map(|rules| {
                let leases = Arc::clone(&self.known);
                let rules = Arc::clone(rules);
                Arc::new(Present { rules, leases })
            });
            app.standing.latest.store(latest);
        }
    }
}
