//! How fast packets pass links: a token bucket (`tbf`) where they leave. What comes in is led round by a link of its own
//! (`ingress`, `u32`, `mirred`), and limited where it leaves that one.

use std::collections::BTreeMap;
use std::io;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{
    TcAction, TcActionAttribute, TcActionMirror, TcActionMirrorOption, TcActionOption,
    TcActionType, TcAttribute, TcFilterU32, TcFilterU32Option, TcHandle, TcMessage, TcMirror,
    TcMirrorActionType, TcOption, TcU32Key, TcU32Selector, TcU32SelectorFlags,
};
use rtnetlink::packet_core::{DefaultNla, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, Nla as _};

use super::door::{self, DOOR, Turn, of_link, over};
use super::netlink::Route;
use super::tags;
use crate::driver::plane::{LinkKind, Rate, Space};

const BUCKET: &str = "tbf";
/// A bucket's parameters (`TCA_TBF_PARMS`), a rate that needs more than 32 bits, the burst in bytes.
const PARAMETERS: u16 = 1;
const RATE_64: u16 = 4;
const BURST: u16 = 6;
/// The attribute that options are in (`TCA_OPTIONS`).
const OPTIONS: u16 = 2;
/// The kernel counts the burst in so many nanoseconds of the rate.
const TICK_NS: u128 = 64;
const SECOND_NS: u128 = 1_000_000_000;
/// Packets wait this long at the most, as with Neutron's agents, in parts of a second.
const LATENCY: u64 = 20;
/// There is always room for some whole packets.
const LEAST_QUEUE: u64 = 16 * 1024;

/// Limits how fast packets leave by a link.
pub fn limit(link: &str, rate: Option<&Rate>) -> io::Result<()> {
    let mut route = Route::open()?;
    let mut message = of_link(&mut route, link)?;
    message.header.parent = TcHandle::ROOT;
    let Some(rate) = rate else {
        return over(route.change(RouteNetlinkMessage::DelQueueDiscipline(message), 0));
    };
    message
        .attributes
        .push(TcAttribute::Kind(BUCKET.to_owned()));
    message.attributes.push(TcAttribute::Options(bucket(rate)));
    // A bucket that is there already gets other parameters; anything else is replaced.
    route.change(
        RouteNetlinkMessage::NewQueueDiscipline(message),
        NLM_F_CREATE | NLM_F_REPLACE,
    )
}

/// Leads what comes in at a link round by another one.
pub fn detour(link: &str, by: Option<&str>) -> io::Result<()> {
    let mut route = Route::open()?;
    door::clear(&mut route, link, |filter| !door::is_of_tags(filter))?;
    let Some(by) = by else {
        return Ok(());
    };
    let target = route.index(by)?;
    door::open(&mut route, link)?;
    let mut filter = door::filter(&mut route, link, Turn::Detour, TcFilterU32::KIND)?;
    filter.attributes.push(TcAttribute::Options(vec![
        TcOption::U32(TcFilterU32Option::Selector(everything())),
        TcOption::U32(TcFilterU32Option::Action(vec![redirect(target)])),
    ]));
    route.change(
        RouteNetlinkMessage::NewTrafficFilter(filter),
        NLM_F_CREATE | NLM_F_EXCL,
    )
}

/// A selector that takes every packet.
fn everything() -> TcU32Selector {
    let mut selector = TcU32Selector::default();
    selector.flags = TcU32SelectorFlags::Terminal;
    selector.nkeys = 1;
    selector.keys = vec![TcU32Key::default()];
    selector
}

fn redirect(target: u32) -> TcAction {
    let mut mirror = TcMirror::default();
    mirror.generic.action = TcActionType::Stolen;
    mirror.eaction = TcMirrorActionType::EgressRedir;
    mirror.ifindex = target;
    let option = TcActionOption::Mirror(TcActionMirrorOption::Parms(mirror));
    let mut action = TcAction::default();
    action.attributes = vec![
        TcActionAttribute::Kind(TcActionMirror::KIND.to_owned()),
        TcActionAttribute::Options(vec![option]),
    ];
    action
}

