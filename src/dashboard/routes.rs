//! What page there is and who may see it: one table, and the guard that holds
//! it.
//!
//! A page that is not in the table cannot be reached, and none is in it without
//! a word on who may see it. `tests/dashboard/routes.txt` is the same table as a
//! governor would read it, tried role by role.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State};
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{MethodRouter, get, post};
use jiff::Timestamp;

use super::alerts;
use super::app::App;
use super::channels;
use super::cookie;
use super::health;
use super::lists;
use super::overview;
use super::own_account;
use super::page;
use super::page::Problem;
use super::protection;
use super::second_factor;
use super::set_up;
use super::sign_in;
use super::visitor::{Ticket, Visitor};
use crate::people::role::Role;
use crate::people::{PeopleError, Step};

/// Longest form, unless a page takes more.
const FORM: usize = 64 << 10;

/// Who may see a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Whoever may ask this resolver (`clients.allow`).
    Public,
    /// Whoever may come to the pages (`dashboard.allow`).
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
            Self::Public | Self::Everybody | Self::SignedIn => true,
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
/// Who may see how the machine fares.
const HEALTH: [Role; 3] = [Role::Technician, Role::Dsl, Role::Head];

/// Who is to know what devices did.
const ALERTS: [Role; 2] = [Role::Dsl, Role::Head];
/// Who may see whether alerts leave, and try it out.
const CHANNELS: [Role; 2] = [Role::Technician, Role::Dsl];

/// The table.
#[must_use]
pub fn routes() -> Vec<Route> {
    use Access::{Everybody, Only, SignedIn};
    vec![
        read("/", SignedIn, overview::overview),
        read("/account", SignedIn, own_account::page),
        read("/account/password", SignedIn, own_account::password_page),
        write("/account/password", SignedIn, own_account::change_password),
        write(
            "/account/recovery-codes",
            SignedIn,
            second_factor::renew_codes,
        ),
        read("/account/second-factor", SignedIn, second_factor::page),
        write("/account/second-factor", SignedIn, second_factor::enrol),
        write("/account/sessions/end", SignedIn, own_account::end_session),
        read("/alerts", Only(&ALERTS), alerts::list),
        read("/alerts/channels", Only(&CHANNELS), channels::show),
        write("/alerts/channels", Only(&CHANNELS), channels::try_out),
        read("/alerts/{number}", Only(&ALERTS), alerts::one),
        write(
            "/alerts/{number}/acknowledge",
            Only(&ALERTS),
            alerts::acknowledge,
        ),
        read("/set-up", Everybody, set_up::page),
        write("/set-up", Everybody, set_up::make),
        read("/sign-in", Everybody, sign_in::page),
        write("/sign-in", Everybody, sign_in::try_password),
        read("/sign-in/code", SignedIn, sign_in::code_page),
        write("/sign-in/code", SignedIn, sign_in::try_code),
        write("/sign-out", SignedIn, sign_in::sign_out),
        read("/style.css", Everybody, page::style),
        read("/health", Only(&HEALTH), health::page),
        read("/lists", Only(&[Role::Technician]), lists::page),
        read(
            "/lists/over-block",
            Only(&[Role::Technician]),
            lists::over_block,
        ),
        read("/lists/{id}", Only(&[Role::Technician]), lists::source),
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
    let protect = from_fn_with_state(Arc::clone(&app), protection::protect);
    router
        .fallback(|| async { Problem::NotFound })
        .layer(DefaultBodyLimit::max(FORM))
        .layer(protect)
        .with_state(app)
}

/// Lets somebody through to a page, or says why not.
async fn guard(
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
    if let Some(step) = session.step.filter(|_| !is_open) {
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
