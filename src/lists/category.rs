//! The categories a school chooses from, with what each is for.
//!
//! The catalogue is `blocklists/categories.toml`, compiled in: the words people
//! read stand beside the id, and a category is added in one file. In code a
//! category is an index into it and a set of them is one machine word, because
//! every decision is an intersection of two sets. Indices never leave the
//! process: files and logs carry the id.

use std::fmt;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

/// One category: an index into the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Category(u8);

/// A set of categories.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct CategorySet(u64);

/// What the catalogue says of one category.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CategoryFacts {
    /// The id in policy, sources and logs.
    pub id: String,
    /// Other ids that mean the same, as other products write them.
    #[serde(default)]
    pub also: Vec<String>,
    /// What a report calls it.
    pub name: String,
    /// What alerts are grouped by.
    pub theme: Theme,
    /// The KCSIE area of risk (R-64).
    pub concern: Concern,
    /// One sentence a governor understands.
    pub says: String,
    /// Look-ups that a page or a device makes by itself: adverts, telemetry.
    #[serde(default)]
    pub background: bool,
}

/// What alerts are grouped by; kept apart from what is blocked (R-56).
/// The gravest come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words are the school's own")]
pub enum Theme {
    Illegal,
    SuicideSelfHarm,
    Extremism,
    HateDiscrimination,
    Violence,
    Sexual,
    Drugs,
    Gambling,
    Bypass,
    Security,
    Misinformation,
    Piracy,
    Contact,
    Leisure,
    Commerce,
    Background,
    Unsorted,
}

/// The four areas of risk of Keeping Children Safe in Education.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words are the guidance's own")]
pub enum Concern {
    Content,
    Contact,
    Conduct,
    Commerce,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    category: Vec<CategoryFacts>,
}

static CATALOGUE: LazyLock<Vec<CategoryFacts>> = LazyLock::new(|| {
    #[expect(
        clippy::expect_used,
        reason = "compiled in; the tests of this file read all of it"
    )]
    let catalogue: Catalogue = toml::from_str(include_str!("../../blocklists/categories.toml"))
        .expect("blocklists/categories.toml is well formed");
    catalogue.category
});

impl Theme {
    /// Every theme, the gravest first.
    pub const ALL: [Self; 17] = [
        Self::Illegal,
        Self::SuicideSelfHarm,
        Self::Extremism,
        Self::HateDiscrimination,
        Self::Violence,
        Self::Sexual,
        Self::Drugs,
        Self::Gambling,
        Self::Bypass,
        Self::Security,
        Self::Misinformation,
        Self::Piracy,
        Self::Contact,
        Self::Leisure,
        Self::Commerce,
        Self::Background,
        Self::Unsorted,
    ];

    /// The word in files, links and JSON.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Illegal => "illegal",
            Self::SuicideSelfHarm => "suicide_self_harm",
            Self::Extremism => "extremism",
            Self::HateDiscrimination => "hate_discrimination",
            Self::Violence => "violence",
            Self::Sexual => "sexual",
            Self::Drugs => "drugs",
            Self::Gambling => "gambling",
            Self::Bypass => "bypass",
            Self::Security => "security",
            Self::Misinformation => "misinformation",
            Self::Piracy => "piracy",
            Self::Contact => "contact",
            Self::Leisure => "leisure",
            Self::Commerce => "commerce",
            Self::Background => "background",
            Self::Unsorted => "unsorted",
        }
    }

    /// The theme of a word.
    #[must_use]
    pub fn named(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.id() == id)
    }
}

impl Category {
    /// Finds a category by its id, or by another word for it.
    #[must_use]
    pub fn named(id: &str) -> Option<Self> {
        let found = CATALOGUE
            .iter()
            .position(|c| c.id == id || c.also.iter().any(|other| other == id))?;
        u8::try_from(found).ok().map(Self)
    }

