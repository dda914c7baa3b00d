//! The form by which anybody asks for a site: to be opened, or to be blocked
//!
//!
//! It is at the block page, without an account, and among the pages, where who
//! has signed in need not say who they are. A site on a mandatory list is neither
//! taken nor named: nobody at the school could open it, and the queue must not
//! hold it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::app::App;
use super::page::{csrf, page, plain};
use super::shown;
use super::standing::Present;
use super::visitor::Visitor;
use crate::requests::{
    Asking, LONGEST_LINE, LONGEST_TEXT, Line, NotTaken, Received, Site, Text, Voice, Wish,
};

/// Bytes of a form: each character may take twelve.
pub(super) const LONGEST_FORM: usize = 16 << 10;

/// A page without its frame.
pub(super) struct Shown {
    pub(super) status: StatusCode,
    pub(super) title: String,
    pub(super) body: Markup,
}

/// Who has the form before them.
pub(super) struct Sender {
    pub(super) address: IpAddr,
    pub(super) visitor: Option<Visitor>,
}

/// What came with the form, or with a link to it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Sent {
    csrf: String,
    site: String,
    wish: String,
    group: String,
    who: String,
    for_whom: String,
    why: String,
}

impl Sent {
    /// Of a query or a body; what cannot be read is an empty form.
    pub(super) fn read(bytes: &[u8]) -> Self {
        serde_urlencoded::from_bytes(bytes).unwrap_or_default()
    }
}

/// `GET /request`
pub(super) async fn ask(
    State(app): State<Arc<App>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    visitor: Option<Extension<Visitor>>,
    RawQuery(query): RawQuery,
) -> Response {
    let from = Sender {
        address: from.ip(),
        visitor: visitor.map(|Extension(visitor)| visitor),
    };
    let sent = Sent::read(query.unwrap_or_default().as_bytes());
    framed(&app, &from, form(&app, &sent, &from))
}

/// `POST /request`
pub(super) async fn asked(
    State(app): State<Arc<App>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    visitor: Option<Extension<Visitor>>,
    body: Bytes,
) -> Response {
    let mut from = Sender {
        address: from.ip(),
        visitor: visitor.map(|Extension(visitor)| visitor),
    };
    if body.len() > LONGEST_FORM {
        return framed(&app, &from, refused("The form is too long."));
    }
    let sent = Sent::read(&body);
    // Without the session's token it is nobody's in particular.
    from.visitor = from.visitor.filter(|visitor| visitor.csrf == sent.csrf);
    let shown = take(&app, sent, &from).await;
    framed(&app, &from, shown)
}

fn framed(app: &App, from: &Sender, shown: Shown) -> Response {
    let Shown {
        status,
        title,
        body,
    } = shown;
    let page = match &from.visitor {
        Some(visitor) => page(visitor, &title, &body),
        None => plain(app.school(), &title, &body),
    };
    (status, page).into_response()
}

/// Takes what was sent, or says what is wrong with it beside the form.
pub(super) async fn take(app: &Arc<App>, sent: Sent, from: &Sender) -> Shown {
    let now = Timestamp::now();
    let Some(in_force) = app.standing.latest() else {
        return not_now();
    };
    let asking = match read(&sent, from, &in_force, now) {
        Ok(asking) => asking,
        Err(why) => return again(app, &sent, from, StatusCode::UNPROCESSABLE_ENTITY, &why),
    };
    let (taking, address) = (Arc::clone(app), from.address);
    let taken = tokio::task::spawn_blocking(move || taking.requests.ask(&asking, address)).await;
    match taken {
        Ok(Ok(received)) => thanks(app, received),
        Ok(Err(NotTaken::Trouble(error))) => {
            tracing::error!(%error, "a request cannot be kept");
            not_now()
        }
        Ok(Err(why @ NotTaken::TooOften)) => again(
            app,
            &sent,
            from,
            StatusCode::TOO_MANY_REQUESTS,
            &why.to_string(),
        ),
        Ok(Err(why @ NotTaken::Full)) => again(
            app,
            &sent,
            from,
            StatusCode::SERVICE_UNAVAILABLE,
            &why.to_string(),
        ),
        Err(_) => not_now(),
    }
}

