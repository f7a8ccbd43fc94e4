//! The difference between the data plane as it should be and as it is, as a list of steps. Pure.
//!
//! The order keeps three promises: a guest is cut off before its filters go, it is let in only after they stand, and
//! a port of a bridge is known to the bridge before it carries packets.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::tables::{self, Tables};
use crate::driver::plane::{Address, Entries, HOST, Link, LinkKind, Plane, Space, Tags};
use crate::driver::{Change, Step};

/// What is known of the world.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// What is there.
    pub found: &'a Plane,
    /// What was put into the tables of each space.
    pub tables: &'a BTreeMap<String, Tables>,
    /// Whether what is not wanted may go.
    pub may_remove: bool,
}

/// What there is to do.
pub fn plan(wanted: &Plane, known: Known<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    let nothing = Space::default();
    let host = wanted.spaces.get(HOST).unwrap_or(&nothing);
    let found_host = known.found.spaces.get(HOST).unwrap_or(&nothing);
    if known.may_remove {
        lead_straight(&mut steps, wanted, known.found);
        remove_links(&mut steps, host, found_host);
        let gone = known.found.spaces.keys();
        let gone = gone.filter(|space| !wanted.spaces.contains_key(*space));
        steps.extend(gone.cloned().map(Step::RemoveSpace));
    }
    let new = wanted.spaces.keys();
    let new = new.filter(|space| *space != HOST && !known.found.spaces.contains_key(*space));
    steps.extend(new.cloned().map(Step::AddSpace));
    for (name, space) in &wanted.spaces {
        let found = known.found.spaces.get(name).unwrap_or(&nothing);
        let early = |path: &str| !of_link(path, host);
        settings(&mut steps, name, space, found, &early);
    }
    let made = make_links(&mut steps, wanted, known.found);
    for (name, space) in &wanted.spaces {
        let found = known.found.spaces.get(name).unwrap_or(&nothing);
        settings(&mut steps, name, space, found, &|path| of_link(path, host));
        filters(&mut steps, name, space, known);
    }
    for (name, space) in &wanted.spaces {
        let found = known.found.spaces.get(name).unwrap_or(&nothing);
        let fresh = &made;
        shape_links(&mut steps, name, space, found, fresh);
        entries(&mut steps, name, (space, found), known.may_remove, fresh);
    }
    steps
}

/// Ends the detours and the ways by tag that are not wanted: a link that is a way round is not needed any more when it goes.
fn lead_straight(steps: &mut Vec<Step>, wanted: &Plane, found: &Plane) {
    let nothing = Space::default();
    for (name, found) in &found.spaces {
        let wanted = wanted.spaces.get(name).unwrap_or(&nothing);
        let over = found.detours.keys();
        let over = over.filter(|link| !wanted.detours.contains_key(*link));
        // What goes with a link needs no step of its own.
        let over = over.filter(|link| wanted.links.contains_key(*link));
        steps.extend(over.map(|link| Step::Detour {
            space: name.clone(),
            name: link.clone(),
            by: None,
        }));
        let over = found.tags.keys();
        let over = over.filter(|link| !wanted.tags.contains_key(*link));
        let over = over.filter(|link| wanted.links.contains_key(*link));
        steps.extend(over.map(|link| Step::Tags {
            space: name.clone(),
            name: link.clone(),
            tags: None,
        }));
    }
}

/// Limits stand before anything passes: what is limited never passes faster.
fn limit(
    steps: &mut Vec<Step>,
    name: &str,
    (space, found): (&Space, &Space),
    may_remove: bool,
    fresh: &dyn Fn(&str) -> bool,
) {
    let step = |link: &String, rate| Step::Limit {
        space: name.to_owned(),
        name: link.clone(),
        rate,
    };
    for (link, rate) in &space.limits {
        if fresh(link) || found.limits.get(link) != Some(rate) {
            steps.push(step(link, Some(*rate)));
        }
    }
    let over = found.limits.keys().filter(|link| {
        let stays = space.links.contains_key(*link) && !fresh(link);
        may_remove && stays && !space.limits.contains_key(*link)
    });
    steps.extend(over.map(|link| step(link, None)));
}

