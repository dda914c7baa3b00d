//! Which way it goes: this week against last, and the last four weeks.

use jiff::ToSpan;
use jiff::civil::Date;
use maud::Markup;

use super::chart::Chart;
use crate::incidents::overview::Overview;
use crate::lists::category::Theme;

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
/// Themes with a colour of their own; the others share one.
const OWN_COLOUR: usize = 5;

/// The days of an overview.
pub(super) struct Trend<'a> {
    overview: &'a Overview,
    today: Date,
}

impl<'a> Trend<'a> {
    /// The trend of `overview`, which was made `today`.
    pub(super) fn of(overview: &'a Overview, today: Date) -> Self {
        Self { overview, today }
    }

    /// This week beside the last, day by day.
    pub(super) fn week(&self) -> Markup {
        let since_monday = i32::from(self.today.weekday().to_monday_zero_offset());
        let monday = self.today.saturating_sub(since_monday.days());
        let labels = DAYS.map(str::to_owned);
        let of_week = |start: Date| {
            let days = (0..7).map(|day: i32| start.saturating_add(day.days()));
            days.map(|date| self.count(date)).collect::<Vec<u64>>()
        };
        let series = [
            ("This week", of_week(monday)),
            ("Last week", of_week(monday.saturating_sub(7.days()))),
        ];
        let chart = Chart {
            id: "week",
            title: "Sensitive incidents each day, this week and last",
            says: &format!("Last week there were {} in all.", self.overview.last_week),
            across: "Day",
            labels: &labels,
            series: &series,
            stacked: false,
        };
        chart.show()
    }

    /// Four weeks, each day by theme.
    pub(super) fn month(&self) -> Markup {
        let days = &self.overview.trend;
        let labels: Vec<String> = days
            .iter()
            .map(|day| day.date.strftime("%-d %b").to_string())
            .collect();
        let own = self.most_frequent();
        let counts = |wanted: &dyn Fn(Theme) -> bool| {
            let day = |themes: &[(Theme, u64)]| {
                let of = themes.iter().filter(|(theme, _)| wanted(*theme));
                of.map(|(_, count)| count).sum::<u64>()
            };
            days.iter().map(|d| day(&d.themes)).collect::<Vec<u64>>()
        };
        let mut series: Vec<(&str, Vec<u64>)> = own
            .iter()
            .map(|theme| (theme.name(), counts(&|other| other == *theme)))
            .collect();
        let others = counts(&|theme| !own.contains(&theme));
        if others.iter().any(|count| *count > 0) {
            series.push(("Other", others));
        }
        let total: u64 = days.iter().map(|day| day.incidents).sum();
        let chart = Chart {
            id: "month",
            title: "Sensitive incidents by kind, the last four weeks",
            says: &format!("{total} in the last four weeks."),
            across: "Day",
            labels: &labels,
            series: &series,
            stacked: true,
        };
        chart.show()
    }

    fn count(&self, date: Date) -> u64 {
        let day = self.overview.trend.iter().find(|day| day.date == date);
        day.map_or(0, |day| day.incidents)
    }

    /// The themes that have a colour, gravest first.
    fn most_frequent(&self) -> Vec<Theme> {
        let all = self.overview.trend.iter().flat_map(|day| &day.themes);
        let total = |theme| {
            let of = all.clone().filter(|(other, _)| *other == theme);
            of.map(|(_, count)| count).sum::<u64>()
        };
        let mut themes: Vec<(u64, Theme)> = Theme::ALL.map(|t| (total(t), t)).to_vec();
        themes.retain(|(count, _)| *count > 0);
        // What must never be lost among the others comes first, however rare.
        let is_grave = |theme| {
            matches!(
                theme,
                Theme::Illegal | Theme::SuicideSelfHarm | Theme::Extremism
            )
        };
        themes.sort_by_key(|(count, theme)| (!is_grave(*theme), std::cmp::Reverse(*count)));
        themes.truncate(OWN_COLOUR);
        let mut own: Vec<Theme> = themes.into_iter().map(|(_, theme)| theme).collect();
        own.sort();
        own
    }
}

/// Which way it goes, in words.
pub(super) fn sentence(now: u64, before: u64) -> String {
    let by = |more: u64, word: &str| format!("{more} {word} than last week by this hour");
    match (now, before) {
        (0, 0) => "none, as last week by this hour".to_owned(),
        _ if now > before => by(now - before, "more"),
        _ if now < before => by(before - now, "fewer"),
        _ => "as many as last week by this hour".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_way_it_goes_is_said() {
        for (now, before, said) in [
            (0, 0, "none, as last week by this hour"),
            (7, 5, "2 more than last week by this hour"),
            (1, 5, "4 fewer than last week by this hour"),
            (5, 5, "as many as last week by this hour"),
        ] {
            assert_eq!(sentence(now, before), said);
        }
    }
}
