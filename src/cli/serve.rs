//! `geogate serve`: run the proxy until it is told to stop.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::app::App;
use crate::config;

/// Run the proxy.
///
/// Example: geogate serve --config geogate.toml
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Runs until SIGINT or SIGTERM, then drains.
pub fn run(args: &Args) -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_env("GEOGATE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    log.with_ansi(terminal).init();
    let config = match config::load(&args.config) {
        Ok(config) => config,
        Err(error) => return super::fail(super::USAGE, &error),
    };
    let app = match App::start(&config) {
        Ok(app) => app,
        Err(error) => return super::fail(super::PROBLEMS, &error),
    };
    let address = app.address().map(tracing::field::display);
    let socket = config.listen.socket.as_ref().map(|socket| socket.path.display());
    let socket = socket.map(tracing::field::display);
    tracing::info!(address, socket, workers = config.workers, "serving");
    if let Err(error) = wait_for_signal() {
        return super::fail(super::PROBLEMS, &format!("cannot wait for signals: {error}"));
    }
    tracing::info!("draining");
    app.drain();
    ExitCode::SUCCESS
}

fn wait_for_signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        Ok(())
    })
}
