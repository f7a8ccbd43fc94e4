//! The door of a link (`ingress`): filters that see what comes in before anybody else does. First that of tags, then the
//! one that leads round; nobody else's stay.

use std::io;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{TcAttribute, TcFilterBpf, TcHandle, TcMessage};
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL};

use super::change::is_gone;
use super::netlink::Route;

/// The kernel's word for it.
pub const DOOR: &str = "ingress";
/// What is attached to a link's door.
const AT_DOOR: TcHandle = TcHandle {
    major: 0xffff,
    minor: 0,
};
/// The number of the filter of tags among those of its turn.
const FIRST: TcHandle = TcHandle { major: 0, minor: 1 };
/// Every protocol, in the order of the network (`ETH_P_ALL`).
const ANY_PROTOCOL: u16 = 3_u16.to_be();

/// When a filter has its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// First tags are looked at.
    Tags = 1,
    /// Then the rest is led round.
    Detour = 2,
}

/// The turn, and the protocol, as a filter's header has them.
fn info(turn: Turn) -> u32 {
    ((turn as u32) << 16) | u32::from(ANY_PROTOCOL)
}

/// A message about a link.
pub fn of_link(route: &mut Route, link: &str) -> io::Result<TcMessage> {
    let index = i32::try_from(route.index(link)?).map_err(io::Error::other)?;
    Ok(TcMessage::with_index(index))
}

/// A filter of a link's door, without what it does.
pub fn filter(route: &mut Route, link: &str, turn: Turn, kind: &str) -> io::Result<TcMessage> {
    let mut filter = of_link(route, link)?;
    filter.header.parent = AT_DOOR;
    filter.header.info = info(turn);
    if turn == Turn::Tags {
        filter.header.handle = FIRST;
    }
    filter.attributes.push(TcAttribute::Kind(kind.to_owned()));
    Ok(filter)
}

fn door(route: &mut Route, link: &str) -> io::Result<TcMessage> {
    let mut door = of_link(route, link)?;
    door.header.parent = TcHandle::INGRESS;
    door.header.handle = AT_DOOR;
    door.attributes.push(TcAttribute::Kind(DOOR.to_owned()));
    Ok(door)
}

/// Makes a link's door, if it has none.
pub fn open(route: &mut Route, link: &str) -> io::Result<()> {
    let door = door(route, link)?;
    let message = RouteNetlinkMessage::NewQueueDiscipline(door);
    match route.change(message, NLM_F_CREATE | NLM_F_EXCL) {
        Err(why) if why.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// The filters of the door of the link with this number, in order.
pub fn filters(route: &mut Route, index: i32) -> io::Result<Vec<TcMessage>> {
    let mut question = TcMessage::with_index(index);
    question.header.parent = AT_DOOR;
    let answers = route.dump(RouteNetlinkMessage::GetTrafficFilter(question))?;
    let found = answers.into_iter().filter_map(|answer| match answer {
        RouteNetlinkMessage::NewTrafficFilter(message) => Some(message),
        _other => None,
    });
    Ok(found.collect())
}

/// Whether a filter is the one that looks at tags, or one of the kind in its turn.
pub fn is_of_tags(filter: &TcMessage) -> bool {
    let bpf = |attribute: &TcAttribute| matches!(attribute, TcAttribute::Kind(kind) if kind == TcFilterBpf::KIND);
    filter.header.info == info(Turn::Tags) && filter.attributes.iter().any(bpf)
}

/// Whether a filter is the very one that looks at tags, and not only the head of its turn.
pub fn is_first(filter: &TcMessage) -> bool {
    filter.header.handle == FIRST
}

/// Removes the filters that are so, and the door when nothing is left behind it.
pub fn clear(route: &mut Route, link: &str, which: impl Fn(&TcMessage) -> bool) -> io::Result<()> {
    let index = of_link(route, link)?.header.index;
    let mut turns: Vec<u32> = filters(route, index)?
        .iter()
        .filter(|filter| which(filter))
        .map(|filter| filter.header.info)
        .collect();
    turns.dedup();
    for info in turns {
        let mut gone = TcMessage::with_index(index);
        gone.header.parent = AT_DOOR;
        gone.header.info = info;
        over(route.change(RouteNetlinkMessage::DelTrafficFilter(gone), 0))?;
    }
    if filters(route, index)?.is_empty() {
        let door = door(route, link)?;
        over(route.change(RouteNetlinkMessage::DelQueueDiscipline(door), 0))?;
    }
    Ok(())
}

/// What is not there need not be removed. The kernel calls that of a link without a door of its own invalid.
pub fn over(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(why) if is_gone(&why) || why.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        other => other,
    }
}
