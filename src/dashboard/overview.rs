//! The first page after signing in.

use maud::{Markup, html};

use super::page::page;
use super::visitor::Visitor;

/// `GET /`
pub(super) async fn overview(visitor: Visitor) -> Markup {
    page(&visitor, "Overview", &html! {})
}
