//! One request of DNS over HTTPS (RFC 8484), whichever HTTP brought it.
//!
//! One request is one question, put to a worker as a stream's is. Path, method,
//! headers and body are judged here for all versions, so that none is laxer
//! than another.
//!
//! Answers depend on who asks, so no cache between may keep them: `private`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, FORWARDED, HeaderMap, HeaderName};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Version};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::activity::Activity;
use super::doorkeeper::Doorkeeper;
use super::request::{self, Misfit};
use super::tls::origin;
use super::{LAST_ANSWERS, SHORT};
use crate::dns::mailbox::{Mail, Mailbox};
use crate::dns::pipeline::{From, Origin};
use crate::dns::way_back::{Parcel, Waiting};
use crate::metrics::Transport;

/// The media type of a message (RFC 8484 section 6).
const MESSAGE: &str = "application/dns-message";
/// The longest message there is.
const MAX_MESSAGE: usize = u16::MAX as usize;
/// So much of a body that is too long is read before it is refused.
pub(super) const MAX_HEARD: usize = 256 << 10;
/// Most octets of a request's header. A message that is too long for a GET goes
/// into a POST.
pub(super) const MAX_HEADER: usize = 16 << 10;
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What a request gets.
pub(super) type Page = Response<Bytes>;

/// One connection, as its requests see it.
pub(super) struct Asker {
    address: SocketAddr,
    source: Option<IpAddr>,
    /// What the connection tells of who asks; a request may tell more.
    origin: Option<Arc<Origin>>,
    transport: Transport,
    worker: Mailbox,
    doorkeeper: Arc<Doorkeeper>,
    /// The path of the service.
    path: Arc<str>,
    pub(super) activity: Activity,
    long: Semaphore,
    waiting: Waiting,
}

impl Asker {
    /// For a connection from `address`; none if there is nobody to ask.
    pub(super) fn new(
        (address, source): (SocketAddr, Option<IpAddr>),
        origin: Option<Arc<Origin>>,
        transport: Transport,
        doorkeeper: &Arc<Doorkeeper>,
        path: &Arc<str>,
    ) -> Option<Self> {
        Some(Self {
            address,
            source,
            origin,
            transport,
            worker: doorkeeper.worker()?.clone(),
            doorkeeper: Arc::clone(doorkeeper),
            path: Arc::clone(path),
            activity: Activity::begin(),
            long: Semaphore::new(1),
            waiting: Waiting::default(),
        })
    }

