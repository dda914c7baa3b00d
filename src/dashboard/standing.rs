//! The policy in force, as the pages see it.
//!
//! `serve` writes down what it put in force and keeps the texts it was made of;
//! here the same value is made of them again, so that what a page says of a site
//! is what the resolver does with it, and not what somebody is still typing. It
//! is looked after in the background: whoever needs it takes what there is and
//! never waits.
//!
//! It must never put anything in force.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use jiff::Timestamp;

use super::app::App;
use crate::changes::activation::last_record;
use crate::changes::kept;
use crate::configuration::Configuration;
use crate::devices::find::find;
use crate::devices::identify::identify;
use crate::devices::leases::Leases;
use crate::devices::leases::watch::Watcher;
use crate::lists::load;
use crate::name::NameRef;
use crate::policy::compile::Live;
use crate::policy::decision::Decision;
use crate::policy::{Asker, DeviceIndex, GroupIndex, Policy};
use crate::why::standing_policy;

/// How often it is looked whether there is a newer one.
const PAUSE: Duration = Duration::from_secs(2);

/// What is in force, and who has which address.
pub struct InForce {
    /// The policy.
    pub policy: Arc<Policy>,
    leases: Arc<Leases>,
}

/// Where the latest of them is found.
#[derive(Default)]
pub struct Standing {
    latest: ArcSwapOption<InForce>,
}

impl Standing {
    /// What is in force; none: there are no lists yet, or they cannot be read.
    #[must_use]
    pub fn latest(&self) -> Option<Arc<InForce>> {
        self.latest.load_full()
    }
}

impl InForce {
    /// Who `address` is to the resolver, no router between.
    #[must_use]
    pub fn asker(&self, address: IpAddr, now: Timestamp) -> Asker {
        let policy = &self.policy;
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
        let covering = self.policy.lists.covering(name);
        let moment = self.policy.at(now);
        self.policy.decide(asker, name, &covering, &moment, &mut ())
    }

    /// Whether `name` is on a mandatory list, and so may not be shown or kept.
    #[must_use]
    pub fn is_mandatory(&self, name: NameRef<'_>) -> bool {
        self.policy.lists.covering(name).is_mandatory()
    }

    /// The id of a group.
    #[must_use]
    pub fn group(&self, group: GroupIndex) -> &str {
        self.policy.group(group).map_or("", |group| &group.id)
    }

    /// The group of that id.
    #[must_use]
    pub fn group_named(&self, id: &str) -> Option<GroupIndex> {
        let at = self.policy.groups.iter().position(|group| &*group.id == id);
        at.and_then(|at| u16::try_from(at).ok()).map(GroupIndex)
    }

    /// The inventory's id of a device.
    #[must_use]
    pub fn device(&self, asker: Asker) -> Option<&str> {
        let device = self.policy.devices.device(asker.device?.0)?;
        Some(&*device.id)
    }
}

/// Looks after it for as long as the pages are served.
pub(super) async fn keep(app: Arc<App>) {
    let mut keeper = Keeper {
        leases: Watcher::new(app.settings().clients.leases.clone()),
        known: Arc::default(),
        seen: None,
        policy: None,
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
    seen: Option<Seen>,
    policy: Option<Arc<Policy>>,
}

/// What changes when there is something new.
type Seen = (Option<SystemTime>, Option<SystemTime>);

impl Keeper {
    fn look(&mut self, app: &App, now: Timestamp) {
        let state_dir = &app.settings().state_dir;
        let leases = self.leases.poll(now);
        let seen = (kept::changed(state_dir), load::pointer_changed(state_dir));
        let same_policy = self.seen == Some(seen);
        if leases.is_none() && same_policy {
            return;
        }
        self.known = leases.map_or_else(|| Arc::clone(&self.known), Arc::new);
        if !same_policy {
            self.seen = Some(seen);
            match in_force(&app.configuration) {
                Ok(policy) => self.policy = Some(Arc::new(policy)),
                // What was read last stays; before the first lists there is nothing.
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::warn!(error, "the pages cannot read the policy in force");
                }
            }
        }
        let latest = self.policy.as_ref().map(|policy| {
            let leases = Arc::clone(&self.known);
            let policy = Arc::clone(policy);
            Arc::new(InForce { policy, leases })
        });
        app.standing.latest.store(latest);
    }
}

/// The policy that was last put in force; before there was one, the one that the
/// folder's files make.
fn in_force(configuration: &Configuration) -> anyhow::Result<Policy> {
    let state_dir = &configuration.settings.state_dir;
    let Some(record) = last_record(state_dir)? else {
        return standing_policy(configuration);
    };
    let Some(texts) = kept::texts(state_dir, &record) else {
        return standing_policy(configuration);
    };
    let live = Live {
        number: record.number,
        not_before: load::put_in_force(state_dir),
        lists: load::open(state_dir)?,
        standing: true,
    };
    texts.compile(live).map_err(crate::appliance::all_of)
}
