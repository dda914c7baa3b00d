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

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::appliance::all_of;
use crate::configuration::Configuration;

mod alerts;
pub mod app;
mod channels;
pub mod chart;
mod cookie;
mod health;
pub mod in_force;
mod lists;
mod overview;
mod own_account;
pub mod page;
mod protection;
pub mod routes;
mod second_factor;
mod set_up;
pub mod sheet;
pub mod shown;
mod sign_in;
mod tables;
pub mod visitor;

use app::App;

/// Serves the pages until told to stop. `out` gets one line when it does.
pub fn dashboard(folder: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    let configuration = Configuration::load(folder).map_err(all_of)?;
    let app = Arc::new(App::new(configuration)?);
    // Whoever cannot be told by e-mail can still look at the pages.
    let watch = app.alerts.watch();
    if let Err(error) = &watch {
        tracing::error!(%error, "no alert is raised");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let ended = runtime.block_on(run(app, out));
    drop(watch);
    ended
}

async fn run(app: Arc<App>, out: &mut impl Write) -> anyhow::Result<()> {
    let address = app.settings().listen.dashboard;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address} for the pages"))?;
    writeln!(out, "pages on http://{}", listener.local_addr()?)?;
    out.flush()?;
    let pages = routes::router(app).into_make_service_with_connect_info::<SocketAddr>();
    tokio::select! {
        ended = axum::serve(listener, pages) => ended?,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
