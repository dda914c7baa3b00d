//! What a group's devices may open for themselves for a while: one
//! site, one device, and no longer than the policy says.

use jiff::{SignedDuration, Timestamp};

use super::{Control, NotNow, refused};
use crate::changes::change::{Addition, Verdict};
use crate::name::Name;
use crate::policy::{Asker, DeviceIndex};

/// By how much clocks may differ.
const LEEWAY: SignedDuration = SignedDuration::from_secs(30);

impl Control {
    /// Refuses what the policy does not let a device do for itself.
    pub(super) fn is_allowance(&self, wanted: &Addition, now: Timestamp) -> Result<(), NotNow> {
        let policy = self
            .policy()
            .ok_or_else(|| refused("No policy is in force."))?;
        let ([device], [], Verdict::Allow) = (&*wanted.devices, &*wanted.groups, wanted.verdict)
        else {
            return Err(refused("A device opens a site for itself alone."));
        };
        let row = policy.devices.by_id(device);
        let found = row.and_then(|row| policy.devices.device(row));
        let Some((row, found)) = row.zip(found) else {
            return Err(refused("That device is not in devices.csv."));
        };
        let by_address = || {
            found
                .ips
                .iter()
                .find_map(|ip| policy.networks.group_of(*ip))
        };
        let group = found
            .group
            .map(crate::policy::GroupIndex)
            .or_else(by_address);
        let asker = Asker {
            group: group.unwrap_or(policy.unknown),
            device: Some(DeviceIndex(row)),
        };
        let name = Name::parse(&wanted.name).map_err(|why| NotNow::Refused(why.to_string()))?;
        let exception = policy.exceptions.covering(name.as_ref(), asker, Some(now));
        if exception.is_some_and(|exception| !exception.allows) {
            return Err(refused(
                "The school has closed this site. Another person must agree to opening it.",
            ));
        }
        let minutes = policy
            .groups
            .get(usize::from(asker.group.0))
            .map_or(0, |group| group.override_minutes);
        if minutes == 0 {
            return Err(refused(
                "The policy lets no device of its group open a site.",
            ));
        }
        let longest = now + SignedDuration::from_mins(minutes.into()) + LEEWAY;
        let ends: Option<Timestamp> = wanted.expires.as_ref().and_then(|at| at.parse().ok());
        if ends.is_none_or(|ends| ends > longest) {
            return Err(NotNow::Refused(format!(
                "A device of its group opens a site for at most {minutes} minutes."
            )));
        }
        Ok(())
    }
}
