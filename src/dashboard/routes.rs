//! What page there is and who may see it: one table.
//!
//! A page that is not in the table cannot be reached, and none is in it without
//! a word on who may see it; `guard.rs` holds them to it.
//! `tests/dashboard/routes.txt` is the same table as a governor would read it,
//! tried role by role.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get, post};

use super::accounts;
use super::alerts;
use super::app::App;
use super::asking;
use super::casework;
use super::change;
use super::changes;
use super::channels;
use super::deny;
use super::device;
use super::devices;
use super::evidence;
use super::exceptions;
use super::granting;
use super::groups;
use super::guard;
use super::health;
use super::holds;
use super::incident;
use super::incidents;
use super::lists;
use super::overview;
use super::own_account;
use super::page;
use super::page::Problem;
use super::propose;
use super::protection;
use super::record;
use super::reports;
use super::request;
use super::requests;
use super::search;
use super::second_factor;
use super::set_up;
use super::sign_in;
use super::signature;
use crate::people::role::Role;

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

/// Who may see how the machine fares, which devices there are and what holds for
/// them.
const HEALTH: [Role; 3] = [Role::Technician, Role::Dsl, Role::Head];
/// Who looks after the lists.
const LISTS: [Role; 1] = [Role::Technician];
/// Who works through requests.
const QUEUE: Access = Access::Only(&[Role::Technician, Role::Dsl, Role::Head]);

/// Who is to know what devices did.
const ALERTS: [Role; 2] = [Role::Dsl, Role::Head];
/// Who may see whether alerts leave, and try it out.
const CHANNELS: [Role; 2] = [Role::Technician, Role::Dsl];

/// Who reads what pupils looked up.
pub(super) const READERS: &[Role] = &[Role::Dsl, Role::Head];

/// The table.
#[must_use]
pub fn routes() -> Vec<Route> {
    use Access::{Everybody, Only, SignedIn};
    use Role::{Auditor, Dsl, Governor, Head, Technician};
    // Who makes accounts, and who is asked whether somebody else may.
    const MAKES: Access = Only(&[Technician, Head]);
    const CONFIRMS: Access = Only(&[Dsl, Head]);
    const ACCOUNTS: Access = Only(&[Technician, Dsl, Head]);
    const RECORD: Access = Only(&[Dsl, Head, Auditor]);
    // Numbers alone; what names devices; what says how the filter is deployed.
    const NUMBERS: Access = Only(&[Dsl, Head, Governor, Auditor]);
    const DIGEST: Access = Only(&[Dsl, Head]);
    const STATEMENTS: Access = Only(&[Technician, Dsl, Head, Auditor]);
    vec![
        read("/", SignedIn, overview::overview),
        read("/devices/{id}", Only(READERS), device::device),
        read("/incidents", Only(READERS), incidents::incidents),
        read("/incidents/{at}", Only(READERS), incident::incident),
        write("/incidents/{at}/assign", Only(READERS), casework::assign),
        write("/incidents/{at}/host", Only(&[Role::Dsl]), incident::host),
        write("/incidents/{at}/note", Only(READERS), casework::note),
        write("/incidents/{at}/reopen", Only(READERS), casework::reopen),
        write("/incidents/{at}/review", Only(READERS), casework::review),
        read("/search", Only(READERS), search::search),
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
        read("/accounts", ACCOUNTS, accounts::page),
        write("/accounts", MAKES, accounts::invite),
        read("/accounts/{account}", ACCOUNTS, accounts::one),
        write("/accounts/{account}/confirm", CONFIRMS, accounts::confirm),
        write("/accounts/{account}/decline", CONFIRMS, accounts::decline),
        write("/accounts/{account}/disable", MAKES, accounts::disable),
        write("/accounts/{account}/reset", MAKES, accounts::reset),
        write("/accounts/{account}/role", MAKES, accounts::change_role),
        read("/alerts", Only(&ALERTS), alerts::list),
        read("/alerts/channels", Only(&CHANNELS), channels::show),
        write("/alerts/channels", Only(&CHANNELS), channels::try_out),
        read("/alerts/{number}", Only(&ALERTS), alerts::one),
        write(
            "/alerts/{number}/acknowledge",
            Only(&ALERTS),
            alerts::acknowledge,
        ),
        read("/devices", Only(&HEALTH), devices::page),
        write("/evidence", Only(&[Dsl]), evidence::take_out),
        read("/evidence/new", Only(&[Dsl]), evidence::form),
        read("/groups", Only(&HEALTH), groups::page),
        read("/health", Only(&HEALTH), health::page),
        read("/holds", DIGEST, holds::page),
        write("/holds", DIGEST, holds::place),
        write("/holds/lift", DIGEST, holds::lift),
        read("/lists", Only(&LISTS), lists::page),
        read("/lists/over-block", Only(&LISTS), lists::over_block),
        read("/lists/{id}", Only(&LISTS), lists::source),
        read("/record", RECORD, record::page),
        read("/record.csv", RECORD, record::csv),
        read("/reports", SignedIn, reports::page),
        read("/reports/deployment", STATEMENTS, reports::deployment),
        read("/reports/dpia", STATEMENTS, reports::dpia),
        read("/reports/governors", NUMBERS, reports::governors),
        read("/reports/governors.csv", NUMBERS, reports::governors_csv),
        read("/reports/weekly", DIGEST, reports::weekly),
        read("/reports/weekly.csv", DIGEST, reports::weekly_csv),
        read("/request", Access::Public, asking::ask),
        write("/request", Access::Public, asking::asked),
        read("/requests", QUEUE, requests::requests),
        read("/requests/{id}", QUEUE, request::request),
        write("/requests/{id}/answer", QUEUE, request::answer),
        write("/requests/{id}/consider", QUEUE, request::consider),
        read("/set-up", Everybody, set_up::page),
        write("/set-up", Everybody, set_up::make),
        read("/sign-in", Everybody, sign_in::page),
        write("/sign-in", Everybody, sign_in::try_password),
        read("/sign-in/code", SignedIn, sign_in::code_page),
        write("/sign-in/code", SignedIn, sign_in::try_code),
        write("/sign-out", SignedIn, sign_in::sign_out),
        read("/style.css", Access::Public, page::style),
    ]
    .into_iter()
    .chain(of_changes())
    .collect()
}

