//! A service under test: real database, virtual clock, callers of every kind.
