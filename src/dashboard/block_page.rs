//! What a browser gets that was led here instead of to a blocked site.
//!
//! Whatever host is asked for, with whatever path and method, the answer is one
//! page: what is blocked for this device, as which category, why, and whom to
//! ask. The decision is made anew by the address that asks, with the policy in
//! force; nobody's word on who they are is believed (`X-Forwarded-For` least).
//! Under its own name or address it says what this filter is and that use is
//! recorded, and has the form to ask for a site.
//!
//! The status is 403: this is not the site, and neither an app that waits for
//! its own server nor a browser's memory may take it for that. For a mandatory
//! block the page is neutral: it never says which, never names the host, and
//! there is nobody to ask.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock};

use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, HOST, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use maud::{Markup, html};

use super::app::App;
use super::asking::{self, LONGEST_FORM, Sender, Sent, Shown};
use super::opening;
use super::page::{alone, style_digest};
use super::protection::is_own_form;
use super::shown;
use super::standing::Present;
use crate::lists::category::Category;
use crate::name::Name;
use crate::policy::decision::{Layer, Verdict};

/// The one page that is not the same whatever the path.
const FORM: &str = "/request";

/// Who asks, and at which of our addresses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reached {
    /// The other end.
    pub(super) client: IpAddr,
    /// This one.
    pub(super) at: SocketAddr,
}

/// Under what a browser has come here.
#[derive(Debug, PartialEq, Eq)]
enum Host {
    /// Our own name, or an address.
    Ours,
    /// A site's.
    Site(Name),
    /// None that can be looked up.
    Odd,
}

/// Why a site is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// On a mandatory list, or of an illegal category.
    Mandatory,
    /// For its category, at every hour or at this one.
    Category(Category, bool),
    /// By the school's own word.
    School,
    /// It is not blocked, by its own name and now.
    NotBlocked,
}

/// Answers whatever was asked.
pub(super) async fn answer(app: Arc<App>, reached: Reached, request: Request) -> Response {
    let host = host(&app, &request);
    let now = Timestamp::now();
    let in_force = app.standing.latest();
    let in_force = in_force.as_deref();
    let shown = match host {
        Host::Site(site) => blocked(&app, in_force, reached, &site, now),
        Host::Ours if request.uri().path() == FORM => return form(app, reached, request).await,
        Host::Ours if request.uri().path() == opening::FORM => {
            return open(app, reached, request).await;
        }
        Host::Ours => about(&app, in_force, reached.client, now),
        Host::Odd => Shown {
            status: StatusCode::BAD_REQUEST,
            ..about(&app, in_force, reached.client, now)
        },
    };
    finished(&app, &shown)
}

/// The form, to be filled in or filled in.
async fn form(app: Arc<App>, reached: Reached, request: Request) -> Response {
    let from = Sender {
        address: reached.client,
        visitor: None,
    };
    let shown = match *request.method() {
        Method::POST if !is_own_form(&request) => {
            asking::refused("This form came from another site.")
        }
        Method::POST => match to_bytes(request.into_body(), LONGEST_FORM).await {
            Ok(body) => asking::take(&app, Sent::read(&body), &from).await,
            Err(_) => asking::refused("The form is too long, or came broken."),
        },
        _ => {
            let query = request.uri().query().unwrap_or_default();
            asking::form(&app, &Sent::read(query.as_bytes()), &from)
        }
    };
    finished(&app, &shown)
}

/// The form by which staff open a site for a while.
async fn open(app: Arc<App>, reached: Reached, request: Request) -> Response {
    let from = Sender {
        address: reached.client,
        visitor: None,
    };
    let shown = match *request.method() {
        Method::POST if !is_own_form(&request) => {
            asking::refused("This form came from another site.")
        }
        Method::POST => match to_bytes(request.into_body(), LONGEST_FORM).await {
            Ok(body) => opening::open(&app, opening::Sent::read(&body), &from).await,
            Err(_) => asking::refused("The form is too long, or came broken."),
        },
        _ => {
            let query = request.uri().query().unwrap_or_default();
            opening::form(&app, &opening::Sent::read(query.as_bytes()), &from)
        }
    };
    finished(&app, &shown)
}

