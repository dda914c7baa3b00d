//! Who asks for a page, and what they send with a form.
//!
//! A page that somebody must be signed in for takes a [`Visitor`], which only
//! the guard of `routes.rs` makes. A form takes [`Posted`], which cannot be had
//! without the session's own token (CSRF): neither can be forgotten.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::app::App;
use super::page::Problem;
use crate::people::{Actor, Person, Session, Step};
use crate::record::Deed;

/// Somebody who has signed in and may see this page.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// Who.
    pub person: Person,
    /// What their forms carry.
    pub csrf: String,
    /// From where.
    pub address: IpAddr,
    /// The school's name, for the head of the page.
    pub school: Arc<str>,
    /// What they must do before they see anything else.
    pub step: Option<Step>,
    /// Which of their sessions this is.
    pub session: i64,
}

impl Visitor {
    /// `session`, used from `address`.
    #[must_use]
    pub fn new(session: Session, address: IpAddr, app: &App) -> Self {
        Self {
            person: session.person,
            csrf: session.csrf,
            address,
            school: app.school().into(),
            step: session.step,
            session: session.id,
        }
    }

    /// Something they do, for the record.
    #[must_use]
    pub fn deed(&self, what: &str) -> Deed {
        Deed::new(&self.person.account, what).from(&self.address)
    }

    /// They, as the doer of something.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor::new(&self.person.account, self.address)
    }
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Only the guard puts one there.
        parts.extensions.get().cloned().ok_or(Problem::NotForYou)
    }
}

/// The secret of the visitor's session, for the pages that exchange it.
#[derive(Clone)]
pub struct Ticket(pub String);

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket")
    }
}

impl<S: Sync> FromRequestParts<S> for Ticket {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get().cloned().ok_or(Problem::NotForYou)
    }
}

/// What a form of this session sent.
#[derive(Debug)]
pub struct Posted<T>(pub T);

/// A form that has nothing to say but its button.
#[derive(Debug, Deserialize)]
pub struct Nothing {}

#[derive(Deserialize)]
struct Token {
    csrf: String,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Posted<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let visitor = request.extensions().get::<Visitor>().cloned();
        let visitor = visitor.ok_or(Problem::NotForYou)?;
        let body = form(request, state).await?;
        let lost = "This form has lost its session. Go back, load the page again and repeat it.";
        let token: Token =
            serde_urlencoded::from_bytes(&body).map_err(|_| Problem::Bad(lost.to_owned()))?;
        if !same(&token.csrf, &visitor.csrf) {
            return Err(Problem::Bad(lost.to_owned()));
        }
        read(&body).map(Self)
    }
}

/// What somebody sent who has no session yet: where it came from is all that
/// speaks for it (`protection.rs`).
#[derive(Debug)]
pub struct Sent<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Sent<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        read(&form(request, state).await?).map(Self)
    }
}

async fn form<S: Send + Sync>(request: Request, state: &S) -> Result<axum::body::Bytes, Problem> {
    axum::body::Bytes::from_request(request, state)
        .await
        .map_err(|_| Problem::Bad("The form is too long, or came broken.".to_owned()))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_urlencoded::from_bytes(body)
        .map_err(|error| Problem::Bad(format!("The form was not filled in: {error}.")))
}

/// Compares without telling by its time how much was right.
fn same(one: &str, other: &str) -> bool {
    // Comparing two of these takes the same time whatever stands in them.
    blake3::hash(one.as_bytes()) == blake3::hash(other.as_bytes())
}
