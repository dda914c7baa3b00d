//! DNS over HTTPS (RFC 8484), HTTP/1.1 and HTTP/2 on one port.
//!
//! One request is one question, put to a worker as a stream's is. What a client
//! may hold is bounded as for other streams; HTTP adds its own ways to keep a
//! server waiting (half a header, half a body, a connection without requests),
//! and each has an end.
//!
//! Answers depend on who asks, so no cache between may keep them: `private`.

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, FORWARDED, HeaderMap, HeaderName};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::channel;
use tokio::time::{Instant, sleep, timeout};

use super::LAST_ANSWERS;
use super::certificate::Certificates;
use super::doorkeeper::{Admission, Doorkeeper};
use super::request::{self, Misfit};
use super::tcp::{Guest, accept_each};
use super::tls::{Secured, origin, shake_hands};
use crate::dns::mailbox::{Mail, Mailbox};
use crate::dns::pipeline::{From, Origin};
use crate::metrics::Transport;

/// What the protocols are called in a handshake, the better first. A client
/// that names none speaks HTTP/1.1.
pub const ALPN: &[&[u8]] = &[b"h2", b"http/1.1"];

/// The media type of a message (RFC 8484 section 6).
const MESSAGE: &str = "application/dns-message";
/// The longest message there is.
const MAX_MESSAGE: usize = u16::MAX as usize;
/// So much of a body that is too long is read before it is refused.
const MAX_HEARD: usize = 256 << 10;
/// Most octets of a request's header. A message that is too long for a GET goes
/// into a POST.
const MAX_HEADER: usize = 16 << 10;
/// Bodies of one connection that are read at one time; the others wait in the
/// client's hands, where they cost nothing.
const BODIES: usize = 8;
/// Most octets of bodies in our hands that nobody has asked for yet.
const WINDOW: u32 = 128 << 10;
/// How long an ended connection may take to say so.
const FAREWELL: Duration = Duration::from_secs(1);
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What every connection must know.
pub struct Site {
    /// The path of the service.
    pub path: String,
    /// What is shown in handshakes.
    pub certificates: Arc<Certificates>,
    /// How hands are shaken.
    pub config: Arc<ServerConfig>,
}

/// Accepts for ever.
pub async fn accept(listener: TcpListener, doorkeeper: Arc<Doorkeeper>, site: Arc<Site>) {
    let serve_guest = move |guest: Guest| {
        let site = Arc::clone(&site);
        async move {
            let config = Arc::clone(&site.config);
            let secured = shake_hands(guest, &site.certificates, config).await;
            if let Some(guest) = secured {
                serve(guest, site).await;
            }
        }
    };
    accept_each(listener, doorkeeper, Transport::Https, serve_guest).await;
}

/// Serves one connection until it ends or is idle.
async fn serve(guest: Secured, site: Arc<Site>) {
    let doorkeeper = Arc::clone(&guest.leave.doorkeeper);
    let limits = &doorkeeper.limits;
    let Some(worker) = doorkeeper.worker() else {
        return;
    };
    let asker = Arc::new(Asker {
        address: guest.address,
        source: guest.source,
        origin: origin(guest.client_id, guest.source),
        worker: worker.clone(),
        doorkeeper: Arc::clone(&doorkeeper),
        site,
        activity: Activity::begin(),
        bodies: Semaphore::new(BODIES),
    });
    let is_http2 = guest.stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let service = {
        let asker = Arc::clone(&asker);
        service_fn(move |request| Arc::clone(&asker).answer(request))
    };
    let io = TokioIo::new(guest.stream);
    if is_http2 {
        let mut http = http2::Builder::new(TokioExecutor::new());
        http.timer(TokioTimer::new())
            .max_concurrent_streams(limits.pipeline as u32)
            .max_header_list_size(MAX_HEADER as u32)
            .initial_connection_window_size(WINDOW);
        let connection = http.serve_connection(io, service);
        until_idle(
            connection,
            http2::Connection::graceful_shutdown,
            &asker.activity,
            limits.idle,
        )
        .await;
    } else {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(limits.idle)
            .max_buf_size(MAX_HEADER);
        let connection = http.serve_connection(io, service);
        until_idle(
            connection,
            http1::Connection::graceful_shutdown,
            &asker.activity,
            limits.idle,
        )
        .await;
    }
    drop::<Admission>(guest.leave);
}

/// Drives a connection until it ends by itself or has been idle too long.
async fn until_idle<C: Future>(
    connection: C,
    end: impl FnOnce(Pin<&mut C>),
    activity: &Activity,
    idle: Duration,
) {
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => {}
        () = activity.is_over(idle) => {
            end(connection.as_mut());
            let _ = timeout(FAREWELL, connection).await;
        }
    }
}