fn read(sent: &Sent, from: &Sender, in_force: &Present, now: Timestamp) -> Result<Asking, String> {
    let Ok(Site(site)) = Site::new(&sent.site) else {
        return Err("Write the name of a site, such as www.example.org.".to_owned());
    };
    if in_force.is_mandatory(site.as_ref()) {
        return Err(
            "This site cannot be asked for here. If it worries you, speak to the \
             school's safeguarding lead."
                .to_owned(),
        );
    }
    let wish = Wish::named(&sent.wish).ok_or("Say whether it should be opened or blocked.")?;
    let why = Text::new(&sent.why);
    if why.is_empty() {
        return Err("Say why: somebody has to decide by it.".to_owned());
    }
    let asker = in_force.asker(from.address, now);
    let named = in_force.group_named(&sent.group);
    let visitor = from.visitor.as_ref();
    let who = visitor.map_or(&*sent.who, |visitor| &visitor.person.name);
    Ok(Asking {
        site,
        wish,
        group: in_force.group(named.unwrap_or(asker.group)).to_owned(),
        voice: Voice {
            time: now,
            who: Line::new(who),
            account: visitor.map(|visitor| visitor.person.account.clone()),
            device: in_force.device(asker).map(ToOwned::to_owned),
            for_whom: Line::new(&sent.for_whom),
            why,
        },
    })
}

fn thanks(app: &App, received: Received) -> Shown {
    let contact = &app.settings().answers.contact;
    let (id, joined) = match received {
        Received::New(id) => (id, false),
        Received::Joined(id) => (id, true),
    };
    Shown {
        status: StatusCode::OK,
        title: "Thank you".to_owned(),
        body: html! {
            p class="notice ok" { "Your request has been received. It has the number " (id) "." }
            @if joined { p { "Somebody has asked for the same, so yours was added to theirs." } }
            p { "The school's technician and safeguarding lead look at it. Nothing is opened or "
                "blocked until they have decided." }
            @if !contact.is_empty() { p { "Questions: " (shown::words(contact)) } }
            p { a href="/request" { "Ask for another site" } }
        },
    }
}

fn not_now() -> Shown {
    Shown {
        status: StatusCode::SERVICE_UNAVAILABLE,
        ..refused("Requests cannot be taken at the moment. Please tell a person instead.")
    }
}

/// A form that is not looked at.
pub(super) fn refused(why: &str) -> Shown {
    Shown {
        status: StatusCode::BAD_REQUEST,
        title: "That did not work".to_owned(),
        body: html! {
            p class="notice warn" { (why) }
            p { a href="/request" { "Back to the form" } }
        },
    }
}

fn again(app: &App, sent: &Sent, from: &Sender, status: StatusCode, why: &str) -> Shown {
    let shown = form(app, sent, from);
    Shown {
        status,
        body: html! {
            p class="notice warn" role="alert" { (why) }
            (shown.body)
        },
        ..shown
    }
}

/// The form with what is known already.
pub(super) fn form(app: &App, sent: &Sent, from: &Sender) -> Shown {
    let in_force = app.standing.latest();
    let body = html! {
        p { "Tell us of a site that is blocked and should not be, or the other way round. Do not "
            "write the names of children." }
        form class="stack" method="post" action="/request" {
            @if let Some(visitor) = &from.visitor { (csrf(visitor)) }
            p {
                label for="site" { "Which site?" }
                input id="site" name="site" required maxlength="300" autocomplete="off"
                autocapitalize="none" spellcheck="false" value=(sent.site);
            }
            fieldset {
                legend { "What should happen?" }
                @for (wish, words) in [(Wish::Unblock, "Open it"), (Wish::Block, "Block it")] {
                    @let chosen = sent.wish == wish.id() || (sent.wish.is_empty() && wish == Wish::Unblock);
                    div { label { input type="radio" name="wish" value=(wish.id()) checked[chosen] required; " " (words) } }
                }
            }
            @if let Some(in_force) = in_force { (groups(&in_force, sent, from)) }
            p {
                label for="for_whom" { "Who needs it? (a class, a lesson; may be left empty)" }
                input id="for_whom" name="for_whom" maxlength=(LONGEST_LINE) autocomplete="off" value=(sent.for_whom);
            }
            p {
                label for="why" { "Why?" }
                textarea id="why" name="why" rows="4" required maxlength=(LONGEST_TEXT) { (sent.why) }
            }
            @if let Some(visitor) = &from.visitor {
                p { span { "Asked by " (shown::words(&visitor.person.name)) } }
            } @else {
                p {
                    label for="who" { "Your name (may be left empty)" }
                    input id="who" name="who" maxlength=(LONGEST_LINE) autocomplete="name" value=(sent.who);
                }
            }
            div class="actions" { button { "Send" } }
        }
    };
    Shown {
        status: StatusCode::OK,
        title: "Ask for a site".to_owned(),
        body,
    }
}

fn groups(in_force: &Present, sent: &Sent, from: &Sender) -> Markup {
    let own = in_force.asker(from.address, Timestamp::now()).group;
    let chosen = in_force.group_named(&sent.group).unwrap_or(own);
    let chosen = in_force.group(chosen);
    html! {
        p {
            label for="group" { "For which group?" }
            select id="group" name="group" {
                @for group in in_force.policy().groups.iter().filter(|group| group.enabled) {
                    option value=(group.id) selected[*group.id == *chosen] { (group.id) }
                }
            }
        }
    }
}
