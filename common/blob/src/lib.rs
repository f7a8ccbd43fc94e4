//! Byte stores: a stream in, a range out, visible whole or not at all.
