//! Who can approve a change, and by what anybody can see that they did.
//!
//! An approval is an Ed25519 signature whose key is made of a password, anew each
//! time it is typed (argon2id), and is kept nowhere. The record of changes has
//! the public half. So whoever holds the process of the pages, its files and the
//! resolver's socket still cannot approve anything, and an auditor can check each
//! approval of years ago with nothing but the record.
//!
//! It must never keep a password or a key that signs.

use argon2::Argon2;
use data_encoding::HEXLOWER;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use super::ledger::APPLIANCE;
use super::proposal::{Author, CONSOLE};
use crate::people::role::Role;

/// Bytes of a salt and of a key.
const SALT: usize = 16;
const KEY: usize = 32;

/// Somebody who can be the second person of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signatory {
    /// Their account on the pages.
    pub account: String,
    /// What they are called.
    pub name: String,
    /// Two accounts with one address are one person's; may be empty.
    #[serde(default)]
    pub email: String,
    /// What they are: a head or a safeguarding lead.
    pub role: Role,
    /// What the key is made with besides the password, in hexadecimal.
    pub salt: String,
    /// The public key, in hexadecimal.
    pub key: String,
}

/// What signs, for as long as the password is at hand.
pub struct Hand(Ed25519KeyPair);

impl Signatory {
    /// Somebody with this password; none if no key can be made.
    #[must_use]
    pub fn new(author: &Author, name: &str, role: Role, password: &str) -> Option<Self> {
        let mut salt = [0; SALT];
        rand::fill(&mut salt);
        let salt = HEXLOWER.encode(&salt);
        let key = Hand::of(password, &salt)?.key();
        Some(Self {
            account: author.account.clone(),
            name: name.to_owned(),
            email: author.email.clone(),
            role,
            salt,
            key,
        })
    }

    /// What signs for this person; none if that is not their password.
    #[must_use]
    pub fn hand(&self, password: &str) -> Option<Hand> {
        Hand::of(password, &self.salt).filter(|hand| hand.key() == self.key)
    }

    /// Whether they have signed `message`.
    #[must_use]
    pub fn has_signed(&self, message: &str, signature: &str) -> bool {
        let decoded = |text: &str| HEXLOWER.decode(text.as_bytes());
        let (Ok(key), Ok(signature)) = (decoded(&self.key), decoded(signature)) else {
            return false;
        };
        let key = UnparsedPublicKey::new(&ED25519, key);
        key.verify(message.as_bytes(), &signature).is_ok()
    }

    /// Whether they are this author: by the account or the e-mail address,
    /// however either is written.
    #[must_use]
    pub fn is(&self, author: &Author) -> bool {
        let email = plain(&self.email);
        let same_email = !email.is_empty() && email == plain(&author.email);
        same_email || plain(&self.account) == plain(&author.account)
    }

    /// Whether they may confirm `new`: another person, or with their own old key
    /// themselves. By whose address a second account of theirs is known, another
    /// person must say.
    #[must_use]
    pub fn may_confirm(&self, new: &Self) -> bool {
        if self.account == new.account {
            return plain(&self.email) == plain(&new.email);
        }
        !self.is(&Author::new(&new.account, &new.email))
    }

    /// Whether their account is called as accounts are: in letters of which no
    /// two look alike, and not like the appliance or whoever sits at it.
    #[must_use]
    pub fn is_plainly_called(&self) -> bool {
        let name = self.account.as_str();
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-_".contains(c);
        !name.is_empty() && name.chars().all(is_plain) && ![CONSOLE, APPLIANCE].contains(&name)
    }

    /// Whether their role lets them approve.
    #[must_use]
    pub fn can_approve(&self) -> bool {
        matches!(self.role, Role::Head | Role::Dsl)
    }

    /// What says that this is all there is to know of them.
    #[must_use]
    pub fn digest(&self) -> String {
        // Words only: it cannot fail.
        let text = serde_json::to_vec(self).unwrap_or_default();
        blake3::hash(&text).to_hex().to_string()
    }
}

impl Hand {
    fn of(password: &str, salt: &str) -> Option<Self> {
        let salt = HEXLOWER.decode(salt.as_bytes()).ok()?;
        let mut seed = [0; KEY];
        let made = Argon2::default().hash_password_into(password.as_bytes(), &salt, &mut seed);
        made.ok()?;
        Ed25519KeyPair::from_seed_unchecked(&seed).ok().map(Self)
    }

    /// The public key, in hexadecimal.
    #[must_use]
    pub fn key(&self) -> String {
        HEXLOWER.encode(self.0.public_key().as_ref())
    }

    /// A signature over `message`, in hexadecimal.
    #[must_use]
    pub fn sign(&self, message: &str) -> String {
        HEXLOWER.encode(self.0.sign(message.as_bytes()).as_ref())
    }
}

/// An account or address, as it is compared.
fn plain(text: &str) -> String {
    text.trim().to_lowercase()
}

/// What an approval of the proposal whose entry has this digest signs.
#[must_use]
pub fn approval(digest: &str) -> String {
    format!("schoolgate: I approve {digest}")
}

/// What is signed by whoever has taken note of the activation of that digest.
#[must_use]
pub fn acknowledgement(digest: &str) -> String {
    format!("schoolgate: I have taken note of {digest}")
}

/// What confirms that the signatory of that digest may approve from now on.
#[must_use]
pub fn confirmation(digest: &str) -> String {
    format!("schoolgate: I confirm the signatory {digest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Signatory {
        let author = Author::new("a.head", "head@school.example");
        Signatory::new(&author, "A. Head", Role::Head, "four plain words here").unwrap()
    }

    #[test]
    fn only_the_password_signs() {
        let head = head();
        assert!(head.hand("four plain words there").is_none());
        let signature = head.hand("four plain words here").unwrap().sign("this");
        assert!(head.has_signed("this", &signature));
        assert!(!head.has_signed("that", &signature));
        for odd in ["", "00", "zz", &signature[2..]] {
            assert!(!head.has_signed("this", odd), "{odd}");
        }
    }

    #[test]
    fn one_address_is_one_person() {
        let head = head();
        assert!(head.is(&Author::new("a.head", "")));
        assert!(head.is(&Author::new("t.smith", "Head@School.example ")));
        assert!(head.is(&Author::new(" A.Head", "")));
        assert!(!head.is(&Author::new("t.smith", "")));
        let other = Signatory {
            email: String::new(),
            ..head.clone()
        };
        assert!(!other.is(&Author::new("t.smith", " ")));
        let spaced = Signatory {
            email: " HEAD@school.example".to_owned(),
            ..head
        };
        assert!(spaced.is(&Author::new("t.smith", "head@school.example")));
    }

    #[test]
    fn a_signatory_is_called_in_plain_letters() {
        let called = |account: &str| {
            let account = account.to_owned();
            Signatory { account, ..head() }.is_plainly_called()
        };
        assert!(called("a.head"));
        for odd in [
            "",
            "A.Head",
            "\u{430}.head",
            "a.head ",
            "console",
            "schoolgate",
        ] {
            assert!(!called(odd), "{odd}");
        }
    }
}
