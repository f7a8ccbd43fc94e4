//! A libvirtd to talk to. Where systemd runs, it is the machine's own; where nothing would start one (a container, a
//! rescue system), the cloud starts a private one, which outlives it as its guests do.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use nephos_runtime::{Clock, Shutdown};

/// The machine's libvirt.
pub const MACHINES: &str = "qemu:///system";
/// Where it listens.
const SOCKET: &str = "/run/libvirt/libvirt-sock";
/// How often somebody looks whether a private libvirtd lives.
const WATCH: Duration = Duration::from_secs(5);
/// Starts and ends a private libvirtd; people use the same script.
const SCRIPT: &str = include_str!("../../../deploy/private-libvirt");

/// The libvirt to use instead of `configured`, started if it has to be.
///
/// # Errors
/// When there is none and none can be started: what is missing, and what helps.
pub fn ensure(configured: &str, state_dir: &Path) -> anyhow::Result<String> {
    let machines_own = configured == MACHINES && !folder(state_dir).exists();
    if configured != MACHINES
        || (machines_own && (UnixStream::connect(SOCKET).is_ok() || has_systemd()))
    {
        return Ok(configured.to_owned());
    }
    anyhow::ensure!(
        nix::unistd::Uid::effective().is_root(),
        "no libvirtd answers at {SOCKET}; start it, run Nephos as root so that it can start one, or try \
         `nephos up --simulate 3`, which needs none"
    );
    script("start", state_dir).context("no libvirtd runs here, and none can be started")
}

/// Starts the private libvirtd again whenever it is found dead; guests outlive it. Works until shutdown.
pub async fn keep_private(state_dir: PathBuf, clock: Clock, shutdown: Shutdown) {
    let socket = folder(&state_dir).join("run/libvirt-sock");
    while !shutdown.begun() {
        tokio::select! {
            () = shutdown.wait() => return,
            () = clock.sleep(WATCH) => {}
        }
        if !folder(&state_dir).exists() || UnixStream::connect(&socket).is_ok() {
            continue;
        }
        let again = state_dir.clone();
        let started = tokio::task::spawn_blocking(move || script("start", &again)).await;
        match started {
            Ok(Ok(_uri)) => tracing::warn!("libvirtd was gone and runs again"),
            Ok(Err(why)) => {
                tracing::warn!(%why, "libvirtd is gone and cannot be started; trying again, and guests run on. `nephos doctor` says what it lacks")
            }
            Err(why) => {
                tracing::warn!(%why, "libvirtd is gone; looking again. `nephos doctor` says what it lacks")
            }
        }
    }
}

/// Ends the private libvirtd and its guests, if there is one.
///
/// # Errors
/// When they do not end.
pub fn remove_private(state_dir: &Path) -> anyhow::Result<()> {
    let folder = folder(state_dir);
    if !folder.exists() {
        return Ok(());
    }
    script("stop", state_dir)?;
    std::fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))
}

/// Whether `uri` is of the private libvirtd, whose QEMU may pass through every folder.
#[must_use]
pub fn is_private(uri: &str) -> bool {
    uri.contains("socket=")
}

fn folder(state_dir: &Path) -> PathBuf {
    state_dir.join("libvirt")
}

/// Where systemd does, libvirtd is started when somebody connects.
fn has_systemd() -> bool {
    Path::new("/run/systemd/system").exists()
}

/// Runs the script; its answer is the URI.
fn script(verb: &str, state_dir: &Path) -> anyhow::Result<String> {
    let mut child = Command::new("bash")
        .args(["-s", "--", verb])
        .arg(folder(state_dir))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("bash is missing")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(SCRIPT.as_bytes())?;
    }
    let done = child.wait_with_output()?;
    anyhow::ensure!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
}
