//! Callers, tokens and the oslo.policy rule language.
