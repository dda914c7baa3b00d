//! Where changes of the policy are asked for: `POST /change` on the socket.
//!
//! Whoever can reach the socket can ask; what comes of it `changes/control.rs`
//! decides. A policy is built and the record written on a thread of its own, so
//! that neither streams nor the state page wait for the disk.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;

use crate::changes::ask::{Ask, Outcome, Said};
use crate::changes::control::Control;

/// The file of the machine's settings.
const SETTINGS: &str = "schoolgate.toml";
/// More than this is no policy of a school.
pub(super) const MOST_BYTES: usize = 32 << 20;

pub(super) async fn change(State(control): State<Arc<Mutex<Control>>>, body: Bytes) -> Response {
    let heard = tokio::task::spawn_blocking(move || hear(&control, &body)).await;
    let said = heard.unwrap_or_else(|error| {
        tracing::error!(%error, "a change that was asked for was dropped");
        Said::Refused("It could not be looked at.".to_owned())
    });
    // Words and numbers: it cannot fail.
    let text = serde_json::to_string(&said).unwrap_or_default();
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
/// started the resolver anew, may think that they are.
pub(super) fn tell_edited(control: &Control) {
    match control.edited() {
        Ok(files) => {
            for file in files {
                tracing::warn!("{file}");
            }
        }
        Err(error) => tracing::warn!(%error, "what stands in the folder cannot be compared"),
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
