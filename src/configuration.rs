//! The configuration folder: `schoolgate.toml`, `policy.toml`, `devices.csv`.
//!
//! `check` and `serve` load through here alike, so that what `check` calls fine
//! starts, and what would not start is said beforehand: everything at once, and
//! nothing is half loaded. Settings and policy are read here and understood
//! elsewhere, because a policy must not know that there are files.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use crate::document::{Complaint, Place};
use crate::lists::lookup::Lists;
use crate::policy::Policy;
use crate::policy::compile::{self, KnownDevices, Live};
use crate::policy::document::PolicyDocument;
use crate::policy::group::BlockedAnswer;
use crate::settings::Settings;

const SETTINGS: &str = "schoolgate.toml";
const POLICY: &str = "policy.toml";
const DEVICES: &str = "devices.csv";

/// A configuration without a mistake, lists aside.
pub struct Configuration {
    /// The folder it came from.
    pub folder: PathBuf,
    /// The machine's settings, every path resolved.
    pub settings: Settings,
    /// The school's policy as it was typed.
    pub document: PolicyDocument,
    /// The texts that a policy is made of.
    pub texts: PolicyTexts,
    /// What is not wrong but worth a look.
    pub warnings: Vec<Complaint>,
}

/// The files that belong to the school, as they were read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyTexts {
    /// `policy.toml`.
    pub policy: String,
    /// `devices.csv`.
    pub devices: String,
}

impl Configuration {
    /// Loads `folder`, or says all that is wrong with it.
    pub fn load(folder: &Path) -> Result<Self, Vec<Complaint>> {
        let mut complaints = Vec::new();
        let settings = text_of(folder, SETTINGS, &mut complaints);
        let settings = settings.map(|text| {
            let (settings, found) = Settings::read(SETTINGS, &text);
            complaints.extend(found);
            settings.relative_to(folder)
        });
        let policy = text_of(folder, POLICY, &mut complaints);
        let devices = text_of(folder, DEVICES, &mut complaints);
        let document = policy.as_ref().map(|text| {
            let (document, found) = PolicyDocument::read(POLICY, text);
            complaints.extend(found);
            let with = |devices: &KnownDevices<'_>| compile::mistakes(&document, devices);
            complaints.extend(with_devices(devices.as_deref(), with));
            document
        });
        let texts = policy.zip(devices);
        let mut warnings = Vec::new();
        if let Some(settings) = &settings {
            missing_files(settings, &mut complaints, &mut warnings);
        }
        if let (Some(settings), Some(document)) = (&settings, &document) {
            pages_without_address(settings, document, &mut complaints);
            warnings.extend(compile::warnings(document));
        }
        match (settings, document, texts) {
            (Some(settings), Some(document), Some((policy, devices))) if complaints.is_empty() => {
                Ok(Self {
                    folder: folder.to_owned(),
                    settings,
                    document,
                    texts: PolicyTexts { policy, devices },
                    warnings,
                })
            }
            _ => {
                complaints.sort();
                Err(complaints)
            }
        }
    }
}

impl PolicyTexts {
    /// Reads the school's files in `folder`, for a policy to be made of them.
    pub fn read(folder: &Path) -> Result<Self, Vec<Complaint>> {
        let mut complaints = Vec::new();
        let policy = text_of(folder, POLICY, &mut complaints);
        let devices = text_of(folder, DEVICES, &mut complaints);
        match (policy, devices) {
            (Some(policy), Some(devices)) => Ok(Self { policy, devices }),
            _ => Err(complaints),
        }
    }

    /// Makes the policy that these texts mean over `lists`.
    pub fn compile(
        &self,
        number: u64,
        not_before: Timestamp,
        lists: Arc<Lists>,
    ) -> Result<Policy, Vec<Complaint>> {
        let live = Live {
            number,
            not_before,
            lists,
        };
        with_devices(Some(&self.devices), |devices| {
            compile::compile(POLICY, &self.policy, devices, live)
        })
    }
}