/// Detours lead to where limits are.
fn lead_round(
    steps: &mut Vec<Step>,
    name: &str,
    (space, found): (&Space, &Space),
    fresh: &dyn Fn(&str) -> bool,
) {
    for (link, by) in &space.detours {
        if fresh(link) || fresh(by) || found.detours.get(link) != Some(by) {
            steps.push(Step::Detour {
                space: name.to_owned(),
                name: link.clone(),
                by: Some(by.clone()),
            });
        }
    }
}

/// Tags are taken, and given, before anybody is let in.
fn lead_by_tag(
    steps: &mut Vec<Step>,
    name: &str,
    (space, found): (&Space, &Space),
    fresh: &dyn Fn(&str) -> bool,
) {
    for (link, tags) in &space.tags {
        let anew = fresh(link) || tags.links().any(fresh);
        if anew || found.tags.get(link) != Some(tags) {
            steps.push(Step::Tags {
                space: name.to_owned(),
                name: link.clone(),
                tags: Some(tags.clone()),
            });
        }
    }
}

/// Whether a setting belongs to a link that has to be made first.
fn of_link(path: &str, host: &Space) -> bool {
    path.split('/')
        .nth(2)
        .is_some_and(|link| host.links.contains_key(link))
}

fn settings(
    steps: &mut Vec<Step>,
    name: &str,
    space: &Space,
    found: &Space,
    which: &dyn Fn(&str) -> bool,
) {
    for (path, value) in &space.settings {
        if which(path) && found.settings.get(path) != Some(value) {
            steps.push(Step::Set {
                space: name.to_owned(),
                path: path.clone(),
                value: value.clone(),
            });
        }
    }
}

/// Taps first: then nothing of a guest moves any more while the rest goes.
fn remove_links(steps: &mut Vec<Step>, wanted: &Space, found: &Space) {
    let gone = found
        .links
        .iter()
        .filter(|(name, _)| !wanted.links.contains_key(*name));
    let mut gone: Vec<_> = gone.collect();
    gone.sort_by_key(|(_, link)| match &link.kind {
        LinkKind::Tap => 0,
        LinkKind::Veth { .. } | LinkKind::Inner { .. } => 1,
        LinkKind::Vxlan { .. } | LinkKind::Ifb => 2,
        LinkKind::Bridge | LinkKind::Loopback | LinkKind::Foreign(_) => 3,
    });
    steps.extend(gone.into_iter().map(|(name, _)| Step::RemoveLink {
        space: HOST.to_owned(),
        name: name.clone(),
    }));
}

/// Links that are made anew, by space and name.
type Made = BTreeSet<(String, String)>;

/// Bridges first, because the others become their ports. What cannot be changed in place is made anew.
fn make_links(steps: &mut Vec<Step>, wanted: &Plane, found: &Plane) -> Made {
    let mut made = Made::new();
    let there = |space: &str, name: &str| {
        found
            .spaces
            .get(space)
            .and_then(|space| space.links.get(name))
    };
    let host = wanted.spaces.get(HOST).map(|host| &host.links);
    let mut links: Vec<_> = host.into_iter().flatten().collect();
    links.retain(|(_, link)| !matches!(link.kind, LinkKind::Inner { .. }));
    links.sort_by_key(|(_, link)| link.kind != LinkKind::Bridge);
    for (name, link) in links {
        let mut peer = None;
        let mut whole = true;
        if let LinkKind::Veth {
            space,
            peer: inside,
        } = &link.kind
        {
            let wanted = wanted
                .spaces
                .get(space)
                .and_then(|space| space.links.get(inside));
            peer = wanted.cloned();
            whole = there(space, inside).is_some();
        }
        let old = there(HOST, name);
        match old {
            Some(old) if whole && same_kind(&old.kind, &link.kind) => continue,
            // Somebody else's: the attempt to make ours says so.
            Some(Link {
                kind: LinkKind::Foreign(_),
                ..
            }) => {
                steps.push(Step::AddLink {
                    name: name.clone(),
                    link: link.clone(),
                    peer,
                });
                continue;
            }
            Some(_) => steps.push(Step::RemoveLink {
                space: HOST.to_owned(),
                name: name.clone(),
            }),
            None => {}
        }
        if let LinkKind::Veth { space, peer } = &link.kind {
            made.insert((space.clone(), peer.clone()));
        }
        made.insert((HOST.to_owned(), name.clone()));
        steps.push(Step::AddLink {
            name: name.clone(),
            link: link.clone(),
            peer,
        });
    }
    made
}

