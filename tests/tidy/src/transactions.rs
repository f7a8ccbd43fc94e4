//! A transaction asks for nothing that another one may be holding.

use crate::{File, Finding};

/// Ways to a second connection of the same database.
const SECOND: [&str; 3] = [".db()", "core.db", ".write().await"];

/// Where somebody who has a transaction open asks the database for a second connection: as many as there are connections
/// at a time, and all of them wait for ever.
///
/// A transaction is open from `let mut tx = …` or a parameter `tx: &mut Tx` to `tx.commit()`, `drop(tx)` or the end of
/// the function.
#[must_use]
pub fn check_transactions(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let services = |file: &&File| file.is_rust() && file.path.starts_with("services/");
    for file in files.iter().filter(services) {
        let mut open = false;
        for (line, text) in file.code() {
            let trimmed = text.trim();
            if begins_function(trimmed) {
                open = false;
            }
            if open && let Some(second) = SECOND.iter().find(|second| trimmed.contains(**second)) {
                let what =
                    format!("`{second}` with a transaction open; read through the transaction");
                findings.push(Finding {
                    place: file.place(line),
                    what,
                });
            }
            if trimmed.starts_with("let mut tx = ") || trimmed.contains("tx: &mut Tx") {
                open = true;
            }
            if trimmed.contains("tx.commit()") || trimmed.contains("drop(tx)") {
                open = false;
            }
        }
    }
    findings
}

fn begins_function(line: &str) -> bool {
    let words = ["fn ", "pub fn ", "async fn ", "pub async fn "];
    let line = line
        .strip_prefix("pub(crate) ")
        .or_else(|| line.strip_prefix("pub(super) "))
        .unwrap_or(line);
    words.iter().any(|words| line.starts_with(words))
}