/// Device ids are the first column; the first line names the columns. An
/// inventory that is not there is complained of once, not for each device.
fn with_devices<T>(inventory: Option<&str>, then: impl FnOnce(&KnownDevices<'_>) -> T) -> T {
    let rows = inventory.unwrap_or_default().lines();
    let rows = rows.filter(|l| !l.trim_start().starts_with('#')).skip(1);
    let ids = rows.filter_map(|row| row.split(',').next());
    let ids: Vec<&str> = ids.map(str::trim).filter(|id| !id.is_empty()).collect();
    let index = |id: &str| match inventory {
        Some(_) => u32::try_from(ids.iter().position(|other| *other == id)?).ok(),
        None => Some(0),
    };
    then(&KnownDevices {
        index: &index,
        ids: &ids,
    })
}

/// The verb `check`: prints every complaint and warning. `lists` finds the
/// compiled lists, if there are any yet; without them the mandatory layer
/// cannot be asked about exceptions.
pub fn check(
    folder: &Path,
    lists: impl FnOnce(&Settings) -> Option<Arc<Lists>>,
    out: &mut impl Write,
) -> io::Result<u8> {
    let complaints = match Configuration::load(folder) {
        Err(complaints) => complaints,
        Ok(configuration) => {
            let lists = lists(&configuration.settings);
            let document = &configuration.document;
            let opened = lists.as_deref();
            let opened = opened.map(|lists| compile::lifts_of_the_mandatory(document, lists));
            for warning in &configuration.warnings {
                writeln!(out, "warning: {warning}")?;
            }
            if opened.is_none() {
                writeln!(
                    out,
                    "note: no lists are compiled yet; `schoolgate refresh` does it"
                )?;
            }
            let opened = opened.unwrap_or_default();
            if opened.is_empty() {
                writeln!(out, "{}", summary(&configuration))?;
                return Ok(0);
            }
            opened
        }
    };
    for complaint in &complaints {
        writeln!(out, "{complaint}")?;
    }
    let found = counted(complaints.len(), "mistake");
    writeln!(out, "{}: {found}", folder.display())?;
    Ok(1)
}

fn summary(configuration: &Configuration) -> String {
    let document = &configuration.document;
    let devices = with_devices(Some(&configuration.texts.devices), |known| known.ids.len());
    format!(
        "{} is fine: {}, {}, {}, {}",
        configuration.folder.display(),
        counted(document.groups.len(), "group"),
        counted(document.timetables.len(), "timetable"),
        counted(document.exceptions.len(), "exception"),
        counted(devices, "device"),
    )
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

fn text_of(folder: &Path, name: &str, complaints: &mut Vec<Complaint>) -> Option<String> {
    let path = folder.join(name);
    let why = match std::fs::read(&path) {
        Ok(bytes) => match String::from_utf8(bytes) {
            // Editors on Windows put a byte order mark first.
            Ok(text) => {
                let text = text
                    .strip_prefix('\u{feff}')
                    .map(ToOwned::to_owned)
                    .unwrap_or(text);
                return Some(text);
            }
            Err(_) => "is not UTF-8 text".to_owned(),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            format!("not found in {}; {}", folder.display(), remedy(name))
        }
        Err(error) => format!("cannot be read: {error}"),
    };
    complaints.push(about(name, why));
    None
}

fn remedy(name: &str) -> &'static str {
    match name {
        POLICY => "copy policy-primary.toml or policy-secondary.toml to policy.toml",
        DEVICES => "write it with the line \"id,name,mac,ip,group,owner,kind\"",
        _ => "is it the right folder? `--config DIR` names another",
    }
}

fn about(file: &str, message: String) -> Complaint {
    Complaint {
        place: Place {
            file: file.to_owned(),
            line: 0,
        },
        message,
    }
}

fn missing_files(settings: &Settings, wrong: &mut Vec<Complaint>, odd: &mut Vec<Complaint>) {
    let needed = settings.local.zones.iter().map(|zone| &zone.file);
    for file in needed.chain(&settings.refresh.ca_file) {
        if !file.is_file() {
            wrong.push(about(
                SETTINGS,
                format!("there is no file {}", file.display()),
            ));
        }
    }
    // A DHCP server may not have written one yet.
    for lease in &settings.clients.leases {
        if !lease.file.is_file() {
            let message = format!("there is no lease file {} yet", lease.file.display());
            odd.push(about(SETTINGS, message));
        }
    }
}

fn pages_without_address(
    settings: &Settings,
    document: &PolicyDocument,
    complaints: &mut Vec<Complaint>,
) {
    if !settings.answers.page_addresses.is_empty() {
        return;
    }
    let pages = document.groups.iter().map(|group| (group, &group.answer));
    for (group, answer) in pages.filter(|(_, a)| a.value == BlockedAnswer::Page) {
        complaints.push(Complaint {
            place: answer.place.clone(),
            message: format!(
                "group \"{}\" answers with a page, but `answers.page_addresses` in \
                 schoolgate.toml is empty",
                group.id.value
            ),
        });
    }
}