fn same_kind(old: &LinkKind, new: &LinkKind) -> bool {
    match (old, new) {
        (
            LinkKind::Veth { .. } | LinkKind::Inner { .. },
            LinkKind::Veth { .. } | LinkKind::Inner { .. },
        ) => true,
        (old, new) => old == new,
    }
}

fn filters(steps: &mut Vec<Step>, name: &str, space: &Space, known: Known<'_>) {
    let nothing = Tables::new();
    let before = known.tables.get(name).unwrap_or(&nothing);
    let script = tables::script(before, &space.tables, known.may_remove);
    if !script.is_empty() {
        steps.push(Step::Tables {
            space: name.to_owned(),
            script,
            tables: space.tables.clone(),
        });
    }
}

fn shape_links(steps: &mut Vec<Step>, name: &str, space: &Space, found: &Space, made: &Made) {
    for (link_name, link) in &space.links {
        let fresh = made.contains(&(name.to_owned(), link_name.clone()));
        let old = found.links.get(link_name).filter(|_| !fresh);
        let ours = link.kind != LinkKind::Loopback && old.is_none_or(is_ours);
        if ours && old.is_none_or(|old| !same_shape(old, link)) {
            steps.push(Step::ShapeLink {
                space: name.to_owned(),
                name: link_name.clone(),
                link: link.clone(),
            });
        }
    }
}

const fn is_ours(link: &Link) -> bool {
    !matches!(link.kind, LinkKind::Foreign(_))
}

fn same_shape(old: &Link, new: &Link) -> bool {
    let mac = new.mac.is_none_or(|mac| old.mac == Some(mac));
    let mtu = new.mtu.is_none_or(|mtu| old.mtu == Some(mtu));
    let port = old.suppress == new.suppress && old.learning == new.learning;
    mac && mtu && old.bridge == new.bridge && (port || new.bridge.is_none())
}

/// Forwarding entries, then the switch, then what needs a link that is on.
fn entries(
    steps: &mut Vec<Step>,
    name: &str,
    (space, found): (&Space, &Space),
    may_remove: bool,
    made: &Made,
) {
    let fresh = |link: &str| made.contains(&(name.to_owned(), link.to_owned()));
    let own = name.to_owned();
    let forwards = of_links(&space.forwards, &found.forwards, may_remove, &fresh);
    steps.extend(forwards.map(|(link, change)| Step::Forwards {
        space: own.clone(),
        link,
        change,
    }));
    let neighbours = of_links(&space.neighbours, &found.neighbours, may_remove, &fresh);
    steps.extend(neighbours.map(|(link, change)| Step::Neighbours {
        space: own.clone(),
        link,
        change,
    }));
    let mut news: Vec<(String, Vec<IpAddr>)> = Vec::new();
    let addresses = change(&space.addresses, &found.addresses, may_remove, &|entry| {
        fresh(&entry.link)
    });
    for change in by_link(addresses) {
        if let Some(first) = change.add.first() {
            let ips = change.add.iter().map(|address| address.net.addr());
            news.push((first.link.clone(), ips.collect()));
        }
        steps.push(Step::Addresses(own.clone(), change));
    }
    limit(steps, name, (space, found), may_remove, &fresh);
    let switch = |(link_name, link): &(&String, &Link)| {
        let was = found.links.get(*link_name).filter(|_| !fresh(link_name));
        let up = link.up && is_led(link_name, link, (space, found), &fresh);
        let differs = was.is_none_or(is_ours) && was.is_some_and(|was| was.up) != up;
        differs.then(|| Step::SwitchLink {
            space: own.clone(),
            name: (*link_name).clone(),
            up,
        })
    };
    // A way round is open before anybody is led there, and whoever is to be led there is before it is let in. The ways to a
    // trunk open a round later.
    let (ways, others): (Vec<_>, Vec<_>) = (space.links.iter()).partition(|(_, link)| is_way(link));
    steps.extend(ways.iter().filter_map(switch));
    lead_by_tag(steps, name, (space, found), &fresh);
    lead_round(steps, name, (space, found), &fresh);
    steps.extend(others.iter().filter_map(switch));
    let routes = change(&space.routes, &found.routes, may_remove, &|entry| {
        entry.link.as_deref().is_some_and(fresh)
    });
    if let Some(change) = routes {
        steps.push(Step::Routes(own.clone(), change));
    }
    for (link, ips) in news {
        let space = own.clone();
        steps.push(Step::Announce { space, link, ips });
    }
}