    /// The page that a request gets.
    pub(super) async fn answer<B>(&self, request: Request<B>) -> Page
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let _act = self.activity.act();
        let is_http1 = request.version() < Version::HTTP_2;
        self.reply(request).await.unwrap_or_else(|status| {
            let mut page = refusal(status);
            // Whatever of the request is still to come is not read.
            if is_http1 && matches!(status.as_u16(), 408 | 413) {
                let close = HeaderValue::from_static("close");
                page.headers_mut().insert(CONNECTION, close);
            }
            page
        })
    }

    async fn reply<B>(&self, request: Request<B>) -> Result<Page, StatusCode>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let in_path = request::client_id(request.uri().path(), &self.path);
        let in_path = in_path.map_err(status_of)?;
        let origin = match (in_path, self.spoken_for(request.headers())) {
            (None, None) => self.origin.clone(),
            (in_path, told) => {
                let known = self.origin.as_ref();
                let by_name = || known.and_then(|origin| origin.client_id.clone());
                origin(in_path.or_else(by_name), told.or(self.source))
            }
        };
        let packet = match *request.method() {
            Method::GET => request::message(request.uri().query()).map_err(status_of)?,
            Method::POST => self.body(request).await?,
            _ => return Err(StatusCode::METHOD_NOT_ALLOWED),
        };
        let reply = self.ask(packet, origin).await?;
        Ok(answer(reply))
    }

    /// Whom a router at the other end speaks for, by HTTP's headers. From
    /// anybody else they say nothing (D24).
    fn spoken_for(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let peer = self.source.unwrap_or_else(|| self.address.ip());
        if !self.doorkeeper.is_router(peer) {
            return None;
        }
        let lines = |name: HeaderName| headers.get_all(name).into_iter();
        // Whatever a client wrote, the proxy's word behind it must be read.
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let plain: Vec<String> = lines(FORWARDED_FOR).map(text).collect();
        let standard: Vec<String> = lines(FORWARDED).map(text).collect();
        let told = request::spoken_for(
            plain.iter().map(String::as_str),
            standard.iter().map(String::as_str),
            |ip| self.doorkeeper.is_router(ip),
        );
        // Somebody's, then, and not the router's own: a source by itself.
        told.map(|source| source.unwrap_or_else(|| self.address.ip()))
    }

    async fn body<B>(&self, request: Request<B>) -> Result<Vec<u8>, StatusCode>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let is_message = is_message(request.headers());
        let whole = whole(request.into_body(), &self.long);
        let body = timeout(self.doorkeeper.limits.idle, whole).await;
        let body = body.map_err(|_| StatusCode::REQUEST_TIMEOUT)?;
        if is_message {
            body
        } else {
            Err(StatusCode::UNSUPPORTED_MEDIA_TYPE)
        }
    }

    async fn ask(
        &self,
        packet: Vec<u8>,
        origin: Option<Arc<Origin>>,
    ) -> Result<Parcel, StatusCode> {
        let returns = &self.doorkeeper.returns;
        let mut awaited = returns.expect();
        let posted = self.worker.post(Mail::Request {
            packet,
            from: From::stream(self.address, self.transport, origin),
            mark: awaited.mark(),
            replies: returns.way(),
        });
        if !posted {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        match timeout(LAST_ANSWERS, awaited.reply()).await {
            // The worker met it with silence: it is no question.
            Ok(Some(reply)) if reply.is_empty() => Err(StatusCode::BAD_REQUEST),
            Ok(Some(reply)) => {
                let taken = self.waiting.take_in(reply);
                taken.ok_or(StatusCode::SERVICE_UNAVAILABLE)
            }
            _ => Err(StatusCode::SERVICE_UNAVAILABLE),
        }
    }
}

/// A body of at most a message. One that is longer is read on for a while and
/// not kept: many clients hear a refusal only when they have said all. A long
/// one waits for the connection's other long ones, so that what all requests of
/// a connection hold stays small.
async fn whole<B>(mut body: B, long: &Semaphore) -> Result<Vec<u8>, StatusCode>
where
    B: Body<Data = Bytes> + Unpin,
{
    let (mut kept, mut length, mut leave) = (Vec::new(), 0, None);
    while length <= MAX_HEARD
        && let Some(frame) = body.frame().await
    {
        let frame = frame.map_err(|_| StatusCode::BAD_REQUEST)?;
        let data = frame.data_ref().map_or(&[][..], |data| data);
        length += data.len();
        if length > SHORT && leave.is_none() {
            leave = long.acquire().await.ok();
        }
        if length <= MAX_MESSAGE {
            kept.extend_from_slice(data);
        }
    }
    if length > MAX_MESSAGE {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    Ok(kept)
}

fn answer(reply: Parcel) -> Page {
    let kept = format!("private, max-age={}", request::freshness(&reply));
    let mut page = Response::new(Bytes::from_owner(reply));
    let headers = page.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(MESSAGE));
    if let Ok(kept) = HeaderValue::from_str(&kept) {
        headers.insert(CACHE_CONTROL, kept);
    }
    page
}

fn refusal(status: StatusCode) -> Page {
    let mut page = Response::new(Bytes::new());
    *page.status_mut() = status;
    if status == StatusCode::METHOD_NOT_ALLOWED {
        let both = HeaderValue::from_static("GET, POST");
        page.headers_mut().insert(ALLOW, both);
    }
    page
}

fn status_of(misfit: Misfit) -> StatusCode {
    match misfit {
        Misfit::Bad => StatusCode::BAD_REQUEST,
        Misfit::NotHere => StatusCode::NOT_FOUND,
    }
}

fn is_message(headers: &HeaderMap) -> bool {
    let given = headers.get(CONTENT_TYPE).and_then(|t| t.to_str().ok());
    let media = given.and_then(|given| given.split(';').next());
    media.is_some_and(|media| media.trim().eq_ignore_ascii_case(MESSAGE))
}
