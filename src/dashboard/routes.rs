//! What page there is and who may see it: one table, and the guard that holds
//! it.
//!
//! A page that is not in the table cannot be reached, and none is in it without
//! a word on who may see it. `tests/dashboard/routes.txt` is the same table as a
//! governor would read it, tried role by role.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::handler::Handler;
use axum::http::header::COOKIE;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{MethodRouter, get, post};
use jiff::Timestamp;

use super::app::App;
use super::page::Problem;
use super::visitor::{self, Visitor};
use super::{asking, overview, page, protection, request, requests};
use crate::people::role::Role;

/// Who may see a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Whoever can reach this machine.
    Everybody,
    /// Whoever has signed in.
    SignedIn,
    /// These.
    Only(&'static [Role]),
}

impl Access {
    /// Whether somebody of `role` may.
    #[must_use]
    pub fn lets(self, role: Role) -> bool {
        match self {
            Self::Everybody | Self::SignedIn => true,
            Self::Only(roles) => roles.contains(&role),
        }
    }
}

/// One way to reach a page.
pub struct Route {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// Its path; `{…}` stands for a part of it.
    pub path: &'static str,
    /// Who may.
    pub access: Access,
    handler: MethodRouter<Arc<App>>,
}

/// Reading a page.
fn read<T: 'static>(
    path: &'static str,
    access: Access,
    handler: impl Handler<T, Arc<App>>,
) -> Route {
    Route {
        method: "GET",
        path,
        access,
        handler: get(handler),
    }
}

/// Sending a form.
fn write<T: 'static>(
    path: &'static str,
    access: Access,
    handler: impl Handler<T, Arc<App>>,
) -> Route {
    Route {
        method: "POST",
        path,
        access,
        handler: post(handler),
    }
}

/// Who works through requests.
const QUEUE: Access = Access::Only(&[Role::Technician, Role::Dsl, Role::Head]);

/// The table.
#[must_use]
pub fn routes() -> Vec<Route> {
    use Access::{Everybody, SignedIn};
    vec![
        read("/style.css", Everybody, page::style),
        read("/", SignedIn, overview::overview),
        read("/request", Everybody, asking::ask),
        write("/request", Everybody, asking::asked),
        read("/requests", QUEUE, requests::requests),
        read("/requests/{id}", QUEUE, request::request),
        write("/requests/{id}/answer", QUEUE, request::answer),
        write("/requests/{id}/consider", QUEUE, request::consider),
    ]
}

/// Who may see what, without the pages themselves.
static ACCESS: LazyLock<Vec<(&'static str, &'static str, Access)>> = LazyLock::new(|| {
    let all = routes().into_iter();
    all.map(|route| (route.method, route.path, route.access))
        .collect()
});

/// Whether somebody of `role` may read the page at `path`; for links, which
/// nobody should see who would be refused behind them.
#[must_use]
pub fn may_read(role: Role, path: &str) -> bool {
    let page = ACCESS
        .iter()
        .find(|(method, at, _)| *method == "GET" && *at == path);
    page.is_some_and(|(_, _, access)| access.lets(role))
}

/// Everything together.
pub fn router(app: Arc<App>) -> Router {
    let mut router = Router::new();
    for route in routes() {
        let guard = from_fn_with_state((Arc::clone(&app), route.access), guard);
        router = router.route(route.path, route.handler.route_layer(guard));
    }
    router
        .fallback(|| async { Problem::NotFound })
        .layer(from_fn(protection::protect))
        .with_state(app)
}

/// Lets somebody through to a page, or says why not.
async fn guard(
    State((app, access)): State<(Arc<App>, Access)>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let secret = request.headers().get_all(COOKIE).iter().find_map(|header| {
        let pairs = header.to_str().ok()?.split(';');
        let mut pairs = pairs.filter_map(|pair| pair.trim().split_once('='));
        pairs
            .find(|(name, _)| *name == visitor::COOKIE)
            .map(|(_, secret)| secret.to_owned())
    });
    let session = secret.and_then(|secret| app.people.session(&secret, Timestamp::now()));
    let visitor = session.map(|session| Visitor::new(session, from.ip(), &app));
    match (&visitor, access) {
        (None, Access::SignedIn | Access::Only(_)) => {
            return Redirect::to("/sign-in").into_response();
        }
        (Some(visitor), access) if !access.lets(visitor.person.role) => {
            return Problem::NotForYou.into_response();
        }
        _ => {}
    }
    if let Some(visitor) = visitor {
        request.extensions_mut().insert(visitor);
    }
    next.run(request).await
}
