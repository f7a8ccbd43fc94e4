//! Questions to a haproxy by its socket.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use nephos_runtime::Clock;

/// A question may take so long, to the last byte of its answer.
const WITHIN: Duration = Duration::from_secs(2);
/// Longest answer that is read.
const ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// Who is hung up on asks again after this long.
const AGAIN: Duration = Duration::from_millis(10);

/// One question, its whole answer. A process that another one has just replaced shares the socket for a moment, and hangs up
/// on whoever has come to it.
pub fn ask(socket: &Path, question: &str) -> io::Result<String> {
    let clock = Clock::system();
    loop {
        match ask_once(&clock, socket, question) {
            Err(why) if hangs_up(&why) && clock.monotonic() < WITHIN => std::thread::sleep(AGAIN),
            answer => return answer,
        }
    }
}

fn hangs_up(why: &io::Error) -> bool {
    matches!(
        why.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

fn ask_once(clock: &Clock, socket: &Path, question: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_write_timeout(Some(WITHIN))?;
    stream.write_all(format!("{question}\n").as_bytes())?;
    let (mut answer, mut some) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        let left = WITHIN.saturating_sub(clock.monotonic());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let count = match stream.read(&mut some) {
            Err(why) if why.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        answer.extend_from_slice(some.get(..count).unwrap_or_default());
        if count == 0 || answer.len() >= ANSWER_BYTES {
            break;
        }
    }
    String::from_utf8(answer).map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))
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

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn who_answers_a_byte_now_and_then_is_not_listened_to_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("s");
        let listener = UnixListener::bind(&file).unwrap();
        let slow = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // Until the other side hangs up.
            while stream.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let clock = Clock::system();
        assert!(ask(&file, "show info").is_err());
        assert!(clock.monotonic() < WITHIN * 3);
        slow.join().unwrap();
    }
}
