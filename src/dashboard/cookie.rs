//! The cookie that carries a session.
//!
//! `SameSite=Lax`, not `Strict`: with `Strict` somebody who follows the link in an
//! alert's e-mail would be asked to sign in again although they are. Nothing that
//! a link could reach changes anything, and forms from other sites are refused
//! twice, by where they come from (`protection.rs`) and by their token
//! (`visitor.rs`). With TLS it is bound to this very host (`__Host-`).

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};

const PLAIN: &str = "schoolgate";
const BOUND: &str = "__Host-schoolgate";

/// The secret in a request's cookies.
#[must_use]
pub(super) fn secret(headers: &HeaderMap, tls: bool) -> Option<String> {
    let wanted = if tls { BOUND } else { PLAIN };
    headers.get_all(COOKIE).iter().find_map(|header| {
        let pairs = header.to_str().ok()?.split(';');
        let mut pairs = pairs.filter_map(|pair| pair.trim().split_once('='));
        let (_, secret) = pairs.find(|(name, _)| *name == wanted)?;
        Some(secret.to_owned())
    })
}

/// What gives a browser this secret; the empty one takes it away.
#[must_use]
pub(super) fn carrying(secret: &str, tls: bool) -> HeaderValue {
    let name = if tls { BOUND } else { PLAIN };
    let secure = if tls { "; Secure" } else { "" };
    let age = if secret.is_empty() { "; Max-Age=0" } else { "" };
    let text = format!("{name}={secret}; Path=/; HttpOnly; SameSite=Lax{secure}{age}");
    // A secret is letters and digits: it always fits.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}
