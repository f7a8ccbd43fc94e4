//! Questions to a haproxy by its socket.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Each read or write may take so long.
const WITHIN: Duration = Duration::from_secs(2);
/// Longest answer that is read.
const ANSWER_BYTES: u64 = 16 * 1024 * 1024;

/// One question, its whole answer.
pub fn ask(socket: &Path, question: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(WITHIN))?;
    stream.set_write_timeout(Some(WITHIN))?;
    stream.write_all(format!("{question}\n").as_bytes())?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES).read_to_string(&mut answer)?;
    Ok(answer)
}

/// Whether nobody is at the other end, as opposed to somebody who does not answer.
pub fn is_dead(why: &io::Error) -> bool {
    matches!(
        why.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

/// A value of `show info`.
pub fn value<'a>(info: &'a str, key: &str) -> Option<&'a str> {
    let mut lines = info.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(name, _)| *name == key).map(|(_, value)| value)
}
