//! An event as bytes: what travels in a worker's ring and waits in the spool.
//!
//! Length, time and count stand in front and everything else behind them, so
//! that two look-ups are "the same again" exactly when the bytes behind, the
//! key, are equal. What decided, who asked and what was asked are each one run
//! of bytes, which a day's dictionaries use as their keys. What was asked stands
//! last, so that it can be taken off. Bytes never leave the process: categories
//! are indices here.
//!
//! Packing must never allocate; unpacking must never panic.

use std::net::IpAddr;

use crate::lists::category::{Category, CategorySet};
use crate::mac::Mac;
use crate::name::{MAX_WIRE, NameRef};
use crate::policy::decision::{Layer, LogLevel, Verdict};

use super::event::Event;
use super::recorder::Rank;

/// Longest text that is kept, in bytes; its length is one byte.
const MAX_TEXT: usize = 255;
/// Longest frame: what is fixed, four texts and a name.
pub(super) const MAX_FRAME: usize = 80 + 4 * (1 + MAX_TEXT) + 1 + MAX_WIRE;
/// What stands in front of a key: the length of all behind itself, the time, the
/// count.
pub(super) const HEAD: usize = LENGTH + TIME + COUNT;
/// The frame's length.
pub(super) const LENGTH: usize = 2;
/// The time, in microseconds.
const TIME: usize = 8;
/// How many look-ups the frame stands for.
const COUNT: usize = 4;
/// What was asked where that is not said: type 0, which is no type, of the root.
const VARIOUS: [u8; 4] = [0, 0, 1, 0];

const TRUSTED: u8 = 1;
const COUNT_ONLY: u8 = 2;
const NO_CATEGORY: u8 = u8::MAX;

/// A frame's key, read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packed<'a> {
    /// Whether only its number counts (`log = "counts"`): no row is made of it.
    pub(super) count_only: bool,
    pub(super) time_trusted: bool,
    pub(super) action: Verdict,
    pub(super) layer: Layer,
    pub(super) category: Option<Category>,
    pub(super) categories: CategorySet,
    pub(super) policy: u64,
    pub(super) source: &'a str,
    pub(super) mac: Option<Mac>,
    pub(super) ip: Option<IpAddr>,
    pub(super) device: &'a str,
    pub(super) device_name: &'a str,
    pub(super) group: &'a str,
    pub(super) rtype: u16,
    pub(super) name: NameRef<'a>,
    /// The bytes of what decided, from `action` to `source`.
    pub(super) ruling_key: &'a [u8],
    /// The bytes of who asked, from `mac` to `group`.
    pub(super) client_key: &'a [u8],
}

/// Writes `event` as a frame of one look-up, at the level that applies to it.
/// `frame` has room for [`MAX_FRAME`] bytes, so nothing is allocated. Says
/// whether a row is to be made of it, rather than a number.
pub(super) fn pack(event: &Event<'_>, frame: &mut Vec<u8>) -> bool {
    let level = level(event);
    let count_only = matches!(level, LogLevel::Counts | LogLevel::Off);
    begin(event, count_only, frame);
    pack_client(event, level == LogLevel::Full, frame);
    if count_only {
        frame.extend_from_slice(&VARIOUS);
    } else {
        let name = event.name.wire();
        frame.extend_from_slice(&event.rtype.to_le_bytes());
        frame.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        frame.extend_from_slice(name);
    }
    end(frame);
    !count_only
}

/// Takes what was asked off the frame that [`pack`] has made a row's of `event`:
/// various names, of one client and ruling.
pub(super) fn collapse(event: &Event<'_>, frame: &mut Vec<u8>) {
    let asked = size_of::<u16>() + 1 + event.name.wire().len();
    frame.truncate(frame.len().saturating_sub(asked));
    frame.extend_from_slice(&VARIOUS);
    end(frame);
}

/// Packs `event` without what was asked and without who asked: various names,
/// of one group and ruling.
pub(super) fn pack_for_group(event: &Event<'_>, frame: &mut Vec<u8>) {
    begin(event, false, frame);
    pack_client(event, false, frame);
    frame.extend_from_slice(&VARIOUS);
    end(frame);
}

