//! One question, asked as a device would ask it, and what was heard.
//!
//! Sockets and packets of its own: what the resolver says is not judged with
//! the code that said it. Whoever answers is a stranger, so an answer counts
//! only with our id and our question in it, and everything in it is bounded.
//!
//! It judges nothing.

use std::fmt::Display;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::rdata::svcb::{SvcParamKey, SvcParamValue};
use hickory_proto::rr::{Name as ProtoName, RData, Record, RecordType};
use rustls::RootCertStore;
use socket2::{Domain, Protocol, Socket, Type};

use super::secure::{Endpoint, Trouble};
use crate::name::Name;

/// Type A.
pub(super) const A: u16 = 1;
/// Type SOA.
pub(super) const SOA: u16 = 6;
/// Type AAAA.
pub(super) const AAAA: u16 = 28;
/// Type SVCB.
pub(super) const SVCB: u16 = 64;
/// Type HTTPS.
pub(super) const HTTPS: u16 = 65;

/// NOERROR.
pub(super) const NOERROR: u16 = 0;
/// SERVFAIL.
pub(super) const SERVFAIL: u16 = 2;
/// NXDOMAIN.
pub(super) const NXDOMAIN: u16 = 3;
/// REFUSED.
pub(super) const REFUSED: u16 = 5;

/// What we take over UDP (DNS Flag Day 2020).
const UDP_SIZE: u16 = 1232;
/// The option that holds an extended error (RFC 8914).
const EDE: u16 = 15;

/// The SvcParamKey of the path of DNS over HTTPS (RFC 9461).
const DOHPATH: u16 = 7;

/// Whom to ask, and as who.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker {
    /// The resolver.
    pub server: SocketAddr,
    /// The address to ask from; none: the one the system takes.
    pub from: Option<IpAddr>,
    /// How long to wait for an answer.
    pub patience: Duration,
}

/// How a question travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Udp,
    Tcp,
}

/// An EDNS option: its code and its value.
pub(super) type EdnsData = (u16, Vec<u8>);

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heard {
    /// The response code.
    pub rcode: u16,
    /// The targets of CNAME records, in their order.
    pub aliases: Vec<Name>,
    /// The addresses.
    pub addresses: Vec<IpAddr>,
    /// The SVCB and HTTPS records.
    pub services: Vec<Service>,
    /// The codes of extended errors.
    pub errors: Vec<u16>,
}

/// One SVCB or HTTPS record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Service {
    /// Where it leads; none: a name that is no name.
    pub target: Option<Name>,
    /// The protocols spoken there.
    pub protocols: Vec<String>,
    /// The port, if it is not the usual one.
    pub port: Option<u16>,
    /// The path of DNS over HTTPS, as a template.
    pub path: Option<String>,
    /// The addresses it hints at.
    pub hints: Vec<IpAddr>,
    /// Whether it says how to hide the name in a handshake (ECH).
    pub hides_names: bool,
}

/// Why nothing was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Silence {
    /// No answer in time.
    Timeout,
    /// Nobody is there, or somebody on the way says no.
    Unreachable,
    /// Something that is no answer to the question.
    Garbled,
}

impl Heard {
    /// Whether it gives no way to the name: an error or nothing.
    pub(super) fn is_negative(&self) -> bool {
        self.addresses.is_empty() && self.services.is_empty() && self.aliases.is_empty()
    }

    /// Whether it leads nowhere: negative, or the address that is none.
    pub(super) fn leads_nowhere(&self) -> bool {
        let nowhere = |address: &IpAddr| address.is_unspecified();
        self.services.is_empty() && self.aliases.is_empty() && self.addresses.iter().all(nowhere)
    }

    /// What policy makes of the answer: the addresses may be others from one
    /// time to the next, and so may the names behind the first.
    pub(super) fn kind(&self) -> impl PartialEq {
        let alias = self.aliases.first();
        let services: Vec<_> = self.services.iter().map(|s| &s.target).collect();
        let errors: Vec<_> = self.policy_errors().collect();
        let nowhere = self.leads_nowhere();
        (self.rcode, nowhere, alias, errors, services)
    }

    /// The extended errors by which policy says that it was at work: forged,
    /// blocked, censored, filtered, prohibited (RFC 8914).
    pub(super) fn policy_errors(&self) -> impl Iterator<Item = u16> {
        let errors = self.errors.iter().copied();
        errors.filter(|code| matches!(code, 4 | 15..=18))
    }