    /// Every category, in the catalogue's order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..64).map(Self).take(CATALOGUE.len())
    }

    /// The id in policy, sources and logs.
    #[must_use]
    pub fn id(self) -> &'static str {
        self.facts().map_or("", |facts| &facts.id)
    }

    /// What the catalogue says of it.
    #[must_use]
    pub fn facts(self) -> Option<&'static CategoryFacts> {
        CATALOGUE.get(usize::from(self.0))
    }

    /// Whether look-ups of it are a page's or a device's own doing.
    #[must_use]
    pub fn is_background(self) -> bool {
        self.facts().is_some_and(|facts| facts.background)
    }

    /// Whether it is about content that is illegal to offer or to hold.
    #[must_use]
    pub fn is_illegal(self) -> bool {
        self.facts()
            .is_some_and(|facts| facts.theme == Theme::Illegal)
    }

    /// A small number, below 64, for tables of counters.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl Theme {
    /// What people read.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Illegal => "Illegal content",
            Self::SuicideSelfHarm => "Suicide and self-harm",
            Self::Extremism => "Extremism",
            Self::HateDiscrimination => "Hate and discrimination",
            Self::Violence => "Violence",
            Self::Sexual => "Sexual content",
            Self::Drugs => "Drugs",
            Self::Gambling => "Gambling",
            Self::Bypass => "Getting round the filter",
            Self::Security => "Malware and hacking",
            Self::Misinformation => "Misinformation",
            Self::Piracy => "Piracy",
            Self::Contact => "Contact with others",
            Self::Leisure => "Games and leisure",
            Self::Commerce => "Shopping",
            Self::Background => "Adverts and telemetry",
            Self::Unsorted => "Not sorted",
        }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl CategorySet {
    /// No category.
    pub const EMPTY: Self = Self(0);

    /// The set as a word, bit n for the category of index n; valid within this
    /// process only.
    #[must_use]
    pub fn bits(self) -> u64 {
        self.0
    }

    /// The set of a word made by [`CategorySet::bits`] in this process.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// With one more member.
    #[must_use]
    pub fn with(self, category: Category) -> Self {
        Self(self.0 | 1 << category.0)
    }

    /// In either.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// In both.
    #[must_use]
    pub fn both(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// In this one and not in `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether it has no member.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `category` is a member.
    #[must_use]
    pub fn has(self, category: Category) -> bool {
        self.0 >> category.0 & 1 == 1
    }

    /// The member that stands first in the catalogue, which lists the gravest
    /// first.
    #[must_use]
    pub fn first(self) -> Option<Category> {
        self.iter().next()
    }

    /// The members, in the catalogue's order.
    pub fn iter(self) -> impl Iterator<Item = Category> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let index = left.trailing_zeros() as u8;
            // The lowest bit has been met.
            left &= left.wrapping_sub(1);
            (usize::from(index) < CATALOGUE.len()).then_some(Category(index))
        })
    }
}

impl FromIterator<Category> for CategorySet {
    fn from_iter<I: IntoIterator<Item = Category>>(all: I) -> Self {
        all.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl fmt::Debug for CategorySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.iter().map(Category::id))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_whole() {
        assert!(CATALOGUE.len() <= 64, "a set is one 64-bit word");
        let mut ids: Vec<_> = CATALOGUE
            .iter()
            .flat_map(|c| std::iter::once(&c.id).chain(&c.also))
            .collect();
        ids.sort();
        let count = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), count, "an id stands once");
        for category in Category::all() {
            let facts = category.facts().unwrap();
            assert_eq!(Category::named(&facts.id), Some(category));
            assert!(
                facts.says.ends_with('.') && facts.says.len() > 20,
                "{category}"
            );
        }
    }

    #[test]
    fn themes_have_the_words_of_the_catalogue() {
        assert!(Theme::ALL.is_sorted());
        for theme in Theme::ALL {
            let word = serde_json::to_value(theme).unwrap();
            assert_eq!(word, theme.id());
            assert_eq!(Theme::named(theme.id()), Some(theme));
        }
    }

    #[test]
    fn sets_are_sets() {
        let [a, b] = ["gambling", "games"].map(|id| Category::named(id).unwrap());
        let both: CategorySet = [a, b].into_iter().collect();
        assert!(both.has(a) && both.has(b));
        assert_eq!(both.without(CategorySet::EMPTY.with(a)).first(), Some(b));
        assert_eq!(format!("{both:?}"), r#"{"gambling", "games"}"#);
    }
}
