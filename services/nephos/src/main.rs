//! The `nephos` command.

mod commands;
mod terminal;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use nephos::services;
use nephos::settings::Config;
use nephos_compute::driver::libvirt::kvm_probe;

use crate::terminal::complain;

/// Many small pieces on many threads, and now and then 19 MiB to hash a password: glibc's allocator spends a sixth of a
/// busy cloud's time on the first, and keeps what the second took.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The Nephos cloud: identity, placement, image, network, compute, object, block, load balancing, orchestration and the dashboard, in one process
/// or several.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    /// The configuration; without it, nephos.toml of the working directory if there is one.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the cloud until it is told to stop.
    Up(Up),
    /// Runs some services, or parts of them, beside other processes that run the rest.
    Run(Run),
    /// Stops the cloud. Data and guests stay.
    Down(Down),
    /// Says whether the cloud runs and where; of a cloud of several processes, each listener of [peers].
    Status(Status),
    /// Brings the tables of every service up to date and ends.
    Migrate,
    /// Makes tables, signing keys, accounts and catalog, and ends; `up` does it by itself.
    Bootstrap,
    /// Says what of this machine, and of the cloud around it, does not work, and what helps. Changes nothing.
    Doctor(Doctor),
    /// Compares what the services and this host know, and says what does not fit.
    Fsck(Fsck),
    /// Says what became of one request, across services and hosts.
    Trace(Trace),
    /// Says what an operator should hear of: operations that ended, hosts that come and go, warnings.
    Events(Events),
    /// Says which machines may be hosts.
    #[command(subcommand)]
    Host(HostCommand),
    /// Makes this machine a host of a cloud, by the one-time token that `nephos host add` gave there.
    Join(Join),
    /// Works with the keys that sign tokens.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Works with nephos.toml.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Says by its exit code whether KVM runs guests here; a process of its own, because the attempt may hang.
    #[command(hide = true)]
    ProbeKvm,
}

#[derive(Args)]
struct Up {
    /// Simulate this many hosts instead of using libvirt.
    #[arg(long, value_name = "HOSTS")]
    simulate: Option<usize>,
    /// Run in the background; return when the cloud answers.
    #[arg(long)]
    detach: bool,
}

#[derive(Args)]
struct Run {
    /// What to run: `compute` (its calls and its work), `compute/api`, `network/worker`, `agents`.
    #[arg(required = true, value_name = "SERVICE[/ROLE]")]
    parts: Vec<String>,
    /// Where to listen, instead of `listen` of nephos.toml.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Where to listen for the cloud's own processes, instead of `internal_listen` of nephos.toml.
    #[arg(long, value_name = "ADDRESS:PORT")]
    internal_listen: Option<SocketAddr>,
    /// For agents: simulate this many hosts instead of using libvirt.
    #[arg(long, value_name = "HOSTS")]
    simulate: Option<usize>,
}

#[derive(Args)]
struct Down {
    /// Remove every guest and the data plane of this cloud from this host.
    #[arg(long)]
    clean: bool,
}

#[derive(Args)]
struct Status {
    /// One JSON document instead of lines.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Doctor {
    /// One JSON document instead of lines.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Fsck {
    /// One JSON document instead of lines.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Trace {
    /// As in the header X-Openstack-Request-Id of an answer.
    request_id: String,
    /// One JSON document instead of lines.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Events {
    /// Go on as they come, through restarts of processes.
    #[arg(long, short)]
    follow: bool,
    /// One JSON object per line.
    #[arg(long)]
    json: bool,
    /// Everything that processes remember, answered requests too.
    #[arg(long)]
    all: bool,
}