/// A bucket's options: `struct tc_tbf_qopt` without the tables that kernels before 3.8 wanted.
fn bucket(rate: &Rate) -> Vec<TcOption> {
    let burst = u64::from(rate.burst);
    let queue = burst.saturating_add((rate.bytes / LATENCY).max(LEAST_QUEUE));
    let mut parameters = Vec::new();
    // Ethernet, so that nothing is added to the length of packets.
    parameters.extend([0, 1, 0, 0, 0, 0, 0, 0]);
    parameters.extend(low(rate.bytes).to_ne_bytes());
    parameters.extend([0; 12]); // no peak
    parameters.extend(low(queue).to_ne_bytes());
    parameters.extend(low(ticks(rate)).to_ne_bytes());
    parameters.extend(0_u32.to_ne_bytes());
    let mut options = vec![
        option(PARAMETERS, parameters),
        option(BURST, rate.burst.to_ne_bytes().to_vec()),
    ];
    if u32::try_from(rate.bytes).is_err() {
        options.push(option(RATE_64, rate.bytes.to_ne_bytes().to_vec()));
    }
    options
}

fn option(kind: u16, value: Vec<u8>) -> TcOption {
    TcOption::Other(DefaultNla::new(kind, value))
}

fn low(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// A burst as the kernel counts it.
fn ticks(rate: &Rate) -> u64 {
    let ns = u128::from(rate.burst) * SECOND_NS / u128::from(rate.bytes.max(1));
    u64::try_from(ns / TICK_NS).unwrap_or(u64::MAX)
}

/// The limits, detours and ways by tag of links that are in the space already.
pub fn look(
    route: &mut Route,
    names: &BTreeMap<u32, String>,
    like: &Space,
    space: &mut Space,
) -> io::Result<()> {
    let shaped = |name: &str, space: &Space| {
        let link = space.links.get(name);
        link.is_some_and(|link| {
            matches!(
                link.kind,
                LinkKind::Tap | LinkKind::Ifb | LinkKind::Veth { .. }
            )
        })
    };
    if !space.links.keys().any(|name| shaped(name, space)) {
        return Ok(());
    }
    let question = RouteNetlinkMessage::GetQueueDiscipline(TcMessage::default());
    for answer in route.dump(question)? {
        let RouteNetlinkMessage::NewQueueDiscipline(message) = answer else {
            continue;
        };
        let name = u32::try_from(message.header.index).ok();
        let name = name.and_then(|index| names.get(&index));
        let Some(name) = name.filter(|name| shaped(name, space)) else {
            continue;
        };
        match kind_of(&message) {
            Some(BUCKET) if message.header.parent == TcHandle::ROOT => {
                let rate = rate_of(&message, like.limits.get(name));
                space.limits.insert(name.clone(), rate);
            }
            Some(DOOR) => {
                let filters = door::filters(route, message.header.index)?;
                let of_tags = |filter: &TcMessage| door::is_of_tags(filter);
                let (own, others): (Vec<_>, Vec<_>) = filters.into_iter().partition(of_tags);
                let of_tags = tags::found(&own, like.tags.get(name), names);
                if !others.is_empty() || of_tags.is_none() {
                    let by = behind(&others, names);
                    space.detours.insert(name.clone(), by);
                }
                space.tags.extend(of_tags.map(|tags| (name.clone(), tags)));
            }
            _other => {}
        }
    }
    Ok(())
}

fn kind_of(message: &TcMessage) -> Option<&str> {
    message
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            TcAttribute::Kind(kind) => Some(kind.as_str()),
            _other => None,
        })
}

/// The rate of a bucket. Of the burst the kernel tells only about how long it takes; when that is as long as what is
/// wanted takes, it is what is wanted.
fn rate_of(message: &TcMessage, wanted: Option<&Rate>) -> Rate {
    let (mut bytes, mut found) = (0, 0_u64);
    for (kind, value) in options_of(message) {
        let number = |from: usize| {
            let four = value.get(from..).and_then(|rest| rest.first_chunk());
            four.map_or(0, |four| u32::from_ne_bytes(*four))
        };
        match kind {
            PARAMETERS => {
                bytes = bytes.max(u64::from(number(8)));
                found = u64::from(number(28));
            }
            RATE_64 => {
                bytes = value
                    .first_chunk()
                    .map_or(bytes, |b| u64::from_ne_bytes(*b))
            }
            _other => {}
        }
    }
    let same = |wanted: &&Rate| {
        let expected = ticks(wanted);
        wanted.bytes == bytes && expected.abs_diff(found) <= 2 + (expected >> 20)
    };
    if let Some(wanted) = wanted.filter(same) {
        return *wanted;
    }
    let burst = u128::from(found) * TICK_NS * u128::from(bytes) / SECOND_NS;
    Rate {
        bytes,
        burst: u32::try_from(burst).unwrap_or(u32::MAX),
    }
}

