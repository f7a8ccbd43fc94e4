//! The orchestration service as clients see it.
