//! A conversation with the kernel about links, addresses, routes and neighbours: one question, its whole answer.

use std::collections::HashMap;
use std::io;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage};
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use rtnetlink::sys::protocols::NETLINK_ROUTE;
use rtnetlink::sys::{Socket, SocketAddr};

/// Room for the answers to a large question.
const BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// A socket in the namespace in which it was opened.
pub struct Route {
    socket: Socket,
    sequence: u32,
    indexes: HashMap<String, u32>,
}

impl Route {
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        let _smaller_will_do = socket.set_rx_buf_sz(BUFFER_BYTES);
        Ok(Self {
            socket,
            sequence: 0,
            indexes: HashMap::new(),
        })
    }

    /// Everything of a kind.
    pub fn dump(&mut self, question: RouteNetlinkMessage) -> io::Result<Vec<RouteNetlinkMessage>> {
        self.exchange(question, NLM_F_REQUEST | NLM_F_DUMP)
    }

    /// A change; `flags` beside those that every change has.
    pub fn change(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.exchange(message, NLM_F_REQUEST | NLM_F_ACK | flags)
            .map(|_| ())
    }

    /// The number of a link.
    pub fn index(&mut self, name: &str) -> io::Result<u32> {
        if let Some(index) = self.indexes.get(name) {
            return Ok(*index);
        }
        let index = self.link(name)?.header.index;
        self.indexes.insert(name.to_owned(), index);
        Ok(index)
    }

    /// A link, by name.
    pub fn link(&mut self, name: &str) -> io::Result<LinkMessage> {
        let mut question = LinkMessage::default();
        question
            .attributes
            .push(LinkAttribute::IfName(name.to_owned()));
        let answers = self.exchange(
            RouteNetlinkMessage::GetLink(question),
            NLM_F_REQUEST | NLM_F_ACK,
        )?;
        let found = answers.into_iter().find_map(|answer| match answer {
            RouteNetlinkMessage::NewLink(link) => Some(link),
            _other => None,
        });
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn exchange(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> io::Result<Vec<RouteNetlinkMessage>> {
        self.sequence += 1;
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        header.sequence_number = self.sequence;
        let mut question = NetlinkMessage::new(header, NetlinkPayload::from(message));
        question.finalize();
        let mut bytes = vec![0; question.buffer_len()];
        question.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        let mut answers = Vec::new();
        loop {
            let (bytes, _from) = self.socket.recv_from_full()?;
            if self.take_in(&bytes, &mut answers)? {
                return Ok(answers);
            }
        }
    }

    /// Whether that was the end.
    fn take_in(&self, bytes: &[u8], answers: &mut Vec<RouteNetlinkMessage>) -> io::Result<bool> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let length = rest
                .get(..4)
                .and_then(|four| <[u8; 4]>::try_from(four).ok());
            let length = length.map_or(0, |four| u32::from_ne_bytes(four) as usize);
            if length < 16 || length > rest.len() {
                return Ok(false);
            }
            let (one, _) = rest.split_at(length);
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            // A message of a form that this library does not know is none of ours.
            let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(one) else {
                continue;
            };
            if message.header.sequence_number != self.sequence {
                continue;
            }
            match message.payload {
                NetlinkPayload::Done(_) => return Ok(true),
                NetlinkPayload::Error(error) => match error.code {
                    None => return Ok(true),
                    Some(_) => return Err(error.to_io()),
                },
                NetlinkPayload::InnerMessage(answer) => answers.push(answer),
                _noise => {}
            }
        }
        Ok(false)
    }
}

/// The name of a link.
pub fn name_of(link: &LinkMessage) -> Option<&str> {
    link.attributes
        .iter()
        .find_map(|attribute| match attribute {
            LinkAttribute::IfName(name) => Some(name.as_str()),
            _other => None,
        })
}
