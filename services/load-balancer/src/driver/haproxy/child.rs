//! A child process with a deadline, and what it complains of.

use std::io::{Read as _, Seek as _};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A child that takes longer is killed.
const DEADLINE: Duration = Duration::from_secs(20);
/// How often it is looked after.
const TICK: Duration = Duration::from_millis(2);
/// Most that is read of what it says.
const OUTPUT_BYTES: u64 = 64 * 1024;
/// Most that is told of it.
const WORDS: usize = 500;

/// Its output, or what it complained of. It must go to files, because a daemon that it leaves behind may hold them open.
pub fn run(program: &str, args: &[&str]) -> Result<String, String> {
    let lost = |why: std::io::Error| format!("{program} is lost: {why}");
    let (mut out, mut err) = (file().map_err(lost)?, file().map_err(lost)?);
    let mut child = Command::new(program)
        .args(args)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(out.try_clone().map_err(lost)?)
        .stderr(err.try_clone().map_err(lost)?)
        .spawn()
        .map_err(|why| format!("{program} does not start: {why}"))?;
    let mut waited = Duration::ZERO;
    let status = loop {
        match child.try_wait().map_err(lost)? {
            Some(status) => break status,
            None if waited < DEADLINE => {
                std::thread::sleep(TICK);
                waited += TICK;
            }
            None => {
                let _dead = child.kill();
                let _reaped = child.wait();
                return Err(format!("{program} did not end in time"));
            }
        }
    };
    if status.success() {
        return read(&mut out).map_err(lost);
    }
    let said = read(&mut err).map_err(lost)?;
    let words = complaint(&said);
    Err(if words.is_empty() {
        format!("{program} ended with {status}")
    } else {
        words
    })
}

/// A file without a name.
fn file() -> std::io::Result<std::fs::File> {
    let name = c"load-balancer";
    let flags = nix::sys::memfd::MFdFlags::MFD_CLOEXEC;
    Ok(nix::sys::memfd::memfd_create(name, flags)?.into())
}

fn read(file: &mut std::fs::File) -> std::io::Result<String> {
    file.rewind()?;
    let mut bytes = Vec::new();
    file.take(OUTPUT_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What of many words says why: haproxy's alarms, else the first lines.
fn complaint(said: &str) -> String {
    let alarms = said.lines().filter(|line| line.starts_with("[ALERT]"));
    let alarms = alarms.filter_map(|line| line.split_once(") : ").map(|(_, words)| words.trim()));
    let mut chosen: Vec<&str> = alarms.take(3).collect();
    if chosen.is_empty() {
        chosen = said.lines().map(str::trim).take(3).collect();
    }
    chosen.join("; ").chars().take(WORDS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_found_among_many_words() {
        let said = "[NOTICE]   (1) : haproxy version is 2.6\n[WARNING]  (1) : odd\n\
            [ALERT]    (1) : Binding [10.0.0.5:80] for frontend x: cannot bind socket\n[ALERT]    (1) : sorry\n";
        assert_eq!(
            complaint(said),
            "Binding [10.0.0.5:80] for frontend x: cannot bind socket; sorry"
        );
        assert_eq!(
            complaint("nsenter: cannot open x\n"),
            "nsenter: cannot open x"
        );
        assert_eq!(complaint(&"x".repeat(1000)).len(), 500);
    }

    #[test]
    fn what_a_child_says_is_given_back_and_one_that_is_not_there_is_named() {
        assert_eq!(run("echo", &["fine"]).unwrap(), "fine\n");
        let why = run("nephos-no-such-program", &[]).unwrap_err();
        assert!(
            why.starts_with("nephos-no-such-program does not start"),
            "{why}"
        );
        let why = run("sh", &["-c", "echo sorry >&2; exit 3"]).unwrap_err();
        assert_eq!(why, "sorry");
    }
}
