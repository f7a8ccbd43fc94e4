//! Octavia's two statuses of everything.

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// As the API and the database write it.
            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// Likewise, back.
            pub(crate) fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _other => None }
            }
        }
    };
}

words! {
    /// Whether what was asked for is carried out.
    Provisioning {
        /// It is.
        Active = "ACTIVE",
        /// It is being made.
        PendingCreate = "PENDING_CREATE",
        /// It is being changed.
        PendingUpdate = "PENDING_UPDATE",
        /// It is being removed.
        PendingDelete = "PENDING_DELETE",
        /// It could not be carried out; the next change tries again.
        Error = "ERROR",
    }
}

words! {
    /// Whether it works.
    Operating {
        /// It does.
        Online = "ONLINE",
        /// It is not enabled, or nobody has seen it yet.
        Offline = "OFFLINE",
        /// In part.
        Degraded = "DEGRADED",
        /// It does not.
        Error = "ERROR",
        /// A member that nobody looks after.
        NoMonitor = "NO_MONITOR",
        /// A member that gets nobody new.
        Draining = "DRAINING",
    }
}
