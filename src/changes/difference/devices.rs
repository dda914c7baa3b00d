//! What changes in the inventory. The secret by which a device names itself is
//! never said.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::draft::{Row, key};
use super::step::Step;
use super::words::{listed, quoted};
use super::{Effect, Part};
use crate::configuration::Typed;
use crate::devices::inventory::Device;

/// From which group to which, and who.
type Moves<'c> = BTreeMap<(Option<String>, Option<String>), Vec<(String, &'c Device)>>;

/// Devices that come, go, move or are known by something else; and, among
/// `parts`, those that are called otherwise.
pub(super) fn steps<'c>(
    before: &'c Typed,
    after: &'c Typed,
    steps: &mut Vec<Step<'c>>,
    parts: &mut Vec<Part>,
) {
    let (old, new) = (rows(before), rows(after));
    let (mut come, mut gone, mut moved) = (Moves::new(), Moves::new(), Moves::new());
    for (id, (device, row)) in &new {
        let Some((was, old)) = old.get(id) else {
            let to = (None, row.group.clone());
            come.entry(to).or_default().push((id.clone(), device));
            continue;
        };
        called(was, device, parts);
        if old.group != row.group {
            let groups = (old.group.clone(), row.group.clone());
            moved.entry(groups).or_default().push((id.clone(), device));
        }
        known_by(was, device, old, row, steps);
    }
    for (id, (device, row)) in &old {
        if !new.contains_key(id) {
            let from = (row.group.clone(), None);
            gone.entry(from).or_default().push((id.clone(), device));
        }
    }
    for ((_, to), devices) in come {
        let words = match &to {
            Some(group) => format!("{} new in {group}", are(&devices)),
            None => format!(
                "{} new, in the group of whatever network they use",
                are(&devices)
            ),
        };
        let ids: Vec<String> = devices.into_iter().map(|(id, _)| id).collect();
        let new: Vec<(String, Row)> = ids
            .into_iter()
            .filter_map(|id| new.get(&id).map(|(_, row)| (id, row.clone())))
            .collect();
        steps.push(Step::new(words, move |draft| {
            Rc::make_mut(&mut draft.rows).extend(new.iter().cloned());
        }));
    }
    for ((from, to), devices) in moved {
        let words = moving(&devices, from.as_deref(), to.as_deref());
        let ids: Vec<String> = devices.into_iter().map(|(id, _)| id).collect();
        steps.push(Step::new(words, move |draft| {
            let rows = Rc::make_mut(&mut draft.rows);
            for id in &ids {
                if let Some(row) = rows.get_mut(id) {
                    row.group.clone_from(&to);
                }
            }
        }));
    }
    for ((from, _), devices) in gone {
        let from = from.map_or_else(String::new, |group| format!(", and no longer in {group}"));
        let words = format!("{} no longer known{from}", are(&devices));
        let ids: Vec<String> = devices.into_iter().map(|(id, _)| id).collect();
        steps.push(Step::new(words, move |draft| {
            Rc::make_mut(&mut draft.rows).retain(|id, _| !ids.contains(id));
        }));
    }
}

fn rows(typed: &Typed) -> BTreeMap<String, (&Device, Row)> {
    let devices = typed.devices.devices().iter();
    let row = |device| Row::of(device, &typed.document);
    devices
        .map(|device| (key(&device.id), (device, row(device))))
        .collect()
}

/// "the device ipad-7 (Room 4 iPad)".
fn called_in_full(device: &Device) -> String {
    if device.name.is_empty() {
        device.id.clone()
    } else {
        format!("{} ({})", device.id, device.name)
    }
}

fn named(devices: &[(String, &Device)]) -> String {
    let all: Vec<String> = devices
        .iter()
        .map(|(_, device)| called_in_full(device))
        .collect();
    let plural = if all.len() == 1 { "" } else { "s" };
    format!("the device{plural} {}", listed(&all))
}

fn are(devices: &[(String, &Device)]) -> String {
    let verb = if devices.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", named(devices))
}

fn moving(devices: &[(String, &Device)], from: Option<&str>, to: Option<&str>) -> String {
    let (verb, ending) = if devices.len() == 1 {
        ("moves", "it uses")
    } else {
        ("move", "they use")
    };
    let network = || format!("the group of whatever network {ending}");
    let from = from.map_or_else(network, ToOwned::to_owned);
    let to = to.map_or_else(network, ToOwned::to_owned);
    format!("{} {verb} from {from} to {to}", named(devices))
}

/// Names and owners, by which nothing is decided.
fn called(was: &Device, is: &Device, parts: &mut Vec<Part>) {
    let Device {
        id,
        name,
        owner,
        kind,
        macs: _,
        ips: _,
        group: _,
        client_id: _,
        line: _,
    } = is;
    let facts = [
        ("is written", &was.id, id),
        ("is called", &was.name, name),
        ("belongs to", &was.owner, owner),
        ("is listed as", &was.kind, kind),
    ];
    let facts = facts.into_iter().filter(|(_, was, is)| was != is);
    let facts: Vec<String> = facts
        .map(|(verb, was, is)| format!("{verb} {} instead of {}", quoted(is), quoted(was)))
        .collect();
    if !facts.is_empty() {
        let words = format!("the device {id} {}", listed(&facts));
        parts.push(Part::new(Effect::Neither, words));
    }
}

fn known_by<'c>(was: &Device, is: &'c Device, old: &Row, new: &Row, steps: &mut Vec<Step<'c>>) {
    let mut facts = Vec::new();
    if old.macs != new.macs {
        facts.push(others("hardware address", &was.macs, &is.macs));
    }
    if old.ips != new.ips {
        facts.push(others("address", &was.ips, &is.ips));
    }
    match (&old.client_id, &new.client_id) {
        (was, is) if was == is => {}
        (None, _) => facts.push("by a new secret of its own".to_owned()),
        (_, None) => facts.push("by its id and no longer by a secret".to_owned()),
        _ => facts.push("by another secret".to_owned()),
    }
    if facts.is_empty() {
        return;
    }
    let words = format!(
        "the device {} is known {}",
        called_in_full(is),
        listed(&facts)
    );
    let (id, new) = (key(&is.id), new.clone());
    steps.push(Step::new(words, move |draft| {
        if let Some(row) = Rc::make_mut(&mut draft.rows).get_mut(&id) {
            let group = row.group.take();
            *row = Row {
                group,
                ..new.clone()
            };
        }
    }));
}

/// "by the address 10.1.0.7 instead of 10.1.0.8".
fn others<T: ToString>(what: &str, was: &[T], is: &[T]) -> String {
    let all = |all: &[T]| -> Vec<String> { all.iter().map(ToString::to_string).collect() };
    let (was, is) = (all(was), all(is));
    let plural = if is.len() > 1 { "es" } else { "" };
    match (was.as_slice(), is.as_slice()) {
        (_, []) => format!("no longer by the {what} {}", listed(&was)),
        ([], _) => format!("by the {what}{plural} {}", listed(&is)),
        _ => format!(
            "by the {what}{plural} {} instead of {}",
            listed(&is),
            listed(&was)
        ),
    }
}
