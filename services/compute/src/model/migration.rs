//! A server's way to another host or another size, and back.
//!
//! ```text
//!   PRE-MIGRATING ──► MIGRATING ──► POST-MIGRATING ──► FINISHED ──► CONFIRMING ──► confirmed
//!         │               │               │               │
//!         └───────────────┴───────────────┴───────────────┴──► REVERTING ──► reverted, error
//! ```
//!
//! A guest that moves while it runs goes another way:
//!
//! ```text
//!   PREPARING ──► RUNNING ──► POST-MIGRATING ──► completed
//!       │            │               ▲
//!       └────────────┴──► REVERTING ─┴──► error, cancelled
//! ```
//!
//! Until its end the migration holds the room that the server had before, and its former host keeps the disk.

use nephos_types::Timestamp;

use super::flavor::Flavor;
use super::quota::Usage;
use super::server::Server;
use super::spec::ServerId;

/// What kind of move it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Another size, wherever it has room.
    Resize,
    /// Another host.
    Migration,
    /// Away from a lost host.
    Evacuation,
    /// Another host, while it runs.
    Live,
}

impl Kind {
    /// Nova's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Resize => "resize",
            Self::Migration => "migration",
            Self::Evacuation => "evacuation",
            Self::Live => "live-migration",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Resize, Self::Migration, Self::Evacuation, Self::Live]
            .into_iter()
            .find(|kind| kind.word() == word)
    }
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Room is looked for.
    PreMigrating,
    /// The guest is stopped, and its disk made ready.
    Migrating,
    /// The server is made where, or as large as, it should be.
    PostMigrating,
    /// Its owner decides.
    Finished,
    /// What it was goes.
    Confirming,
    /// It stays.
    Confirmed,
    /// It becomes again what it was.
    Reverting,
    /// It is again what it was.
    Reverted,
    /// It could not be, and the server is what it was.
    Error,
    /// An evacuation is under way.
    Accepted,
    /// An evacuation came to its end.
    Done,
    /// An evacuation did not.
    Failed,
    /// A guest that runs: room is looked for, and made ready.
    Preparing,
    /// It is on its way.
    Running,
    /// It is where it was to go.
    Completed,
    /// It stays where it is, because somebody wanted it so.
    Cancelled,
}

impl Status {
    const ALL: [Self; 16] = [
        Self::PreMigrating,
        Self::Migrating,
        Self::PostMigrating,
        Self::Finished,
        Self::Confirming,
        Self::Confirmed,
        Self::Reverting,
        Self::Reverted,
        Self::Error,
        Self::Accepted,
        Self::Done,
        Self::Failed,
        Self::Preparing,
        Self::Running,
        Self::Completed,
        Self::Cancelled,
    ];

    /// Nova's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::PreMigrating => "pre-migrating",
            Self::Migrating => "migrating",
            Self::PostMigrating => "post-migrating",
            Self::Finished => "finished",
            Self::Confirming => "confirming",
            Self::Confirmed => "confirmed",
            Self::Reverting => "reverting",
            Self::Reverted => "reverted",
            Self::Error => "error",
            Self::Accepted => "accepted",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Preparing => "preparing",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.word() == word)
    }
}

/// A step within a status that must be remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing yet.
    Begun,
    /// The host that the server leaves was told so.
    Told,
    /// A guest that runs stays where it is: the other host was told so.
    Decided,
    /// It has left it.
    Left,
    /// The server's room is again its former one.
    Reclaimed,
}

impl Phase {
    /// The word in the database.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Told => "told",
            Self::Decided => "decided",
            Self::Left => "left",
            Self::Reclaimed => "reclaimed",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [
            Self::Begun,
            Self::Told,
            Self::Decided,
            Self::Left,
            Self::Reclaimed,
        ]
        .into_iter()
        .find(|phase| phase.word() == word)
    }
}

