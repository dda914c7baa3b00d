//! Who comes through to a page: by where they are, whether they have signed in,
//! what they must still do, and what they are at the school.
//!
//! Every route of the table stands behind it. What it lets through it marks with
//! a [`Visitor`], without which no page about anybody can be made.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;

use super::app::App;
use super::page::Problem;
use super::routes::Access;
use super::visitor::{Ticket, Visitor};
use super::{cookie, sign_in};
use crate::people::{PeopleError, Step};

/// Lets somebody through to a page, or says why not.
pub(super) async fn guard(
    State((app, access)): State<(Arc<App>, Access)>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let from = from.ip().to_canonical();
    if !may_come(&app, access, from) {
        return Problem::NotFromHere.into_response();
    }
    match visitor(&app, access, from, &mut request).await {
        Ok(()) => next.run(request).await,
        Err(response) => response,
    }
}

fn may_come(app: &App, access: Access, from: IpAddr) -> bool {
    let networks = match access {
        Access::Public => &app.settings().clients.allow,
        _ => &app.settings().dashboard.allow,
    };
    networks.iter().any(|network| network.holds(from))
}

/// Finds out whose request it is, and answers it here if it must not go on.
async fn visitor(
    app: &Arc<App>,
    access: Access,
    from: IpAddr,
    request: &mut Request,
) -> Result<(), Response> {
    let path = request.uri().path().to_owned();
    let secret = cookie::secret(request.headers(), app.tls());
    let asked = secret.clone();
    let found = app.blocking(move |app| {
        let is_set_up = app.people.is_set_up()?;
        let session = asked.map(|secret| app.people.session(&secret, Timestamp::now()));
        Ok::<_, PeopleError>((is_set_up, session.transpose()?.flatten()))
    });
    let found = found.await.and_then(|found| found.map_err(Problem::from));
    let (is_set_up, session) = found.map_err(IntoResponse::into_response)?;
    let is_set_up = is_set_up || matches!(path.as_str(), "/set-up" | "/style.css");
    if !is_set_up && access != Access::Public {
        return Err(Redirect::to("/set-up").into_response());
    }
    let Some(session) = session else {
        return match access {
            Access::Public | Access::Everybody => Ok(()),
            Access::SignedIn | Access::Only(_) => Err(sign_in(request)),
        };
    };
    let is_open = matches!(access, Access::Public | Access::Everybody);
    // Half signed in is nobody yet.
    if is_open && session.step.is_some() {
        return Ok(());
    }
    if let Some(step) = session.step {
        let own = own_page(step);
        if path != own && path != "/sign-out" {
            let next = sign_in::next_of(request.method(), request.uri());
            return Err(Redirect::to(&sign_in::with_next(own, &next)).into_response());
        }
    }
    if !access.lets(session.person.role) {
        return Err(Problem::NotForYou.into_response());
    }
    let visitor = Visitor::new(session, from, app);
    request.extensions_mut().insert(visitor);
    request
        .extensions_mut()
        .insert(Ticket(secret.unwrap_or_default()));
    Ok(())
}

/// Where somebody does what they must do first.
fn own_page(step: Step) -> &'static str {
    match step {
        Step::Code => "/sign-in/code",
        Step::Password => "/account/password",
        Step::SecondFactor => "/account/second-factor",
    }
}

fn sign_in(request: &Request) -> Response {
    let next = match *request.method() {
        Method::GET => sign_in::next_of(request.method(), request.uri()),
        _ => String::new(),
    };
    Redirect::to(&sign_in::with_next("/sign-in", &next)).into_response()
}
