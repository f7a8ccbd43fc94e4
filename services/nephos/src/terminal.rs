//! What a person reads: answers on standard output, complaints on standard error.

use std::io::Write as _;

/// One line on standard output. A reader that went away is no error of ours.
pub fn say(line: &str) {
    let _reader_gone = writeln!(std::io::stdout(), "{line}");
}

/// One line on standard error.
pub fn complain(line: &str) {
    let _reader_gone = writeln!(std::io::stderr(), "{line}");
}
