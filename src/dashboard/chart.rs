//! Charts: bars, drawn here and put into the page as SVG.
//!
//! The plotting crate writes its colours as attributes. They are stand-ins: the
//! style sheet gives each the colour of the reader's scheme. Whoever cannot see
//! the picture has its description, and everybody its numbers as a table.
//!
//! It must never be given a name that a device asked for: it draws counts.

use maud::{Markup, PreEscaped, html};
use plotters::prelude::*;

/// The picture's own units: narrow, so that its text can be read on a phone.
const SIZE: (u32, u32) = (480, 220);
const TEXT: u32 = 17;
/// Stand-ins for the colours of `style.css`: one a series, then text and grid.
const SERIES: [RGBColor; 6] = [
    RGBColor(1, 1, 1),
    RGBColor(2, 2, 2),
    RGBColor(3, 3, 3),
    RGBColor(4, 4, 4),
    RGBColor(5, 5, 5),
    RGBColor(6, 6, 6),
];
const INK: RGBColor = RGBColor(10, 10, 10);
const GRID: RGBColor = RGBColor(11, 11, 11);
/// How much of its place a bar, or the bars beside each other, take.
const WIDTH: f64 = 0.76;
/// More labels than these stand on each other; then most are left out.
const MOST_LABELS: usize = 7;

/// Numbers, and what is to be said of them.
pub struct Chart<'a> {
    /// Its id in the page.
    pub id: &'a str,
    /// What it shows.
    pub title: &'a str,
    /// What somebody would say who looks at it.
    pub says: &'a str,
    /// What stands along its foot: `Day`.
    pub across: &'a str,
    /// The places along its foot.
    pub labels: &'a [String],
    /// What is counted, and a number for each place; at most six.
    pub series: &'a [(&'a str, Vec<u64>)],
    /// The series on top of each other, not beside each other.
    pub stacked: bool,
}

