//! Connections that have a stream for each question, as HTTP/2 and QUIC do: a
//! task for each, and one that hands them out.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::time::{timeout, timeout_at};

use super::errand::Errand;
use super::line::{IDLE, STALLED, Wire};

/// Why an exchange gave no answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The connection has ended.
    Lost,
    /// The server would not, or not in a way that can be read.
    Refused,
}

/// Runs `exchange` for what comes in, until the line wants no more or the
/// connection is idle for long.
pub(super) async fn talk<F, A>(exchange: F, mut errands: mpsc::Receiver<Errand>, wire: Arc<Wire>)
where
    F: Fn(Vec<u8>) -> A,
    A: Future<Output = Result<Vec<u8>, Trouble>> + Send + 'static,
{
    let mut last = Instant::now();
    loop {
        match timeout(IDLE, errands.recv()).await {
            Ok(Some(errand)) => {
                last = Instant::now();
                wire.asked();
                let answer = exchange(errand.packet_as(0));
                tokio::spawn(run(answer, errand, Arc::clone(&wire)));
            }
            // The line has dropped this connection.
            Ok(None) => break,
            Err(_) if last.elapsed() >= IDLE => {
                wire.over();
                break;
            }
            Err(_) => {}
        }
    }
    errands.close();
    while let Some(errand) = errands.recv().await {
        wire.give_back(errand);
    }
    // Whoever is under way still has its own handle on the connection; but
    // what is closed after this must wait for them.
    tokio::time::sleep(2 * STALLED).await;
}

async fn run(
    exchange: impl Future<Output = Result<Vec<u8>, Trouble>>,
    errand: Errand,
    wire: Arc<Wire>,
) {
    let sent = Instant::now();
    match timeout_at(errand.deadline.into(), exchange).await {
        Ok(Ok(message)) => {
            wire.heard();
            wire.done();
            errand.answer(message);
        }
        Ok(Err(Trouble::Lost)) => {
            wire.over();
            wire.give_back(errand);
        }
        Ok(Err(Trouble::Refused)) => {
            // It lives, and will not.
            wire.done();
            errand.fail(io::ErrorKind::InvalidData);
        }
        Err(_) => {
            wire.done();
            if sent.elapsed() >= STALLED && wire.is_silent_since(sent) {
                wire.over();
            }
        }
    }
}
