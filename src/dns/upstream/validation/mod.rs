//! Checking signatures (DNSSEC, RFC 4033 to 4035).
//!
//! A question whose answer is to be checked is not sent to a server by its
//! worker but handed in here as a [`Case`]. What must be known for the verdict
//! (the records themselves, keys, and the delegations that vouch for them) is
//! asked of that same worker (`inquirer`), so that cache, single flight,
//! ranking and encryption are shared and nothing here talks to a server. The
//! proofs are hickory's; what they come to is `judge`'s. Checking takes a
//! thread of its own: a signature costs more than a thousand cached answers.
//!
//! Only what has been checked goes into the answer, and a bogus answer is never
//! given, however old a good one there may be.

pub mod anchors;
mod chain;
mod inquirer;
mod judge;
mod wildcard;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use hickory_net::dnssec::DnssecDnsHandle;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::anchors::Anchors;
use self::inquirer::Inquirer;
use crate::dns::mailbox::{Mail, Mailbox};
use crate::dns::pipeline::Wanted;
use crate::dns::reply::ede;

/// Cases of one worker that wait for their turn.
const QUEUE: usize = 8192;
/// Sets of records of which one worker's handle remembers the proof.
const REMEMBERED: usize = 20_000;
/// Cases of one worker under examination.
const AT_ONCE: usize = 2048;

/// A question whose answer is to be checked.
#[derive(Debug)]
pub struct Case {
    /// What is asked.
    pub wanted: Wanted,
    /// The worker's flight, and its serial.
    pub place: (u32, u32),
    /// How long the examination may take.
    pub limit: Duration,
}

/// An answer that may be given.
#[derive(Debug, PartialEq, Eq)]
pub struct Examined {
    /// A whole message.
    pub message: Vec<u8>,
    /// Whether every record of it is signed, up to the root; otherwise it is
    /// proved that it need not be.
    pub is_secure: bool,
}

/// What an examination came to: an answer, or why there is none (an EDE code).
pub type Verdict = Result<Examined, u16>;

/// Where the worker's answer to an inquiry goes.
pub type Inquiry = oneshot::Sender<Result<Vec<u8>, u16>>;

/// The channel of one worker into [`start`].
#[must_use]
pub fn channel() -> (mpsc::Sender<Case>, mpsc::Receiver<Case>) {
    mpsc::channel(QUEUE)
}

/// Starts the thread that examines what the workers hand in, until they are
/// gone.
pub fn start(
    workers: Vec<(mpsc::Receiver<Case>, Mailbox)>,
    anchors: Anchors,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let run = move || {
        runtime.block_on(async {
            let mut all = JoinSet::new();
            for (cases, mailbox) in workers {
                all.spawn(serve(cases, mailbox, anchors.clone()));
            }
            all.join_all().await;
        });
    };
    std::thread::Builder::new()
        .name("validation".to_owned())
        .spawn(run)
}

/// Examines one worker's cases. Each worker has its own handle, which remembers
/// what has been proved.
async fn serve(mut cases: mpsc::Receiver<Case>, mailbox: Mailbox, anchors: Anchors) {
    let inquirer = Inquirer::new(mailbox.clone());
    let handle = DnssecDnsHandle::with_trust_anchor(inquirer.clone(), anchors.keys())
        .validation_cache_size(REMEMBERED);
    let at_once = Arc::new(Semaphore::new(AT_ONCE));
    while let Some(case) = cases.recv().await {
        let Ok(permit) = Arc::clone(&at_once).acquire_owned().await else {
            return;
        };
        let (handle, inquirer, mailbox) = (handle.clone(), inquirer.clone(), mailbox.clone());
        tokio::spawn(async move {
            let examined = chain::examine(&handle, &inquirer, &case.wanted);
            let verdict = timeout(case.limit, examined).await;
            // A worker that is gone, or swamped, lets the question time out.
            let _ = mailbox.post(Mail::Verdict {
                place: case.place,
                verdict: verdict.unwrap_or(Err(ede::NO_REACHABLE_AUTHORITY)),
            });
            drop(permit);
        });
    }
}
