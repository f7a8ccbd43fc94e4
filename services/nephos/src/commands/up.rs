//! `nephos up`: everything, until it is told to stop.

use std::net::TcpListener;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use nephos::cloud::Cloud;
use nephos::hosts::{Hosts, Machine};
use nephos::running::{Claim, Running};
use nephos::secrets::Secrets;
use nephos::services::Parts;
use nephos::settings::Config;
use nephos::state::make_dirs;
use nephos::{accounts, credentials};
use nephos_api::shell;
use nephos_runtime::{Clock, Shutdown, Task, logging};

use crate::terminal::say;

/// Running steps and requests have this long to come to an end; what they leave, the next start goes on with.
const WIND_DOWN: Duration = Duration::from_secs(8);

pub fn run(config: &Config, simulate: Option<usize>) -> anyhow::Result<ExitCode> {
    let settings = &config.settings;
    make_dirs(&settings.state_dir)?;
    let secrets = Secrets::ensure(&settings.state_dir)?;
    let running = match Running::claim(&settings.state_dir)? {
        Claim::Ours(running) => running,
        Claim::Theirs(pid) => {
            say(&format!(
                "Nephos is running already, as process {pid}: {}/identity/v3",
                settings.origin()
            ));
            return Ok(ExitCode::SUCCESS);
        }
    };
    logging::init(&config.log);
    let listener = TcpListener::bind(settings.listen).with_context(|| {
        format!(
            "cannot listen on {}: another program may be there; `listen` in [nephos] of nephos.toml names another place",
            settings.listen
        )
    })?;
    super::block_on(serve(config, &secrets, listener, simulate))?;
    drop(running);
    Ok(ExitCode::SUCCESS)
}

async fn serve(
    config: &Config,
    secrets: &Secrets,
    listener: TcpListener,
    simulate: Option<usize>,
) -> anyhow::Result<()> {
    let settings = &config.settings;
    let clock = Clock::system();
    let shutdown = Shutdown::new();
    shutdown.on_signals()?;
    ignore_hangup()?;
    Cloud::ensure_databases(config).await?;
    let cloud = Cloud::open(config, secrets, clock.clone(), Parts::all()).await?;
    cloud.migrate().await?;
    cloud.bootstrap().await?;
    cloud.load().await?;
    credentials::write(settings, secrets)?;
    cloud.take_over().await?;
    let mut tasks = cloud.start(&shutdown);
    let http = shell::serve(
        listener,
        cloud.mounts(),
        settings.http_workers(),
        shutdown.clone(),
    )?;
    tasks.push(http);
    let hosts = Hosts {
        machine: simulate.map_or(Machine::This, Machine::Simulated),
        config,
        secrets,
        directory: cloud.ground().directory.clone(),
        account: accounts::of_agents(secrets),
        clock: clock.clone(),
        shutdown: &shutdown,
    };
    tasks.extend(hosts.start(&Parts::all()).await?);
    tracing::info!(url = settings.origin(), took = ?clock.monotonic(), "the cloud answers");
    shutdown.wait().await;
    wind_down(&clock, tasks).await;
    Ok(())
}

/// A background process outlives the terminal that started it.
fn ignore_hangup() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangups = signal(SignalKind::hangup())?;
    nephos_runtime::spawn(
        "hangups",
        async move { while hangups.recv().await.is_some() {} },
    );
    Ok(())
}

async fn wind_down(clock: &Clock, tasks: Vec<Task>) {
    let ended = async {
        for task in tasks {
            task.join().await;
        }
    };
    if clock.timeout(WIND_DOWN, ended).await.is_none() {
        tracing::warn!("some work did not end in time; the next start goes on with it");
    }
}
