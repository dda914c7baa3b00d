//! Passwords: what may be one, and how it is kept.
//!
//! Long and not guessable is all that is asked for (NCSC): no mixture of signs,
//! which makes people write `Password1!`. What is common is refused by a list
//! (`common-passwords.txt`, whose origin and licence stand beside it), and so is
//! what anybody at the school would try first. Kept is an argon2id hash.
//!
//! It must never write a password anywhere, nor say which part of one was known.

use std::collections::HashSet;
use std::sync::LazyLock;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};

/// Fewest characters.
pub const LEAST: usize = 12;
/// Most bytes: whoever sends more wants to keep the machine busy.
pub const MOST: usize = 512;
/// Fewest different characters.
const DIFFERENT: usize = 5;
/// Words of the school and the person this short are in too many others.
const WORD: usize = 4;
/// Characters of a temporary password, of 32: 80 bits.
const TEMPORARY: usize = 16;

const COMMON: &str = include_str!("common-passwords.txt");

static COMMON_ONES: LazyLock<HashSet<&str>> = LazyLock::new(|| COMMON.lines().collect());

/// Why `password` may not be one, for somebody with these `words` (their
/// account, their name, their school's).
pub fn check(password: &str, words: &[&str]) -> Result<(), &'static str> {
    if password.chars().count() < LEAST {
        return Err("A password needs at least 12 characters; three or four words do well.");
    }
    if password.len() > MOST {
        return Err("That password is too long.");
    }
    let lower = password.to_lowercase();
    let different: HashSet<char> = lower.chars().collect();
    if different.len() < DIFFERENT {
        return Err("That password repeats too few characters.");
    }
    if is_common(&lower) {
        return Err("That password is one that many people use. Choose another.");
    }
    let compact = compact(&lower);
    let holds = |word: &&&str| {
        let word = self::compact(&word.to_lowercase());
        word.chars().count() >= WORD && compact.contains(&word)
    };
    if words.iter().find(holds).is_some() {
        return Err("A password may not have your name, your account or the school's name in it.");
    }
    Ok(())
}

/// Whether it is a common one, as it stands, repeated, or with digits and signs
/// around it or for letters.
fn is_common(lower: &str) -> bool {
    let is_letter = |c: char| c.is_alphabetic();
    let plain: String = lower.chars().map(letter).collect();
    let candidates = [
        lower,
        lower.trim_matches(|c| !is_letter(c)),
        lower.trim_end_matches(|c: char| c.is_ascii_punctuation()),
        plain.as_str(),
        plain.trim_matches(|c| !is_letter(c)),
    ];
    candidates.into_iter().any(|text| {
        let once = unrepeated(text);
        COMMON_ONES.contains(text) || COMMON_ONES.contains(once) || is_run(text)
    })
}

/// The letter that a digit or sign stands for.
fn letter(c: char) -> char {
    match c {
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    }
}

/// What `text` is made of, if it is one piece again and again.
fn unrepeated(text: &str) -> &str {
    let pieces = (1..=text.len() / 2).filter(|length| text.len().is_multiple_of(*length));
    let mut pieces = pieces.filter_map(|length| text.get(..length));
    pieces
        .find(|piece| text.split(piece).all(str::is_empty))
        .unwrap_or(text)
}

/// Whether it is a piece of the keyboard or the alphabet.
fn is_run(text: &str) -> bool {
    const RUNS: [&str; 3] = [
        "abcdefghijklmnopqrstuvwxyz",
        "qwertyuiopasdfghjklzxcvbnm",
        "12345678901234567890",
    ];
    let backwards: String = text.chars().rev().collect();
    text.len() >= WORD
        && RUNS
            .iter()
            .any(|run| run.contains(text) || run.contains(&backwards))
}

fn compact(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).collect()
}

/// What is kept of a password; nothing if it cannot be made.
#[must_use]
pub fn hash(password: &str) -> Option<String> {
    let hash: PasswordHash = Argon2::default().hash_password(password.as_bytes()).ok()?;
    Some(hash.to_string())
}

/// Whether `hash` is of `password`.
#[must_use]
pub fn is_of(hash: &str, password: &str) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else {
        return false;
    };
    password.len() <= MOST
        && Argon2::default()
            .verify_password(password.as_bytes(), &hash)
            .is_ok()
}

/// One to begin with, that can be read out and typed.
#[must_use]
pub fn temporary() -> String {
    let text = super::token(TEMPORARY * 5 / 8).to_lowercase();
    let mut parts: Vec<&str> = Vec::new();
    let mut rest = text.as_str();
    while let Some((part, more)) = rest.split_at_checked(4) {
        parts.push(part);
        rest = more;
    }
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_short_common_or_near_at_hand_is_refused() {
        let words = ["a.smith", "Smith", "St Mary's Primary"];
        let refused = [
            "",
            "elevenchars",
            "password1234",
            "Password123!",
            "P@ssw0rd2026!",
            "passwordpassword",
            "111111111111",
            "123456789012",
            "qwertyuiop[]",
            "qwertyuiopasdf",
            "abcdefghijklm",
            "zyxwvutsrqponm",
            "abababababab",
            "iloveyou2026!!",
            "a.smith-and-more",
            "the smithy burns",
            "ST MARYS PRIMARY!",
        ];
        for password in refused {
            assert!(check(password, &words).is_err(), "{password}");
        }
        let long = "x1y2z3".repeat(100);
        assert!(check(&long, &words).is_err());
        for password in [
            "correct horse battery",
            "wet leaves on Tuesday",
            "äöü ßẞ œæ ﬁ ½ µ",
            "k7-vq2-zz9-pl4",
        ] {
            assert_eq!(check(password, &words), Ok(()), "{password}");
        }
    }

    #[test]
    fn only_the_password_itself_is_of_its_hash() {
        let hash = hash("wet leaves on Tuesday").unwrap();
        assert!(hash.starts_with("$argon2id$"));
        assert!(is_of(&hash, "wet leaves on Tuesday"));
        assert!(!is_of(&hash, "wet leaves on tuesday"));
        assert!(!is_of("", ""));
    }

    #[test]
    fn a_temporary_password_passes_the_rule_and_is_never_the_same() {
        let one = temporary();
        assert_eq!(one.len(), 19, "{one}");
        assert_eq!(check(&one, &[]), Ok(()));
        assert_ne!(one, temporary());
    }
}
