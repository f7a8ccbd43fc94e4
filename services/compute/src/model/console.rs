//! Live consoles: what is asked of a host, and how what users type travels to it.

use serde::{Deserialize, Serialize};

/// The feed's word for a call to a server's console; the id is the server's, the generation grows with each call.
pub const KIND_CALL: &str = "console-call";

/// A console that one can type into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConsoleKind {
    /// The first serial port.
    Serial,
    /// The screen, as RFB (VNC).
    Vnc,
}

impl ConsoleKind {
    /// Its word in the API and in the database.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Serial => "serial",
            Self::Vnc => "vnc",
        }
    }

    /// The kind of this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Serial, Self::Vnc]
            .into_iter()
            .find(|kind| kind.word() == word)
    }
}

/// A call: the host opens the console and brings it to the session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsoleCall {
    /// Who waits for it; nobody can guess it.
    pub session: String,
    /// Which one.
    pub console: ConsoleKind,
}

/// The largest piece of what users type, in bytes.
pub const FRAME_BYTES: usize = 64 * 1024;

/// A piece of what users type, with its length before it; an empty one only says that somebody is there.
#[must_use]
pub fn frame(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(bytes);
    framed
}

/// The length of the frame that `bytes` begin with, when it is there.
#[must_use]
pub fn frame_length(bytes: &[u8]) -> Option<usize> {
    let head = bytes.get(..4)?.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(head)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_says_how_long_it_is() {
        assert_eq!(frame(b"ab"), [0, 0, 0, 2, b'a', b'b']);
        assert_eq!(frame_length(&frame(&[7; 300])), Some(300));
        assert_eq!(frame_length(&frame(b"")), Some(0));
        assert_eq!(frame_length(&[0, 0, 1]), None);
        assert_eq!(ConsoleKind::parse("vnc"), Some(ConsoleKind::Vnc));
        assert_eq!(ConsoleKind::parse("rdp"), None);
    }
}