/// less than everything is a choice for allowed look-ups only.
fn level(event: &Event<'_>) -> LogLevel {
    match Rank::of(event.action, event.layer) {
        Rank::Allowed => event.level,
        Rank::Blocked | Rank::Mandatory => LogLevel::Full,
    }
}

fn begin(event: &Event<'_>, count_only: bool, frame: &mut Vec<u8>) {
    frame.clear();
    frame.extend_from_slice(&[0; LENGTH]);
    frame.extend_from_slice(&event.time.as_microsecond().to_le_bytes());
    frame.extend_from_slice(&1_u32.to_le_bytes());
    pack_ruling(event, count_only, frame);
}

fn end(frame: &mut [u8]) {
    let length = u16::try_from(frame.len() - LENGTH).unwrap_or(u16::MAX);
    if let Some(front) = frame.first_chunk_mut() {
        *front = length.to_le_bytes();
    }
}

fn pack_ruling(event: &Event<'_>, count_only: bool, frame: &mut Vec<u8>) {
    let mut flags = 0;
    if event.time_trusted {
        flags |= TRUSTED;
    }
    if count_only {
        flags |= COUNT_ONLY;
    }
    let category = event
        .category
        .and_then(|c| u8::try_from(c.index()).ok())
        .filter(|_| !count_only)
        .unwrap_or(NO_CATEGORY);
    let (categories, policy, source) = if count_only {
        (CategorySet::EMPTY, 0, None)
    } else {
        (event.categories, event.policy, event.source)
    };
    frame.extend_from_slice(&[
        flags,
        verdict_byte(event.action),
        layer_byte(event.layer),
        category,
    ]);
    frame.extend_from_slice(&categories.bits().to_le_bytes());
    frame.extend_from_slice(&policy.to_le_bytes());
    pack_text(source.unwrap_or(""), frame);
}

fn pack_client(event: &Event<'_>, whole: bool, frame: &mut Vec<u8>) {
    let mac = event.mac.filter(|_| whole);
    let address = event.ip.to_canonical();
    let shape = match (whole, address) {
        (false, _) => 0,
        (true, IpAddr::V4(_)) => 4,
        (true, IpAddr::V6(_)) => 6,
    };
    frame.extend_from_slice(&[u8::from(mac.is_some()), shape]);
    if let Some(mac) = mac {
        frame.extend_from_slice(&mac.0);
    }
    match address {
        _ if !whole => (),
        IpAddr::V4(v4) => frame.extend_from_slice(&v4.octets()),
        IpAddr::V6(v6) => frame.extend_from_slice(&v6.octets()),
    }
    let device = event.device.filter(|_| whole).unwrap_or("");
    let device_name = event.device_name.filter(|_| whole).unwrap_or("");
    pack_text(device, frame);
    pack_text(device_name, frame);
    pack_text(event.group, frame);
}

fn pack_text(text: &str, frame: &mut Vec<u8>) {
    if text.is_empty() {
        return frame.push(0);
    }
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let kept = text.as_bytes().get(..end).unwrap_or_default();
    frame.push(u8::try_from(kept.len()).unwrap_or(0));
    frame.extend_from_slice(kept);
}

/// Splits a frame, its length taken off, into its time in microseconds, its
/// count and its key.
pub(super) fn split(frame: &[u8]) -> Option<(i64, u32, &[u8])> {
    let (time, rest) = frame.split_first_chunk::<TIME>()?;
    let (count, key) = rest.split_first_chunk::<COUNT>()?;
    Some((i64::from_le_bytes(*time), u32::from_le_bytes(*count), key))
}

/// The whole frame, length and all, at the front of `frames`.
pub(super) fn first(frames: &[u8]) -> Option<&[u8]> {
    let length = u16::from_le_bytes(*frames.first_chunk()?);
    frames.get(..LENGTH + usize::from(length))
}

/// The key of a whole frame.
pub(super) fn key(frame: &[u8]) -> &[u8] {
    frame.get(HEAD..).unwrap_or_default()
}

