//! Whether a site's key for hiding its name in the handshake comes through:
//! whatever else looks at names on the way would be blind.

use super::ask::{HTTPS, SERVFAIL};
use super::check::{Check, Judgement, failed, not_tested, ok};
use super::place::Place;
use crate::name::Name;
use crate::policy::decision::Verdict;

/// A site that publishes one, run for such tests.
const SITE: &str = "crypto.cloudflare.com";

/// The one check. `kept` if the group is to have them.
pub(super) fn check(place: &Place, kept: bool) -> Check {
    let judgement = if kept {
        not_tested(format!("{} may have them", place.whose()))
    } else {
        judge(place)
    };
    Check::new("ech", "keys that hide names (ECH)", judgement)
}

fn judge(place: &Place) -> Judgement {
    let name = Name::parse(SITE).ok();
    if name.is_some_and(|name| place.verdict(&name) == Some(Verdict::Block)) {
        return not_tested("the site to test it with is blocked");
    }
    match place.asker.ask(SITE, HTTPS) {
        Err(silence) => not_tested(format!("asked about {SITE}, {}", silence.in_words())),
        Ok(heard) if heard.services.iter().any(|service| service.hides_names) => failed(
            "they are handed out, so a firewall or proxy behind cannot see which site is opened; \
             see `ech` of the group in policy.toml",
        ),
        Ok(heard) if heard.rcode == SERVFAIL || heard.services.is_empty() => {
            not_tested("the upstream has none to hand out")
        }
        Ok(_) => ok("taken out of the answer"),
    }
}
