//! Volumes over the network: iSCSI targets of `tgt`, one for each attachment, opened by a name and a secret.
//!
//! The daemon is a child of its own group that outlives this process, so that guests go on while it is started anew. It
//! keeps nothing: whoever finds it gone starts another, and what should be there is made again from the database.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nephos_runtime::{Clock, crash_point};

use super::DriverError;

/// A call of `tgtadm` that takes longer is given up.
const WITHIN: Duration = Duration::from_secs(10);
/// The only unit of a target with a disk behind it; 0 is the target itself.
const LUN: &str = "1";
/// What ours begin with.
const OURS: &str = "iqn.2026-01.org.nephos:";

/// A target that should be there.
#[derive(Clone)]
pub(crate) struct Target {
    pub name: String,
    pub path: PathBuf,
    pub readonly: bool,
    pub user: String,
    pub secret: String,
}

/// A target that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    number: u32,
    pub name: String,
    path: Option<String>,
    users: Vec<String>,
    /// Whether initiators get in: the last thing that is done to a new one.
    open: bool,
}

/// The daemon.
pub(crate) struct Targets {
    socket: PathBuf,
    listen: SocketAddr,
    clock: Clock,
}

impl Targets {
    /// A daemon whose socket is in `folder`.
    pub(crate) fn new(folder: &Path, listen: SocketAddr, clock: Clock) -> Self {
        Self {
            socket: folder.join("tgt"),
            listen,
            clock,
        }
    }

    /// Where initiators find it.
    pub(crate) const fn portal(&self) -> SocketAddr {
        self.listen
    }

    /// What is there, once a daemon is.
    pub(crate) async fn list(&self) -> Result<Vec<Found>, DriverError> {
        if let Ok(text) = self.show().await {
            return Ok(parse(&text));
        }
        self.start().await?;
        for _try in 0..50 {
            self.clock.sleep(Duration::from_millis(100)).await;
            if let Ok(text) = self.show().await {
                return Ok(parse(&text));
            }
        }
        Err(DriverError::Failed(format!(
            "tgtd does not answer at {}",
            self.socket.display()
        )))
    }

    /// The names of ours, if there is a daemon.
    pub(crate) async fn there(&self) -> Vec<String> {
        let found = self.show().await.map(|text| parse(&text));
        let names = found
            .unwrap_or_default()
            .into_iter()
            .map(|found| found.name);
        names.filter(|name| name.starts_with(OURS)).collect()
    }

    async fn show(&self) -> Result<String, DriverError> {
        self.tgtadm(&["--op", "show", "--mode", "target"]).await
    }

    async fn start(&self) -> Result<(), DriverError> {
        let portal = format!("portal={}", self.listen);
        let mut command = tokio::process::Command::new("tgtd");
        command
            .args(["-f", "--iscsi", &portal])
            .env("TGT_IPC_SOCKET", &self.socket)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        let failed = |why: std::io::Error| {
            DriverError::Failed(format!(
                "cannot start tgtd: {why}; the Debian package is tgt"
            ))
        };
        let mut child = command.spawn().map_err(failed)?;
        tracing::info!(portal = %self.listen, "tgtd is started");
        // Waited for, so that it leaves no zombie; dropped with this process it lives on.
        nephos_runtime::spawn("block.tgtd", async move {
            let ended = child.wait().await;
            tracing::warn!(
                ?ended,
                "tgtd has ended; it is started again, and guests wait for their volumes until then"
            );
        });
        Ok(())
    }

    /// Ends the daemon and whatever it offers.
    pub(crate) async fn end(&self) -> Result<(), DriverError> {
        let Ok(text) = self.show().await else {
            return Ok(());
        };
        for found in parse(&text) {
            self.remove(&found).await?;
        }
        self.tgtadm(&["--op", "delete", "--mode", "system"])
            .await
            .map(|_nothing| ())
    }

