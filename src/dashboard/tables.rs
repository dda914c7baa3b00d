//! Tables of facts, as the technician's pages have them.

use maud::{Markup, html};

/// What is known of one thing: a word and what is so, a row each.
pub(super) fn facts(caption: &str, rows: &[(&str, Markup)]) -> Markup {
    html! {
        div class="scroll" tabindex="0" role="region" aria-label=(caption) {
            table class="facts" {
                caption { (caption) }
                tbody {
                    @for (what, is) in rows {
                        tr { th scope="row" { (what) } td { (is) } }
                    }
                }
            }
        }
    }
}

/// Many things of a kind. `cards`: each becomes a card on a phone, so every cell
/// needs its column's name; [`cell`] gives it.
pub(super) fn listing(caption: &str, columns: &[&str], rows: &[Markup]) -> Markup {
    html! {
        div class="scroll" tabindex="0" role="region" aria-label=(caption) {
            table class="cards" {
                caption { (caption) }
                thead { tr { @for column in columns { th scope="col" { (column) } } } }
                tbody { @for row in rows { tr { (row) } } }
            }
        }
    }
}

/// A cell of a [`listing`].
pub(super) fn cell(column: &str, is: &Markup) -> Markup {
    html! { td data-label=(column) { (is) } }
}

/// A number among thousands: `1,234,567`.
pub(super) fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size in words: `12.3 GB`.
pub(super) fn bytes(count: u64) -> String {
    let units = [
        (1 << 40, "TB"),
        (1 << 30, "GB"),
        (1 << 20, "MB"),
        (1 << 10, "kB"),
    ];
    match units.into_iter().find(|(unit, _)| count >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", count as f64 / unit as f64),
        None => format!("{count} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_easily() {
        for (count, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(number(count), text);
        }
        assert_eq!(bytes(3 << 29), "1.5 GB");
        assert_eq!(bytes(12), "12 bytes");
    }
}
