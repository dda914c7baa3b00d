//! What is wrong in a regular expression that stands in a list.
//!
//! No list format of ours takes regular expressions: one bad one would cost
//! every query. But whoever wrote one deserves to be told the other mistake in
//! it too. This looks, it never matches.

/// A mistake that can be seen without compiling the expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("`[` is never closed")]
    OpenClass,
    #[error("`(` is never closed")]
    OpenGroup,
    #[error("`{{` is never closed")]
    OpenCount,
    #[error("a repetition is repeated")]
    DoubleRepeat,
    #[error("refers to a group that is not there")]
    NoSuchGroup,
    #[error("range runs backwards")]
    BackwardRange,
}

/// The first mistake in the expression between the slashes.
pub(super) fn fault(body: &str) -> Option<Fault> {
    let mut rest = body.chars().peekable();
    let (mut open, mut groups) = (0_usize, 0_u32);
    let mut repeated = false;
    while let Some(c) = rest.next() {
        let was_repeated = std::mem::take(&mut repeated);
        match c {
            '\\' => {
                let number = rest.next().and_then(|c| c.to_digit(10));
                if number.is_some_and(|n| n > groups) {
                    return Some(Fault::NoSuchGroup);
                }
            }
            '[' => {
                if let Some(fault) = class_fault(&mut rest) {
                    return Some(fault);
                }
            }
            '(' => {
                open += 1;
                groups += 1;
            }
            ')' => open = open.saturating_sub(1),
            '{' => {
                if !rest.any(|c| c == '}') {
                    return Some(Fault::OpenCount);
                }
                repeated = true;
            }
            '*' | '+' if was_repeated => return Some(Fault::DoubleRepeat),
            '*' | '+' => repeated = true,
            _ => (),
        }
    }
    (open > 0).then_some(Fault::OpenGroup)
}

/// Reads on to the end of a `[…]`.
fn class_fault(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<Fault> {
    let mut before = None;
    let mut range_from: Option<char> = None;
    while let Some(c) = rest.next() {
        if range_from.take().is_some_and(|from| from > c && c != ']') {
            return Some(Fault::BackwardRange);
        }
        match c {
            ']' if before.is_some() => return None,
            '\\' => before = rest.next(),
            '-' => range_from = before.filter(|_| rest.peek().is_some()),
            other => before = Some(other),
        }
    }
    Some(Fault::OpenClass)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mistake_is_named() {
        let check = |body, expected| assert_eq!(fault(body), expected, "{body}");
        check("[", Some(Fault::OpenClass));
        check("(", Some(Fault::OpenGroup));
        check("{1", Some(Fault::OpenCount));
        check("a**", Some(Fault::DoubleRepeat));
        check(r"(a)\2", Some(Fault::NoSuchGroup));
        check("[g-1]", Some(Fault::BackwardRange));
        check(r"domain\.(tld|local)", None);
        check(r"^[a-z0-9-]+(ads|track)\d{1,3}\.", None);
        check("", None);
        check("\\", None);
    }
}
