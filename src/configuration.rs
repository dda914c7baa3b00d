//! The configuration folder: `schoolgate.toml`, `policy.toml`, `devices.csv`, and
//! tables of names that a school puts in place of the shipped ones.
//!
//! `check` and `serve` load through here alike, so that what `check` calls fine
//! starts, and what would not start is said beforehand: everything at once, and
//! nothing is half loaded. Settings and policy are read here and understood
//! elsewhere, because a policy must not know that there are files.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::devices::inventory::{COLUMNS, Inventory};
use crate::dns::streams::certificate::Pair;
use crate::document::{Complaint, Place};
use crate::lists::lookup::Lists;
use crate::lists::source::{self, SourceSpec};
use crate::policy::Policy;
use crate::policy::compile::{self, File, Live, Tables};
use crate::policy::document::PolicyDocument;
use crate::policy::group::BlockedAnswer;
use crate::policy::{canary, safe_search};
use crate::settings::Settings;

const SETTINGS: &str = "schoolgate.toml";
const POLICY: &str = "policy.toml";
const DEVICES: &str = "devices.csv";
const CANARIES: &str = "canaries.toml";
const SAFE_SEARCH: &str = "safe-search.toml";
const SOURCES: &str = "sources.toml";
/// As complaints and traces name what was agreed on the pages.
const ADDED: &str = "the changes page";

/// A configuration without a mistake, lists aside.
pub struct Configuration {
    /// The folder it came from.
    pub folder: PathBuf,
    /// The machine's settings, every path resolved.
    pub settings: Settings,
    /// The school's policy as it was typed.
    pub document: PolicyDocument,
    /// The school's devices.
    pub devices: Inventory,
    /// The texts that a policy is made of.
    pub texts: PolicyTexts,
    /// What is not wrong but worth a look.
    pub warnings: Vec<Complaint>,
}

/// The files that belong to the school, as they were read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyTexts {
    /// `policy.toml`.
    pub policy: String,
    /// `devices.csv`.
    pub devices: String,
    /// `canaries.toml`, the school's or the shipped one.
    pub canaries: String,
    /// `safe-search.toml`, the school's or the shipped one.
    pub safe_search: String,
    /// `sources.toml`, the school's or the shipped one: which lists there are.
    pub sources: String,
    /// The exceptions that were agreed on the pages, written as in `policy.toml`.
    /// They are in no file of the folder.
    pub added: String,
}

/// What the school's texts say, reference by reference, before it is meant.
pub struct Typed {
    /// `policy.toml` with the exceptions of the pages behind its own.
    pub document: PolicyDocument,
    /// `devices.csv`.
    pub devices: Inventory,
    /// `canaries.toml` and `safe-search.toml`.
    pub tables: Tables,
    /// `sources.toml`.
    pub sources: Vec<SourceSpec>,
}

impl Configuration {
    /// Loads `folder`, or says all that is wrong with it.
    pub fn load(folder: &Path) -> Result<Self, Vec<Complaint>> {
        let (mut complaints, mut warnings) = (Vec::new(), Vec::new());
        if let Err(found) = source::read(folder) {
            complaints.extend(found);
        }
        let texts = PolicyTexts::take(folder, &mut complaints, &mut warnings);
        Self::of(folder, texts, (complaints, warnings), false)
    }

    /// The settings of `folder` with a policy that does not stand there: the one
    /// in force, whatever somebody is typing meanwhile.
    pub fn with(folder: &Path, texts: PolicyTexts) -> Result<Self, Vec<Complaint>> {
        Self::of(folder, Some(texts), (Vec::new(), Vec::new()), true)
    }

