//! Rows that are written together.

use crate::Arg;
use crate::query::Sql;

/// Rows written by one statement at most.
const ROWS: usize = 64;

/// Statements that write these rows, with their values: `head VALUES (…), (…) tail`. Each is of a power of two of rows, or
/// of three, so that there are few different texts, each of which is prepared once.
pub(crate) fn of_rows(head: &str, rows: &[Vec<Arg>], tail: &str) -> Vec<(Sql, Vec<Arg>)> {
    let mut statements = Vec::new();
    let mut left = rows;
    while !left.is_empty() {
        let fits = match left.len() {
            three @ 3 => three,
            many => (many + 1).next_power_of_two() / 2,
        };
        let (some, rest) = left.split_at(fits.min(ROWS));
        left = rest;
        let mut sql = format!("{head} VALUES ");
        let mut number = 0;
        for (index, row) in some.iter().enumerate() {
            sql.push_str(if index > 0 { ", (" } else { "(" });
            for column in 0..row.len() {
                number += 1;
                if column > 0 {
                    sql.push_str(", ");
                }
                sql.push('$');
                sql.push_str(&number.to_string());
            }
            sql.push(')');
        }
        sql.push(' ');
        sql.push_str(tail);
        statements.push((Sql::Built(sql.into()), some.concat()));
    }
    statements
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args;

    #[test]
    fn rows_are_written_by_few_statements() {
        let rows: Vec<Vec<Arg>> = (0..71_i64).map(|row| args![row, "x"]).collect();
        let statements = of_rows("INSERT INTO t (a, b)", &rows, "ON CONFLICT (a) DO NOTHING");
        let counts: Vec<usize> = statements.iter().map(|(_, args)| args.len() / 2).collect();
        assert_eq!(counts, [64, 4, 3]);
        let Some((Sql::Built(sql), args)) = statements.into_iter().nth(2) else {
            panic!("it is built");
        };
        let wanted =
            "INSERT INTO t (a, b) VALUES ($1, $2), ($3, $4), ($5, $6) ON CONFLICT (a) DO NOTHING";
        assert_eq!(&*sql, wanted);
        assert_eq!(args, args![68_i64, "x", 69_i64, "x", 70_i64, "x"]);
        assert!(of_rows("INSERT INTO t (a)", &[], "").is_empty());
    }
}
