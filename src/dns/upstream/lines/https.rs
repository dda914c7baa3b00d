//! DNS over HTTPS: HTTP/2, one POST for each question (RFC 8484). The id is 0,
//! as section 4.1 advises.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::header::{ACCEPT, CONTENT_TYPE};
use hyper::{Request, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::sync::mpsc;

use super::errand::Errand;
use super::framed::shake_hands;
use super::line::Wire;
use super::streams::{self, Trouble};
use super::trust::Trust;
use crate::dns::upstream::servers::Server;

const MESSAGE: &str = "application/dns-message";
const PORT: u16 = 443;
/// A DNS message is no longer.
const MOST: usize = u16::MAX as usize;

/// An HTTP/2 connection, and where on it DNS is asked.
pub(super) struct Session {
    sender: SendRequest<Full<Bytes>>,
    endpoint: Uri,
}

/// Dials the server.
pub(super) async fn dial(server: &Server, trust: &Trust) -> io::Result<Session> {
    let endpoint = endpoint(server).map_err(io::Error::other)?;
    let stream = shake_hands(server, trust, b"h2").await?;
    let opened = handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (sender, connection) = opened.map_err(io::Error::other)?;
    // Its end is seen by whoever asks over it.
    tokio::spawn(connection);
    Ok(Session { sender, endpoint })
}

fn endpoint(server: &Server) -> Result<Uri, hyper::http::Error> {
    let host = match &server.certificate {
        ServerName::DnsName(name) => name.as_ref().to_owned(),
        _ => match server.address.ip() {
            IpAddr::V4(v4) => v4.to_string(),
            IpAddr::V6(v6) => format!("[{v6}]"),
        },
    };
    let authority = match server.address.port() {
        PORT => host,
        port => format!("{host}:{port}"),
    };
    Uri::builder()
        .scheme("https")
        .authority(authority)
        .path_and_query(&*server.path)
        .build()
}

/// Asks over the connection what comes in.
pub(super) async fn talk(session: Session, errands: mpsc::Receiver<Errand>, wire: Arc<Wire>) {
    let Session { sender, endpoint } = session;
    let exchange = move |packet| exchange(sender.clone(), endpoint.clone(), packet);
    streams::talk(exchange, errands, wire).await;
}

async fn exchange(
    mut sender: SendRequest<Full<Bytes>>,
    endpoint: Uri,
    packet: Vec<u8>,
) -> Result<Vec<u8>, Trouble> {
    let request = Request::post(endpoint)
        .header(CONTENT_TYPE, MESSAGE)
        .header(ACCEPT, MESSAGE)
        .body(Full::new(Bytes::from(packet)))
        .map_err(|_| Trouble::Refused)?;
    sender.ready().await.map_err(|_| Trouble::Lost)?;
    let response = sender
        .send_request(request)
        .await
        .map_err(|_| Trouble::Lost)?;
    if !response.status().is_success() {
        return Err(Trouble::Refused);
    }
    let body = Limited::new(response.into_body(), MOST).collect().await;
    let body = body.map_err(|_| Trouble::Refused)?;
    Ok(body.to_bytes().into())
}
