//! Why is this blocked for that device? The words behind `schoolgate why`.
//!
//! It runs `decide` itself with a trace that keeps what every layer said, so an
//! explanation cannot differ from what the packet road does. It never names the
//! source of a mandatory hit.

use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::Serialize;

use super::decide::{Moment, Trace};
use super::decision::{Decision, Layer, Verdict};
use super::timetable::HORIZON;
use super::{Asker, Policy};
use crate::lists::category::Category;
use crate::name::NameRef;

/// What is asked, once it is known who asks.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The name, in lower case.
    pub name: NameRef<'a>,
    /// The type, as people write it: `A`.
    pub rtype: &'a str,
    /// Who asks.
    pub asker: Asker,
    /// Its device's id in the inventory.
    pub device: Option<&'a str>,
    /// The address it asks from, if the question is about one.
    pub ip: Option<IpAddr>,
    /// Whether the name is answered here, by the school's own records.
    pub local: bool,
}

/// One decision with its reasons; as JSON it is the answer of `why --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The asked name.
    pub name: String,
    /// The asked type.
    #[serde(rename = "type")]
    pub rtype: String,
    /// The asker's group.
    pub group: String,
    /// The asker's device, if known.
    pub device: Option<String>,
    /// What happens.
    pub verdict: Verdict,
    /// Which layer decided.
    pub layer: Layer,
    /// What the lists have the name as.
    pub categories: Vec<&'static str>,
    /// The list a block is laid to; none for the mandatory.
    pub source: Option<String>,
    /// What is sent.
    pub answer: &'static str,
    /// The number of the policy that decided.
    pub policy: u64,
    /// What every layer said, in the order in which they were asked.
    pub trace: Vec<Said>,
    /// The moment it is about, on the school's wall, and until when it holds.
    #[serde(skip)]
    pub when: String,
}

/// What one layer said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Said {
    /// `identity`, or the layer's id.
    pub layer: &'static str,
    /// In words.
    pub said: String,
}

impl Trace for Vec<Said> {
    fn said(&mut self, layer: Layer, what: impl FnOnce() -> String) {
        self.push(Said {
            layer: layer.id(),
            said: what(),
        });
    }
}

/// Explains what is decided about `asked` at `now`.
#[must_use]
pub fn explain(policy: &Policy, asked: &Asked<'_>, now: Timestamp) -> Explanation {
    let moment = policy.at(now);
    let mut trace = vec![Said {
        layer: "identity",
        said: who(policy, asked),
    }];
    let covering = policy.lists.covering(asked.name);
    let decision = policy.decide(asked.asker, asked.name, &covering, &moment, &mut trace);
    let source = decision
        .category
        .filter(|_| decision.layer != Layer::Mandatory)
        .and_then(|category| policy.lists.source_of(&covering, category));
    Explanation {
        name: asked.name.to_string(),
        rtype: asked.rtype.to_owned(),
        group: group_id(policy, asked).to_owned(),
        device: asked.device.map(ToOwned::to_owned),
        verdict: decision.verdict,
        layer: decision.layer,
        categories: decision.categories.iter().map(Category::id).collect(),
        source: source.map(|s| s.id.to_string()),
        answer: answer(policy, asked, &decision),
        policy: policy.number,
        trace,
        when: when(policy, asked, &moment, now),
    }
}

fn group_id<'p>(policy: &'p Policy, asked: &Asked<'_>) -> &'p str {
    policy
        .group(asked.asker.group)
        .map_or("", |group| &group.id)
}

fn who(policy: &Policy, asked: &Asked<'_>) -> String {
    let group = group_id(policy, asked);
    let network = || {
        let ip = asked.ip?;
        policy
            .networks
            .iter()
            .find(|(network, _)| network.holds(ip))
    };
    let how = match (asked.device, asked.ip) {
        (Some(device), _) => format!("device {device} of the inventory is in group {group}"),
        (None, None) => format!("asked for group {group}"),
        (None, Some(ip)) => match network() {
            Some((network, _)) => format!("{ip} is in {network}, a network of group {group}"),
            None => format!("{ip} is in no group's network, so it is in {group}, the unknown"),
        },
    };
    match policy.group(asked.asker.group) {
        Some(of) if !of.enabled => {
            let unknown = policy.group(policy.unknown).map_or("", |g| &g.id);
            format!("{how}, which is disabled: it is treated as {unknown}")
        }
        _ => how,
    }
}

fn answer(policy: &Policy, asked: &Asked<'_>, decision: &Decision) -> &'static str {
    let for_address = matches!(asked.rtype, "A" | "AAAA");
    match decision.verdict {
        Verdict::Allow if asked.local => "local",
        Verdict::Allow => "upstream",
        Verdict::Rewrite if for_address => "rewrite",
        Verdict::Rewrite => "nodata",
        Verdict::Block => {
            let refusal = policy.refusal(asked.asker.group, decision, for_address);
            refusal.id()
        }
    }
}

fn when(policy: &Policy, asked: &Asked<'_>, moment: &Moment, now: Timestamp) -> String {
    if !moment.is_trusted() {
        return "while the clock cannot be trusted, when the strictest timetable holds".to_owned();
    }
    let wall = |at: Timestamp| {
        at.to_zoned(policy.zone.clone())
            .strftime("%a %-d %b %Y %H:%M")
    };
    let edge = moment.edge(asked.asker.group);
    if now.saturating_add(HORIZON).is_ok_and(|far| edge >= far) {
        return format!(
            "on {}; no timetable and no expiry changes it within a year",
            wall(now)
        );
    }
    format!(
        "on {}; what the group may do next changes at {}",
        wall(now),
        wall(edge)
    )
}

/// In words that can be read out on the telephone.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done = match self.verdict {
            Verdict::Allow => "allowed",
            Verdict::Block => "blocked",
            Verdict::Rewrite => "held to its safe mode",
        };
        let device = self.device.as_ref();
        let device = device.map_or_else(String::new, |id| format!(", device {id}"));
        writeln!(f, "{} ({}) is {done}", self.name, self.rtype)?;
        writeln!(f, "  for group {}{device}", self.group)?;
        writeln!(f, "  {}", self.when)?;
        // Safe search is asked of what an exception opens, and may have no say.
        let mut trace = self.trace.iter();
        if let Some(decided) = trace.rfind(|said| said.layer == self.layer.id()) {
            writeln!(f, "  because: {}", decided.said)?;
        }
        if !self.categories.is_empty() {
            let source = self.source.as_ref();
            let source = source.map_or_else(String::new, |id| format!(", by list {id}"));
            writeln!(f, "  listed as: {}{source}", self.categories.join(", "))?;
        }
        writeln!(f, "  what is sent: {}", in_words(self.answer))?;
        writeln!(f, "Asked in this order (policy {}):", self.policy)?;
        for Said { layer, said } in &self.trace {
            writeln!(f, "  {layer:<12} {said}")?;
        }
        Ok(())
    }
}

fn in_words(answer: &str) -> &str {
    match answer {
        "nxdomain" => "\"no such name\" (NXDOMAIN)",
        "nodata" => "\"no such record\" (NODATA)",
        "null" => "an address that leads nowhere (0.0.0.0 or ::)",
        "page" => "the address of the block page",
        "local" => "the school's own record",
        "rewrite" => "the addresses of its safe mode",
        _ => "what the upstream answers",
    }
}
