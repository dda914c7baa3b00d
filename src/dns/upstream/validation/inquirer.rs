//! How a validator asks: by letter to a worker, which answers from its cache or
//! asks its upstreams.
//!
//! Always with DO, or there would be no signatures, and with CD, so that an
//! upstream which checks them too does not hide what is wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hickory_net::NetError;
use hickory_net::runtime::TokioRuntimeProvider;
use hickory_net::xfer::{DnsHandle, DnsResponseStream};
use hickory_proto::op::{DnsRequest, DnsResponse};
use hickory_proto::rr::{Name, RecordType};
use tokio::sync::oneshot;

use crate::dns::mailbox::{Mail, Mailbox};
use crate::dns::pipeline::Wanted;
use crate::dns::reply::ede;

/// Asks one worker; cheap to clone.
#[derive(Clone)]
pub(super) struct Inquirer {
    mailbox: Mailbox,
    failures: Arc<AtomicU64>,
}

impl Inquirer {
    pub(super) fn new(mailbox: Mailbox) -> Self {
        Self {
            mailbox,
            failures: Arc::default(),
        }
    }

    /// What upstreams say, unchecked; or why they say nothing (an EDE code).
    pub(super) async fn ask(&self, name: &Name, rtype: RecordType) -> Result<DnsResponse, u16> {
        let bytes = self.ask_bytes(name, rtype).await;
        if bytes.is_err() {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        DnsResponse::from_buffer(bytes?).map_err(|_| ede::OTHER)
    }

    /// How often it was told nothing. hickory takes a proof that could not be
    /// fetched for one that is not there; who counts before and after knows
    /// better.
    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    async fn ask_bytes(&self, name: &Name, rtype: RecordType) -> Result<Vec<u8>, u16> {
        let (sender, answer) = oneshot::channel();
        let inquiry = Mail::Inquiry {
            wanted: Wanted::unchecked(&question(name, rtype)),
            answer: sender,
        };
        if !self.mailbox.post(inquiry) {
            return Err(ede::OTHER);
        }
        answer.await.unwrap_or(Err(ede::OTHER))
    }
}

/// The question section.
fn question(name: &Name, rtype: RecordType) -> Vec<u8> {
    let mut question = Vec::new();
    for label in name {
        question.push(label.len() as u8);
        question.extend_from_slice(label);
    }
    question.push(0);
    question.extend_from_slice(&u16::from(rtype).to_be_bytes());
    question.extend_from_slice(&[0, 1]);
    question
}

impl DnsHandle for Inquirer {
    type Response = DnsResponseStream;
    type Runtime = TokioRuntimeProvider;

    fn send(&self, request: DnsRequest) -> Self::Response {
        let inquirer = self.clone();
        let query = request.queries.first().cloned();
        Box::pin(async move {
            let query = query.ok_or(NetError::Message("no question"))?;
            let answer = inquirer.ask(query.name(), query.query_type()).await;
            answer.map_err(|_| NetError::NoConnections)
        })
        .into()
    }
}
