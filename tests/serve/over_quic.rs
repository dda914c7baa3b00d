//! Clients over QUIC: DNS by hand on quinn's streams, and HTTP/3 by h3.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use h3::client::SendRequest;
use hyper::body::{Buf, Bytes};
use hyper::{HeaderMap, Request};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, TransportConfig, VarInt};

use super::school::School;
use super::secured::{NAME, authority, config};
use super::streams::framed;

/// Runs what speaks QUIC.
pub(crate) fn run<T>(what: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let limit = Duration::from_secs(120);
        tokio::time::timeout(limit, what).await.expect("in time")
    })
}

/// A connection to `server` for `alpn`, from `from`.
pub(crate) async fn connect_from(
    from: &str,
    school: &School,
    server: SocketAddr,
    (alpn, name): (&str, &str),
) -> Result<Connection, ConnectionError> {
    let tls = config(&authority(&school.folder.state()), &[alpn]);
    let tls = QuicClientConfig::try_from(tls).unwrap();
    let mut client = ClientConfig::new(Arc::new(tls));
    let mut transport = TransportConfig::default();
    transport.max_idle_timeout(Some(VarInt::from_u32(8_000).into()));
    client.transport_config(Arc::new(transport));
    let endpoint = Endpoint::client(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
    endpoint.connect_with(client, server, name).unwrap().await
}

/// What went wrong on the way.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Sends `bytes` on a stream of their own; what comes back, all of it.
pub(crate) async fn raw(connection: &Connection, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    let (mut sender, mut receiver) = connection.open_bi().await?;
    sender.write_all(bytes).await?;
    sender.finish()?;
    Ok(receiver.read_to_end(1 << 17).await?)
}

/// Asks over DoQ: the reply without its length.
pub(crate) async fn ask(connection: &Connection, packet: &[u8]) -> Result<Vec<u8>, Failure> {
    let all = raw(connection, &framed(packet)).await?;
    let (length, reply) = all.split_at_checked(2).ok_or("no length")?;
    assert_eq!(
        usize::from(u16::from_be_bytes([length[0], length[1]])),
        reply.len()
    );
    Ok(reply.to_vec())
}

/// The number that a connection was closed with.
pub(crate) async fn closed_with(connection: &Connection) -> Option<u64> {
    match connection.closed().await {
        ConnectionError::ApplicationClosed(close) => Some(close.error_code.into_inner()),
        _ => None,
    }
}

impl School {
    /// A DoQ client of this school.
    pub(crate) async fn over_quic(&self) -> Connection {
        let at = self.quic.unwrap();
        connect_from("127.0.0.1", self, at, ("doq", NAME))
            .await
            .unwrap()
    }

    /// A DoH3 client of this school; the connection is for doing worse.
    pub(crate) async fn over_http3(&self) -> (Http3, Connection) {
        let at = self.https3.unwrap();
        let connection = connect_from("127.0.0.1", self, at, ("h3", NAME))
            .await
            .unwrap();
        let quic = h3_quinn::Connection::new(connection.clone());
        let (mut driver, requests) = h3::client::new(quic).await.unwrap();
        tokio::spawn(async move { driver.wait_idle().await });
        let origin = format!("https://{NAME}:{}", at.port());
        (Http3 { requests, origin }, connection)
    }
}

/// An HTTP/3 client.
#[derive(Clone)]
pub(crate) struct Http3 {
    requests: SendRequest<h3_quinn::OpenStreams, Bytes>,
    origin: String,
}

/// What it got.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Page {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// The media type of a question.
pub(crate) const MESSAGE: (&str, &str) = ("content-type", "application/dns-message");

impl Http3 {
    pub(crate) async fn get(&mut self, target: &str) -> Result<Page, Failure> {
        self.fetch("GET", target, &[], &[]).await
    }

    pub(crate) async fn post(&mut self, body: &[u8]) -> Result<Page, Failure> {
        self.fetch("POST", "/dns-query", &[MESSAGE], body).await
    }

    /// One request; `target` is path and query.
    pub(crate) async fn fetch(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Page, Failure> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{target}", self.origin));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut stream = self.requests.send_request(request.body(())?).await?;
        if !body.is_empty() {
            // A refusal may come before the end.
            let _ = stream.send_data(Bytes::copy_from_slice(body)).await;
        }
        let _ = stream.finish().await;
        let response = stream.recv_response().await?;
        let mut all = Vec::new();
        while let Some(mut data) = stream.recv_data().await? {
            all.extend_from_slice(&data.copy_to_bytes(data.remaining()));
        }
        let (head, ()) = response.into_parts();
        Ok(Page {
            status: head.status.as_u16(),
            headers: head.headers,
            body: all,
        })
    }
}
