//! Where wake-ups go. The database hands them over after a commit; the bus carries them.

use nephos_types::Wake;

/// Takes wake-ups. It must not block and may lose them: everybody who listens also polls.
pub trait WakeSink: Send + Sync + 'static {
    /// Passes one on.
    fn wake(&self, wake: Wake);
}

/// Loses every wake: what remains must still work.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoWakes;

impl WakeSink for NoWakes {
    fn wake(&self, _lost: Wake) {}
}
