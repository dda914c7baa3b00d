//! Connections to the pages: who may hold how many, for how long, and TLS.
//!
//! Everything a stranger could hold on to is bounded: connections in all and of
//! one client, the time of a handshake, of a request's head, of its answer, and of
//! the whole connection. So a flood here costs this process some of its share and
//! the resolver, which is another and goes first, nothing.
//!
//! It must not serve pages to another machine without TLS.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use jiff::Timestamp;
use nix::ifaddrs::getifaddrs;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::app::App;
use super::page::Problem;
use crate::appliance::certificate::Keeper;
use crate::dns::streams::certificate::Certificates;
use crate::policy::group::Network;

/// Connections in all, and of one client. One on this machine may speak for many.
const CONNECTIONS: usize = 256;
const PER_CLIENT: usize = 32;
/// How long a handshake and the head of a request may take, and how long nothing
/// may be asked on a connection.
const HANDSHAKE: Duration = Duration::from_secs(10);
const HEAD: Duration = Duration::from_secs(10);
/// How long an answer may take to begin.
const ANSWER: Duration = Duration::from_secs(120);
/// How long a connection may be open.
const LIFE: Duration = Duration::from_secs(900);
/// Bytes of a request's head.
const LONGEST_HEAD: usize = 16 << 10;
/// How often the certificate's files are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// After a connection could not be taken: there may be no descriptors left.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves pages over connections.
pub(super) struct Server {
    tls: Option<TlsAcceptor>,
    keeper: Option<Mutex<Keeper>>,
    doors: Arc<Doors>,
}

/// Who holds how many connections.
struct Doors {
    /// Networks of anybody who may see any page at all.
    allow: Vec<Network>,
    all: Arc<Semaphore>,
    by_client: Mutex<HashMap<IpAddr, usize>>,
}

/// Leave to hold one connection open; given back when dropped.
struct Admission {
    doors: Arc<Doors>,
    client: IpAddr,
    _place: OwnedSemaphorePermit,
}

impl Server {
    /// One for pages that listen on `address`.
    pub(super) fn new(app: &App, address: IpAddr) -> anyhow::Result<Self> {
        let settings = app.settings();
        let mut allow = settings.dashboard.allow.clone();
        allow.extend(&settings.clients.allow);
        let (mut tls, mut keeper) = (None, None);
        if app.tls() {
            let certificates = Certificates::new(None);
            let mut files = Keeper::of_pages(settings, reachable(address), &certificates);
            files.read(Timestamp::now());
            tls = Some(TlsAcceptor::from(certificates.config(&[b"http/1.1"])?));
            keeper = Some(Mutex::new(files));
        }
        Ok(Self {
            tls,
            keeper,
            doors: Arc::new(Doors {
                allow,
                all: Arc::new(Semaphore::new(CONNECTIONS)),
                by_client: Mutex::default(),
            }),
        })
    }

    /// Takes connections, for ever.
    pub(super) async fn serve(&self, listener: &TcpListener, pages: &Router) {
        let mut look = tokio::time::interval(LOOK);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = look.tick() => {
                    self.look_at_files();
                    continue;
                }
            };
            let Ok((stream, from)) = accepted else {
                sleep(PAUSE).await;
                continue;
            };
            let from = SocketAddr::new(from.ip().to_canonical(), from.port());
            // Others are not told that there is anything here.
            let Some(admission) = self.doors.admit(from.ip()) else {
                continue;
            };
            let (tls, pages) = (self.tls.clone(), pages.clone());
            tokio::spawn(async move {
                let _ = timeout(LIFE, connection(stream, from, tls, pages)).await;
                drop(admission);
            });
        }
    }

    fn look_at_files(&self) {
        if let Some(keeper) = &self.keeper {
            lock(keeper).tick(Timestamp::now());
        }
    }
}

impl Doors {
    fn admit(self: &Arc<Self>, client: IpAddr) -> Option<Admission> {
        if !self.allow.iter().any(|network| network.holds(client)) {
            return None;
        }
        let place = Arc::clone(&self.all).try_acquire_owned().ok()?;
        let mut by_client = lock(&self.by_client);
        let held = by_client.entry(client).or_insert(0);
        if *held >= PER_CLIENT && !client.is_loopback() {
            return None;
        }
        *held += 1;
        Some(Admission {
            doors: Arc::clone(self),
            client,
            _place: place,
        })
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut by_client = lock(&self.doors.by_client);
        if let Some(held) = by_client.get_mut(&self.client) {
            *held -= 1;
            if *held == 0 {
                by_client.remove(&self.client);
            }
        }
    }
}

async fn connection(stream: TcpStream, from: SocketAddr, tls: Option<TlsAcceptor>, pages: Router) {
    let Some(tls) = tls else {
        return talk(stream, from, pages).await;
    };
    if let Ok(Ok(stream)) = timeout(HANDSHAKE, tls.accept(stream)).await {
        talk(stream, from, pages).await;
    }
}

async fn talk<S>(stream: S, from: SocketAddr, pages: Router)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let pages = TowerToHyperService::new(pages);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let pages = pages.clone();
        async move { Ok::<_, Infallible>(answer(&pages, request, from).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(LONGEST_HEAD);
    // Whoever goes away or sends nonsense is nothing to tell the machine.
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(
    pages: &TowerToHyperService<Router>,
    mut request: hyper::Request<Incoming>,
    from: SocketAddr,
) -> Response {
    use hyper::service::Service;
    request.extensions_mut().insert(ConnectInfo(from));
    let request = request.map(|body| Body::new(body.map_err(axum::Error::new)));
    match timeout(ANSWER, pages.call(request)).await {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(_) => Problem::Busy.into_response(),
    }
}

/// Where pages that listen on `address` are reached: there, or at every address
/// of this machine.
fn reachable(address: IpAddr) -> Vec<IpAddr> {
    if !address.is_unspecified() {
        return vec![address];
    }
    let all = getifaddrs().into_iter().flatten();
    let own = all.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::from(v4.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::from(v6.ip())))
    });
    own.collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
