//! The listener of the block page: plain HTTP, for whoever the filter serves.
//!
//! What comes here are browsers that were sent away from somewhere else, and
//! whatever else asks port 80: pictures, apps, other machines. So each gets one
//! short answer and the connection ends; how many there are and how long they
//! may take is bounded, and when there are too many the next are turned away.
//! Who is not in `clients.allow` is turned away at once: they are not filtered,
//! and must not learn what is. Nothing that is asked is written down anywhere.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use axum::body::Body;
use axum::extract::Request;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

use super::app::App;
use super::block_page::{self, Reached};

/// Connections at one time, of all and of one client.
const MOST: usize = 400;
const MOST_OF_ONE: usize = 40;
/// A browser on a slow network has sent its headers by then.
const HEADERS: Duration = Duration::from_secs(5);
/// From the first byte to the last.
const WHOLE: Duration = Duration::from_secs(15);
/// Much more than a browser's headers.
const MOST_HEADER_BYTES: usize = 16 << 10;
/// After an error that is not one connection's, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// Begins to listen, if the settings say where.
pub(super) async fn start(app: &Arc<App>) -> anyhow::Result<Option<SocketAddr>> {
    let Some(address) = app.settings().listen.block_page else {
        return Ok(None);
    };
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address} for the block page"))?;
    let address = listener.local_addr()?;
    tokio::spawn(listen(listener, Arc::clone(app)));
    Ok(Some(address))
}

async fn listen(listener: TcpListener, app: Arc<App>) {
    let crowd = Arc::<Crowd>::default();
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let client = peer.ip().to_canonical();
        let allow = &app.settings().clients.allow;
        if !allow.iter().any(|network| network.holds(client)) {
            continue;
        }
        let Some(place) = Crowd::enter(&crowd, client) else {
            continue;
        };
        let app = Arc::clone(&app);
        tokio::spawn(async move {
            let _place = place;
            let _ = tokio::time::timeout(WHOLE, answer(stream, client, app)).await;
        });
    }
}

/// Answers one question.
async fn answer(stream: TcpStream, client: IpAddr, app: Arc<App>) {
    let Ok(at) = stream.local_addr() else {
        return;
    };
    let reached = Reached { client, at };
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let app = Arc::clone(&app);
        let request: Request = request.map(Body::new);
        async move { Ok::<_, Infallible>(block_page::answer(app, reached, request).await) }
    });
    // What goes wrong here went wrong at the other end.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_buf_size(MOST_HEADER_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// Who is being answered.
#[derive(Default)]
struct Crowd(Mutex<Inside>);

#[derive(Default)]
struct Inside {
    all: usize,
    of_one: HashMap<IpAddr, usize>,
}

/// A connection's place; given back when dropped.
struct Place {
    crowd: Arc<Crowd>,
    client: IpAddr,
}

impl Crowd {
    fn enter(crowd: &Arc<Self>, client: IpAddr) -> Option<Place> {
        let mut inside = crowd.0.lock().unwrap_or_else(PoisonError::into_inner);
        if inside.all >= MOST {
            return None;
        }
        let of_one = inside.of_one.entry(client).or_default();
        if *of_one >= MOST_OF_ONE {
            return None;
        }
        *of_one += 1;
        inside.all += 1;
        Some(Place {
            crowd: Arc::clone(crowd),
            client,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let inside = self.crowd.0.lock();
        let mut inside = inside.unwrap_or_else(PoisonError::into_inner);
        inside.all = inside.all.saturating_sub(1);
        if let Some(of_one) = inside.of_one.get_mut(&self.client) {
            *of_one = of_one.saturating_sub(1);
            if *of_one == 0 {
                inside.of_one.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_fills_no_more_than_its_places_and_gives_them_back() {
        let crowd = Arc::<Crowd>::default();
        let client = |n: u16| IpAddr::from([10, 0, (n >> 8) as u8, n as u8]);
        let one: Vec<_> = (0..100)
            .filter_map(|_| Crowd::enter(&crowd, client(1)))
            .collect();
        assert_eq!(one.len(), MOST_OF_ONE);
        let others: Vec<_> = (2..1000)
            .filter_map(|n| Crowd::enter(&crowd, client(n)))
            .collect();
        assert_eq!(others.len(), MOST - MOST_OF_ONE);
        drop(one);
        assert!(Crowd::enter(&crowd, client(1)).is_some());
        drop(others);
        let inside = crowd.0.lock().unwrap();
        assert_eq!((inside.all, inside.of_one.len()), (0, 0));
    }
}