/// When something last happened on a connection.
struct Activity {
    begun: Instant,
    /// Milliseconds since then.
    last: AtomicU64,
    under_way: AtomicUsize,
}

/// A request under way.
struct Act<'a>(&'a Activity);

impl Activity {
    fn begin() -> Self {
        Self {
            begun: Instant::now(),
            last: AtomicU64::new(0),
            under_way: AtomicUsize::new(0),
        }
    }

    fn act(&self) -> Act<'_> {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        Act(self)
    }

    /// Waits until there has been no request for so long.
    async fn is_over(&self, idle: Duration) {
        loop {
            let now = self.begun.elapsed();
            let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
            let left = match self.under_way.load(Ordering::Relaxed) {
                0 => idle.saturating_sub(now.saturating_sub(last)),
                _ => idle,
            };
            if left.is_zero() {
                return;
            }
            sleep(left).await;
        }
    }
}

impl Drop for Act<'_> {
    fn drop(&mut self) {
        let now = self.0.begun.elapsed().as_millis() as u64;
        self.0.last.store(now, Ordering::Relaxed);
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One connection, as its requests see it.
struct Asker {
    address: SocketAddr,
    source: Option<IpAddr>,
    /// What the connection tells of who asks; a request may tell more.
    origin: Option<Arc<Origin>>,
    worker: Mailbox,
    doorkeeper: Arc<Doorkeeper>,
    site: Arc<Site>,
    activity: Activity,
    bodies: Semaphore,
}

impl Asker {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Page, Infallible> {
        let _act = self.activity.act();
        let is_http1 = request.version() < Version::HTTP_2;
        Ok(self.reply(request).await.unwrap_or_else(|status| {
            let mut page = refusal(status);
            // Whatever of the request is still to come is not read.
            if is_http1 && matches!(status.as_u16(), 408 | 413) {
                let close = HeaderValue::from_static("close");
                page.headers_mut().insert(CONNECTION, close);
            }
            page
        }))
    }

    async fn reply(&self, request: Request<Incoming>) -> Result<Page, StatusCode> {
        let in_path = request::client_id(request.uri().path(), &self.site.path);
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
        let text = |value: &'_ HeaderValue| value.to_str().unwrap_or_default().to_owned();
        let plain: Vec<String> = lines(FORWARDED_FOR).map(text).collect();
        let standard: Vec<String> = lines(FORWARDED).map(text).collect();
        let told = request::spoken_for(
            plain.iter().map(String::as_str),
            standard.iter().map(String::as_str),
            |ip| self.doorkeeper.is_router(ip),
        );
        // Somebody's, then, and not the router's own: a source by itself.
        told.map(|source| source.unwrap_or(peer))
    }

    async fn body(&self, request: Request<Incoming>) -> Result<Vec<u8>, StatusCode> {
        let is_message = is_message(request.headers());
        let reading = async {
            let _turn = self.bodies.acquire().await;
            whole(request.into_body()).await
        };
        let body = timeout(self.doorkeeper.limits.idle, reading).await;
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
    ) -> Result<Vec<u8>, StatusCode> {
        let (replies, mut outbox) = channel(1);
        let posted = self.worker.post(Mail::Question {
            packet,
            from: From::stream(self.address, Transport::Https, origin),
            replies,
        });
        if !posted {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        match timeout(LAST_ANSWERS, outbox.recv()).await {
            // The worker met it with silence: it is no question.
            Ok(Some(reply)) if reply.is_empty() => Err(StatusCode::BAD_REQUEST),
            Ok(Some(reply)) => Ok(reply),
            _ => Err(StatusCode::SERVICE_UNAVAILABLE),
        }
    }
}

/// A body of at most a message. One that is longer is read on for a while and
/// not kept: many clients hear a refusal only when they have said all.
async fn whole(mut body: Incoming) -> Result<Vec<u8>, StatusCode> {
    let (mut kept, mut length) = (Vec::new(), 0);
    while length <= MAX_HEARD
        && let Some(frame) = body.frame().await
    {
        let frame = frame.map_err(|_| StatusCode::BAD_REQUEST)?;
        let data = frame.data_ref().map_or(&[][..], |data| data);
        length += data.len();
        if length <= MAX_MESSAGE {
            kept.extend_from_slice(data);
        }
    }
    if length > MAX_MESSAGE {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    Ok(kept)
}

type Page = Response<Full<Bytes>>;

fn answer(reply: Vec<u8>) -> Page {
    let kept = format!("private, max-age={}", request::freshness(&reply));
    let mut page = Response::new(Full::from(reply));
    let headers = page.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(MESSAGE));
    if let Ok(kept) = HeaderValue::from_str(&kept) {
        headers.insert(CACHE_CONTROL, kept);
    }
    page
}

fn refusal(status: StatusCode) -> Page {
    let mut page = Response::new(Full::default());
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
