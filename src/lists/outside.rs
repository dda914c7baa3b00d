//! Where the host of a list is, asked of the upstream servers directly.
//!
//! The machine's own resolver is this filter. If it refused a list's host, or
//! had no lists yet and so gave no answers, it could never get any; so the
//! downloader asks outside of it, over plain UDP.
//!
//! It answers for lists' hosts only, never for a device.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RData, RecordType};
use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

const PATIENCE: Duration = Duration::from_secs(2);
/// Addresses of one host that are kept: ureq keeps no more.
const MOST_ADDRESSES: usize = 16;
const HTTPS: u16 = 443;

/// Asks some servers for addresses.
#[derive(Debug)]
pub struct OutsideResolver {
    servers: Vec<SocketAddr>,
}

impl OutsideResolver {
    /// Asks these, in this order, until one answers.
    #[must_use]
    pub fn new(servers: Vec<SocketAddr>) -> Self {
        Self { servers }
    }

    fn addresses(&self, host: &str, patience: Duration) -> Result<Vec<IpAddr>, Error> {
        let mut name = Name::from_utf8(host).map_err(|_| Error::HostNotFound)?;
        name.set_fqdn(true);
        for server in &self.servers {
            // A server that cannot be asked once is not asked twice.
            let Ok(mut all) = ask(*server, &name, RecordType::A, patience) else {
                continue;
            };
            all.extend(ask(*server, &name, RecordType::AAAA, patience).unwrap_or_default());
            if !all.is_empty() {
                return Ok(all);
            }
        }
        Err(Error::HostNotFound)
    }
}

impl Resolver for OutsideResolver {
    fn resolve(
        &self,
        uri: &Uri,
        _: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let host = uri.host().ok_or(Error::HostNotFound)?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let addresses = match bare.parse() {
            Ok(address) => vec![address],
            Err(_) => self.addresses(host, PATIENCE.min(*timeout.after))?,
        };
        let port = uri.port_u16().unwrap_or(HTTPS);
        let mut resolved = self.empty();
        for address in addresses.into_iter().take(MOST_ADDRESSES) {
            resolved.push(SocketAddr::new(address, port));
        }
        Ok(resolved)
    }
}

/// One question. Both the socket and the id are random, and the question must
/// come back with the answer (RFC 5452 section 4).
fn ask(
    server: SocketAddr,
    name: &Name,
    kind: RecordType,
    patience: Duration,
) -> io::Result<Vec<IpAddr>> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (std::net::Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (std::net::Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(patience.max(Duration::from_millis(1))))?;
    let mut question = Message::new(rand::random(), MessageType::Query, OpCode::Query);
    question.metadata.recursion_desired = true;
    question.add_query(Query::query(name.clone(), kind));
    let bytes = question.to_vec().map_err(io::Error::other)?;
    socket.send(&bytes)?;
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer)?;
    let answer =
        Message::from_vec(buffer.get(..length).unwrap_or_default()).map_err(io::Error::other)?;
    let is_ours = answer.metadata.id == question.metadata.id
        && answer.metadata.message_type == MessageType::Response
        && answer.queries == question.queries;
    if !is_ours {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let addresses = answer
        .answers
        .iter()
        .filter_map(|record| match &record.data {
            RData::A(a) => Some(IpAddr::V4(a.0)),
            RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
            _ => None,
        });
    Ok(addresses.collect())
}
