//! haproxy: a process per load balancer, in the network namespace of its port.
//!
//! A load balancer's folder has its configurations, each named by its own digest, the socket `s` of the process that
//! answers, the members' health for the next process, and the counters. Which process runs with which configuration is
//! asked of the socket and of `/proc`; so a killed agent finds everything again.
//!
//! A changed configuration is a new process, which takes the listening sockets over and tells the old one to end with its
//! last connection. One that cannot start leaves the old one as it is. It opens its ports and reads its files as root; then
//! it is a user whom no other load balancer of the host is, in an empty folder, with a bound of memory. An agent that is
//! killed takes a haproxy with it that has not begun; of those that run, one answers, and all others are told to end.

mod child;
mod processes;
mod seen;
mod socket;
mod tally;
#[cfg(test)]
mod tests;
mod users;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use nephos_runtime::{Clock, crash_point};
use nix::sys::resource::{Resource, getrlimit};
use sha2::{Digest as _, Sha256};

use self::processes::Process;
use self::tally::Tally;
use super::{Answer, Driver, DriverError, Seen};
use crate::model::render::{Place, render};
use crate::model::spec::{LoadBalancerSpec, space};

/// Most connections at a time of a load balancer, if the host gives as many.
const CONNECTIONS: u32 = 20_000;
/// Most memory of a process, in MiB: as much as so many connections take, and as much again.
const MEMORY_MIB: &str = "1536";
/// Processes that may go on beside the one that answers, each for its last connections. With more of them the oldest ends.
const LINGERING: usize = 8;
/// A new process has so long to become the one that answers,
const TAKE_OVER: Duration = Duration::from_secs(5);
/// and is asked so often;
const TICK: Duration = Duration::from_millis(2);
/// after so many answers in a row it is.
const SURE: u32 = 5;
/// A process that does not answer so often is ended, and another one begun.
const SILENT: u8 = 3;

/// The haproxys of a host. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Haproxy(Arc<Host>);

#[derive(Debug)]
struct Host {
    folder: PathBuf,
    prefix: String,
    /// How often in a row one did not answer.
    silent: Mutex<BTreeMap<String, u8>>,
    /// Those of which only one process answers for sure.
    alone: Mutex<BTreeSet<String>>,
    /// Held by whoever chooses a user.
    users: Mutex<()>,
}

impl Haproxy {
    /// Load balancers that keep their things below `folder`; namespaces of network's begin with `namespace_prefix`.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, namespace_prefix: &str) -> Self {
        Self(Arc::new(Host {
            folder: folder.into(),
            prefix: namespace_prefix.to_owned(),
            silent: Mutex::default(),
            alone: Mutex::default(),
            users: Mutex::default(),
        }))
    }

    /// Does `job` on a thread that may wait.
    fn aside<'a, T: Send + 'static>(
        &self,
        job: impl FnOnce(&Host) -> Result<T, DriverError> + Send + 'static,
    ) -> Answer<'a, T> {
        let host = Arc::clone(&self.0);
        async move {
            let done = tokio::task::spawn_blocking(move || job(&host)).await;
            done.map_err(|why| DriverError::failed("look after load balancers", why))?
        }
        .boxed()
    }
}

impl Driver for Haproxy {
    fn version(&self) -> Answer<'_, String> {
        self.aside(|_host| version())
    }

    fn list(&self) -> Answer<'_, BTreeSet<String>> {
        self.aside(Host::list)
    }

    fn ensure<'a>(&'a self, spec: &'a LoadBalancerSpec, generation: i64) -> Answer<'a, ()> {
        let spec = spec.clone();
        self.aside(move |host| host.ensure(&spec, generation))
    }

    fn generation<'a>(&'a self, id: &'a str) -> Answer<'a, Option<i64>> {
        let id = id.to_owned();
        self.aside(move |host| Ok(host.at(&id)?.generation()))
    }

    fn look<'a>(&'a self, id: &'a str) -> Answer<'a, Seen> {
        let id = id.to_owned();
        self.aside(move |host| host.at(&id)?.look())
    }

    fn remove<'a>(&'a self, id: &'a str) -> Answer<'a, ()> {
        let id = id.to_owned();
        self.aside(move |host| host.at(&id)?.remove())
    }
}

