//! Why an entry was refused: the words that a technician reads beside the line.

use super::regex::Fault;
use crate::name::NameError;

/// Why one entry of a list was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Not a name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// `localhost` and its kin.
    #[error("local name")]
    LocalName,
    /// A hosts line that ends after its address.
    #[error("no name after the address")]
    NoName,
    /// A hosts line that does not begin with an address.
    #[error("no address before the name")]
    NoAddress,
    /// Prose, or two names where the list has one a line.
    #[error("more than one word")]
    SeveralWords,
    /// A name under which everybody registers.
    #[error("public suffix: would cover every name registered under it")]
    PublicSuffix,
    /// `*` alone.
    #[error("would cover every name")]
    Everything,
    /// An allow rule.
    #[error("exception in a block list")]
    Exception,
    /// A rule about parts of a page.
    #[error("cosmetic")]
    Cosmetic,
    /// A rule that depends on the page or the kind of request.
    #[error("browser-only modifier")]
    BrowserOnly,
    /// A modifier whose meaning we do not implement.
    #[error("unsupported modifier")]
    UnsupportedModifier,
    /// An adblock rule in a format that has none.
    #[error("adblock rule in a list of another format")]
    AdblockRule,
    /// `||name` or `name^`: reaches names that are not in the line.
    #[error("not `||name^`: would also match longer names")]
    NotAnchored,
    /// A rule for a part of a site.
    #[error("path, not a name")]
    Path,
    /// A regular expression, with what is wrong in it.
    #[error("regex is not supported in this format{}", .0.as_ref().map(|f| format!(": {f}")).unwrap_or_default())]
    Regex(Option<Fault>),
    /// `/` and nothing else.
    #[error("empty rule")]
    EmptyRule,
    /// An HTML tag between good lines.
    #[error("HTML tag")]
    Html,
    /// Over the limit.
    #[error("line over 4096 bytes")]
    LineTooLong,
    /// Bytes that are no text.
    #[error("not UTF-8")]
    NotUtf8,
    /// `[Adblock Plus 2.0]` in the middle: two lists in one file.
    #[error("header after the first line; read as a comment")]
    LateHeader,
    /// Not an address or a prefix.
    #[error("not an address or prefix")]
    NotAnAddress,
    /// A prefix that holds a share of the Internet.
    #[error("prefix too wide")]
    TooWide,
    /// An RPZ trigger that is not a name.
    #[error("{0} trigger is not supported")]
    Trigger(&'static str),
    /// An RPZ record that sends the name elsewhere.
    #[error("rewrite, not a block")]
    Rewrite,
    /// `rpz-tcp-only`.
    #[error("asks for TCP, not a block")]
    TcpOnly,
    /// A record without a type, or a type that is no action.
    #[error("not a policy record")]
    NotARecord,
    /// An owner that is not in the zone.
    #[error("owner outside the zone")]
    OutsideZone,
    /// `$INCLUDE`, `$GENERATE`.
    #[error("unsupported directive")]
    Directive,
    /// A scheme or host that cannot be read.
    #[error("not a URL")]
    NotAUrl,
}

impl Reason {
    /// The reason without anything that stood in the line: what complaints are
    /// counted by, and all that is said of a mandatory line.
    #[must_use]
    pub fn kind(&self) -> String {
        match self {
            Self::Name(NameError::BadCharacter(_)) => "bad character".to_owned(),
            Self::Regex(_) => Self::Regex(None).to_string(),
            other => other.to_string(),
        }
    }
}
