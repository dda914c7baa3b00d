//! Until when something is opened unless somebody thinks of another day: the end
//! of this school year.

use jiff::civil::{Date, date};
use jiff::{Span, Timestamp};

use super::app::App;
use crate::policy::document::PolicyDocument;

/// An exception for ever is looked at by nobody: two years, in days.
const FURTHEST: i64 = 2 * 366;
/// Sooner than this is no term: then it is the end of the next year.
const SOON: i64 = 30;

/// The last day of the last term that is not yet over, else of the year's August.
pub(super) fn end_of_year(document: &PolicyDocument, now: Timestamp) -> Option<Date> {
    let today = now.to_zoned(document.zone.clone()).date();
    let soon = today.checked_add(Span::new().try_days(SOON).ok()?).ok()?;
    let end = |year: i16| date(year, 8, 31);
    let august = if end(today.year()) >= soon {
        end(today.year())
    } else {
        end(today.year().checked_add(1)?)
    };
    let terms = document.year.terms.iter().map(|term| term.last);
    let last = terms.filter(|last| *last >= soon && *last <= august).max();
    Some(last.unwrap_or(august))
}

/// Whether a day is past, or further than anything is to be opened for.
pub(super) fn too_far(app: &App, day: Date, now: Timestamp) -> bool {
    let today = now.to_zoned(app.configuration.document.zone.clone()).date();
    let furthest = today.saturating_add(Span::new().try_days(FURTHEST).unwrap_or_default());
    day < today || day > furthest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(terms: &str) -> PolicyDocument {
        let text = format!(
            "school = \"T\"\ntimezone = \"Europe/London\"\nunknown = \"pupil\"\n{terms}\n[groups.pupil]\n"
        );
        PolicyDocument::read("policy.toml", &text).0
    }

    #[test]
    fn it_is_the_end_of_the_last_term_or_of_august() {
        let at = |day: &str| format!("{day}T10:00:00Z").parse::<Timestamp>().unwrap();
        for (now, end) in [
            ("2026-11-21", "2027-08-31"),
            ("2027-07-01", "2027-08-31"),
            ("2027-08-15", "2028-08-31"),
        ] {
            assert_eq!(
                end_of_year(&document(""), at(now)).unwrap().to_string(),
                end,
                "{now}"
            );
        }
    }
}
