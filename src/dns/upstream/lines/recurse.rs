//! Asking nobody but those whose names they are: from the root's servers down,
//! by hickory's recursor.
//!
//! To a worker it is a server like the others. What is being found is found
//! once, whoever asks, and to its end even when nobody waits any more: the next
//! who asks finds it known. Names are told to a server only as far as it needs
//! them (RFC 9156), and no delegation may lead into a private network, unless
//! the settings name it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hickory_net::runtime::TokioRuntimeProvider;
use hickory_net::{DnsError, NetError};
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Record, RecordType};
use hickory_resolver::recursor::{DnssecPolicy, Recursor, RecursorError, RecursorOptions};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use super::errand::Errand;
use crate::dns::question::HEADER;
use crate::dns::upstream::message::question_length;
use crate::policy::group::Network;

/// The root's servers.
const ROOTS: &str = include_str!("root.hints");
/// Names that are looked for at once.
const AT_ONCE: usize = 512;
/// How long a name is looked for.
const LIMIT: Duration = Duration::from_secs(10);
/// Responses that the recursor remembers; answers are in the workers' caches.
const REMEMBERED: u64 = 20_000;

/// What recursion cannot begin with.
#[derive(Debug, thiserror::Error)]
pub enum BadRoots {
    /// A file without addresses.
    #[error("there is no address of a root server in it")]
    None,
    /// hickory would not.
    #[error("{0}")]
    Refused(#[from] RecursorError),
}

/// Finds names from the root down; cheap to clone.
#[derive(Clone)]
pub struct Recursion(Arc<Recursor<TokioRuntimeProvider>>);

impl Recursion {
    /// Begins at the servers of `hints`, or the root's. Servers in `private`
    /// networks may be asked too.
    pub fn new(hints: Option<&str>, private: &[Network]) -> Result<Self, BadRoots> {
        let roots = addresses(hints.unwrap_or(ROOTS));
        if roots.is_empty() {
            return Err(BadRoots::None);
        }
        let allowed = private.iter().map(ToString::to_string);
        let options = RecursorOptions {
            response_cache_size: REMEMBERED,
            allow_server: allowed.filter_map(|n| n.parse().ok()).collect(),
            case_randomization: true,
            ..RecursorOptions::default()
        };
        // It fetches signatures; checking them is the validator's.
        let policy = DnssecPolicy::ValidationDisabled;
        let runtime = TokioRuntimeProvider::new();
        let recursor = Recursor::new(&roots, policy, None, options, runtime)?;
        Ok(Self(Arc::new(recursor)))
    }
}

/// The addresses in a file of hints: each line's last word before a comment.
fn addresses(hints: &str) -> Vec<IpAddr> {
    let lines = hints.lines().filter_map(|line| line.split(';').next());
    let words = lines.filter_map(|line| line.split_whitespace().last());
    words.filter_map(|word| word.parse().ok()).collect()
}

/// Who waits, by question and DO flag.
type Waiting = Arc<Mutex<HashMap<Vec<u8>, Vec<Errand>>>>;

/// Finds what comes in until nobody can ask any more.
pub(super) async fn run(mut errands: mpsc::Receiver<Errand>, Recursion(recursor): Recursion) {
    let waiting = Waiting::default();
    let at_once = Arc::new(Semaphore::new(AT_ONCE));
    while let Some(errand) = errands.recv().await {
        let packet = errand.packet.clone();
        let key = key(&packet);
        match lock(&waiting).entry(key.clone()) {
            Entry::Occupied(mut others) => {
                others.get_mut().push(errand);
                continue;
            }
            Entry::Vacant(place) => place.insert(vec![errand]),
        };
        let permit = Arc::clone(&at_once).try_acquire_owned();
        let (recursor, waiting) = (Arc::clone(&recursor), Arc::clone(&waiting));
        tokio::spawn(async move {
            let found = match &permit {
                Ok(_) => timeout(LIMIT, find(&recursor, &packet))
                    .await
                    .ok()
                    .flatten(),
                Err(_) => None,
            };
            let all = lock(&waiting).remove(&key).unwrap_or_default();
            for errand in all {
                match &found {
                    Some(message) => errand.answer(message.clone()),
                    None => errand.fail(io::ErrorKind::TimedOut),
                }
            }
        });
    }
}

/// A question without its id, and without the case of its name, which is random.
fn key(packet: &[u8]) -> Vec<u8> {
    let mut key = packet.get(2..).unwrap_or_default().to_vec();
    let name = HEADER - 2..HEADER - 2 + question_length(packet).saturating_sub(4);
    if let Some(name) = key.get_mut(name) {
        name.make_ascii_lowercase();
    }
    key
}

fn lock(waiting: &Waiting) -> std::sync::MutexGuard<'_, HashMap<Vec<u8>, Vec<Errand>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The answer to a question of a worker's.
async fn find(recursor: &Recursor<TokioRuntimeProvider>, packet: &[u8]) -> Option<Vec<u8>> {
    let asked = Message::from_vec(packet).ok()?;
    let mut query = asked.queries.first()?.clone();
    query.name.set_fqdn(true);
    let signed = asked.edns.as_ref().is_some_and(|e| e.flags().dnssec_ok);
    let found = recursor
        .resolve(query.clone(), Instant::now(), signed)
        .await;
    let mut message = Message::new(0, MessageType::Response, OpCode::Query);
    message.add_query(query.clone());
    match found {
        Ok(found) => {
            message.metadata.response_code = found.metadata.response_code;
            message.answers = found.answers;
            message.authorities = found.authorities;
        }
        Err(error) => {
            if error.is_nx_domain() {
                message.metadata.response_code = ResponseCode::NXDomain;
            }
            message.authorities = nothing(error, &query, signed)?;
        }
    }
    message.to_vec().ok()
}

/// What says that there is nothing, and proves it if that was wanted.
fn nothing(error: RecursorError, query: &Query, signed: bool) -> Option<Vec<Record>> {
    let (authorities, soa) = match error {
        RecursorError::Negative(data) => (data.authorities, data.soa),
        RecursorError::Net(NetError::Dns(DnsError::NoRecordsFound(data))) => {
            (data.authorities, data.soa)
        }
        _ => return None,
    };
    let mut all = authorities.map(|all| all.to_vec()).unwrap_or_default();
    if let Some(soa) = soa {
        let soa = soa.into_record_of_rdata();
        if all
            .iter()
            .all(|record| record.record_type() != RecordType::SOA)
        {
            all.push(soa);
        }
    }
    let proves = [RecordType::RRSIG, RecordType::NSEC, RecordType::NSEC3];
    all.retain(|r| {
        signed || r.record_type() == query.query_type() || !proves.contains(&r.record_type())
    });
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roots_servers_are_known_and_a_file_may_name_others() {
        assert_eq!(addresses(ROOTS).len(), 26);
        let file = "; mine\n. 3600 NS a.root.\na.root. 3600 A 10.0.0.1 ; one\nfd00::1\n";
        let expected: [IpAddr; 2] = ["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()];
        assert_eq!(addresses(file), expected);
        assert!(matches!(
            Recursion::new(Some("none"), &[]),
            Err(BadRoots::None)
        ));
    }
}