fn finished(app: &App, shown: &Shown) -> Response {
    static POLICY: LazyLock<Option<HeaderValue>> = LazyLock::new(|| {
        let policy = format!(
            "default-src 'none'; style-src {}; form-action 'self'; base-uri 'none'; \
             frame-ancestors 'none'",
            style_digest()
        );
        HeaderValue::from_str(&policy).ok()
    });
    let page = alone(app.school(), &shown.title, &shown.body);
    let mut response = (shown.status, page).into_response();
    let headers = response.headers_mut();
    if let Some(policy) = POLICY.clone() {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    for (name, value) in [
        // The site itself is to be asked for again as soon as it is opened.
        (CACHE_CONTROL, "no-store"),
        (CONNECTION, "close"),
        (REFERRER_POLICY, "same-origin"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// As a proxy is asked, or by its header.
fn host(app: &App, request: &Request) -> Host {
    let header = || request.headers().get(HOST)?.to_str().ok();
    let host = request.uri().authority().map(Authority::as_str);
    let Some(host) = host.or_else(header) else {
        return Host::Odd;
    };
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    // [2001:db8::1]:80
    if host.starts_with('[') {
        return Host::Ours;
    }
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    if host.parse::<IpAddr>().is_ok() || host.eq_ignore_ascii_case("localhost") {
        return Host::Ours;
    }
    match Name::parse_any_depth(host) {
        Ok(name) if Some(&name) == app.settings().answers.page_name.as_ref() => Host::Ours,
        Ok(name) => Host::Site(name),
        Err(_) => Host::Odd,
    }
}

fn why(in_force: &Present, client: IpAddr, site: &Name, now: Timestamp) -> Why {
    let asker = in_force.asker(client, now);
    let decision = in_force.decide(asker, site.as_ref(), now);
    if decision.verdict != Verdict::Block {
        return Why::NotBlocked;
    }
    match (decision.layer, decision.category) {
        (Layer::Mandatory, _) => Why::Mandatory,
        (_, Some(category)) if category.is_illegal() => Why::Mandatory,
        (Layer::Category, Some(category)) => {
            let group = in_force.policy().group(asker.group);
            Why::Category(category, group.is_none_or(|g| g.block.has(category)))
        }
        _ => Why::School,
    }
}

fn blocked(
    app: &App,
    in_force: Option<&Present>,
    reached: Reached,
    site: &Name,
    now: Timestamp,
) -> Shown {
    let why = in_force.map_or(Why::NotBlocked, |f| why(f, reached.client, site, now));
    let (title, body) = match why {
        Why::NotBlocked => {
            return Shown {
                status: StatusCode::NOT_FOUND,
                ..about(app, in_force, reached.client, now)
            };
        }
        Why::Mandatory => (
            "This site cannot be opened",
            html! {
                p { "It cannot be opened from this network, and nobody at the school can change that." }
                p { "If you have seen something that worries you, tell a member of staff whom you trust." }
                (contact(app))
                (notice(app))
            },
        ),
        Why::Category(category, always) => (
            "This site is blocked",
            html! {
                p { (shown::name(&site.to_string())) " is blocked here"
                    @if !always { " at this time" } "." }
                @if let Some(facts) = category.facts() {
                    div class="card" {
                        h2 { (facts.name) }
                        p { (facts.says) }
                    }
                }
                (for_a_while(app, in_force, reached, site, now))
                (whom_to_ask(app, reached, site))
            },
        ),
        Why::School => (
            "This site is blocked",
            html! {
                p { (shown::name(&site.to_string())) " is blocked here: the school has decided so." }
                (whom_to_ask(app, reached, site))
            },
        ),
    };
    Shown {
        status: StatusCode::FORBIDDEN,
        title: title.to_owned(),
        body,
    }
}

/// The way to open it on this device, for those whose group may.
fn for_a_while(
    app: &App,
    in_force: Option<&Present>,
    reached: Reached,
    site: &Name,
    now: Timestamp,
) -> Markup {
    let from = Sender {
        address: reached.client,
        visitor: None,
    };
    let allowance =
        in_force.and_then(|in_force| opening::allowance(in_force, &from, site.as_ref(), now));
    let form = format!(
        "{}{}?site={site}",
        own_address(app, reached.at),
        opening::FORM
    );
    html! {
        @if let Some(allowance) = allowance {
            p {
                "You can open it on this device for "
                (shown::several(allowance.minutes.into(), "minute", "minutes")) ", which is recorded: "
                a href=(form) { "open it for a while" } "."
            }
        }
    }
}

fn whom_to_ask(app: &App, reached: Reached, site: &Name) -> Markup {
    let form = format!("{}{FORM}?site={site}", own_address(app, reached.at));
    html! {
        p { "Should it be open? " a href=(form) { "Ask for this site" } "." }
        (contact(app))
        (notice(app))
    }
}

/// Where a browser that is at another site's name finds us.
fn own_address(app: &App, at: SocketAddr) -> String {
    let address = SocketAddr::new(at.ip().to_canonical(), at.port());
    match (&app.settings().answers.page_name, at.port()) {
        (Some(name), 80) => format!("http://{name}"),
        (Some(name), port) => format!("http://{name}:{port}"),
        (None, _) => format!("http://{address}"),
    }
}

fn contact(app: &App) -> Markup {
    let contact = &app.settings().answers.contact;
    html! {
        @if !contact.is_empty() { p { "Questions: " (shown::words(contact)) } }
    }
}

fn notice(app: &App) -> Markup {
    let days = app.settings().querylog.keep_days;
    html! {
        p class="muted" {
            "Use of the internet at this school is filtered and monitored: what is blocked is "
            "recorded with the device, and other sites as the school has chosen for each group, "
            "with the device or without it. All of it is kept for " (shown::several(days.into(), "day", "days")) "."
        }
    }
}

/// What this filter is, for whoever comes by its own name.
fn about(app: &App, in_force: Option<&Present>, client: IpAddr, now: Timestamp) -> Shown {
    let info = &app.settings().answers.info_url;
    let body = html! {
        p { "This school filters the internet, as schools in the UK must, to keep children from "
            "harm online. Sites of some kinds are blocked for some groups, at some hours." }
        @match in_force {
            Some(in_force) => {
                @let asker = in_force.asker(client, now);
                @if in_force.policy().number == 0 {
                    p class="warn" { "The filter's rules are ready, but have not been in force yet." }
                } @else {
                    p class="ok" { "The filter's rules are in force." }
                }
                dl {
                    div { dt { "This device is in the group" }
                        dd { (shown::words(in_force.group(asker.group))) } }
                    div { dt { "Policy" } dd { "number " (in_force.policy().number) } }
                    div { dt { "Lists last changed" }
                        dd { (shown::time(in_force.policy().not_before, &in_force.policy().zone)) } }
                }
            }
            None => p class="warn" { "The filter is not ready yet." },
        }
        h2 { "You are monitored" }
        (notice(app))
        h2 { "A site is blocked, or should be?" }
        p { a class="button" href=(FORM) { "Ask for a site" } }
        (contact(app))
        @if !info.is_empty() { p { a href=(info) { "How this school filters" } } }
    };
    Shown {
        status: StatusCode::OK,
        title: "Internet filtering".to_owned(),
        body,
    }
}