fn version() -> Result<String, DriverError> {
    let said = child::run("haproxy", &["-v"]).map_err(|why| missing(&why))?;
    let first = said.lines().next().unwrap_or_default();
    let mut words = first.split_whitespace();
    let version = words.find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    Ok(version.unwrap_or("unknown").to_owned())
}

fn missing(why: &str) -> DriverError {
    DriverError::Refused(format!(
        "haproxy does not run on this host ({why}); apt-get install haproxy"
    ))
}

impl Host {
    fn list(&self) -> Result<BTreeSet<String>, DriverError> {
        let attempt = || format!("list {}", self.folder.display());
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
            Err(why) => return Err(DriverError::failed(attempt(), why)),
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        Ok(names.collect())
    }

    /// The folder of a load balancer.
    fn at(&self, id: &str) -> Result<Home, DriverError> {
        let plain = id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if id.is_empty() || !plain {
            return Err(DriverError::Refused(format!("{id:?} is no id")));
        }
        Ok(Home(self.folder.join(id)))
    }

    fn ensure(&self, spec: &LoadBalancerSpec, generation: i64) -> Result<(), DriverError> {
        let home = self.at(&spec.id)?;
        // It stands for the load balancer, also while nothing runs: what has one is said to be gone once it is.
        home.make()?;
        home.is_of(generation)?;
        if !spec.enabled || spec.listeners.is_empty() {
            return home.stop();
        }
        let place = Place {
            folder: &home.0,
            connections: connections(),
            user: self.user(&home)?,
        };
        let text = render(spec, place).map_err(DriverError::Refused)?;
        let name = hex::encode(Sha256::digest(&text).get(..8).unwrap_or_default());
        let config = home.0.join(format!("{name}.cfg"));
        let space = Path::new("/run/netns").join(space(&self.prefix, &spec.port_id));
        if !space.exists() {
            return Err(DriverError::Waiting(format!(
                "port {} is not on this host yet",
                spec.port_id
            )));
        }
        let current = self.current(&spec.id, &home)?;
        // In another namespace than the port's nobody hears it.
        let (current, elsewhere) = match current {
            Some(process) if !process.is_in(&space) => (None, true),
            other => (other, false),
        };
        if let Some(process) = current.as_ref().filter(|one| one.config == config) {
            home.tidy(&config);
            self.let_others_end(&spec.id, &home, process);
            return Ok(());
        }
        self.alone().remove(&spec.id);
        write(&config, &text)
            .map_err(|why| DriverError::failed(format!("write {}", config.display()), why))?;
        home.keep(current.as_ref(), spec);
        if elsewhere {
            home.stop()?;
        }
        crash_point!("load_balancer.start");
        home.start(&config, &space, current.as_ref())?;
        crash_point!("load_balancer.started");
        home.tidy(&config);
        Ok(())
    }

    /// An agent that was killed amid a start may have left two that answer, each by its own configuration. What ends
    /// already hears it once more.
    fn let_others_end(&self, id: &str, home: &Home, current: &Process) {
        if self.alone().insert(id.to_owned()) {
            let all = processes::all(&home.0);
            processes::tell_to_end(all.iter().filter(|one| *one != current));
        }
    }

