//! QUIC as h3 uses it, with an end to what a client may send.
//!
//! h3 keeps a frame until the whole of it is there, however long it says it is.
//! So what it may read of one stream is counted here, and a stream that sends
//! more fails. Everything else is h3-quinn's, but for two calls that would
//! panic while a read is under way: the number of a stream is taken when it
//! begins, and reading is stopped by letting go of the stream, as quinn does.

use std::io;
use std::task::{Context, Poll, ready};

use h3::error::Code;
use h3::quic::{self, ConnectionErrorIncoming, StreamErrorIncoming, StreamId, WriteBuf};
use hyper::body::{Buf, Bytes};

use super::http::{MAX_HEADER, MAX_HEARD};

/// Octets of a stream with a request, frames and all.
const REQUEST: usize = MAX_HEADER + 2 * MAX_HEARD;
/// Octets of a connection's own stream. Browsers send a few with each request.
const CONTROL: usize = 4 << 20;

/// A connection.
pub(super) struct Connection(h3_quinn::Connection);

/// A stream in both directions.
pub(super) struct Stream {
    sender: h3_quinn::SendStream<Bytes>,
    receiver: Receiver,
}

/// A stream from the client.
pub(super) struct Receiver {
    stream: h3_quinn::RecvStream,
    id: StreamId,
    left: usize,
}

impl Connection {
    pub(super) fn new(connection: quinn::Connection) -> Self {
        Self(h3_quinn::Connection::new(connection))
    }
}

impl Receiver {
    fn new(stream: h3_quinn::RecvStream, most: usize) -> Self {
        Self {
            id: quic::RecvStream::recv_id(&stream),
            stream,
            left: most,
        }
    }
}

impl Stream {
    fn new(stream: h3_quinn::BidiStream<Bytes>) -> Self {
        let (sender, receiver) = quic::BidiStream::split(stream);
        Self {
            sender,
            receiver: Receiver::new(receiver, REQUEST),
        }
    }
}

type ConnectionPoll<T> = Poll<Result<T, ConnectionErrorIncoming>>;
type StreamPoll<T> = Poll<Result<T, StreamErrorIncoming>>;

impl quic::Connection<Bytes> for Connection {
    type RecvStream = Receiver;
    type OpenStreams = Opener;

    fn poll_accept_recv(&mut self, cx: &mut Context<'_>) -> ConnectionPoll<Receiver> {
        let accepted = quic::Connection::<Bytes>::poll_accept_recv(&mut self.0, cx);
        accepted.map_ok(|stream| Receiver::new(stream, CONTROL))
    }

    fn poll_accept_bidi(&mut self, cx: &mut Context<'_>) -> ConnectionPoll<Stream> {
        let accepted = quic::Connection::<Bytes>::poll_accept_bidi(&mut self.0, cx);
        accepted.map_ok(Stream::new)
    }

    fn opener(&self) -> Opener {
        Opener(quic::Connection::<Bytes>::opener(&self.0))
    }
}

/// Opens streams of our own.
pub(super) struct Opener(h3_quinn::OpenStreams);

impl quic::OpenStreams<Bytes> for Opener {
    type BidiStream = Stream;
    type SendStream = h3_quinn::SendStream<Bytes>;

    fn poll_open_bidi(&mut self, cx: &mut Context<'_>) -> StreamPoll<Stream> {
        let opened = quic::OpenStreams::<Bytes>::poll_open_bidi(&mut self.0, cx);
        opened.map_ok(Stream::new)
    }

    fn poll_open_send(&mut self, cx: &mut Context<'_>) -> StreamPoll<Self::SendStream> {
        quic::OpenStreams::poll_open_send(&mut self.0, cx)
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        quic::OpenStreams::<Bytes>::close(&mut self.0, code, reason);
    }
}

impl quic::OpenStreams<Bytes> for Connection {
    type BidiStream = Stream;
    type SendStream = h3_quinn::SendStream<Bytes>;

    fn poll_open_bidi(&mut self, cx: &mut Context<'_>) -> StreamPoll<Stream> {
        let opened = quic::OpenStreams::<Bytes>::poll_open_bidi(&mut self.0, cx);
        opened.map_ok(Stream::new)
    }

    fn poll_open_send(&mut self, cx: &mut Context<'_>) -> StreamPoll<Self::SendStream> {
        quic::OpenStreams::poll_open_send(&mut self.0, cx)
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        quic::OpenStreams::<Bytes>::close(&mut self.0, code, reason);
    }
}

impl quic::RecvStream for Receiver {
    type Buf = Bytes;

    fn poll_data(&mut self, cx: &mut Context<'_>) -> StreamPoll<Option<Bytes>> {
        let data = ready!(self.stream.poll_data(cx))?;
        let length = data.as_ref().map_or(0, Buf::remaining);
        let Some(left) = self.left.checked_sub(length) else {
            let why = io::Error::other("more than a stream may send");
            return Poll::Ready(Err(StreamErrorIncoming::Unknown(why.into())));
        };
        self.left = left;
        Poll::Ready(Ok(data))
    }

    fn stop_sending(&mut self, _code: u64) {
        self.left = 0;
    }

    fn recv_id(&self) -> StreamId {
        self.id
    }
}

impl quic::RecvStream for Stream {
    type Buf = Bytes;

    fn poll_data(&mut self, cx: &mut Context<'_>) -> StreamPoll<Option<Bytes>> {
        self.receiver.poll_data(cx)
    }

    fn stop_sending(&mut self, code: u64) {
        self.receiver.stop_sending(code);
    }

    fn recv_id(&self) -> StreamId {
        self.receiver.recv_id()
    }
}

impl quic::SendStream<Bytes> for Stream {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> StreamPoll<()> {
        self.sender.poll_ready(cx)
    }

    fn send_data<T: Into<WriteBuf<Bytes>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        self.sender.send_data(data)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> StreamPoll<()> {
        self.sender.poll_finish(cx)
    }

    fn reset(&mut self, code: u64) {
        self.sender.reset(code);
    }

    fn send_id(&self) -> StreamId {
        self.sender.send_id()
    }
}

impl quic::BidiStream<Bytes> for Stream {
    type SendStream = h3_quinn::SendStream<Bytes>;
    type RecvStream = Receiver;

    fn split(self) -> (Self::SendStream, Receiver) {
        (self.sender, self.receiver)
    }
}
