//! Look-ups of the last moment, each distinct one once, with its count.
//!
//! Most look-ups repeat what was just asked, so a worker counts before it hands
//! over. The frames lie one behind the other as they will in the ring, and to
//! hand them over is to copy one run of bytes; an index by hash finds the frame
//! that a look-up repeats.
//!
//! It must never allocate after it was made.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::packed;

/// The frames of one window.
pub(super) struct Tally {
    /// Hash of a key → where its frame begins.
    index: HashTable<u32>,
    hasher: RandomState,
    frames: Vec<u8>,
    size: Size,
    /// When the first frame came in, in milliseconds of the monotonic clock.
    began: Option<u64>,
}

/// What a tally holds, and for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) frames: usize,
    pub(super) bytes: usize,
    /// Milliseconds.
    pub(super) window: u64,
}

/// A frame that is in no tally yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct New(u64);

impl Tally {
    pub(super) fn new(size: Size) -> Self {
        Self {
            index: HashTable::with_capacity(size.frames),
            hasher: RandomState::default(),
            frames: Vec::with_capacity(size.bytes),
            size,
            began: None,
        }
    }

    /// Counts `frame` if one like it is here.
    pub(super) fn count(&mut self, frame: &[u8]) -> Result<(), New> {
        let key = packed::key(frame);
        let hash = self.hasher.hash_one(key);
        let like = |at: &u32| frame_at(&self.frames, *at).map(packed::key) == Some(key);
        let at = *self.index.find(hash, like).ok_or(New(hash))?;
        if let Some(frames) = self.frames.get_mut(at as usize..) {
            packed::again(frames);
        }
        Ok(())
    }

    /// Whether there is room for `frame`.
    pub(super) fn fits(&self, frame: &[u8]) -> bool {
        self.index.len() < self.size.frames && self.frames.len() + frame.len() <= self.size.bytes
    }

    /// Takes `frame` in, which fits.
    pub(super) fn add(&mut self, New(hash): New, frame: &[u8], now: u64) {
        let at = self.frames.len() as u32;
        let Self { frames, hasher, .. } = self;
        // There is room for as many as fit, so nothing is ever hashed again.
        let again = |at: &u32| frame_at(frames, *at).map_or(0, |f| hasher.hash_one(packed::key(f)));
        self.index.insert_unique(hash, at, again);
        self.frames.extend_from_slice(frame);
        self.began.get_or_insert(now);
    }

    /// When the window ends; never while there is nothing.
    pub(super) fn due(&self) -> Option<u64> {
        self.began.map(|began| began + self.size.window)
    }

    /// All frames.
    pub(super) fn frames(&self) -> &[u8] {
        &self.frames
    }

    pub(super) fn clear(&mut self) {
        self.index.clear();
        self.frames.clear();
        self.began = None;
    }
}

fn frame_at(frames: &[u8], at: u32) -> Option<&[u8]> {
    packed::first(frames.get(at as usize..)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(key: &[u8]) -> Vec<u8> {
        let head = [&[0; packed::HEAD - packed::LENGTH][..], key].concat();
        let length = u16::try_from(head.len()).unwrap();
        [&length.to_le_bytes()[..], &head].concat()
    }

    #[test]
    fn a_tally_never_grows() {
        let size = Size {
            frames: 1000,
            bytes: 40_000,
            window: 200,
        };
        let mut tally = Tally::new(size);
        let capacity = |tally: &Tally| (tally.index.capacity(), tally.frames.capacity());
        let made = capacity(&tally);
        let mut windows = 0;
        for n in 0..20_000_u32 {
            // Short keys fill the index first, long ones the bytes.
            let pad = vec![7; if n < 10_000 { 0 } else { 100 }];
            let frame = frame(&[&n.to_le_bytes()[..], &pad].concat());
            let Err(new) = tally.count(&frame) else {
                panic!("{n} was never here");
            };
            if !tally.fits(&frame) {
                tally.clear();
                windows += 1;
            }
            tally.add(new, &frame, u64::from(n));
            assert_eq!(capacity(&tally), made);
            assert!(tally.count(&frame).is_ok());
            assert_eq!(capacity(&tally), made);
        }
        assert!(windows > 30, "{windows}");
    }

    #[test]
    fn what_is_counted_stands_in_the_frame() {
        let mut tally = Tally::new(Size {
            frames: 10,
            bytes: 1000,
            window: 200,
        });
        for (at, key) in [&b"ab"[..], b"a", b"ab", b"ab"].into_iter().enumerate() {
            if let Err(new) = tally.count(&frame(key)) {
                tally.add(new, &frame(key), 50 + at as u64);
            }
        }
        assert_eq!(tally.due(), Some(250));
        let mut rest = tally.frames();
        let mut found = Vec::new();
        while let Some(first) = packed::first(rest) {
            let (_, again, key) = packed::split(&first[packed::LENGTH..]).unwrap();
            found.push((key, again));
            rest = &rest[first.len()..];
        }
        assert_eq!(found, [(&b"ab"[..], 2), (b"a", 0)]);
    }
}