    /// Makes a target, closed until it is whole.
    pub(crate) async fn ensure(&self, wanted: &Target, there: &[Found]) -> Result<(), DriverError> {
        let path = wanted.path.display().to_string();
        let same = |found: &&Found| found.name == wanted.name;
        if let Some(found) = there.iter().find(same) {
            let whole = found.open
                && found.path.as_deref() == Some(path.as_str())
                && found.users.contains(&wanted.user);
            if whole {
                return Ok(());
            }
            self.remove(found).await?;
        }
        let used = |number: &u32| !there.iter().any(|found| found.number == *number);
        let number = (1..=u32::MAX).find(used).unwrap_or(1).to_string();
        let lld = ["--lld", "iscsi", "--op"];
        let call = |rest: &[&str]| {
            [&lld[..], rest]
                .concat()
                .into_iter()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        self.own(call(&[
            "new",
            "--mode",
            "target",
            "--tid",
            &number,
            "-T",
            &wanted.name,
        ]))
        .await?;
        crash_point!("target.made");
        let unit = ["--mode", "logicalunit", "--tid", &number, "--lun", LUN];
        self.own(call(&[&["new"], &unit[..], &["-b", &path]].concat()))
            .await?;
        if wanted.readonly {
            self.own(call(
                &[&["update"], &unit[..], &["--params", "readonly=1"]].concat(),
            ))
            .await?;
        }
        // An account of this name may be left of an earlier target.
        let account = ["--mode", "account", "--user", &wanted.user];
        let _none = self.own(call(&[&["delete"], &account[..]].concat())).await;
        self.own(call(
            &[&["new"], &account[..], &["--password", &wanted.secret]].concat(),
        ))
        .await?;
        self.own(call(
            &[&["bind"], &account[..], &["--tid", &number]].concat(),
        ))
        .await?;
        crash_point!("target.locked");
        self.own(call(&[
            "bind", "--mode", "target", "--tid", &number, "-I", "ALL",
        ]))
        .await?;
        crash_point!("target.open");
        Ok(())
    }

    /// Removes a target of ours, whoever is connected.
    pub(crate) async fn remove(&self, found: &Found) -> Result<(), DriverError> {
        if !found.name.starts_with(OURS) {
            return Ok(());
        }
        let number = found.number.to_string();
        let force = [
            "--lld", "iscsi", "--op", "delete", "--force", "--mode", "target", "--tid", &number,
        ];
        self.tgtadm(&force).await?;
        for user in &found.users {
            let account = [
                "--lld", "iscsi", "--op", "delete", "--mode", "account", "--user", user,
            ];
            let _gone_already = self.tgtadm(&account).await;
        }
        Ok(())
    }

    async fn own(&self, args: Vec<String>) -> Result<String, DriverError> {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        self.tgtadm(&args).await
    }

    /// Its output. The arguments hold secrets, so no error repeats them.
    async fn tgtadm(&self, args: &[&str]) -> Result<String, DriverError> {
        let mut command = tokio::process::Command::new("tgtadm");
        command
            .args(args)
            .env("TGT_IPC_SOCKET", &self.socket)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = self.clock.timeout(WITHIN, command.output()).await;
        let output = output
            .ok_or_else(|| DriverError::Failed("tgtadm did not end in time".to_owned()))?
            .map_err(|why| {
                DriverError::Failed(format!(
                    "cannot run tgtadm: {why}; the Debian package is tgt"
                ))
            })?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let text = String::from_utf8_lossy(&output.stderr);
        let line = text.lines().next().unwrap_or("no reason given");
        Err(DriverError::Failed(format!("tgtadm: {line}")))
    }
}

/// Reads what `tgtadm --op show --mode target` prints.
fn parse(text: &str) -> Vec<Found> {
    let mut all: Vec<Found> = Vec::new();
    let mut section = "";
    for line in text.lines() {
        if let Some((number, name)) = line
            .strip_prefix("Target ")
            .and_then(|rest| rest.split_once(": "))
        {
            all.push(Found {
                number: number.parse().unwrap_or(0),
                name: name.trim().to_owned(),
                path: None,
                users: Vec::new(),
                open: false,
            });
            section = "";
            continue;
        }
        let Some(found) = all.last_mut() else {
            continue;
        };
        match line.trim() {
            "Account information:" => section = "accounts",
            "ACL information:" => section = "acl",
            "LUN information:" | "I_T nexus information:" | "System information:" => section = "",
            "ALL" if section == "acl" => found.open = true,
            user if section == "accounts" && !user.is_empty() => found.users.push(user.to_owned()),
            other => {
                let path = other.strip_prefix("Backing store path: ");
                if let Some(path) = path.filter(|path| *path != "None") {
                    found.path = Some(path.to_owned());
                }
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tgtadm_prints_is_understood() {
        let text = "Target 1: iqn.2026-01.org.nephos:a\n    System information:\n        Driver: iscsi\n        \
            State: ready\n    I_T nexus information:\n    LUN information:\n        LUN: 0\n            \
            Backing store path: None\n        LUN: 1\n            Backing store path: /x/volume-1\n    \
            Account information:\n        a\n    ACL information:\n        ALL\n\
            Target 2: iqn.other\n    Account information:\n    ACL information:\n";
        let found = parse(text);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].number, found[0].open), (1, true));
        assert_eq!(found[0].path.as_deref(), Some("/x/volume-1"));
        assert_eq!(found[0].users, ["a"]);
        assert_eq!(
            (found[1].name.as_str(), found[1].open),
            ("iqn.other", false)
        );
    }
}
