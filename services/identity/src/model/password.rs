//! Which passwords are taken, and when an account is locked.

use nephos_types::Timestamp;

/// Longer ones are refused unread: hashing them would be work for a stranger's whim.
pub(crate) const MAX_BYTES: usize = 4096;

/// Failed log-ins of one account.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Failures {
    pub failures: i64,
    pub last_at: Timestamp,
}

/// When an account is locked: after so many failures in a row, for so long after the last one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lockout {
    /// 0: never.
    pub tries: i64,
    pub secs: i64,
}

impl Lockout {
    /// Whether the account is locked now.
    pub(crate) fn locks(self, seen: Failures, now: Timestamp) -> bool {
        self.tries > 0 && seen.failures >= self.tries && !self.over(seen, now)
    }

    fn over(self, seen: Failures, now: Timestamp) -> bool {
        seen.last_at.plus_secs(self.secs) < now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_begins_with_the_last_try_and_ends_after_its_time() {
        let lockout = Lockout { tries: 2, secs: 5 };
        let at = |secs| Timestamp(0).plus_secs(secs);
        let seen = |failures| Failures {
            failures,
            last_at: at(11),
        };
        assert!(!lockout.locks(seen(1), at(11)));
        assert!(lockout.locks(seen(2), at(16)));
        assert!(!lockout.locks(seen(2), at(17)));
    }

    #[test]
    fn without_a_limit_nothing_is_locked() {
        let seen = Failures {
            failures: 99,
            last_at: Timestamp(0),
        };
        assert!(!Lockout { tries: 0, secs: 5 }.locks(seen, Timestamp(0)));
    }
}
