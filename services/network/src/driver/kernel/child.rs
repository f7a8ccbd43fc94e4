//! A child process with a deadline. It runs in the namespace of the thread that starts it.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A child that takes longer is killed.
const DEADLINE: Duration = Duration::from_secs(20);
/// How often it is looked after.
const TICK: Duration = Duration::from_millis(1);
/// Most that is read of its output.
const OUTPUT_BYTES: u64 = 256 * 1024 * 1024;

/// Its output, or what it complained of.
pub fn run(program: &str, args: &[&str], input: &str) -> Result<Vec<u8>, String> {
    let mut child = Command::new(program)
        .args(args)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|why| format!("{program} does not start: {why}"))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    // Read aside, so that neither side ever waits for the other.
    let out = std::thread::spawn(move || read(out));
    let err = std::thread::spawn(move || read(err));
    if let Some(mut stdin) = child.stdin.take() {
        let _it_says_itself_why = stdin.write_all(input.as_bytes());
    }
    let mut waited = Duration::ZERO;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if waited < DEADLINE => {
                std::thread::sleep(TICK);
                waited += TICK;
            }
            Ok(None) => {
                let _dead = child.kill();
                let _reaped = child.wait();
                return Err(format!("{program} did not end in time"));
            }
            Err(why) => return Err(format!("{program} is lost: {why}")),
        }
    };
    let (out, err) = (
        out.join().unwrap_or_default(),
        err.join().unwrap_or_default(),
    );
    if status.success() {
        return Ok(out);
    }
    let text = String::from_utf8_lossy(&err);
    let text: Vec<_> = text.lines().take(3).collect();
    let text: String = text.join("; ").chars().take(500).collect();
    Err(if text.is_empty() {
        format!("{program} ended with {status}")
    } else {
        text
    })
}

fn read(from: Option<impl std::io::Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        let _what_there_was = from.take(OUTPUT_BYTES).read_to_end(&mut bytes);
    }
    bytes
}
