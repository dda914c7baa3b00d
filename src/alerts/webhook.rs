//! JSON by POST, signed, to a program that knows what to do with it (R-44).
//!
//! ```text
//! X-Schoolgate-Timestamp: 1795258800
//! X-Schoolgate-Signature: sha256=…
//! Idempotency-Key: 4f1d…
//! ```
//!
//! The signature is the HMAC-SHA256, in hex, of the timestamp, a full stop and
//! the body: who checks it, and refuses old timestamps, cannot be told by
//! somebody else, nor the same thing twice by somebody who listened.

use std::time::Duration;

use jiff::Timestamp;
use ring::hmac;
use serde_json::{Map, Value};
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

use super::mail::chain;
use super::outbox::{Failure, Waiting};
use crate::settings::Webhook;

const TIMEOUT: Duration = Duration::from_secs(20);

/// Sends one message.
pub fn send(hook: &Webhook, waiting: &Waiting, now: Timestamp) -> Result<(), Failure> {
    let secret = hook.secret_file.as_deref();
    let secret = secret.map_or_else(|| Ok(String::new()), super::post::secret);
    let secret = secret.map_err(Failure::Channel)?;
    let body = body(waiting);
    let second = now.as_second().to_string();
    let signature = signature(&secret, &second, &body);
    let sent = agent(hook)
        .map_err(Failure::Channel)?
        .post(&hook.url)
        .header("content-type", "application/json")
        .header("idempotency-key", &waiting.key)
        .header("x-schoolgate-timestamp", &second)
        .header("x-schoolgate-signature", &signature)
        .send(body.as_bytes());
    match sent {
        Ok(response) if response.status().is_success() => Ok(()),
        // Whatever is wrong with a receiver, its people can put it right; one
        // message in a hundred it may not like.
        Ok(response) if response.status().is_client_error() => Err(Failure::Message(format!(
            "it answered {}",
            response.status()
        ))),
        Ok(response) => Err(Failure::Channel(format!(
            "it answered {}",
            response.status()
        ))),
        Err(error) => Err(Failure::Channel(chain(&error))),
    }
}

/// `sha256=` and the HMAC of what was sent when.
#[must_use]
pub fn signature(secret: &str, second: &str, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{second}.{body}").as_bytes());
    format!("sha256={}", data_encoding::HEXLOWER.encode(tag.as_ref()))
}

fn body(waiting: &Waiting) -> String {
    let message = &waiting.message;
    let mut object = Map::new();
    object.insert("id".to_owned(), waiting.key.as_str().into());
    object.insert("kind".to_owned(), message.kind.as_str().into());
    object.insert("made".to_owned(), message.made.to_string().into());
    object.insert("subject".to_owned(), message.subject.as_str().into());
    object.extend(message.fields.clone());
    if !message.fields.contains_key("alert") {
        object.insert("text".to_owned(), message.text.as_str().into());
    }
    Value::Object(object).to_string()
}

fn agent(hook: &Webhook) -> Result<Agent, String> {
    let roots = match &hook.ca_file {
        Some(file) => RootCerts::from(super::post::authorities(file)?),
        None => RootCerts::WebPki,
    };
    let config = Agent::config_builder()
        .max_redirects(0)
        .http_status_as_error(false)
        .timeout_global(Some(TIMEOUT))
        .user_agent(concat!("schoolgate/", env!("CARGO_PKG_VERSION")))
        // What the machine is told of proxies is for others.
        .proxy(None)
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .build();
    Ok(Agent::new_with_config(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `printf '1700000000.{}' | openssl dgst -sha256 -hmac secret` has it.
    #[test]
    fn the_signature_is_what_others_make_of_it() {
        assert_eq!(
            signature("secret", "1700000000", "{}"),
            "sha256=b8569b78799ff9e3cbff0fc2d63a33a2b57f3282abd07c37ae5e8e7d79a5f163"
        );
    }
}