/// A move of a server.
#[derive(Clone, Debug, PartialEq)]
pub struct Migration {
    /// Its number, which the API shows.
    pub id: i64,
    /// Its id; also the consumer that holds the server's former room.
    pub uuid: String,
    /// Whose move.
    pub server_id: ServerId,
    /// Whose server.
    pub project_id: String,
    /// Who asked.
    pub user_id: String,
    /// What kind.
    pub kind: Kind,
    /// How far.
    pub status: Status,
    /// How far within the status.
    pub phase: Phase,
    /// Where it was.
    pub source_host: String,
    /// Where it goes, once that is known.
    pub dest_host: Option<String>,
    /// Where an admin wants it to go.
    pub wanted_host: Option<String>,
    /// How large it was.
    pub old_flavor: Flavor,
    /// How large it becomes.
    pub new_flavor: Flavor,
    /// The epoch of the disk that it had.
    pub old_epoch: i64,
    /// What its host should make of it before and after: `running`, `stopped`.
    pub old_want: String,
    /// Version of what the former host was told last.
    pub source_generation: i64,
    /// What a guest that moves while it runs is known by to its two hosts, and to nobody else.
    pub session: String,
    /// vCPUs that it holds of the quota beside what the server uses as it is now.
    pub extra_cores: i64,
    /// MiB, likewise.
    pub extra_ram: i64,
    /// Why it is taken back by itself.
    pub message: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

impl Migration {
    /// Whether the server stays on its host.
    #[must_use]
    pub fn stays(&self) -> bool {
        self.dest_host.as_ref() == Some(&self.source_host)
    }

    /// The host that has something of the server and is not its own: the one that keeps the former disk, or the one that
    /// a guest comes to while it runs.
    #[must_use]
    pub fn left_behind(&self, server: &Server) -> Option<&str> {
        if server.host.as_ref() != Some(&self.source_host) {
            return Some(self.source_host.as_str());
        }
        self.dest_host
            .as_deref()
            .filter(|_| self.kind == Kind::Live)
    }

    /// Whether a guest is on its way while it runs, as Nova counts it.
    #[must_use]
    pub fn is_on_its_way(&self) -> bool {
        let under_way = [Status::Preparing, Status::Running, Status::PostMigrating];
        self.kind == Kind::Live && under_way.contains(&self.status)
    }

    /// Turns to a status, from its beginning.
    pub fn turn_to(&mut self, status: Status) {
        self.status = status;
        self.phase = Phase::Begun;
    }

    /// What of the quota is held beside what a server of this size uses: both sizes are paid for until one is given up.
    pub fn hold_beside(&mut self, flavor: &Flavor) {
        let larger = |a: u64, b: u64| i64::try_from(a.max(b)).unwrap_or(i64::MAX);
        let amount = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let (old, new) = (&self.old_flavor, &self.new_flavor);
        self.extra_cores =
            larger(u64::from(old.vcpus), u64::from(new.vcpus)) - amount(u64::from(flavor.vcpus));
        self.extra_ram = larger(old.ram_mib, new.ram_mib) - amount(flavor.ram_mib);
    }

    /// It as quota usage.
    #[must_use]
    pub const fn extra(&self) -> Usage {
        Usage {
            instances: 0,
            cores: self.extra_cores,
            ram: self.extra_ram,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_as_what_wrote_it() {
        for status in Status::ALL {
            assert_eq!(Status::parse(status.word()), Some(status));
        }
        for phase in [
            Phase::Begun,
            Phase::Told,
            Phase::Decided,
            Phase::Left,
            Phase::Reclaimed,
        ] {
            assert_eq!(Phase::parse(phase.word()), Some(phase));
        }
        for kind in [Kind::Resize, Kind::Migration, Kind::Evacuation, Kind::Live] {
            assert_eq!(Kind::parse(kind.word()), Some(kind));
        }
        assert_eq!(Status::parse("elsewhere"), None);
    }
}
