//! Who a load balancer's processes are: users with numbers out of a range, one for each load balancer of a host, so that
//! none can do anything to another one's. Its number is kept in its folder.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

/// The first of them, and how many there are. Nobody gives these numbers to anybody: they are above all of systemd's ranges
/// for users and containers, and below what a signed number holds.
const FIRST: u32 = 2_000_000_000;
const COUNT: u32 = 65_536;
/// Where the number is kept.
const FILE: &str = "user";

/// The user of the load balancer of a folder among those of `all`; it is chosen once. Whoever chooses does it alone.
pub fn of(all: &Path, own: &Path) -> io::Result<u32> {
    if let Some(known) = kept(own) {
        return Ok(known);
    }
    let folders = fs::read_dir(all)?;
    let taken: BTreeSet<u32> = folders
        .filter_map(|entry| kept(&entry.ok()?.path()))
        .collect();
    let mut free = (FIRST..FIRST + COUNT).filter(|user| !taken.contains(user));
    let chosen = free
        .next()
        .ok_or_else(|| io::Error::other("all are in use"))?;
    super::write(&own.join(FILE), &chosen.to_string())?;
    Ok(chosen)
}

fn kept(folder: &Path) -> Option<u32> {
    let text = fs::read_to_string(folder.join(FILE)).ok()?;
    let user = text.trim().parse().ok()?;
    (FIRST..FIRST + COUNT).contains(&user).then_some(user)
}
