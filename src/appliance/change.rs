//! Where changes of the policy are asked for: `POST /change` on the socket.
//!
//! Whoever can reach the socket can ask; what comes of it `changes/control.rs`
//! decides. A policy is built and the record written on a thread of its own, so
//! that neither streams nor the state page wait for the disk.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::give_way;
use crate::changes::ask::{Ask, Outcome, Said};
use crate::changes::control::Control;
use crate::changes::edited::edited;

/// The file of the machine's settings.
const SETTINGS: &str = "schoolgate.toml";
/// More than this is no policy of a school.
const MOST_BYTES: usize = 8 << 20;
/// So many may ask at one time: each holds what it asks in memory.
static ROOM: Semaphore = Semaphore::const_new(4);
/// By how much comparing gives way to answering (nice(2)).
const NICENESS: i32 = 10;

pub(super) async fn change(
    State(control): State<Arc<Mutex<Control>>>,
    request: Request,
) -> Response {
    let Ok(_place) = ROOM.try_acquire() else {
        return answer(&refused(
            "Too much is asked for at one time. Please try again.",
        ));
    };
    let Ok(body) = to_bytes(request.into_body(), MOST_BYTES).await else {
        return answer(&refused("That is more than a policy of a school."));
    };
    let heard = tokio::task::spawn_blocking(move || hear(&control, &body)).await;
    let said = heard.unwrap_or_else(|error| {
        tracing::error!(%error, "a change that was asked for was dropped");
        refused("It could not be looked at.")
    });
    answer(&said)
}

fn refused(why: &str) -> Said {
    Said::Refused(why.to_owned())
}

fn answer(said: &Said) -> Response {
    // Words and numbers: it cannot fail.
    let text = serde_json::to_string(said).unwrap_or_default();
    ([(CONTENT_TYPE, "application/json")], text).into_response()
}

/// Writes down if the machine's settings are others than at the last start.
pub(super) fn note_settings(control: &mut Control, folder: &Path, now: Timestamp) {
    let text = std::fs::read_to_string(folder.join(SETTINGS));
    let noted = text.map(|text| control.note_settings(SETTINGS, &text, now));
    if let Ok(Err(error)) = noted {
        tracing::error!(%error, "that the settings changed cannot be written down");
    }
}

/// Says which files are not in force: whoever edited one and sent a signal, or
/// started the resolver anew, may think that they are. A large edit takes long to
/// compare, and nobody waits for it.
pub(super) fn tell_edited(control: &Control) {
    let (folder, state_dir) = control.folders();
    let (folder, state_dir) = (folder.to_owned(), state_dir.to_owned());
    let tell = move || {
        give_way(NICENESS);
        match edited(&folder, &state_dir) {
            Ok(files) => {
                for file in files {
                    tracing::warn!("{file}");
                }
            }
            Err(error) => tracing::warn!(%error, "what stands in the folder cannot be compared"),
        }
    };
    let thread = std::thread::Builder::new().name("edited".to_owned());
    if let Err(error) = thread.spawn(tell) {
        tracing::warn!(%error, "what stands in the folder is not compared");
    }
}

fn hear(control: &Mutex<Control>, body: &[u8]) -> Said {
    let ask: Ask = match serde_json::from_slice(body) {
        Ok(ask) => ask,
        Err(error) => return Said::Refused(format!("That was not understood: {error}")),
    };
    let mut control = control.lock().unwrap_or_else(PoisonError::into_inner);
    match control.hear(&ask, Timestamp::now()) {
        Ok(outcome) => {
            if let Outcome::InForce {
                proposal, policy, ..
            } = &outcome
            {
                tracing::info!(policy, proposal, "activated");
            }
            Said::Outcome(outcome)
        }
        Err(why) => Said::Refused(why.to_string()),
    }
}
