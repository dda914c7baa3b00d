//! A report as a page: the same for the screen, the printer, and the file that
//! `schoolgate report --html` writes.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::reports::sheet::{Sheet, Table};

/// The report below its title.
pub(super) fn sheet(sheet: &Sheet) -> Markup {
    html! {
        ul class="muted" {
            @for line in &sheet.about { li { (line) } }
        }
        @for part in &sheet.parts {
            section {
                h2 { (part.heading) }
                @for line in &part.says { p { (line) } }
                @if let Some(table) = &part.table { (shown(table)) }
            }
        }
    }
}

fn shown(table: &Table) -> Markup {
    html! {
        div class="scroll" tabindex="0" role="region" aria-label=(table.caption) {
            // A wide one can be read on a phone only so.
            table class=[(table.headings.len() > 3).then_some("cards")] {
                caption { (table.caption) }
                thead {
                    tr {
                        @for (at, heading) in table.headings.iter().enumerate() {
                            (column(heading, has_numbers(table, at)))
                        }
                    }
                }
                tbody {
                    @for row in &table.rows {
                        tr {
                            @for (at, cell) in row.iter().enumerate() {
                                @if at == 0 {
                                    th scope="row" { (cell) }
                                } @else {
                                    td class=[is_number(cell).then_some("number")] data-label=[table.headings.get(at)] { (cell) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The corner above the names of the lines has no name of its own.
fn column(heading: &str, numbers: bool) -> Markup {
    html! {
        @if heading.is_empty() { td {} }
        @else { th scope="col" class=[numbers.then_some("number")] { (heading) } }
    }
}

/// Whether a column is of figures alone, so that its heading stands above them.
fn has_numbers(table: &Table, at: usize) -> bool {
    let mut cells = table.rows.iter().filter_map(|row| row.get(at));
    at > 0 && cells.all(|cell| is_number(cell))
}

fn is_number(cell: &str) -> bool {
    let figures = cell.starts_with(|c: char| c.is_ascii_digit()) && !cell.contains(['.', ':', '/']);
    figures || cell.starts_with("fewer than ")
}

/// The report as a file of its own, with its style in it: it is sent, kept and
/// printed where there is no server.
#[must_use]
pub fn stand_alone(report: &Sheet, school: &str) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en-GB" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (report.title) " – " (school) }
                // Ours, compiled in.
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                main id="content" {
                    h1 { (report.title) }
                    (sheet(report))
                }
            }
        }
    };
    page.into_string()
}
