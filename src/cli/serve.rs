//! `geogate serve`: run the proxy until it is told to stop.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::allocator;
use super::log::{self, LogFormat};
use crate::app::{App, StartError};
use crate::config::{self, Config, Limits};
use crate::sql::STACK_BYTES;

/// Arguments of `geogate serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: geogate serve --config geogate.toml\n\
    SIGTERM drains: /readyz says no, then no client is let in, then sessions have\n\
    limits.drain_ms to end their transactions. SIGINT does so without notice; a second signal\n\
    ends all at once. SIGHUP reads certificates, tokens, users, limits and the VSchema again; the\n\
    log tells what needs a restart.")]
pub struct Args {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// How the log is written to standard error; GEOGATE_LOG sets its level
    #[arg(long, value_name = "FORMAT", env = "GEOGATE_LOG_FORMAT", default_value = "text")]
    log_format: LogFormat,
}

/// Runs until SIGINT or SIGTERM, then drains.
pub fn run(args: &Args) -> ExitCode {
    allocator::tell();
    let config = match config::load(&args.config) {
        Ok(config) => config,
        Err(error) => {
            log::begin(args.log_format, Limits::default().log_value_bytes_max);
            return failed(args, super::USAGE, &error);
        }
    };
    log::begin(args.log_format, config.limits.log_value_bytes_max);
    match serve(args, config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(args, super::PROBLEMS, &error),
    }
}

fn serve(args: &Args, config: Config) -> Result<(), StartError> {
    // Before anything else: from here on no signal kills the process by surprise.
    let without_signals =
        |error: io::Error| StartError(format!("error: cannot wait for signals: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // The start reads what others have written, which may nest deeply.
        .thread_stack_size(STACK_BYTES)
        .build();
    let runtime = runtime.map_err(without_signals)?;
    let mut signals = runtime.block_on(async { Signals::new() }).map_err(without_signals)?;
    let notice = config.limits.drain_notice();
    let (app, reload_due) = runtime.block_on(start(config, &mut signals))?;
    if reload_due {
        reload(&app, &args.config);
    }
    let notice = runtime.block_on(async {
        loop {
            match signals.next().await {
                Told::Reload => reload(&app, &args.config),
                Told::Terminate => break notice,
                Told::Interrupt => break Duration::ZERO,
            }
        }
    });
    tracing::info!(notice_ms = notice.as_millis() as u64, "draining");
    std::thread::spawn(move || {
        runtime.block_on(async {
            while signals.next().await == Told::Reload {}
            tracing::warn!("told to stop a second time: sessions are cut");
            std::process::exit(i32::from(super::PROBLEMS));
        });
    });
    app.drain(notice);
    Ok(())
}

/// Starts the proxy, which may wait for servers, and stops that when told so. Also whether it was
/// told to reload meanwhile.
async fn start(config: Config, signals: &mut Signals) -> Result<(App, bool), StartError> {
    let (address, workers) = (config.listen.clone(), config.workers);
    let mut starting = tokio::task::spawn_blocking(move || App::start(&config));
    let mut reload_due = false;
    let app = loop {
        tokio::select! {
            started = &mut starting => break started,
            told = signals.next() => match told {
                Told::Reload => reload_due = true,
                Told::Terminate | Told::Interrupt => {
                    tracing::warn!("told to stop before all had started");
                    std::process::exit(i32::from(super::PROBLEMS));
                }
            }
        }
    };
    let app = app.map_err(|error| StartError(format!("error: the start panicked: {error}")))??;
    let socket = address.socket.as_ref().map(|socket| socket.path.display());
    let socket = socket.map(tracing::field::display);
    let address = app.address().map(tracing::field::display);
    tracing::info!(address, socket, workers, "serving");
    Ok((app, reload_due))
}

/// Why the proxy does not start: for people as it is, for collectors of logs as one event.
fn failed(args: &Args, code: u8, error: &dyn std::fmt::Display) -> ExitCode {
    match args.log_format {
        LogFormat::Text => super::fail(code, error),
        LogFormat::Json => {
            tracing::error!("{error}");
            ExitCode::from(code)
        }
    }
}

fn reload(app: &App, path: &Path) {
    let advice = "nothing of the configuration was reloaded";
    let new = match config::load(path) {
        Ok(new) => new,
        Err(error) => {
            for problem in &error.problems {
                tracing::error!(problem, advice, "SIGHUP: the configuration has mistakes");
            }
            return;
        }
    };
    match app.reload(&new) {
        Ok(found) => {
            let changed = found.changed.join(", ");
            tracing::info!(changed, "SIGHUP: the configuration and the certificates were reloaded");
            if !found.needs_restart.is_empty() {
                let keys = found.needs_restart.join(", ");
                tracing::warn!(keys, "SIGHUP: these were changed and need a restart");
            }
        }
        Err(error) => tracing::error!(%error, advice, "SIGHUP: the configuration does not work"),
    }
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Reload,
    Terminate,
    Interrupt,
}

struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
    user: [Signal; 2],
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            user: [signal(SignalKind::user_defined1())?, signal(SignalKind::user_defined2())?],
        })
    }

    /// The next signal that means something.
    async fn next(&mut self) -> Told {
        let [first, second] = &mut self.user;
        loop {
            tokio::select! {
                _ = self.hangup.recv() => return Told::Reload,
                _ = self.interrupt.recv() => return Told::Interrupt,
                _ = self.terminate.recv() => return Told::Terminate,
                _ = first.recv() => {}
                _ = second.recv() => {}
            }
            tracing::info!("SIGUSR1 and SIGUSR2 mean nothing here; SIGHUP reloads, SIGTERM stops");
        }
    }
}
