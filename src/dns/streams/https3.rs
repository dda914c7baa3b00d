//! DNS over HTTP/3 (RFC 9114, RFC 8484): what `https.rs` is, on QUIC.
//!
//! The request is judged as any other version's. Frames and headers are h3's
//! work; how long a client may take over them, and how much it may send, is
//! bounded here.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use h3::error::StreamError;
use h3::server::{RequestResolver, RequestStream};
use hyper::Response;
use hyper::body::{Body, Buf, Bytes, Frame};
use quinn::Endpoint;
use tokio::time::timeout;

use super::bounded::{Connection, Receiver};
use super::certificate::Certificates;
use super::doorkeeper::Doorkeeper;
use super::http::{Asker, MAX_HEADER};
use super::https::FAREWELL;
use super::quic::{Guest, accept_each};
use super::tls::origin;
use crate::metrics::Transport;

/// What the protocol is called in a handshake (RFC 9114 section 3.1).
pub const ALPN: &[&[u8]] = &[b"h3"];

/// Streams that a client may open besides its requests': control, and two of
/// header compression (RFC 9114 section 6.2); and some of kinds unknown to us.
pub const ONE_WAY: u32 = 8;

/// Answers for ever, under `path`.
pub async fn accept(
    endpoint: Endpoint,
    doorkeeper: Arc<Doorkeeper>,
    certificates: Arc<Certificates>,
    path: Arc<str>,
) {
    let serve_guest = move |guest: Guest| serve(guest, Arc::clone(&path));
    let transport = Transport::Https3;
    accept_each(endpoint, doorkeeper, certificates, transport, serve_guest).await;
}

/// Serves one connection until it ends or is idle.
async fn serve(guest: Guest, path: Arc<str>) {
    let doorkeeper = Arc::clone(&guest.leave.doorkeeper);
    let idle = doorkeeper.limits.idle;
    let origin = origin(guest.client_id, None);
    let asked_at = (guest.address, None);
    let asker = Asker::new(asked_at, origin, Transport::Https3, &doorkeeper, &path);
    let Some(asker) = asker.map(Arc::new) else {
        return;
    };
    let mut http = h3::server::builder();
    http.max_field_section_size(MAX_HEADER as u64);
    let building = timeout(idle, http.build(Connection::new(guest.connection)));
    let Ok(Ok(mut http)) = building.await else {
        return;
    };
    loop {
        tokio::select! {
            accepted = http.accept() => {
                let Ok(Some(request)) = accepted else {
                    return;
                };
                let asker = Arc::clone(&asker);
                tokio::spawn(async move { answer(&asker, request, idle).await });
            }
            () = asker.activity.is_over(idle) => break,
        }
    }
    // GOAWAY, and an ear for what crossed it.
    let _ = timeout(FAREWELL, async {
        http.shutdown(0).await?;
        while http.accept().await?.is_some() {}
        Ok::<_, h3::error::ConnectionError>(())
    })
    .await;
}

/// Answers one request; one that does not come to its end in time, or whose
/// client does not take the answer, is let go.
async fn answer(asker: &Asker, request: RequestResolver<Connection, Bytes>, patience: Duration) {
    let _act = asker.activity.act();
    let Ok(Ok((request, stream))) = timeout(patience, request.resolve_request()).await else {
        return;
    };
    let (mut sender, receiver) = stream.split();
    let page = asker.answer(request.map(|()| Said(receiver))).await;
    let (head, body) = page.into_parts();
    let sending = async {
        sender.send_response(Response::from_parts(head, ())).await?;
        if !body.is_empty() {
            sender.send_data(body).await?;
        }
        sender.finish().await
    };
    let _ = timeout(patience, sending).await;
}

/// The body of a request.
struct Said(RequestStream<Receiver, Bytes>);

impl Body for Said {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        let data = ready!(self.0.poll_recv_data(cx)).transpose();
        Poll::Ready(data.map(|data| {
            let mut data = data?;
            Ok(Frame::data(data.copy_to_bytes(data.remaining())))
        }))
    }
}
