//! The first page after signing in.

use std::sync::Arc;

use axum::extract::State;
use maud::Markup;

use super::app::App;
use super::health::health_line;
use super::page::{Problem, page};
use super::visitor::Visitor;

/// `GET /`
pub(super) async fn overview(
    State(app): State<Arc<App>>,
    visitor: Visitor,
) -> Result<Markup, Problem> {
    let health = health_line(&app).await?;
    Ok(page(&visitor, "Overview", &health))
}