/// Changes of the filter: who reads of them, proposes and approves them.
fn of_changes() -> Vec<Route> {
    use Access::Only;
    use Role::{Auditor, Dsl, Head, Technician};
    // What changed, without what pupils did; who approves it.
    const CHANGES: Access = Only(&[Technician, Dsl, Head, Auditor]);
    const PROPOSES: Access = Only(&[Technician]);
    const EXCEPTS: Access = Only(&[Technician, Dsl]);
    const SIGNS: Access = Only(&[Dsl, Head]);
    vec![
        read("/account/signature", SIGNS, signature::page),
        write("/account/signature", SIGNS, signature::set_up),
        read("/changes", CHANGES, changes::list),
        read("/changes/propose", PROPOSES, propose::page),
        write("/changes/propose", PROPOSES, propose::propose),
        read("/changes/record", CHANGES, record::changes),
        read("/changes/record.csv", CHANGES, record::changes_csv),
        write(
            "/changes/signatories/{account}/confirm",
            SIGNS,
            signature::confirm,
        ),
        read("/changes/{number}", CHANGES, change::one),
        write("/changes/{number}/acknowledge", SIGNS, change::acknowledge),
        write("/changes/{number}/approve", SIGNS, change::approve),
        write("/changes/{number}/decline", QUEUE, change::decline),
        read("/deny", QUEUE, deny::page),
        write("/deny", QUEUE, deny::close),
        read("/exceptions", CHANGES, exceptions::page),
        write("/exceptions/renew", EXCEPTS, exceptions::renew),
        write("/exceptions/take-back", EXCEPTS, exceptions::take_back),
        write("/requests/{id}/grant", EXCEPTS, granting::grant),
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

/// Whether somebody of `role` may send a form to `path`; for buttons.
#[must_use]
pub fn may_send(role: Role, path: &str) -> bool {
    let form = ACCESS
        .iter()
        .find(|(method, at, _)| *method == "POST" && *at == path);
    form.is_some_and(|(_, _, access)| access.lets(role))
}

/// Everything together.
pub fn router(app: Arc<App>) -> Router {
    let mut router = Router::new();
    for route in routes() {
        let guard = from_fn_with_state((Arc::clone(&app), route.access), guard::guard);
        router = router.route(route.path, route.handler.route_layer(guard));
    }
    let protect = from_fn_with_state(Arc::clone(&app), protection::protect);
    router
        .fallback(|| async { Problem::NotFound })
        .layer(DefaultBodyLimit::max(FORM))
        .layer(protect)
        .with_state(app)
}