    fn of(message: &Message) -> Self {
        let mut heard = Self {
            rcode: u16::from(message.metadata.response_code),
            aliases: Vec::new(),
            addresses: Vec::new(),
            services: Vec::new(),
            errors: Vec::new(),
        };
        for record in &message.answers {
            heard.take(record);
        }
        let options = message.edns.iter().flat_map(|edns| edns.options().as_ref());
        let errors = options.filter_map(|(_, option)| match option {
            EdnsOption::Unknown(EDE, value) => value.first_chunk().copied(),
            _ => None,
        });
        heard.errors = errors.map(u16::from_be_bytes).collect();
        heard
    }

    fn take(&mut self, record: &Record) {
        match &record.data {
            RData::A(a) => self.addresses.push(IpAddr::V4(a.0)),
            RData::AAAA(aaaa) => self.addresses.push(IpAddr::V6(aaaa.0)),
            RData::CNAME(target) => self.aliases.extend(name_of(&target.0)),
            RData::SVCB(svcb) => self.services.push(Service::of(svcb)),
            RData::HTTPS(https) => self.services.push(Service::of(&https.0)),
            _ => {}
        }
    }
}

impl Service {
    fn of(svcb: &hickory_proto::rr::rdata::SVCB) -> Self {
        let mut service = Self {
            target: name_of(&svcb.target_name),
            protocols: Vec::new(),
            port: None,
            path: None,
            hints: Vec::new(),
            hides_names: false,
        };
        for (key, value) in &svcb.svc_params {
            let hints = &mut service.hints;
            match value {
                SvcParamValue::Alpn(alpn) => service.protocols.clone_from(&alpn.0),
                SvcParamValue::Port(port) => service.port = Some(*port),
                SvcParamValue::Ipv4Hint(v4) => hints.extend(v4.0.iter().map(|a| IpAddr::V4(a.0))),
                SvcParamValue::Ipv6Hint(v6) => hints.extend(v6.0.iter().map(|a| IpAddr::V6(a.0))),
                SvcParamValue::EchConfigList(_) => service.hides_names = true,
                SvcParamValue::Unknown(path) if *key == SvcParamKey::Unknown(DOHPATH) => {
                    service.path = String::from_utf8(path.0.clone()).ok();
                }
                _ => {}
            }
        }
        service
    }
}

impl Asker {
    /// The same, asking another server.
    pub(super) fn at(self, server: SocketAddr) -> Self {
        // Whoever asks from an address of one family cannot ask in the other.
        let from = self.from.filter(|ip| ip.is_ipv4() == server.is_ipv4());
        Self {
            server,
            from,
            ..self
        }
    }

    /// The address that the server sees, no router between.
    pub(super) fn own_address(&self) -> io::Result<IpAddr> {
        let socket = self.udp()?;
        Ok(socket.local_addr()?.ip())
    }

    /// Asks over UDP, and over TCP if the answer does not fit.
    pub(super) fn ask(&self, name: &(impl Display + ?Sized), rtype: u16) -> Result<Heard, Silence> {
        self.ask_with(Way::Udp, name, rtype, &[])
    }

    /// Asks one way, with these EDNS options.
    pub(super) fn ask_with(
        &self,
        way: Way,
        name: &(impl Display + ?Sized),
        rtype: u16,
        options: &[EdnsData],
    ) -> Result<Heard, Silence> {
        let question = question(name, rtype, options).ok_or(Silence::Garbled)?;
        let bytes = question.to_vec().map_err(|_| Silence::Garbled)?;
        let answer = match way {
            Way::Udp => match self.over_udp(&question, &bytes)? {
                answer if answer.metadata.truncation => self.over_tcp(&question, &bytes)?,
                answer => answer,
            },
            Way::Tcp => self.over_tcp(&question, &bytes)?,
        };
        Ok(Heard::of(&answer))
    }

    /// Asks over an encrypted connection.
    pub(super) fn ask_over(
        &self,
        endpoint: &Endpoint,
        authorities: &RootCertStore,
        name: &str,
        rtype: u16,
    ) -> Result<Heard, Trouble> {
        let no = || Trouble::Broken(ErrorKind::InvalidData.into());
        let question = question(name, rtype, &[]).ok_or_else(no)?;
        let bytes = question.to_vec().map_err(|_| no())?;
        let connection = self.at(endpoint.address).tcp().map_err(Trouble::Broken)?;
        let answer = endpoint.exchange(connection, authorities, &bytes)?;
        let answer = answer_to(&question, &answer).ok_or_else(no)?;
        Ok(Heard::of(&answer))
    }

