//! Settings → what is said of our own listeners (`dns/local/endpoints.rs`).

use crate::dns::local::endpoints::Endpoints;
use crate::settings::Settings;

/// What we say of ourselves.
pub(super) fn endpoints(settings: &Settings) -> Endpoints {
    Endpoints {
        info_url: settings.answers.info_url.clone(),
        ..Endpoints::default()
    }
}
