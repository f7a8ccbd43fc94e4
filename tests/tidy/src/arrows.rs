//! Who may know whom.

use crate::{Crate, File, Finding};

/// The common crates from the bottom up: each knows only those of lower floors.
const FLOORS: [&[&str]; 6] = [
    &["types"],
    &["runtime"],
    &["db", "bus", "auth", "blob"],
    &["api", "ops"],
    &["peer"],
    &["testkit"],
];

/// The rooms of a service and what each never mentions.
const ROOMS: [(&str, &[&str]); 8] = [
    ("api", &["crate::driver", "crate::agent"]),
    (
        "model",
        &[
            "crate::api",
            "crate::store",
            "crate::ops",
            "crate::agent",
            "crate::driver",
            "crate::peers",
            "crate::rules",
            "nephos_runtime",
            "nephos_auth",
            "nephos_db",
            "nephos_bus",
            "nephos_api",
            "nephos_ops",
            "nephos_peer",
            "nephos_blob",
            "tokio::",
            "async fn",
            ".await",
        ],
    ),
    (
        "store",
        &[
            "crate::api",
            "crate::peers",
            "crate::ops",
            "crate::agent",
            "crate::driver",
        ],
    ),
    ("ops", &["crate::api", "crate::driver", "crate::agent"]),
    (
        "agent",
        &[
            "crate::api",
            "crate::store",
            "crate::ops",
            "nephos_db",
            "nephos_bus",
        ],
    ),
    (
        "driver",
        &[
            "crate::api",
            "crate::store",
            "crate::ops",
            "crate::agent",
            "nephos_db",
            "nephos_bus",
            "nephos_api",
            "nephos_ops",
        ],
    ),
    (
        "peers.rs",
        &[
            "crate::api",
            "crate::store",
            "crate::ops",
            "crate::agent",
            "crate::driver",
        ],
    ),
    ("rules.rs", &["crate::"]),
];

/// Files beside the rooms.
const FREE_ROOMS: [&str; 2] = ["lib.rs", "config.rs"];

/// One door per outside world: the crate's name in code, and the only places that may say it.
const DOORS: [(&str, &[&str]); 10] = [
    ("sqlx", &["common/db/"]),
    ("lapin", &["common/bus/"]),
    ("actix_web", &["common/api/"]),
    ("actix_ws", &["common/api/"]),
    ("aws_sdk_s3", &["common/blob/"]),
    ("reqwest", &["common/peer/"]),
    ("virt", &["services/compute/src/driver/libvirt/"]),
    ("virt_sys", &["services/compute/src/driver/libvirt/"]),
    ("rtnetlink", &["services/network/src/driver/"]),
    ("jsonwebtoken", &["common/auth/"]),
];

/// Arrows between crates.
#[must_use]
pub fn check_crates(crates: &[Crate]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for from in crates {
        for to in &from.dependencies {
            if let Some(what) = wrong_arrow(from, crates, to) {
                findings.push(Finding {
                    place: format!("{}/Cargo.toml", from.folder),
                    what,
                });
            }
        }
        for to in &from.dev_dependencies {
            let service = crates
                .iter()
                .any(|found| found.name == *to && is_service(found));
            if is_service(from) && service {
                findings.push(Finding {
                    place: format!("{}/Cargo.toml", from.folder),
                    what: format!("a service never knows a service, not even for its tests: {to}"),
                });
            }
        }
    }
    findings
}

fn wrong_arrow(from: &Crate, crates: &[Crate], to: &str) -> Option<String> {
    let target = crates.iter().find(|found| found.name == to)?;
    if to == "nephos-testkit" {
        return Some("the testkit is for tests only: [dev-dependencies]".to_owned());
    }
    if from.name == "nephos" || from.folder.starts_with("tests/") {
        return None;
    }
    if is_service(target) {
        return Some(format!(
            "only services/nephos knows services, not {}: {to}",
            from.name
        ));
    }
    let (here, there) = (floor(&from.folder), floor(&target.folder));
    let upwards = here.is_some_and(|here| there.is_none_or(|there| there >= here));
    upwards.then(|| format!("{} stands below {to} and must not know it", from.name))
}

fn is_service(found: &Crate) -> bool {
    found.folder.starts_with("services/")
}

fn floor(folder: &str) -> Option<usize> {
    let name = folder.strip_prefix("common/")?;
    FLOORS.iter().position(|floor| floor.contains(&name))
}

/// Arrows between the rooms of a service, and rooms that nobody knows.
#[must_use]
pub fn check_rooms(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let Some(room) = room(&file.path) else {
            continue;
        };
        if FREE_ROOMS.contains(&room) {
            continue;
        }
        let Some((_, never)) = ROOMS.iter().find(|(name, _)| *name == room) else {
            let what = format!(
                "no service has a room called {room}; a new one needs a decision in docs/adr"
            );
            findings.push(Finding {
                place: file.path.clone(),
                what,
            });
            continue;
        };
        for (line, text) in file.code() {
            for word in never.iter().filter(|word| mentions(text, word)) {
                let what = format!("{room} never mentions {word}");
                findings.push(Finding {
                    place: file.place(line),
                    what,
                });
            }
        }
    }
    findings
}

/// The room of a service's file; the process has no rooms.
fn room(path: &str) -> Option<&str> {
    let (service, inside) = path.strip_prefix("services/")?.split_once("/src/")?;
    let room = inside.split('/').next()?;
    // A room that has outgrown one file is a folder of the same name.
    let room = if room == "peers" { "peers.rs" } else { room };
    (service != "nephos").then_some(room)
}

/// `crate::api` as a whole word: not `crate::api_things`.
fn mentions(line: &str, word: &str) -> bool {
    let open = |rest: &str| {
        rest.chars()
            .next()
            .is_none_or(|next| !next.is_alphanumeric() && next != '_')
    };
    let closed = word.ends_with(|last: char| !last.is_alphanumeric());
    line.match_indices(word).any(|(at, _)| {
        let rest = line.get(at + word.len()..).unwrap_or_default();
        closed || open(rest)
    })
}

/// Each outside world has one door.
#[must_use]
pub fn check_doors(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| {
        file.is_rust() && !file.path.starts_with("tests/") && !file.path.contains("/tests/")
    }) {
        for (name, doors) in DOORS {
            if doors.iter().any(|door| file.path.starts_with(door)) {
                continue;
            }
            for (line, text) in file.code().filter(|(_, text)| names_crate(text, name)) {
                let what = format!(
                    "`{}` goes through a door that is not its own; {name} belongs to {doors:?}",
                    text.trim()
                );
                findings.push(Finding {
                    place: file.place(line),
                    what,
                });
            }
        }
    }
    findings
}

/// `sqlx::…` or `use sqlx;`, not `my_sqlx::…`.
fn names_crate(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let before = line.get(..at).unwrap_or_default().chars().next_back();
        let after = line.get(at + name.len()..).unwrap_or_default();
        let starts =
            before.is_none_or(|last| !last.is_alphanumeric() && !"_:\"'/-.".contains(last));
        starts && after.starts_with("::")
    })
}
