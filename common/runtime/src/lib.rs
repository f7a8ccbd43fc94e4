//! The process: configuration, logs, clock, ids, supervised tasks, signals and crash points.
