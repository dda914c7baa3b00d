//! The command line: one verb a line, each a call into the library.
//!
//! Exit status: 0 fine, 1 the answer is "no", 2 could not run.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use jiff::Timestamp;
use schoolgate::approve::{ApproveArgs, DeclineArgs, Scene};
use schoolgate::configuration::{self, Configuration};
use schoolgate::history::{HistoryArgs, history};
use schoolgate::lists::fetch::FetchOptions;
use schoolgate::lists::refresh::RefreshConfig;
use schoolgate::lists::report::ReportError;
use schoolgate::lists::{self, load, refresh};
use schoolgate::people::command::{UserArgs, user};
use schoolgate::people::{People, Rules};
use schoolgate::profile::{ProfileArgs, profile};
use schoolgate::propose::{ProposeArgs, propose};
use schoolgate::querylog::log::{LogArgs, LogError, log};
use schoolgate::rehearse::{RehearseArgs, rehearse};
use schoolgate::reports::command::{ReportArgs, report};
use schoolgate::selftest::{SelftestArgs, selftest};
use schoolgate::settings::Settings;
use schoolgate::terminal::Terminal;
use schoolgate::why::{WhyArgs, why};
use schoolgate::{appliance, dashboard, over_block, signature, standing, up};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The DNS filter for schools.
#[derive(Parser)]
#[command(version, propagate_version = true)]
struct Cli {
    /// The folder of schoolgate.toml, policy.toml and devices.csv
    #[arg(long, global = true, value_name = "DIR")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Try it out: the demo's lists, DNS on 127.0.0.1:5353, pages on 127.0.0.1:8080
    Up,
    /// Answer DNS
    Serve {
        /// End when the process that started this one ends
        #[arg(long, hide = true, value_name = "PID")]
        with_parent: Option<i32>,
    },
    /// Serve the pages of the safeguarding lead, the technician and the head
    Dashboard {
        /// End when the process that started this one ends
        #[arg(long, hide = true, value_name = "PID")]
        with_parent: Option<i32>,
    },
    /// Fetch the lists and compile them
    Refresh {
        /// Take this source's list though it has lost more entries than usual
        #[arg(long, value_name = "ID")]
        accept: Vec<String>,
    },
    /// Say what is wrong with the configuration
    Check {
        /// Say also which well-known names each group would not get, and why
        #[arg(long)]
        over_block: bool,
    },
    /// Say what happens to a name, and why
    Why(WhyArgs),
    /// Say what the edited files would change, tried on the last week of the log
    Rehearse(RehearseArgs),
    /// Propose what the files of the folder say, or to go back
    Propose(ProposeArgs),
    /// Approve a proposal, as another person than the one who made it
    Approve(ApproveArgs),
    /// Turn a proposal down
    Decline(DeclineArgs),
    /// Take note of a change that acted at once, as another person
    Acknowledge(ApproveArgs),
    /// Say what was changed, by whom and why, and whether the record is whole
    History(HistoryArgs),
    /// Say how the lists fare
    Lists {
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
    /// Read the query log
    Log(LogArgs),
    /// Make, list, close or reset the accounts of the pages
    User(UserArgs),
    /// Write what makes a device ask this resolver wherever it is
    Profile(ProfileArgs),
    /// Digests, governors' numbers, evidence, holds, access and erasure
    Report(ReportArgs),
    /// Ask from a client's place what gets through
    Selftest(SelftestArgs),
}

fn main() -> ExitCode {
    appliance::keep_to_itself();
    let cli = Cli::parse();
    // Libraries tell the names they are asked for, and the addresses they stumble
    // over (promise 6).
    let ours = Targets::new().with_target("schoolgate", LevelFilter::INFO);
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_max_level(LevelFilter::INFO)
        .with_target(false)
        .finish()
        .with(ours)
        .init();
    match run(cli) {
        Ok(code) => ExitCode::from(code),
        // Whoever read the output has gone away: nothing is wrong here.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<u8> {
    let out = &mut io::stdout().lock();
    if let Verb::Up = cli.verb {
        return up::up(cli.config.as_deref(), out);
    }
    let folder = cli.config.unwrap_or_else(default_folder);
    let in_force = || standing::configuration(&folder).map_err(appliance::all_of);
    let settings = || configuration::settings(&folder).map_err(appliance::all_of);
    match cli.verb {
        Verb::Up => {}
        Verb::Serve { with_parent } => {
            if let Some(parent) = with_parent {
                up::end_with_parent(parent)?;
            }
            appliance::serve(&folder, out)?;
        }
        Verb::Dashboard { with_parent } => {
            if let Some(parent) = with_parent {
                up::end_with_parent(parent)?;
            }
            dashboard::dashboard(&folder, out)?;
        }
        Verb::Refresh { accept } => {
            let settings = settings()?;
            let config = RefreshConfig {
                state_dir: settings.state_dir.clone(),
                fetch: FetchOptions {
                    extra_ca: settings.refresh.ca_file.clone(),
                    resolvers: settings.list_resolvers(),
                    total_timeout: settings.list_timeout(),
                },
                config_dir: folder,
                accept,
                now: Timestamp::now(),
            };
            let report = refresh::refresh(&config, out)?;
            return Ok(u8::from(!report.all_fresh()));
        }
        Verb::Check { over_block } => {
            let lists = |settings: &Settings| load::open(&settings.state_dir).ok();
            let edited = |settings: &Settings| standing::not_in_force(&folder, &settings.state_dir);
            let code = configuration::check(&folder, lists, edited, out)?;
            if over_block && code == 0 {
                let configuration = Configuration::load(&folder).map_err(appliance::all_of)?;
                over_block::tell(&configuration, Timestamp::now(), out)?;
            }
            return Ok(code);
        }
        Verb::Why(args) => {
            let configuration = in_force()?;
            why(&args, &configuration, Timestamp::now(), out)?;
            let state_dir = &configuration.settings.state_dir;
            for file in standing::not_in_force(&folder, state_dir) {
                writeln!(io::stderr(), "note: {file}")?;
            }
        }
        Verb::Rehearse(args) => {
            let possible = rehearse(&args, &folder, Timestamp::now(), out)?;
            return Ok(u8::from(!possible));
        }
        Verb::Propose(args) => return propose(&args, &folder, Timestamp::now(), out),
        Verb::History(args) => return history(&args, &folder, Timestamp::now(), out),
        Verb::Approve(_) | Verb::Decline(_) | Verb::Acknowledge(_) => {
            return second_person(&cli.verb, &in_force()?, out);
        }
        Verb::Lists { json } => {
            lists::report::lists_report(&settings()?.state_dir, json, Timestamp::now(), out)?;
        }
        Verb::Report(args) => {
            let as_page = &dashboard::sheet::stand_alone;
            return Ok(report(&args, &folder, as_page, Timestamp::now(), out)?);
        }
        Verb::Selftest(args) => {
            let passed = selftest(&args, &folder, Timestamp::now(), out)?;
            return Ok(u8::from(!passed));
        }
        Verb::Log(args) => {
            let configuration = in_force()?;
            let folder = configuration.settings.state_dir.join("querylog");
            let zone = &configuration.document.zone;
            for day in log(&args, &folder, zone, Timestamp::now(), out)? {
                writeln!(io::stderr(), "warning: {day}")?;
            }
        }
        Verb::User(args) => {
            let configuration = in_force()?;
            let document = &configuration.document;
            let settings = &configuration.settings;
            let people = People::open(&settings.state_dir, Rules::new(settings, &document.school))?;
            let terminal = &mut terminal();
            let (zone, input) = (&document.zone, &mut terminal.input);
            let afterwards = user(&args, &people, zone, Timestamp::now(), input, out)?;
            return signature::see_to(&afterwards, &people, &settings.state_dir, terminal, out);
        }
        Verb::Profile(args) => {
            let configuration = in_force()?;
            let notes = &mut io::stderr();
            return profile(&args, &configuration, rand::random(), out, notes);
        }
    }
    Ok(0)
}

/// What the second person of a change does at the machine.
fn second_person(
    verb: &Verb,
    in_force: &Configuration,
    out: &mut impl Write,
) -> anyhow::Result<u8> {
    let scene = Scene {
        state_dir: &in_force.settings.state_dir,
        zone: &in_force.document.zone,
    };
    let terminal = &mut terminal();
    match verb {
        Verb::Approve(args) => scene.approve(args, terminal, out),
        Verb::Acknowledge(args) => scene.acknowledge(args, terminal, out),
        Verb::Decline(args) => scene.decline(args, terminal, out),
        _ => Ok(0),
    }
}

fn terminal() -> Terminal<io::StdinLock<'static>, io::Stderr> {
    Terminal {
        input: io::stdin().lock(),
        questions: io::stderr(),
    }
}

fn default_folder() -> PathBuf {
    let here = PathBuf::from("config");
    if here.join("schoolgate.toml").exists() {
        here
    } else {
        PathBuf::from("/etc/schoolgate")
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let causes = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>());
    // These speak as the error they hold, and so hide it from the chain.
    let held = match (error.downcast_ref(), error.downcast_ref()) {
        (Some(LogError::Io(held)), _) | (_, Some(ReportError::Io(held))) => Some(held),
        _ => None,
    };
    causes
        .chain(held)
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}
