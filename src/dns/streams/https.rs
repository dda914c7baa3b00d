//! DNS over HTTPS (RFC 8484), HTTP/1.1 and HTTP/2 on one port.
//!
//! What a client may hold is bounded as for other streams; HTTP adds its own
//! ways to keep a server waiting (half a header, half a body, a connection
//! without requests), and each has an end.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::header::{ALT_SVC, HeaderValue};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::activity::Activity;
use super::certificate::Certificates;
use super::doorkeeper::{Admission, Doorkeeper};
use super::http::{Asker, MAX_HEADER};
use super::tcp::{Guest, accept_each};
use super::tls::{Secured, origin, shake_hands};
use crate::metrics::Transport;

/// What the protocols are called in a handshake, the better first. A client
/// that names none speaks HTTP/1.1.
pub const ALPN: &[&[u8]] = &[b"h2", b"http/1.1"];

/// Most octets of bodies in our hands that nobody has asked for yet.
const WINDOW: u32 = 128 << 10;
/// How long an ended connection may take to say so.
pub(super) const FAREWELL: Duration = Duration::from_secs(1);
/// Seconds for which a client may remember where HTTP/3 is: an hour, so that one
/// that was told finds it out soon when it is gone.
const REMEMBERED: u32 = 3600;

/// What every connection must know.
pub struct Site {
    /// The path of the service.
    pub path: Arc<str>,
    /// What is shown in handshakes.
    pub certificates: Arc<Certificates>,
    /// How hands are shaken.
    pub config: Arc<ServerConfig>,
    /// The port that answers by HTTP/3 at the same address, if one does.
    pub https3: Option<u16>,
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
    let asker = Asker::new(
        (guest.address, guest.source),
        origin(guest.client_id, guest.source),
        Transport::Https,
        &doorkeeper,
        &site.path,
    );
    let Some(asker) = asker.map(Arc::new) else {
        return;
    };
    let alternative = site.alternative();
    let is_http2 = guest.stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let service = {
        let asker = Arc::clone(&asker);
        service_fn(move |request| {
            let (asker, alternative) = (Arc::clone(&asker), alternative.clone());
            async move {
                let mut page = asker.answer(request).await.map(Full::new);
                let headers = page.headers_mut();
                headers.extend(alternative.map(|alternative| (ALT_SVC, alternative)));
                Ok::<_, Infallible>(page)
            }
        })
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

impl Site {
    /// Where else it is answered, for `Alt-Svc` (RFC 7838, RFC 9114 section
    /// 3.1.1).
    fn alternative(&self) -> Option<HeaderValue> {
        let text = format!("h3=\":{}\"; ma={REMEMBERED}", self.https3?);
        HeaderValue::from_str(&text).ok()
    }
}
