//! `schoolgate report …`: the same reports, bundles and holds from a terminal.
//!
//! Whoever types stands at the machine and is `console` in the record. A command
//! line does not know who that is, and so it never tells a mandatory host.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use jiff::civil::Date;

use crate::configuration::Configuration;
use crate::incidents::{book::Book, hours::SchoolHours};
use crate::querylog::moment::{self, End};
use crate::standing;

use super::further::further;
use super::governors::{self, Governors};
use super::keeping::Keeping;
use super::key::Key;
use super::pack::{Export, Packed};
use super::period::{self, Period};
use super::rows::{MandatoryHosts, Span};
use super::sheet::Sheet;
use super::subject::{Subject, Whose};
use super::weekly::Weekly;
use super::{Actor, ReportError, access, checked, erasure, evidence, holds, statement};

/// What `schoolgate report` was asked for.
#[derive(Debug, Clone, Args)]
pub struct ReportArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Clone, Subcommand)]
enum What {
    /// The safeguarding lead's week: what kind, which group, which devices
    Weekly {
        /// Which, such as 2026-W47; without it the present one
        #[arg(long, value_name = "WEEK")]
        week: Option<String>,
        #[command(flatten)]
        form: Form,
    },
    /// The governors' term: numbers alone, small ones hidden
    Governors {
        /// The first day; without it the last term that has ended
        #[arg(long, value_name = "DAY", requires = "to")]
        from: Option<Date>,
        /// The last day
        #[arg(long, value_name = "DAY", requires = "from")]
        to: Option<Date>,
        #[command(flatten)]
        form: Form,
    },
    /// How the filter is deployed and what it blocks, from the configuration
    Deployment {
        #[command(flatten)]
        form: Form,
    },
    /// What a data protection impact assessment asks for, from the configuration
    Dpia {
        #[command(flatten)]
        form: Form,
    },
    /// Pack what the log has about a device, a person or an incident, signed
    Evidence {
        #[command(flatten)]
        whose: WhoseArgs,
        /// An incident, by the number in its page's address
        #[arg(long, value_name = "NUMBER", conflicts_with_all = ["device", "person"])]
        incident: Option<i64>,
        #[command(flatten)]
        span: SpanArgs,
        /// The reason, which stays in the record
        #[arg(long, value_name = "TEXT")]
        why: String,
        /// The file to write
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Pack what is held about a device or a person, for them
    Subject {
        #[command(flatten)]
        whose: WhoseArgs,
        #[command(flatten)]
        span: SpanArgs,
        /// The reason, which stays in the record
        #[arg(long, value_name = "TEXT")]
        why: String,
        /// The file to write
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Erase what a device or a person has asked
    Erase {
        #[command(flatten)]
        whose: WhoseArgs,
        /// The last day that is erased
        #[arg(long, value_name = "DAY")]
        until: String,
        /// The reason, which stays in the record
        #[arg(long, value_name = "TEXT")]
        why: String,
    },
    /// Keep days of the log beyond their time
    Hold {
        #[command(subcommand)]
        what: HoldWhat,
    },
    /// Say how long rows are kept, and what goes next
    Retention,
    /// Say by which key bundles are signed
    Key,
    /// Say whether a bundle is as it was signed
    Verify {
        /// The bundle
        file: PathBuf,
        /// The key it must be signed by: its fingerprint, or a file
        #[arg(long, value_name = "FINGERPRINT|FILE")]
        key: Option<String>,
    },
}

#[derive(Debug, Clone, Subcommand)]
enum HoldWhat {
    /// Place a hold
    Add {
        /// A day, days as 2026-11-01..2026-11-21, or all
        days: String,
        /// The reason
        #[arg(long, value_name = "TEXT")]
        why: String,
    },
    /// Say what is held
    List,
    /// Lift a hold
    Lift {
        /// The id that `hold list` shows
        id: String,
        /// The reason
        #[arg(long, value_name = "TEXT")]
        why: String,
    },
}

#[derive(Debug, Clone, Args)]
struct WhoseArgs {
    /// A device: its id, name, MAC or address
    #[arg(long, value_name = "D", conflicts_with = "person")]
    device: Option<String>,
    /// The owner of devices in devices.csv
    #[arg(long, value_name = "P")]
    person: Option<String>,
}

#[derive(Debug, Clone, Args)]
struct SpanArgs {
    /// Rows from then on: 2h, 3d, today, 2026-11-21, 2026-11-21T09:00, RFC 3339
    #[arg(long, value_name = "T")]
    since: Option<String>,
    /// Rows up to then; a day counts to its end
    #[arg(long, value_name = "T")]
    until: Option<String>,
}

#[derive(Debug, Clone, Args)]
struct Form {
    /// One HTML document
    #[arg(long, conflicts_with_all = ["csv", "json"])]
    html: bool,
    /// For a spreadsheet
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

/// How a sheet becomes a page; the pages know.
pub type AsPage<'p> = &'p dyn Fn(&Sheet, &str) -> String;

/// Runs the verb; gives the exit status.
pub fn report(
    args: &ReportArgs,
    folder: &Path,
    as_page: AsPage<'_>,
    now: Timestamp,
    out: &mut impl Write,
) -> Result<u8, ReportError> {
    // Whoever checks a bundle is elsewhere and has no configuration.
    if let What::Verify { file, key } = &args.what {
        return checked::check(file, key.as_deref(), out);
    }
    let configuration = standing::configuration(folder).map_err(|complaints| {
        let lines: Vec<String> = complaints.iter().map(ToString::to_string).collect();
        ReportError::Refused(lines.join("\n"))
    })?;
    let state_dir = configuration.settings.state_dir.clone();
    let book = Book::open(&state_dir, SchoolHours::of(&configuration.document));
    let desk = Desk {
        configuration: &configuration,
        state_dir: &state_dir,
        book: &book,
        actor: Actor::console(),
        as_page,
        now,
    };
    desk.run(&args.what, out)
}

/// What every verb needs.
struct Desk<'d> {
    configuration: &'d Configuration,
    state_dir: &'d Path,
    book: &'d Book,
    actor: Actor,
    as_page: AsPage<'d>,
    now: Timestamp,
}

impl Desk<'_> {
    fn run(&self, what: &What, out: &mut impl Write) -> Result<u8, ReportError> {
        let document = &self.configuration.document;
        match what {
            What::Weekly { week, form } => {
                let week = self.week(week.as_deref())?;
                let school = &document.school;
                let zone = &self.book.hours().zone;
                let further = further(self.state_dir, week.ends(zone), zone, self.now);
                let weekly = Weekly::of(self.book, school, week, further, self.now);
                self.print(&weekly.sheet(self.book), &weekly, form, out)?;
            }
            What::Governors { from, to, form } => {
                let periods = self.periods(*from, *to)?;
                let governors = Governors::of(self.book, &document.school, periods, self.now);
                self.print(&governors.sheet(&document.zone), &governors, form, out)?;
            }
            What::Deployment { form } => {
                let sheet = statement::deployment(self.configuration, self.now);
                self.print(&sheet, &sheet, form, out)?;
            }
            What::Dpia { form } => {
                let sheet = statement::dpia(self.configuration, self.now);
                self.print(&sheet, &sheet, form, out)?;
            }
            What::Evidence {
                whose,
                incident,
                span,
                why,
                out: file,
            } => {
                let export = self.export(why);
                let hosts = MandatoryHosts::Withheld;
                let packed = || {
                    if let Some(id) = incident {
                        return evidence::of_incident(export, *id, hosts);
                    }
                    let (subject, span) = (self.subject(whose)?, self.span(span)?);
                    evidence::of_subject(export, &subject, span, hosts)
                };
                written(file, packed, out)?;
            }
            What::Subject {
                whose,
                span,
                why,
                out: file,
            } => {
                let packed = || {
                    let (subject, span) = (self.subject(whose)?, self.span(span)?);
                    access::of_subject(self.export(why), &subject, span.since, span.until)
                };
                written(file, packed, out)?;
                let read = "Read notes.json and requests.json in it before you hand it over.";
                writeln!(out, "{read}")?;
            }
            What::Erase { whose, until, why } => return self.erase(whose, until, why, out),
            What::Hold { what } => self.hold(what, out)?,
            What::Retention => {
                let days = self.configuration.settings.querylog.keep_days;
                let keeping = Keeping::of(self.state_dir, days, &document.zone, self.now)?;
                for line in keeping.told() {
                    writeln!(out, "{line}")?;
                }
            }
            What::Key => {
                let public = Key::open(self.state_dir)?.public();
                writeln!(out, "fingerprint {}", public.fingerprint())?;
                write!(out, "{}", public.pem())?;
            }
            // Is done without a configuration.
            What::Verify { .. } => {}
        }
        Ok(0)
    }

    fn export<'e>(&'e self, why: &'e str) -> Export<'e> {
        Export {
            configuration: self.configuration,
            book: self.book,
            actor: &self.actor,
            why,
            now: self.now,
        }
    }

    fn print(
        &self,
        sheet: &Sheet,
        value: &impl serde::Serialize,
        form: &Form,
        out: &mut impl Write,
    ) -> Result<(), ReportError> {
        if form.html {
            let page = (self.as_page)(sheet, &self.configuration.document.school);
            out.write_all(page.as_bytes())?;
        } else if form.csv {
            out.write_all(&sheet.csv())?;
        } else if form.json {
            serde_json::to_writer(&mut *out, value).map_err(std::io::Error::from)?;
            writeln!(out)?;
        } else {
            out.write_all(sheet.text().as_bytes())?;
        }
        Ok(out.flush()?)
    }

    fn week(&self, named: Option<&str>) -> Result<Period, ReportError> {
        let Some(text) = named else {
            return Ok(Period::week_of(self.book.date(self.now)));
        };
        Period::week_named(text).ok_or_else(|| {
            ReportError::Refused(format!("--week: \"{text}\" is no week; write 2026-W47"))
        })
    }

    fn periods(
        &self,
        from: Option<Date>,
        to: Option<Date>,
    ) -> Result<(Period, Period), ReportError> {
        if let (Some(first), Some(last)) = (from, to) {
            let period = Period { first, last };
            period.check()?;
            return Ok((period, governors::before(period)));
        }
        let year = &self.configuration.document.year;
        let terms = period::ended_terms(year, self.book.date(self.now), 2);
        match terms.as_slice() {
            [term, before] => Ok((*term, *before)),
            [term] => Ok((*term, governors::before(*term))),
            _ => Err(ReportError::refused(
                "no term of `terms` in policy.toml has ended yet; say --from and --to",
            )),
        }
    }

    fn subject(&self, args: &WhoseArgs) -> Result<Subject, ReportError> {
        let whose = match (&args.device, &args.person) {
            (Some(device), _) => Whose::Device(device.clone()),
            (None, Some(person)) => Whose::Person(person.clone()),
            (None, None) => {
                return Err(ReportError::refused("say whose: --device or --person"));
            }
        };
        Subject::find(whose, &self.configuration.devices)
    }

    fn span(&self, args: &SpanArgs) -> Result<Span, ReportError> {
        let since = args.since.as_deref();
        let since = since.map(|text| self.moment("--since", text, End::Since));
        let until = args.until.as_deref();
        let until = until.map(|text| self.moment("--until", text, End::Until));
        Ok(Span {
            since: since.transpose()?,
            until: until.transpose()?.unwrap_or(self.now),
        })
    }

    fn moment(&self, option: &str, text: &str, end: End) -> Result<Timestamp, ReportError> {
        let zone = &self.configuration.document.zone;
        moment::parse(text, end, self.now, zone).ok_or_else(|| {
            ReportError::Refused(format!(
                "{option}: \"{text}\" is no moment; write 2h, 3d, today, 2026-11-21, \
                 2026-11-21T09:00 or 2026-11-21T09:00:00Z"
            ))
        })
    }

    fn erase(
        &self,
        whose: &WhoseArgs,
        until: &str,
        why: &str,
        out: &mut impl Write,
    ) -> Result<u8, ReportError> {
        let subject = self.subject(whose)?;
        let request = erasure::Request {
            subject: &subject,
            until: self.moment("--until", until, End::Until)?,
            why,
        };
        let zone = &self.configuration.document.zone;
        let erasure = erasure::erase(self.state_dir, zone, request, &self.actor, self.now)?;
        for line in erasure.told() {
            writeln!(out, "{line}")?;
        }
        Ok(u8::from(!erasure.is_complete()))
    }

    fn hold(&self, what: &HoldWhat, out: &mut impl Write) -> Result<(), ReportError> {
        match what {
            HoldWhat::Add { days, why } => {
                let days = holds::days(days)?;
                holds::place(self.state_dir, &days, why, &self.actor, self.now)?;
                writeln!(out, "held: {days}")?;
            }
            HoldWhat::List => {
                let holds = holds::list(self.state_dir)?;
                if holds.all().is_empty() {
                    writeln!(out, "nothing is held")?;
                }
                for held in holds.all() {
                    let days = held.days.to_string();
                    writeln!(
                        out,
                        "{:<12} {days:<24} {}",
                        held.id,
                        held.note.escape_debug()
                    )?;
                }
            }
            HoldWhat::Lift { id, why } => {
                let held = holds::lift(self.state_dir, id, why, &self.actor, self.now)?;
                writeln!(out, "no longer held: {}", held.days)?;
            }
        }
        Ok(())
    }
}

/// Packs a bundle into a file that is not there yet: evidence is not written
/// over.
fn written(
    file: &Path,
    packed: impl FnOnce() -> Result<Packed, ReportError>,
    out: &mut impl Write,
) -> Result<(), ReportError> {
    let about = |error: std::io::Error| {
        ReportError::Refused(format!("{} cannot be written: {error}", file.display()))
    };
    let mut to = OpenOptions::new();
    let to = to.write(true).create_new(true).mode(0o600).open(file);
    let mut to = to.map_err(about)?;
    let write = || {
        let packed = packed()?;
        to.write_all(&packed.bytes).map_err(about)?;
        to.sync_all().map_err(about)?;
        Ok(packed)
    };
    let packed = match write() {
        Ok(packed) => packed,
        Err(error) => {
            let _ = fs::remove_file(file);
            return Err(error);
        }
    };
    writeln!(out, "{}: {} rows", file.display(), packed.rows)?;
    for day in &packed.unreadable {
        writeln!(out, "not in it: {day}")?;
    }
    writeln!(out, "signed by the key {}", packed.fingerprint)?;
    Ok(())
}