impl Chart<'_> {
    /// The picture, its key, and its numbers.
    #[must_use]
    pub fn show(&self) -> Markup {
        let (title, desc) = (format!("{}-title", self.id), format!("{}-desc", self.id));
        let view = format!("0 0 {} {}", SIZE.0, SIZE.1);
        html! {
            figure {
                @if let Some(drawing) = self.drawing() {
                    svg class="chart" id=(self.id) viewBox=(view) role="img"
                        aria-labelledby=(format!("{title} {desc}")) {
                        title id=(title) { (self.title) }
                        desc id=(desc) { (self.says) }
                        // Counts and labels of ours; plotters escapes its texts.
                        (PreEscaped(drawing))
                    }
                    @if self.series.len() > 1 { (self.key()) }
                }
                figcaption { (self.says) }
                (self.table())
            }
        }
    }

    fn key(&self) -> Markup {
        html! {
            ul class="chart-key" aria-hidden="true" {
                @for (number, (name, _)) in (1..).zip(self.series) {
                    li class=(format!("c{number}")) { (name) }
                }
            }
        }
    }

    fn table(&self) -> Markup {
        let region = format!("{}, as a table", self.title);
        html! {
            details {
                summary { "The numbers" }
                div class="scroll" tabindex="0" role="region" aria-label=(region) {
                    table {
                        caption { (self.title) }
                        thead {
                            tr {
                                th scope="col" { (self.across) }
                                @for (name, _) in self.series { th scope="col" class="number" { (name) } }
                            }
                        }
                        tbody {
                            @for (place, label) in self.labels.iter().enumerate() {
                                tr {
                                    th scope="row" { (label) }
                                    @for (_, counts) in self.series {
                                        td class="number" { (counts.get(place).copied().unwrap_or(0)) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// What stands between the tags; a picture that cannot be drawn is left out.
    fn drawing(&self) -> Option<String> {
        let mut svg = String::new();
        self.draw(&mut svg).ok()?;
        let inside = svg.split_once('>')?.1.rsplit_once("</svg>")?.0;
        Some(inside.to_owned())
    }

    fn draw(&self, svg: &mut String) -> Result<(), Box<dyn std::error::Error>> {
        let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        let places = self.labels.len().max(1);
        let text = ("sans-serif", TEXT).into_font().color(&INK);
        let mut chart = ChartBuilder::on(&area)
            .margin_top(10)
            .margin_right(4)
            .set_label_area_size(LabelAreaPosition::Left, 38)
            .set_label_area_size(LabelAreaPosition::Bottom, 26)
            .build_cartesian_2d((0..places).into_segmented(), 0..self.highest())?;
        let label = |place: &SegmentValue<usize>| match place {
            SegmentValue::CenterOf(place) => self.label(*place),
            _ => String::new(),
        };
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(GRID)
            .label_style(text)
            .x_labels(places + 1)
            .x_label_formatter(&label)
            .y_labels(5)
            .y_label_formatter(&ToString::to_string)
            .draw()?;
        let pixel = |place, count| chart.as_coord_spec().translate(&(place, count));
        for (series, place, low, high) in self.bars() {
            let (left, foot) = pixel(SegmentValue::Exact(place), low);
            let (right, top) = pixel(SegmentValue::Exact(place + 1), high);
            let (from, to) = self.across(series, f64::from(right - left));
            let corners = [(left + from as i32, top), (left + to as i32, foot)];
            let colour = SERIES.get(series).copied().unwrap_or(INK);
            area.draw(&Rectangle::new(corners, colour.filled()))?;
        }
        drop(chart);
        area.present()?;
        drop(area);
        Ok(())
    }

    /// Series, place, from which count to which.
    fn bars(&self) -> Vec<(usize, usize, u64, u64)> {
        let mut bars = Vec::new();
        let mut reached = vec![0; self.labels.len()];
        for (series, (_, counts)) in self.series.iter().enumerate() {
            for ((place, below), count) in reached.iter_mut().enumerate().zip(counts) {
                let low = if self.stacked { *below } else { 0 };
                *below += count;
                if *count > 0 {
                    bars.push((series, place, low, low + count));
                }
            }
        }
        bars
    }

    /// Where in a place of this width a series' bar begins and ends.
    fn across(&self, series: usize, width: f64) -> (f64, f64) {
        let begin = width * (1.0 - WIDTH) / 2.0;
        if self.stacked {
            return (begin, width - begin);
        }
        let bar = width * WIDTH / self.series.len().max(1) as f64;
        let begin = begin + bar * series as f64;
        (begin, begin + bar)
    }

    fn label(&self, place: usize) -> String {
        let step = self.labels.len().div_ceil(MOST_LABELS).max(1);
        // The last place is the newest: it has a label.
        let newest = self.labels.len().saturating_sub(1);
        let seen = newest.abs_diff(place).is_multiple_of(step);
        let label = self.labels.get(place).filter(|_| seen);
        label.cloned().unwrap_or_default()
    }

    /// The top of the chart: never so low that a lone incident looks like many.
    fn highest(&self) -> u64 {
        let highest = self.bars().into_iter().map(|(_, _, _, high)| high).max();
        highest.unwrap_or(0).max(4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn week(stacked: bool) -> String {
        let labels: Vec<String> = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
            .map(str::to_owned)
            .to_vec();
        let chart = Chart {
            id: "week",
            title: "Incidents <each> day",
            says: "More on Tuesday.",
            across: "Day",
            labels: &labels,
            series: &[
                ("This week", vec![3, 9, 1, 0, 0, 0, 0]),
                ("Last week", vec![2, 4, 4, 5, 1, 0, 0]),
            ],
            stacked,
        };
        chart.show().into_string()
    }

    #[test]
    fn the_picture_has_words_numbers_and_no_style() {
        for stacked in [false, true] {
            let page = week(stacked);
            assert!(page.contains("<title id=\"week-title\">Incidents &lt;each&gt; day</title>"));
            assert!(page.contains("role=\"img\""));
            assert_eq!(page.matches("<td").count(), 14);
            // One bar for each number that is not nothing.
            assert_eq!(page.matches("fill=\"#010101\"").count(), 3, "{page}");
            assert_eq!(page.matches("fill=\"#020202\"").count(), 5);
            assert!(page.contains("Tue"));
            for banned in ["style=", "<style", "<script", "data:", "href"] {
                assert!(!page.contains(banned), "{banned}: {page}");
            }
        }
    }

    #[test]
    fn nothing_to_draw_is_drawn_too() {
        let chart = Chart {
            id: "none",
            title: "Nothing",
            says: "Nothing.",
            across: "Day",
            labels: &[],
            series: &[],
            stacked: true,
        };
        assert!(chart.show().into_string().contains("<svg"));
    }
}
