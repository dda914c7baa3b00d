//! Replies that say something else than the upstream did, and are not refusals:
//! the addresses of an engine's safe mode under the name that was asked for,
//! and service records without the keys that hide a server's name.
//!
//! Pointers in an answer count on what stands before them, so such a reply is
//! written anew, record by record, with names in full and owners as pointers to
//! the place where the chain has come to. Only what such an answer is made of is
//! taken over.
//!
//! What policy made up has no signature and is never said to be authentic
//! whoever validates behind us must see that this is no answer of the
//! zone.

use super::{Asked, Ede, HEADER, Rcode, Ttl, begin, error, finish, put_owned, put_soa_of, put_u16};
use crate::dns::answer::{Answer, Record, rtype};
use crate::dns::svcb;
use crate::name::NameRef;

/// `answer` is that of `target`; here it answers for the asked name, from which
/// a CNAME leads there. Without an address it is NODATA.
pub fn rewritten(
    asked: &Asked<'_>,
    target: NameRef<'_>,
    answer: &Answer,
    ttl: Ttl,
    why: Option<Ede<'_>>,
    out: &mut Vec<u8>,
) {
    begin(asked, Rcode::NoError as u16, false, out);
    let mut chain = Chain::new(out);
    let lifetime = ttl.of(answer.lifetime);
    let mut written = chain.lead_to(lifetime, target.wire());
    let mut addresses = 0;
    for record in answer.answers() {
        let next = match record.rtype {
            rtype::CNAME => answer
                .name_at(record.data_at)
                .and_then(|name| chain.lead_to(ttl.of(record.ttl), name.wire())),
            other if other == asked.rtype() => {
                addresses += 1;
                chain.put(other, ttl.of(record.ttl), record.data)
            }
            _ => Some(()),
        };
        written = written.and(next);
    }
    if addresses == 0 {
        written = written.and(chain.end(lifetime));
    }
    done(asked, Rcode::NoError as u16, written, why, out);
}

/// `answer` without the keys that hide a server's name, and without the
/// signatures of what was changed.
pub fn without_ech(
    asked: &Asked<'_>,
    answer: &Answer,
    ttl: Ttl,
    why: Option<Ede<'_>>,
    out: &mut Vec<u8>,
) {
    begin(asked, answer.rcode, answer.authoritative, out);
    let mut chain = Chain::new(out);
    let mut written = Some(());
    let mut services = 0;
    for record in answer.answers() {
        let next = match record.rtype {
            rtype::CNAME => answer
                .name_at(record.data_at)
                .and_then(|name| chain.lead_to(ttl.of(record.ttl), name.wire())),
            rtype::SVCB | rtype::HTTPS => {
                let put = chain.put_service(ttl.of(record.ttl), &record);
                services += u16::from(put == Some(true));
                put.map(|_| ())
            }
            rtype::DNAME => answer
                .name_at(record.data_at)
                .and_then(|name| chain.put_beside(answer, &record, ttl, name.wire())),
            rtype::RRSIG if !covers_services(record.data) => {
                chain.put_beside(answer, &record, ttl, record.data)
            }
            _ => Some(()),
        };
        written = written.and(next);
    }
    if services == 0 {
        written = written.and(chain.end(ttl.of(answer.lifetime)));
    }
    done(asked, answer.rcode, written, why, out);
}

fn done(
    asked: &Asked<'_>,
    rcode: u16,
    written: Option<()>,
    why: Option<Ede<'_>>,
    out: &mut Vec<u8>,
) {
    match written {
        Some(()) => finish(asked, rcode, why, out),
        // More than pointers reach, which no honest answer is.
        None => error(asked, Rcode::ServFail, None, out),
    }
}

/// The type that a signature is for stands first in it (RFC 4034 section 3.1).
fn covers_services(signature: &[u8]) -> bool {
    let covered = signature.first_chunk().copied().map(u16::from_be_bytes);
    matches!(covered, Some(rtype::SVCB | rtype::HTTPS))
}

/// An answer section in the making.
struct Chain<'o> {
    out: &'o mut Vec<u8>,
    /// Where the name stands that the chain has come to.
    here: usize,
    answers: u16,
}

impl<'o> Chain<'o> {
    fn new(out: &'o mut Vec<u8>) -> Self {
        Self {
            out,
            here: HEADER,
            answers: 0,
        }
    }

    /// A pointer to where the chain has come to, if one can reach it.
    fn pointer(&self) -> Option<[u8; 2]> {
        let at = u16::try_from(self.here).ok().filter(|at| *at < 0x4000)?;
        Some((0xc000 | at).to_be_bytes())
    }

    fn put(&mut self, rtype: u16, ttl: u32, data: &[u8]) -> Option<()> {
        let owner = self.pointer()?;
        self.count();
        put_owned(self.out, &owner, rtype, ttl, data);
        Some(())
    }

    /// A CNAME to `name`, where the chain then is.
    fn lead_to(&mut self, ttl: u32, name: &[u8]) -> Option<()> {
        self.put(rtype::CNAME, ttl, name)?;
        self.here = self.out.len() - name.len();
        Some(())
    }

    /// A record that may be owned by another name, as a DNAME is.
    fn put_beside(
        &mut self,
        answer: &Answer,
        record: &Record<'_>,
        ttl: Ttl,
        data: &[u8],
    ) -> Option<()> {
        let owner = answer.name_at(record.owner)?;
        self.count();
        let ttl = ttl.of(record.ttl);
        put_owned(self.out, owner.wire(), record.rtype, ttl, data);
        Some(())
    }

    /// A service record without its keys; `Some(false)` if it is left out.
    fn put_service(&mut self, ttl: u32, record: &Record<'_>) -> Option<bool> {
        let owner = self.pointer()?;
        let start = self.out.len();
        put_owned(self.out, &owner, record.rtype, ttl, &[]);
        let data_at = self.out.len();
        if !svcb::put_without_ech(record.data, self.out) {
            self.out.truncate(start);
            return Some(false);
        }
        let length = u16::try_from(self.out.len() - data_at).ok()?;
        put_u16(self.out, data_at - 2, length);
        self.count();
        Some(true)
    }

    /// Says that the chain ends in nothing.
    fn end(&mut self, ttl: u32) -> Option<()> {
        put_soa_of(self.out, &self.pointer()?, ttl);
        put_u16(self.out, 8, 1);
        Some(())
    }

    /// One more record in the answer section.
    fn count(&mut self) {
        self.answers += 1;
        put_u16(self.out, 6, self.answers);
    }
}
