//! One question to an upstream over TCP: after a truncated answer, or where
//! the server is only spoken to that way.
//!
//! It runs on the tokio side; the worker hands a question over and gets the
//! answer in its mailbox. The whole exchange has one time limit, and how many
//! run at once is bounded, so that a dead server cannot pile up connections.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use crate::dns::mailbox::{Mail, Mailbox};

/// Exchanges under way at once, over all workers.
const AT_ONCE: usize = 128;
/// Questions waiting for their turn.
const QUEUE: usize = 1024;

/// A question to be asked over TCP.
#[derive(Debug)]
pub struct TcpAsk {
    /// The server.
    pub server: SocketAddr,
    /// The question's bytes, id included.
    pub packet: Vec<u8>,
    /// How long the whole exchange may take.
    pub limit: Duration,
    /// Whose it is: the worker's own mark.
    pub mark: Mark,
    /// Where the answer goes.
    pub mailbox: Mailbox,
}

/// By which a worker knows its question again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The flight.
    pub flight: u32,
    /// Its serial.
    pub serial: u32,
    /// The server that was asked.
    pub server: usize,
    /// When.
    pub sent: u64,
}

impl Mark {
    /// Where the flight is, and its serial.
    #[must_use]
    pub fn place(&self) -> (u32, u32) {
        (self.flight, self.serial)
    }
}

/// The channel into [`run`].
#[must_use]
pub fn channel() -> (mpsc::Sender<TcpAsk>, mpsc::Receiver<TcpAsk>) {
    mpsc::channel(QUEUE)
}

/// Asks what comes in until every sender is gone.
pub async fn run(mut asks: mpsc::Receiver<TcpAsk>) {
    let at_once = std::sync::Arc::new(Semaphore::new(AT_ONCE));
    while let Some(ask) = asks.recv().await {
        let Ok(permit) = std::sync::Arc::clone(&at_once).acquire_owned().await else {
            return;
        };
        tokio::spawn(async move {
            let answer = timeout(ask.limit, exchange(ask.server, &ask.packet)).await;
            let answer = answer.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            // A worker that is gone, or swamped, lets the question time out.
            let _ = ask.mailbox.post(Mail::TcpAnswer {
                mark: ask.mark,
                packet: ask.packet,
                answer,
            });
            drop(permit);
        });
    }
}

async fn exchange(server: SocketAddr, packet: &[u8]) -> io::Result<Vec<u8>> {
    let length = u16::try_from(packet.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    let framed = [&length.to_be_bytes(), packet].concat();
    stream.write_all(&framed).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}
