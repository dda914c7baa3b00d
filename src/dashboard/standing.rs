//! The filter as a page asks it: the policy in force, and who has which address.
//!
//! Looked after in the background, so that whoever needs it takes what there is
//! and never waits for a disk: the block page is asked by whole classes at once.
//! What a page says of a site is so what the resolver does with it.
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

/// How often it is looked whether there is something newer.
const PAUSE: Duration = Duration::from_secs(2);

/// What decides, and who has which address.
pub struct Filter {
    rules: Arc<InForce>,
    leases: Arc<Leases>,
}

/// Where the latest of them is found.
#[derive(Default)]
pub struct Standing {
    latest: ArcSwapOption<Filter>,
}

impl Standing {
    /// The filter as it stands; none: there are no lists yet, or they cannot be
    /// read.
    #[must_use]
    pub fn latest(&self) -> Option<Arc<Filter>> {
        self.latest.load_full()
    }
}

impl Filter {
    /// The policy in force.
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
        watcher: Watcher::new(app.settings().clients.leases.clone()),
        leases: Arc::default(),
        trouble: None,
    };
    loop {
        let looked = app.blocking(move |app| {
            keeper.look(app, Timestamp::now());
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
    watcher: Watcher,
    leases: Arc<Leases>,
    /// Why it could not be read; said once.
    trouble: Option<String>,
}

impl Keeper {
    fn look(&mut self, app: &App, now: Timestamp) {
        if let Some(leases) = self.watcher.poll(now) {
            self.leases = Arc::new(leases);
        }
        match app.policy_in_force() {
            Ok(rules) => {
                self.trouble = None;
                let leases = Arc::clone(&self.leases);
                let latest = Filter { rules, leases };
                app.standing.latest.store(Some(Arc::new(latest)));
            }
            // What was read last stays; before the first lists there is nothing.
            Err(error) => {
                let trouble = format!("{error:#}");
                if self.trouble.as_ref() != Some(&trouble) {
                    tracing::warn!(trouble, "the pages cannot read the policy in force");
                }
                self.trouble = Some(trouble);
            }
        }
    }
}
