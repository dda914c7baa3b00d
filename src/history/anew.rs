//! `history --begin-anew`: a new record where the old one cannot be believed.

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::bail;
use jiff::Timestamp;
use nix::unistd::Uid;

use crate::appliance;
use crate::changes::anew::{self, NotBegun};
use crate::configuration::Configuration;
use crate::terminal;

pub(super) fn begin_anew(
    folder: &Path,
    state_dir: &Path,
    why: &str,
    now: Timestamp,
    out: &mut impl Write,
) -> anyhow::Result<u8> {
    let why = super::reason(why)?;
    let owner = std::fs::metadata(state_dir)?.uid();
    if owner != Uid::effective().as_raw() {
        bail!(
            "{} belongs to another account, and the resolver could not read what this writes: run \
             it as that account, such as with `runuser -u schoolgate -- schoolgate history …`",
            state_dir.display()
        );
    }
    let _place = appliance::place(state_dir)?;
    let configuration = Configuration::load(folder).map_err(appliance::all_of)?;
    let from = terminal::who();
    match anew::begin_anew(state_dir, &configuration.texts, (why, &from), now) {
        Ok(begun) => {
            writeln!(
                out,
                "The record was begun anew: policy {} is what the files of {} say. The old record \
                 is changes/{}.",
                begun.activated.number,
                folder.display(),
                begun.aside
            )?;
            writeln!(
                out,
                "Nobody can approve a change until somebody's signature is set up at the machine \
                 (`schoolgate user signature ACCOUNT`), and a second person has to take note of \
                 this (`schoolgate acknowledge`, or the pages)."
            )?;
            if !begun.wanting.is_empty() {
                let waiting = begun.wanting.join(", ");
                writeln!(
                    out,
                    "These could approve by the old record, and wait to be confirmed: {waiting}."
                )?;
            }
            Ok(0)
        }
        Err(NotBegun::Whole(policy)) => {
            writeln!(out, "{}", NotBegun::Whole(policy))?;
            Ok(1)
        }
        Err(other) => Err(other.into()),
    }
}