/// What is missing and what is too much of each link's entries, which are often the very same. So one link's trouble is
/// not another one's.
fn of_links<'a, T: Ord + Copy>(
    wanted: &'a Entries<T>,
    found: &'a Entries<T>,
    may_remove: bool,
    fresh: &'a dyn Fn(&str) -> bool,
) -> impl Iterator<Item = (String, Change<T>)> {
    let gone = found.keys().filter(|link| !wanted.contains_key(*link));
    wanted.keys().chain(gone).filter_map(move |link| {
        let nothing = Arc::default();
        let (wanted, found) = (wanted.get(link), found.get(link));
        let (wanted, found) = (wanted.unwrap_or(&nothing), found.unwrap_or(&nothing));
        let fresh = fresh(link);
        if !fresh && Arc::ptr_eq(wanted, found) {
            return None;
        }
        let change = change(wanted, found, may_remove, &|_| fresh)?;
        Some((link.clone(), change))
    })
}

/// Whether packets are led by the link on their way from or to another one.
const fn is_way(link: &Link) -> bool {
    matches!(link.kind, LinkKind::Ifb | LinkKind::Inner { .. })
}

/// Whether nothing that comes in at a link stays on the host: an end that leads to a trunk is in no bridge, and what is not
/// led on from it would be the host's own. So it is on only while what leads on is seen there: the round after it was put there.
fn is_led(
    name: &str,
    link: &Link,
    (space, found): (&Space, &Space),
    fresh: &dyn Fn(&str) -> bool,
) -> bool {
    let Some(Tags::On { link: to, .. }) = space.tags.get(name) else {
        return !matches!(link.kind, LinkKind::Inner { .. });
    };
    let anew = fresh(name) || fresh(to);
    !anew && found.tags.get(name) == space.tags.get(name)
}

/// A change of addresses as one per link.
fn by_link(all: Option<Change<Address>>) -> Vec<Change<Address>> {
    let mut links: BTreeMap<String, Change<Address>> = BTreeMap::new();
    let Some(Change { remove, add }) = all else {
        return Vec::new();
    };
    let nothing = || Change {
        remove: Vec::new(),
        add: Vec::new(),
    };
    for entry in remove {
        let link = links.entry(entry.link.clone());
        link.or_insert_with(nothing).remove.push(entry);
    }
    for entry in add {
        let link = links.entry(entry.link.clone());
        link.or_insert_with(nothing).add.push(entry);
    }
    links.into_values().collect()
}

/// What is missing and what is too much; entries of a link that is made anew went with the old one.
fn change<T: Ord + Clone>(
    wanted: &BTreeSet<T>,
    found: &BTreeSet<T>,
    may_remove: bool,
    fresh: &dyn Fn(&T) -> bool,
) -> Option<Change<T>> {
    let add: Vec<_> = wanted
        .iter()
        .filter(|entry| fresh(entry) || !found.contains(*entry))
        .cloned()
        .collect();
    let extra = found
        .iter()
        .filter(|entry| !fresh(entry) && !wanted.contains(*entry));
    let remove: Vec<_> = extra.filter(|_| may_remove).cloned().collect();
    (!add.is_empty() || !remove.is_empty()).then_some(Change { remove, add })
}

#[cfg(test)]
mod tests;
