//! The pages: what the safeguarding lead, the technician and the head see.
//!
//! A process of its own. It reads what `serve` writes and can change nothing of
//! what `serve` does; if it dies, nobody's look-up notices. Pages are made here
//! whole, need no script and fetch nothing from elsewhere, so that the strictest
//! policy a browser knows can be put on them (`protection.rs`).
//!
//! What page there is and who may see it is one table, in `routes.rs`. A page is
//! one file. It must never show a mandatory host to anybody but the DSL.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

use std::convert::Infallible;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::alerts::watch::Watch;
use crate::appliance::{all_of, give_way};

mod accounts;
mod advice;
mod alerts;
pub mod app;
pub mod asked;
mod asking;
mod at_hand;
mod block_page;
mod casework;
mod change;
mod changes;
mod channels;
pub mod chart;
mod cookie;
mod deny;
mod device;
mod devices;
mod edited;
mod evidence;
mod exceptions;
mod filters;
mod granting;
mod groups;
mod guard;
mod health;
mod holds;
pub mod in_force;
mod in_words;
mod incident;
mod incidents;
mod known;
mod lists;
mod lookups;
pub mod opening;
mod overview;
mod own_account;
pub mod page;
mod plain_http;
mod propose;
mod protection;
mod record;
mod rehearsed;
mod reports;
mod request;
mod requests;
pub mod routes;
mod search;
mod second_factor;
mod server;
mod set_up;
mod settled;
pub mod sheet;
pub mod shown;
mod sign_in;
mod signature;
pub mod standing;
mod story;
mod tables;
mod term;
mod trace;
mod trend;
pub mod visitor;
mod wishes;

use app::App;

/// After how long alerts that cannot be watched for are tried again: to find the
/// lock taken costs nothing, and nobody is told while nobody watches.
const AGAIN: Duration = Duration::from_secs(5);
/// By how much the whole process gives way to the resolver (nice(2)).
const NICENESS: i32 = 10;

/// Serves the pages until told to stop. `out` gets one line when it does, and a
/// second one while nobody has an account.
pub fn dashboard(folder: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    // Before there are other threads: each has what it was made by.
    give_way(NICENESS);
    let configuration = crate::standing::configuration(folder).map_err(all_of)?;
    let app = Arc::new(App::new(configuration)?);
    // Whoever cannot be told by e-mail can still look at the pages.
    let watch = Mutex::new(watch(&app));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        tokio::select! {
            ended = run(Arc::clone(&app), out) => ended,
            never = watch_again(&app, &watch) => match never {},
        }
    })
}

fn watch(app: &App) -> Option<Watch> {
    let watch = app.alerts.watch();
    if let Err(error) = &watch {
        tracing::error!(%error, "no alert is raised by this process; it tries again");
    }
    watch.ok()
}

/// Whoever watched may have gone.
async fn watch_again(app: &App, slot: &Mutex<Option<Watch>>) -> Infallible {
    loop {
        tokio::time::sleep(AGAIN).await;
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.is_none() {
            *slot = app.alerts.watch().ok();
        }
    }
}

async fn run(app: Arc<App>, out: &mut impl Write) -> anyhow::Result<()> {
    let address = app.settings().listen.dashboard;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address} for the pages"))?;
    let address = listener.local_addr()?;
    let code = app.people.set_up_code()?;
    let server = server::Server::new(&app, address.ip())?;
    let scheme = if app.tls() { "https" } else { "http" };
    writeln!(out, "serving pages on {scheme}://{address}")?;
    if let Some(code) = code {
        let file = app.people.set_up_file();
        writeln!(
            out,
            "No account yet. The first is made at {scheme}://{address}/set-up; from another \
             machine with the code {code} (it is in {} too).",
            file.display()
        )?;
    }
    if let Some(address) = plain_http::start(&app).await? {
        writeln!(out, "block page on http://{address}")?;
    }
    tokio::spawn(standing::keep(Arc::clone(&app)));
    tokio::spawn(at_hand::keep(Arc::clone(&app)));
    out.flush()?;
    let pages = routes::router(app);
    tokio::select! {
        () = server.serve(&listener, &pages) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