/// Counts one look-up more on the frame at the front of `frames`.
pub(super) fn again(frames: &mut [u8]) {
    let count = frames.get_mut(LENGTH + TIME..);
    if let Some(count) = count.and_then(|rest| rest.first_chunk_mut::<COUNT>()) {
        *count = u32::from_le_bytes(*count).saturating_add(1).to_le_bytes();
    }
}

/// How much a key matters, without reading all of it.
pub(super) fn rank(key: &[u8]) -> Option<Rank> {
    let &[_, action, layer, ..] = key else {
        return None;
    };
    Some(Rank::of(
        verdict(action)?,
        *Layer::ALL.get(usize::from(layer))?,
    ))
}

/// Reads a key. `None` if this is none.
pub(super) fn unpack(key: &[u8]) -> Option<Packed<'_>> {
    let mut rest = key;
    let [flags, action, layer, category] = take_array(&mut rest)?;
    let categories = CategorySet::from_bits(u64::from_le_bytes(take_array(&mut rest)?));
    let policy = u64::from_le_bytes(take_array(&mut rest)?);
    let source = take_text(&mut rest)?;
    let ruling_end = key.len() - rest.len();
    let [has_mac, shape] = take_array(&mut rest)?;
    let mac = match has_mac {
        0 => None,
        _ => Some(Mac(take_array(&mut rest)?)),
    };
    let ip = match shape {
        4 => Some(IpAddr::from(take_array::<4>(&mut rest)?)),
        6 => Some(IpAddr::from(take_array::<16>(&mut rest)?)),
        _ => None,
    };
    let device = take_text(&mut rest)?;
    let device_name = take_text(&mut rest)?;
    let group = take_text(&mut rest)?;
    let client_end = key.len() - rest.len();
    let rtype = u16::from_le_bytes(take_array(&mut rest)?);
    let [name_length] = take_array(&mut rest)?;
    let name = NameRef::from_wire(take(&mut rest, usize::from(name_length))?)?;
    Some(Packed {
        count_only: flags & COUNT_ONLY != 0,
        time_trusted: flags & TRUSTED != 0,
        action: verdict(action)?,
        layer: *Layer::ALL.get(usize::from(layer))?,
        category: Category::all().nth(usize::from(category)),
        categories,
        policy,
        source,
        mac,
        ip,
        device,
        device_name,
        group,
        rtype,
        name,
        ruling_key: key.get(..ruling_end)?,
        client_key: key.get(ruling_end..client_end)?,
    })
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(taken)
}

fn take_array<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    take(rest, N)?.try_into().ok()
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let [length] = take_array(rest)?;
    std::str::from_utf8(take(rest, usize::from(length))?).ok()
}

fn verdict_byte(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Allow => 0,
        Verdict::Block => 1,
        Verdict::Rewrite => 2,
    }
}

fn verdict(byte: u8) -> Option<Verdict> {
    [Verdict::Allow, Verdict::Block, Verdict::Rewrite]
        .get(usize::from(byte))
        .copied()
}

/// [`Layer::ALL`] is in the order of the declaration; a test insists.
fn layer_byte(layer: Layer) -> u8 {
    layer as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_numbered_as_listed() {
        for (at, layer) in Layer::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(layer_byte(layer)), at);
        }
    }

    #[test]
    fn no_bytes_make_unpacking_panic() {
        let mut key = vec![1, 1, 0, 3];
        key.extend_from_slice(&[0; 16]);
        key.extend_from_slice(b"\x02ab\x01\x04\0\x1a\x2b\x3c\x4d\x5e\x0a\x01\0\x07");
        key.extend_from_slice(b"\x01d\x00\x06pupils\x01\x00\x09\x07example\x00");
        assert_eq!(unpack(&key).unwrap().name.to_string(), "example");
        assert_eq!(unpack(&key).unwrap().group, "pupils");
        for end in 0..key.len() {
            assert!(unpack(&key[..end]).is_none(), "cut at {end}");
        }
        for at in 0..key.len() {
            for byte in 0..=255 {
                let mut other = key.clone();
                other[at] = byte;
                let _ = unpack(&other);
            }
        }
    }
}