    fn of(
        folder: &Path,
        texts: Option<PolicyTexts>,
        (mut complaints, mut warnings): (Vec<Complaint>, Vec<Complaint>),
        is_in_force: bool,
    ) -> Result<Self, Vec<Complaint>> {
        let settings = text_of(folder, SETTINGS, &mut complaints);
        let settings = settings.map(|text| {
            let (settings, found) = Settings::read(SETTINGS, &text);
            complaints.extend(found);
            settings.relative_to(&followed(folder))
        });
        let document = texts.as_ref().map(|texts| {
            let (document, devices, found) =
                compile::read(texts.policy(), texts.added(), texts.devices());
            complaints.extend(found);
            complaints.extend(texts.tables().1);
            (document, devices)
        });
        if let Some(settings) = &settings {
            missing_files(settings, &mut complaints, &mut warnings);
            warnings.extend(unusable_certificate(settings));
            warnings.extend(untold(settings));
        }
        if let (Some(settings), Some((document, _))) = (&settings, &document) {
            // What is agreed and no longer fits the settings is put right while
            // it serves: a school without DNS could not even propose it.
            let serious = if is_in_force {
                &mut warnings
            } else {
                &mut complaints
            };
            pages_without_address(settings, document, serious);
            nobody_to_fall_back_on(settings, document, serious);
            warnings.extend(compile::warnings(document));
        }
        if let (Some(settings), Some((_, devices))) = (&settings, &document) {
            warnings.extend(guessable(settings, devices));
        }
        match (settings, document, texts) {
            (Some(settings), Some((document, devices)), Some(texts)) if complaints.is_empty() => {
                Ok(Self {
                    folder: folder.to_owned(),
                    settings,
                    document,
                    devices,
                    texts,
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

/// The machine's settings alone, for verbs that need no policy.
pub fn settings(folder: &Path) -> Result<Settings, Vec<Complaint>> {
    let mut complaints = Vec::new();
    let settings = text_of(folder, SETTINGS, &mut complaints).map(|text| {
        let (settings, found) = Settings::read(SETTINGS, &text);
        complaints.extend(found);
        settings.relative_to(&followed(folder))
    });
    match settings {
        Some(settings) if complaints.is_empty() => Ok(settings),
        _ => Err(complaints),
    }
}

/// `folder` with its symbolic links followed, for what stands relative to it.
fn followed(folder: &Path) -> PathBuf {
    folder.canonicalize().unwrap_or_else(|_| folder.to_owned())
}

impl PolicyTexts {
    /// Reads the school's files in `folder`, for a policy to be made of them.
    pub fn read(folder: &Path) -> Result<Self, Vec<Complaint>> {
        let mut complaints = Vec::new();
        Self::take(folder, &mut complaints, &mut Vec::new()).ok_or(complaints)
    }

    /// A school without an inventory has none yet: its devices are known by
    /// their networks.
    fn take(
        folder: &Path,
        complaints: &mut Vec<Complaint>,
        warnings: &mut Vec<Complaint>,
    ) -> Option<Self> {
        let policy = text_of(folder, POLICY, complaints);
        let devices = if folder.join(DEVICES).exists() {
            text_of(folder, DEVICES, complaints)
        } else {
            let remedy = "not found, so no device is known by name; begin it with the line";
            let columns = COLUMNS.join(",");
            warnings.push(about(DEVICES, format!("{remedy} \"{columns}\"")));
            Some(columns)
        };
        let mut or_shipped = |name: &str, shipped: &str| {
            if folder.join(name).exists() {
                text_of(folder, name, complaints)
            } else {
                Some(shipped.to_owned())
            }
        };
        let canaries = or_shipped(CANARIES, canary::SHIPPED);
        let safe_search = or_shipped(SAFE_SEARCH, safe_search::SHIPPED);
        let sources = or_shipped(SOURCES, source::SHIPPED);
        Some(Self {
            policy: policy?,
            devices: devices?,
            canaries: canaries?,
            safe_search: safe_search?,
            sources: sources?,
            added: String::new(),
        })
    }

    /// Reads them without their lists: what each line says, or all that is wrong.
    pub fn typed(&self) -> Result<Typed, Vec<Complaint>> {
        let (document, devices, mut complaints) =
            compile::read(self.policy(), self.added(), self.devices());
        let (tables, found) = self.tables();
        complaints.extend(found);
        // Where a list's file is makes no difference to what is said of it.
        let sources = source::parse(SOURCES, &self.sources, Path::new("."));
        match sources {
            Ok(sources) if complaints.is_empty() => Ok(Typed {
                document,
                devices,
                tables,
                sources,
            }),
            sources => {
                complaints.extend(sources.err().unwrap_or_default());
                complaints.sort();
                Err(complaints)
            }
        }
    }

    /// Makes the policy that these texts mean.
    pub fn compile(&self, live: Live) -> Result<Policy, Vec<Complaint>> {
        let typed = compile::read(self.policy(), self.added(), self.devices());
        compile::compile_with(typed, self.tables(), live)
    }

    fn tables(&self) -> (Tables, Vec<Complaint>) {
        let file = |name, text| File { name, text };
        let engines = file(SAFE_SEARCH, &*self.safe_search);
        Tables::read(file(CANARIES, &self.canaries), engines)
    }

    fn policy(&self) -> File<'_> {
        File {
            name: POLICY,
            text: &self.policy,
        }
    }

    fn added(&self) -> File<'_> {
        File {
            name: ADDED,
            text: &self.added,
        }
    }

    fn devices(&self) -> File<'_> {
        File {
            name: DEVICES,
            text: &self.devices,
        }
    }
}

/// The verb `check`: prints every complaint and warning. `lists` finds the
/// compiled lists, if there are any yet; without them the mandatory layer
/// cannot be asked about exceptions. `edited` says what is not in force.
pub fn check(
    folder: &Path,
    lists: impl FnOnce(&Settings) -> Option<Arc<Lists>>,
    edited: impl FnOnce(&Settings) -> Vec<String>,
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
            for file in edited(&configuration.settings) {
                writeln!(out, "warning: {file}")?;
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
    format!(
        "{} is fine: {}, {}, {}, {}",
        configuration.folder.display(),
        counted(document.groups.len(), "group"),
        counted(document.timetables.len(), "timetable"),
        counted(document.exceptions.len(), "exception"),
        counted(configuration.devices.devices().len(), "device"),
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
    // No alert, but DNS all the same; the page of the channels says it too.
    for file in settings.files_of_channels().filter(|file| !file.is_file()) {
        let message = format!("there is no file {}, so no alert leaves", file.display());
        odd.push(about(SETTINGS, message));
    }
    // A DHCP server may not have written one yet.
    for lease in &settings.clients.leases {
        if !lease.path.is_file() {
            let message = format!("there is no lease file {} yet", lease.path.display());
            odd.push(about(SETTINGS, message));
        }
    }
}

/// The resolver starts without a certificate too, and looks for it again and
/// again; but whoever checks wants to know.
fn unusable_certificate(settings: &Settings) -> Option<Complaint> {
    let (certificate, key) = (
        settings.tls.certificate.as_ref()?,
        settings.tls.key.as_ref()?,
    );
    let read =
        |path: &Path| std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
    let pair = || {
        let (chain, key) = (read(certificate)?, read(key)?);
        Pair::read(&chain, &key).map_err(|error| format!("{}: {error}", certificate.display()))
    };
    let why = pair().err()?;
    Some(about(SETTINGS, format!("no encrypted DNS: {why}")))
}

/// Encrypted listeners that a device can be told too little of to find them
/// (RFC 9462).
fn untold(settings: &Settings) -> Option<Complaint> {
    let (listen, tls) = (&settings.listen, &settings.tls);
    let mut listeners = listen.tls.iter().chain(&listen.https).peekable();
    listeners.peek()?;
    let why = if tls.name.is_none() {
        // A trial by its own authority is for whoever set it up.
        if tls.private_ca {
            return None;
        }
        "devices are not told of the encrypted listeners: [tls] needs `name`"
    } else if tls.addresses.is_empty() && listeners.any(|own| own.ip().is_unspecified()) {
        "devices are told of the encrypted listeners without an address; write those of this \
         machine as `addresses` in [tls]"
    } else {
        return None;
    };
    Some(about(SETTINGS, why.to_owned()))
}

/// Devices that others can ask as over an encrypted listener, by an id that is
/// no secret, and have what their group may.
fn guessable(settings: &Settings, devices: &Inventory) -> Option<Complaint> {
    let mut listeners = settings.listen.encrypted();
    listeners.find(|listener| !listener.ip().is_loopback())?;
    let all = devices.devices().iter();
    let open = all.filter(|device| device.group.is_some() && device.client_id.is_none());
    let (count, has) = match open.count() {
        0 => return None,
        1 => ("1 device".to_owned(), "has a group of its own"),
        many => (format!("{many} devices"), "have groups of their own"),
    };
    let message = format!(
        "{count} {has} and no `client_id`: over encrypted DNS, whoever writes the id of one may \
         be taken for it; `schoolgate profile --device ID` issues a client_id"
    );
    Some(about(DEVICES, message))
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

/// What nobody gets is no alert: there is somebody for all of them.
fn nobody_to_fall_back_on(
    settings: &Settings,
    document: &PolicyDocument,
    wrong: &mut Vec<Complaint>,
) {
    let (rules, place) = (&document.alerts.value, &document.alerts.place);
    if settings.has_channel() && rules.fallback.is_none() {
        let place = place.clone();
        let message = "alerts leave this machine, and [alerts] needs `fallback`: the address of \
                       who is told where nobody else can be";
        wrong.push(Complaint {
            place,
            message: message.to_owned(),
        });
    }
}