/// The attributes among the options of a kind that the library does not read.
fn options_of(message: &TcMessage) -> Vec<(u16, Vec<u8>)> {
    let mut found = Vec::new();
    for attribute in &message.attributes {
        let TcAttribute::Options(options) = attribute else {
            continue;
        };
        for option in options {
            let mut whole = vec![0; option.value_len()];
            option.emit_value(&mut whole);
            match option.kind() {
                OPTIONS => found.extend(attributes(&whole)),
                kind => found.push((kind, whole)),
            }
        }
    }
    found
}

/// Attributes one after the other: length, kind, value, each begun at a multiple of four.
fn attributes(mut bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut found = Vec::new();
    while let [a, b, c, d, ..] = bytes {
        let length = usize::from(u16::from_ne_bytes([*a, *b]));
        let Some(value) = bytes.get(4..length) else {
            break;
        };
        found.push((u16::from_ne_bytes([*c, *d]), value.to_vec()));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

/// Where all that comes in at a link is led by these filters; empty when that is not so, or not all of it.
fn behind(filters: &[TcMessage], names: &BTreeMap<u32, String>) -> String {
    let mut targets = Vec::new();
    for message in filters {
        for attribute in &message.attributes {
            if let TcAttribute::Options(options) = attribute {
                targets.extend(target(options));
            }
        }
    }
    match targets.as_slice() {
        [Some(target)] => names.get(target).cloned().unwrap_or_default(),
        _other => String::new(),
    }
}

/// Where a filter leads, if it is one that acts; none within: not everything, or not there.
fn target(options: &[TcOption]) -> Option<Option<u32>> {
    let mut whole = false;
    let mut actions = Vec::new();
    for option in options {
        match option {
            TcOption::U32(TcFilterU32Option::Selector(selector)) => {
                whole = selector.keys.iter().all(|key| key.mask == 0);
            }
            TcOption::U32(TcFilterU32Option::Action(found)) => actions.extend(found),
            _other => {}
        }
    }
    let [action] = actions.as_slice() else {
        return (!actions.is_empty()).then_some(None);
    };
    let mut options = action
        .attributes
        .iter()
        .filter_map(|attribute| match attribute {
            TcActionAttribute::Options(options) => Some(options),
            _other => None,
        })
        .flatten();
    let led = options.find_map(|option| match option {
        TcActionOption::Mirror(TcActionMirrorOption::Parms(parameters)) => {
            let leads = parameters.eaction == TcMirrorActionType::EgressRedir;
            leads.then_some(parameters.ifindex)
        }
        _other => None,
    });
    Some(led.filter(|_| whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(rate: &Rate) -> TcMessage {
        let mut message = TcMessage::default();
        message
            .attributes
            .push(TcAttribute::Kind(BUCKET.to_owned()));
        message.attributes.push(TcAttribute::Options(bucket(rate)));
        message
    }

    #[test]
    fn a_bucket_reads_back_as_it_was_written() {
        for rate in [
            Rate {
                bytes: 125,
                burst: 1468,
            },
            Rate {
                bytes: 250_000,
                burst: 200_000,
            },
            Rate {
                bytes: 268_435_455_875,
                burst: u32::MAX,
            },
        ] {
            let message = message(&rate);
            assert_eq!(rate_of(&message, Some(&rate)), rate);
            let found = rate_of(&message, None);
            assert_eq!(found.bytes, rate.bytes);
            let off = found.burst.abs_diff(rate.burst);
            assert!(
                u64::from(off) <= 1 + rate.bytes / 10_000_000,
                "{found:?} {rate:?}"
            );
        }
    }

    #[test]
    fn another_burst_is_not_taken_for_the_one_that_is_wanted() {
        let there = Rate {
            bytes: 250_000,
            burst: 200_000,
        };
        let wanted = Rate {
            burst: 210_000,
            ..there
        };
        assert_ne!(rate_of(&message(&there), Some(&wanted)), wanted);
    }
}
