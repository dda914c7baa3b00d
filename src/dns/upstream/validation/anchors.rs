//! The keys that all trust begins with.
//!
//! The root's are built in; a file may add others, such as the next one of the
//! root. They do not follow a change of key by themselves (RFC 5011): one is
//! announced years ahead, and comes with a new version or in the file.

use std::fmt;
use std::sync::Arc;

use hickory_proto::dnssec::TrustAnchors;

/// DNSKEY records as IANA has them.
const ROOT: &str = include_str!("root.key");

/// A file of keys that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("it must hold DNSKEY records, such as \". IN DNSKEY 257 3 8 AwEAA…\": {0}")]
pub struct BadAnchors(String);

/// What is trusted without proof; cheap to clone.
#[derive(Clone)]
pub struct Anchors(Arc<TrustAnchors>);

impl Anchors {
    /// The root's keys, and those of `file`.
    pub fn new(file: Option<&str>) -> Result<Self, BadAnchors> {
        let bad = |why: &dyn fmt::Display| BadAnchors(why.to_string());
        let file = file.unwrap_or_default();
        // Alone first, so that a mistake is found in it and not in ours.
        let known = TrustAnchors::len;
        let added: TrustAnchors = format!("{file}\n").parse().map_err(|e| bad(&e))?;
        let text = format!("{ROOT}\n{file}\n");
        let all: TrustAnchors = text.parse().map_err(|e| bad(&e))?;
        if !file.trim().is_empty() && known(&added) == 0 {
            return Err(bad(&"there is no key of the root in it"));
        }
        Ok(Self(Arc::new(all)))
    }

    pub(super) fn keys(&self) -> Arc<TrustAnchors> {
        Arc::clone(&self.0)
    }
}

impl fmt::Debug for Anchors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Anchors")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roots_two_keys_are_built_in_and_a_file_adds_to_them() {
        let built_in = Anchors::new(None).unwrap();
        assert_eq!(built_in.keys().len(), 2);
        let hickorys = TrustAnchors::default();
        for index in 0..2 {
            assert!(built_in.keys().contains(hickorys.get(index).unwrap()));
        }
        let key = ". IN DNSKEY 257 3 13 \
            mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==";
        assert_eq!(Anchors::new(Some(key)).unwrap().keys().len(), 3);
        for bad in [
            "nonsense",
            ". IN A 192.0.2.1",
            "example. IN DNSKEY 257 3 13",
        ] {
            assert!(Anchors::new(Some(bad)).is_err(), "{bad}");
        }
    }
}