    fn alone(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.alone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who a load balancer's processes are: nobody else's of this host.
    fn user(&self, home: &Home) -> Result<u32, DriverError> {
        let _alone = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = |why| DriverError::failed("choose a user for a load balancer", why);
        users::of(&self.folder, &home.0).map_err(failed)
    }

    /// The process that answers for a load balancer. One that hangs is ended after a while.
    fn current(&self, id: &str, home: &Home) -> Result<Option<Process>, DriverError> {
        let found = home.current();
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        match found {
            Ok(current) => {
                silent.remove(id);
                Ok(current)
            }
            Err(why) => {
                let times = silent.entry(id.to_owned()).or_default();
                *times = times.saturating_add(1);
                if *times < SILENT {
                    return Err(DriverError::failed("ask haproxy how it is", why));
                }
                silent.remove(id);
                drop(silent);
                home.stop()?;
                Ok(None)
            }
        }
    }
}

/// As many connections as this process may have files for, two each.
fn connections() -> u32 {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
    let half = u32::try_from(most / 2).unwrap_or(u32::MAX);
    half.saturating_sub(100).clamp(100, CONNECTIONS)
}

/// The folder of one load balancer.
struct Home(PathBuf);

impl Home {
    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The process that answers at the socket.
    fn current(&self) -> std::io::Result<Option<Process>> {
        let info = match socket::ask(&self.file("s"), "show info") {
            Ok(info) => info,
            Err(why) if socket::is_dead(&why) => return Ok(None),
            Err(why) => return Err(why),
        };
        let pid = socket::value(&info, "Pid").and_then(|pid| pid.parse().ok());
        Ok(pid.and_then(|pid| Process::of(pid, &self.0)))
    }

    /// The generation of the document that it was made by last.
    fn generation(&self) -> Option<i64> {
        let text = fs::read_to_string(self.file(GENERATION)).ok()?;
        text.trim().parse().ok()
    }

    /// Notes by which document it is made from now on.
    fn is_of(&self, generation: i64) -> Result<(), DriverError> {
        if self.generation() == Some(generation) {
            return Ok(());
        }
        let written = write(&self.file(GENERATION), &generation.to_string());
        written.map_err(|why| DriverError::failed(format!("write in {}", self.0.display()), why))
    }

    fn make(&self) -> Result<(), DriverError> {
        let attempt = || format!("make {}", self.0.display());
        let failed = |why| DriverError::failed(attempt(), why);
        let mut folder = fs::DirBuilder::new();
        folder.recursive(true).mode(0o700);
        folder.create(&self.0).map_err(failed)?;
        let empty = self.file("empty");
        folder.create(&empty).map_err(failed)?;
        // The root of what runs: it may be entered, and there is nothing in it.
        fs::set_permissions(&empty, fs::Permissions::from_mode(0o555)).map_err(failed)
    }

    /// Keeps what the next process goes on with; without it, it begins anew.
    fn keep(&self, current: Option<&Process>, spec: &LoadBalancerSpec) {
        let state = current.map(|_| socket::ask(&self.file("s"), "show servers state"));
        let state = state.and_then(Result::ok).unwrap_or_default();
        let _it_begins_anew = write(&self.file("state"), &seen::carried(&state, spec));
        if current.is_some() {
            let _some_bytes_are_not_counted = self.look();
        }
    }

    fn start(
        &self,
        config: &Path,
        space: &Path,
        current: Option<&Process>,
    ) -> Result<(), DriverError> {
        let namespace = format!("--net={}", space.display());
        let (config_text, pids) = (
            config.display().to_string(),
            self.file("pid").display().to_string(),
        );
        let socket = self.file("s").display().to_string();
        // Whoever else is left of this load balancer ends too, not only the one that answers.
        let others = processes::all(&self.0);
        let others: Vec<String> = others.iter().map(|one| one.pid.to_string()).collect();
        let mut words = vec!["--pdeathsig", "KILL", "nsenter", &namespace, "--"];
        words.extend(["haproxy", "-D", "-m", MEMORY_MIB]);
        words.extend(["-f", &config_text, "-p", &pids]);
        if current.is_some() {
            words.extend(["-x", &socket]);
        }
        if !others.is_empty() {
            words.push("-sf");
            words.extend(others.iter().map(String::as_str));
        }
        child::run("setpriv", &words).map_err(|why| why_not(&why))?;
        self.taken_over(config)?;
        let all = processes::all(&self.0);
        processes::tell_to_end(all.iter().filter(|one| one.config != config));
        Ok(())
    }

    /// Waits until the process of this configuration is the one that answers. The one before it shares the listening socket
    /// until it has heard that it is to end, and may answer so long, or hang up.
    fn taken_over(&self, config: &Path) -> Result<(), DriverError> {
        let (clock, mut in_a_row) = (Clock::system(), 0);
        // One try alone may take as long as a question may.
        while clock.monotonic() < TAKE_OVER {
            let current = self.current().ok().flatten();
            in_a_row = match current {
                Some(process) if process.config == config => in_a_row + 1,
                _the_old_one_or_none => 0,
            };
            if in_a_row == SURE {
                return Ok(());
            }
            std::thread::sleep(TICK);
        }
        Err(DriverError::failed(
            "start haproxy",
            "it does not answer once it runs",
        ))
    }