    /// Whether a TCP connection to the server's address comes about.
    pub(super) fn connects(&self) -> Result<(), Silence> {
        self.tcp().map(drop).map_err(|error| Silence::of(&error))
    }

    /// A datagram may be lost, so it is sent twice.
    fn over_udp(&self, question: &Message, bytes: &[u8]) -> Result<Message, Silence> {
        let why = |error: io::Error| Silence::of(&error);
        let socket = self.udp().map_err(why)?;
        let mut buffer = [0; 4096];
        for _ in 0..2 {
            socket.send(bytes).map_err(why)?;
            let began = Instant::now();
            loop {
                let left = self.patience.saturating_sub(began.elapsed());
                if left.is_zero() {
                    break;
                }
                socket.set_read_timeout(Some(left)).map_err(why)?;
                match socket.recv(&mut buffer).map_err(why) {
                    Ok(length) => {
                        let packet = buffer.get(..length).unwrap_or_default();
                        if let Some(answer) = answer_to(question, packet) {
                            return Ok(answer);
                        }
                    }
                    Err(Silence::Timeout) => break,
                    Err(other) => return Err(other),
                }
            }
        }
        Err(Silence::Timeout)
    }

    fn over_tcp(&self, question: &Message, bytes: &[u8]) -> Result<Message, Silence> {
        let why = |error: io::Error| Silence::of(&error);
        let mut stream = self.tcp().map_err(why)?;
        let length = u16::try_from(bytes.len()).map_err(|_| Silence::Garbled)?;
        let framed = [&length.to_be_bytes(), bytes].concat();
        stream.write_all(&framed).map_err(why)?;
        let mut length = [0; 2];
        stream.read_exact(&mut length).map_err(why)?;
        let mut packet = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut packet).map_err(why)?;
        answer_to(question, &packet).ok_or(Silence::Garbled)
    }

    fn udp(&self) -> io::Result<UdpSocket> {
        let any: IpAddr = match self.server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((self.from.unwrap_or(any), 0))?;
        socket.connect(self.server)?;
        Ok(socket)
    }

    fn tcp(&self) -> io::Result<TcpStream> {
        let domain = Domain::for_address(self.server);
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        if let Some(from) = self.from {
            socket.bind(&SocketAddr::new(from, 0).into())?;
        }
        socket.connect_timeout(&self.server.into(), self.patience)?;
        socket.set_read_timeout(Some(self.patience))?;
        socket.set_write_timeout(Some(self.patience))?;
        Ok(socket.into())
    }
}

impl Silence {
    fn of(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Self::Timeout,
            _ => Self::Unreachable,
        }
    }

    /// In words that end a sentence.
    pub(super) fn in_words(self) -> &'static str {
        match self {
            Self::Timeout => "there is no answer",
            Self::Unreachable => "nobody can be reached there",
            Self::Garbled => "what comes back is no answer",
        }
    }
}

fn question(name: &(impl Display + ?Sized), rtype: u16, options: &[EdnsData]) -> Option<Message> {
    let mut question = Message::new(rand::random(), MessageType::Query, OpCode::Query);
    question.metadata.recursion_desired = true;
    let name = ProtoName::from_ascii(format!("{name}.")).ok()?;
    question.add_query(Query::query(name, RecordType::from(rtype)));
    let mut edns = Edns::new();
    edns.set_max_payload(UDP_SIZE);
    for (code, value) in options {
        let option = EdnsOption::Unknown(*code, value.clone());
        edns.options_mut().insert(option);
    }
    question.set_edns(edns);
    Some(question)
}

/// The answer in `packet`, if it is one to `question`.
fn answer_to(question: &Message, packet: &[u8]) -> Option<Message> {
    let answer = Message::from_vec(packet).ok()?;
    let is_ours = answer.metadata.id == question.metadata.id
        && answer.metadata.message_type == MessageType::Response
        && answer.queries == question.queries;
    is_ours.then_some(answer)
}

fn name_of(name: &ProtoName) -> Option<Name> {
    Name::parse_any_depth(&name.to_ascii()).ok()
}
