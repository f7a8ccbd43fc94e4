//! Crash points: named places before and after every side effect, where a test may end the process.
//!
//! Off (always, unless a test or the torture run asks), a crash point is one relaxed atomic load.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

static ARMED: AtomicU8 = AtomicU8::new(0);
static STATE: Mutex<State> = Mutex::new(State {
    mode: Mode::Off,
    hits: 0,
    seen: Vec::new(),
});

/// What a crash point does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nothing.
    Off,
    /// Notes its name; the list of what was hit, in order, is the list of cases.
    Record,
    /// Unwinds the task at the `nth` hit (from 1) of `name`: a crash in milliseconds, for service tests.
    Unwind {
        /// The crash point.
        name: String,
        /// Which hit of it, from 1.
        nth: u32,
    },
    /// Kills the process with SIGKILL at the `nth` hit (from 1) of `name`.
    Kill {
        /// The crash point.
        name: String,
        /// Which hit of it, from 1.
        nth: u32,
    },
}

struct State {
    mode: Mode,
    hits: u32,
    seen: Vec<&'static str>,
}

/// The payload of the unwinding of [`Mode::Unwind`]; a test recognises its own crash by it.
#[derive(Clone, Copy, Debug)]
pub struct Crashed(pub &'static str);

/// Sets the mode for the whole process and forgets what was recorded.
pub fn set(mode: Mode) {
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    ARMED.store(u8::from(mode != Mode::Off), Ordering::SeqCst);
    *state = State {
        mode,
        hits: 0,
        seen: Vec::new(),
    };
}

/// The crash points hit since [`Mode::Record`] was set, in order.
#[must_use]
pub fn recorded() -> Vec<&'static str> {
    STATE
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .seen
        .clone()
}

/// Reads a mode from text: `kill:NAME`, `kill:NAME:3`, `record`.
#[must_use]
pub fn parse(text: &str) -> Option<Mode> {
    if text == "record" {
        return Some(Mode::Record);
    }
    let rest = text.strip_prefix("kill:")?;
    let (name, nth) = match rest.rsplit_once(':') {
        Some((name, nth)) => (name, nth.parse().ok()?),
        None => (rest, 1),
    };
    Some(Mode::Kill {
        name: name.to_owned(),
        nth,
    })
}

/// What [`crash_point!`](crate::crash_point) calls.
pub fn point(name: &'static str) {
    if ARMED.load(Ordering::Relaxed) != 0 {
        armed(name);
    }
}

#[cold]
fn armed(name: &'static str) {
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    let due = match state.mode.clone() {
        Mode::Off => return,
        Mode::Record => {
            state.seen.push(name);
            return;
        }
        Mode::Unwind { name: wanted, nth } | Mode::Kill { name: wanted, nth } => {
            if wanted != name {
                return;
            }
            state.hits += 1;
            state.hits == nth
        }
    };
    if !due {
        return;
    }
    let kill = matches!(state.mode, Mode::Kill { .. });
    state.mode = Mode::Off;
    ARMED.store(0, Ordering::SeqCst);
    drop(state);
    if kill {
        let _dies =
            nix::sys::signal::kill(nix::unistd::getpid(), nix::sys::signal::Signal::SIGKILL);
    }
    std::panic::resume_unwind(Box::new(Crashed(name)));
}

/// A place where a test may kill the process: one before and one after every side effect.
#[macro_export]
macro_rules! crash_point {
    ($name:literal) => {
        $crate::crash::point($name)
    };
}