    /// Ends too old processes, and removes configurations that nobody runs with.
    fn tidy(&self, config: &Path) {
        let Ok(entries) = fs::read_dir(&self.0) else {
            return;
        };
        let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let others =
            files.filter(|file| file.extension().is_some_and(|end| end == "cfg") && file != config);
        let others: Vec<PathBuf> = others.collect();
        if others.is_empty() {
            return;
        }
        let all = processes::all(&self.0);
        for file in others {
            if !all.iter().any(|process| process.config == file) {
                let _next_time = fs::remove_file(file);
            }
        }
        let current = self.current().ok().flatten();
        let lingering: Vec<Process> = all
            .into_iter()
            .filter(|one| Some(one) != current.as_ref())
            .collect();
        if current.is_some() && lingering.len() > LINGERING {
            let too_many = lingering.len() - LINGERING;
            processes::end(lingering.get(..too_many).unwrap_or_default());
        }
    }

    /// Ends all processes. What was counted stays.
    fn stop(&self) -> Result<(), DriverError> {
        let all = processes::all(&self.0);
        if all.is_empty() {
            return Ok(());
        }
        let _some_bytes_are_not_counted = self.look();
        match processes::end(&all) {
            true => Ok(()),
            false => Err(DriverError::failed("end haproxy", "it does not end")),
        }
    }

    fn remove(&self) -> Result<(), DriverError> {
        let all = processes::all(&self.0);
        if !all.is_empty() && !processes::end(&all) {
            return Err(DriverError::failed("end haproxy", "it does not end"));
        }
        match fs::remove_dir_all(&self.0) {
            Err(why) if why.kind() != std::io::ErrorKind::NotFound => {
                let attempt = format!("remove {}", self.0.display());
                Err(DriverError::failed(attempt, why))
            }
            _gone => Ok(()),
        }
    }

    fn look(&self) -> Result<Seen, DriverError> {
        let socket = self.file("s");
        let failed = |why| DriverError::failed("ask haproxy how it is", why);
        let info = match socket::ask(&socket, "show info") {
            Ok(info) => info,
            Err(why) if socket::is_dead(&why) => return Ok(Seen::default()),
            Err(why) => return Err(failed(why)),
        };
        let mut seen = seen::stat(&socket::ask(&socket, "show stat").map_err(failed)?);
        let value = |key| socket::value(&info, key).unwrap_or_default();
        let process = format!("{}-{}", value("Pid"), value("Start_time_sec"));
        let file = self.file("counters.json");
        let before = Tally::read(&file);
        let mut tally = before.clone();
        tally.take(&process, &mut seen.listeners);
        if tally != before
            && let Ok(text) = serde_json::to_string(&tally)
        {
            let _some_may_be_lost = write(&file, &text);
        }
        Ok(seen)
    }
}

/// The file that says by which document it was made.
const GENERATION: &str = "generation";

/// Why a haproxy does not start. Its namespace is made beside this, piece by piece, so what of it is not there yet is waited
/// for.
fn why_not(said: &str) -> DriverError {
    let of_namespace = ["nsenter: cannot open", "nsenter: reassociate to namespace"];
    let is_coming = of_namespace.iter().any(|words| said.contains(words))
        || said.contains("Cannot assign requested address");
    match said {
        _ if said.contains("failed to execute") => missing(said),
        _ if is_coming => {
            DriverError::Waiting(format!("its port is not ready on this host: {said}"))
        }
        _ => DriverError::Refused(format!("haproxy does not start: {said}")),
    }
}

/// Writes a file for its owner alone, whole or not at all.
fn write(file: &Path, text: &str) -> std::io::Result<()> {
    let new = file.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(&new)?.write_all(text.as_bytes())?;
    fs::rename(new, file)
}