#[derive(Subcommand)]
enum HostCommand {
    /// Adds a host and says how it joins; one that is there already may join again.
    Add {
        /// Its name in the services.
        name: String,
        /// The availability zone that it is to be in.
        #[arg(long, value_name = "ZONE")]
        zone: Option<String>,
        /// How long it may join, in seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
        valid_for: i64,
    },
    /// Lists hosts.
    List {
        /// One JSON document instead of lines.
        #[arg(long)]
        json: bool,
    },
    /// Moves all servers, routers and load balancers of a host to others, and keeps new ones away.
    Drain {
        /// Its name.
        name: String,
        /// Lets it be used again.
        #[arg(long, conflicts_with = "switch_off")]
        undo: bool,
        /// Also servers that cannot move while they run: their guests are shut down on the way.
        #[arg(long)]
        switch_off: bool,
    },
    /// Takes a host's rights: it is told nothing and believed nothing any more.
    Remove {
        /// Its name.
        name: String,
    },
}

#[derive(Args)]
struct Join {
    /// The origin at which the cloud's services answer hosts.
    url: String,
    /// The one-time token.
    token: String,
    /// A file with the authorities, as PEM, that the URL's certificate is believed by; default: the machine's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Where tunnels to this host end; default: its address on the way to the URL.
    #[arg(long, value_name = "ADDRESS")]
    tunnel_address: Option<IpAddr>,
}

#[derive(Subcommand)]
enum KeysCommand {
    /// Lets the staged key sign and stages a new one; identity does it every month by itself.
    Rotate,
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Reads nephos.toml and says what is wrong with it.
    Check,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(code) => code,
        Err(why) => {
            complain(&format!("nephos: {why:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if matches!(arguments.command, Command::ProbeKvm) {
        return Ok(kvm_probe::probe_main());
    }
    let path = arguments.config.as_deref();
    let config = Config::read(path, &services::names())?;
    match &arguments.command {
        Command::Up(up) if up.detach => {
            commands::detach::run(&config, path, up.simulate)?;
        }
        Command::Up(up) => return commands::up::run(&config, up.simulate),
        Command::Run(run) => commands::run::run(
            &config,
            &commands::run::Wanted {
                parts: &run.parts,
                listen: run.listen,
                internal_listen: run.internal_listen,
                simulate: run.simulate,
            },
        )?,
        Command::Down(down) => commands::down::run(&config, down.clean)?,
        Command::Status(status) => return commands::status::run(&config, status.json),
        Command::Migrate => commands::migrate::run(&config)?,
        Command::Bootstrap => commands::bootstrap::run(&config)?,
        Command::Doctor(doctor) => return commands::doctor::run(&config, doctor.json),
        Command::Fsck(fsck) => return commands::fsck::run(&config, fsck.json),
        Command::Trace(trace) => {
            return commands::trace::run(&config, &trace.request_id, trace.json);
        }
        Command::Events(events) => commands::events::run(
            &config,
            commands::events::Wanted {
                follow: events.follow,
                json: events.json,
                all: events.all,
            },
        )?,
        Command::Host(HostCommand::Add {
            name,
            zone,
            valid_for,
        }) => commands::host::add(&config, name, zone.as_deref(), *valid_for)?,
        Command::Host(HostCommand::List { json }) => commands::host::list(&config, *json)?,
        Command::Host(HostCommand::Drain {
            name, undo: true, ..
        }) => return commands::drain::undo(&config, name),
        Command::Host(HostCommand::Drain {
            name, switch_off, ..
        }) => return commands::drain::run(&config, name, *switch_off),
        Command::Host(HostCommand::Remove { name }) => commands::host::remove(&config, name)?,
        Command::Join(join) => commands::join::run(
            &config,
            &commands::join::Wanted {
                url: &join.url,
                token: &join.token,
                ca: join.ca.as_deref(),
                tunnel_address: join.tunnel_address,
            },
        )?,
        Command::Keys(KeysCommand::Rotate) => commands::keys::rotate(&config)?,
        Command::Config(ConfigCommand::Check) => commands::config::check(&config)?,
        Command::ProbeKvm => {}
    }
    Ok(ExitCode::SUCCESS)
}
