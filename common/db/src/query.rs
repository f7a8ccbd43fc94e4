//! Statements: static text, and queries with dynamic filters that are put together from static pieces.

use std::sync::Arc;

use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgArguments, Postgres};
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments};

use crate::{Arg, EngineKind, ToArg};

/// Longer lists of values are not filled up.
const FILLED: usize = 256;

/// The text of a statement.
pub(crate) enum Sql {
    Static(&'static str),
    /// Put together by [`Where`] from static pieces and numbered placeholders: never from values.
    Built(Arc<str>),
}

impl Sql {
    pub(crate) fn lite(&self, args: &[Arg]) -> Query<'static, Sqlite, SqliteArguments> {
        let query = match self {
            Self::Static(sql) => sqlx::query(*sql),
            Self::Built(sql) => sqlx::query(AssertSqlSafe(Arc::clone(sql))),
        };
        args.iter().fold(query, |query, arg| match arg {
            Arg::Text(value) => query.bind(value.clone()),
            Arg::Int(value) => query.bind(*value),
            Arg::Bool(value) => query.bind(*value),
            Arg::Float(value) => query.bind(*value),
        })
    }

    pub(crate) fn pg(&self, args: &[Arg]) -> Query<'static, Postgres, PgArguments> {
        let query = match self {
            Self::Static(sql) => sqlx::query(*sql),
            Self::Built(sql) => sqlx::query(AssertSqlSafe(Arc::clone(sql))),
        };
        args.iter().fold(query, |query, arg| match arg {
            Arg::Text(value) => query.bind(value.clone()),
            Arg::Int(value) => query.bind(*value),
            Arg::Bool(value) => query.bind(*value),
            Arg::Float(value) => query.bind(*value),
        })
    }
}

/// Rows written by one statement at most.
const ROWS: usize = 64;

/// Statements that write these rows, with their values: `head VALUES (…), (…) tail`. Each is of a power of two of rows, so
/// that there are few different texts, each of which is prepared once.
pub(crate) fn of_rows(head: &str, rows: &[Vec<Arg>], tail: &str) -> Vec<(Sql, Vec<Arg>)> {
    let mut statements = Vec::new();
    let mut left = rows;
    while !left.is_empty() {
        let fits = (left.len() + 1).next_power_of_two() / 2;
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

/// Which way a list is sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Smallest first.
    Asc,
    /// Largest first.
    Desc,
}

/// One page of a sorted list: by these columns, behind this position, so many.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Columns and directions; the last one should be unique, else rows of equal keys may be skipped. None may be NULL.
    pub sort: Vec<(&'static str, Direction)>,
    /// The values of those columns in the row behind which the page begins.
    pub after: Option<Vec<Arg>>,
    /// At most so many rows.
    pub limit: Option<u32>,
}

/// A query with dynamic filters: `Where::new("SELECT … FROM servers").eq("project_id", &project)`.
///
/// Columns and texts are static; values are always bound.
#[derive(Clone, Debug)]
pub struct Where {
    select: &'static str,
    /// The values of the placeholders that `select` has.
    given: Vec<Arg>,
    conditions: Vec<Condition>,
    tail: &'static str,
    page: Page,
}

#[derive(Clone, Debug)]
enum Condition {
    Compare(&'static str, &'static str, Arg),
    Null(&'static str, bool),
    In(&'static str, bool, Vec<Arg>),
    Contains(&'static str, String),
    Prefix(&'static str, String),
    Raw(&'static str, Vec<Arg>),
    Any(Vec<Where>),
}

macro_rules! compare {
    ($($(#[$meta:meta])* $name:ident => $operator:literal;)+) => {$(
        $(#[$meta])*
        #[must_use]
        pub fn $name(mut self, column: &'static str, value: impl ToArg) -> Self {
            self.conditions.push(Condition::Compare(column, $operator, value.to_arg()));
            self
        }
    )+};
}

impl Where {
    /// A query that begins with `select`, which has no WHERE of its own.
    #[must_use]
    pub fn new(select: &'static str) -> Self {
        Self::given(select, Vec::new())
    }

    /// A statement that begins with `select`, which has no WHERE of its own, and placeholders `$1` to `$n` for `given`:
    /// `UPDATE t SET x = $1`.
    #[must_use]
    pub const fn given(select: &'static str, given: Vec<Arg>) -> Self {
        Self {
            select,
            given,
            conditions: Vec::new(),
            tail: "",
            page: Page {
                sort: Vec::new(),
                after: None,
                limit: None,
            },
        }
    }

    /// Conditions alone, for [`Where::any`].
    #[must_use]
    pub fn group() -> Self {
        Self::new("")
    }

    compare! {
        /// Equal; NULL equals nothing.
        eq => "=";
        /// Not equal; NULL is not unequal either.
        not_eq => "<>";
        /// Greater.
        gt => ">";
        /// Greater or equal.
        ge => ">=";
        /// Less.
        lt => "<";
        /// Less or equal.
        le => "<=";
    }

    /// Equal, when there is a value to compare with.
    #[must_use]
    pub fn eq_opt(self, column: &'static str, value: Option<impl ToArg>) -> Self {
        match value {
            Some(value) => self.eq(column, value),
            None => self,
        }
    }

    /// Is NULL.
    #[must_use]
    pub fn is_null(mut self, column: &'static str) -> Self {
        self.conditions.push(Condition::Null(column, true));
        self
    }

    /// Is not NULL.
    #[must_use]
    pub fn not_null(mut self, column: &'static str) -> Self {
        self.conditions.push(Condition::Null(column, false));
        self
    }

    /// Is one of them; of none, nothing is found.
    #[must_use]
    pub fn in_<T: ToArg>(
        mut self,
        column: &'static str,
        values: impl IntoIterator<Item = T>,
    ) -> Self {
        let values = values.into_iter().map(|value| value.to_arg()).collect();
        self.conditions.push(Condition::In(column, true, values));
        self
    }

    /// Is none of them.
    #[must_use]
    pub fn not_in<T: ToArg>(
        mut self,
        column: &'static str,
        values: impl IntoIterator<Item = T>,
    ) -> Self {
        let values = values.into_iter().map(|value| value.to_arg()).collect();
        self.conditions.push(Condition::In(column, false, values));
        self
    }

    /// Contains the text, case and all, on both engines alike.
    #[must_use]
    pub fn contains(mut self, column: &'static str, text: &str) -> Self {
        self.conditions
            .push(Condition::Contains(column, text.to_owned()));
        self
    }

    /// Begins with the text, case and all.
    #[must_use]
    pub fn prefix(mut self, column: &'static str, text: &str) -> Self {
        self.conditions
            .push(Condition::Prefix(column, text.to_owned()));
        self
    }

    /// Any other condition; each `{}` stands for the next argument.
    #[must_use]
    pub fn raw(mut self, condition: &'static str, args: Vec<Arg>) -> Self {
        self.conditions.push(Condition::Raw(condition, args));
        self
    }

    /// At least one of the groups (made by [`Where::group`]) holds; of none, nothing is found.
    #[must_use]
    pub fn any(mut self, groups: Vec<Self>) -> Self {
        self.conditions.push(Condition::Any(groups));
        self
    }

    /// Text between the conditions and the order, such as `GROUP BY x`.
    #[must_use]
    pub fn tail(mut self, tail: &'static str) -> Self {
        self.tail = tail;
        self
    }

    /// Sorted, and only this page of it.
    #[must_use]
    pub fn page(mut self, page: Page) -> Self {
        self.page = page;
        self
    }

    pub(crate) fn render(&self, engine: EngineKind) -> (Arc<str>, Vec<Arg>) {
        let mut text = Text {
            sql: self.select.to_owned(),
            args: self.given.clone(),
            engine,
        };
        let after = self
            .page
            .after
            .as_ref()
            .filter(|_| !self.page.sort.is_empty());
        let mut word = " WHERE ";
        for condition in &self.conditions {
            text.sql.push_str(word);
            text.condition(condition);
            word = " AND ";
        }
        if let Some(after) = after {
            text.sql.push_str(word);
            text.behind(&self.page.sort, after);
        }
        if !self.tail.is_empty() {
            text.sql.push(' ');
            text.sql.push_str(self.tail);
        }
        text.order(&self.page);
        (text.sql.into(), text.args)
    }
}

struct Text {
    sql: String,
    args: Vec<Arg>,
    engine: EngineKind,
}

impl Text {
    fn bind(&mut self, arg: Arg) {
        self.args.push(arg);
        self.sql.push('$');
        self.sql.push_str(&self.args.len().to_string());
    }

    fn condition(&mut self, condition: &Condition) {
        match condition {
            Condition::Compare(column, operator, value) => {
                self.sql.push_str(column);
                self.sql.push_str(operator);
                self.bind(value.clone());
            }
            Condition::Null(column, is) => {
                self.sql.push_str(column);
                self.sql
                    .push_str(if *is { " IS NULL" } else { " IS NOT NULL" });
            }
            Condition::In(column, is, values) => self.one_of(column, *is, values),
            Condition::Contains(column, text) => {
                let find = match self.engine {
                    EngineKind::Sqlite => "instr(",
                    EngineKind::Postgres => "strpos(",
                };
                self.sql.push_str(find);
                self.sql.push_str(column);
                self.sql.push(',');
                self.bind(Arg::Text(Some(text.clone())));
                self.sql.push_str(")>0");
            }
            Condition::Prefix(column, text) => {
                self.sql.push_str("substr(");
                self.sql.push_str(column);
                self.sql.push_str(&format!(",1,{})=", text.chars().count()));
                self.bind(Arg::Text(Some(text.clone())));
            }
            Condition::Raw(text, args) => self.raw(text, args),
            Condition::Any(groups) => self.any(groups),
        }
    }

    fn one_of(&mut self, column: &str, is: bool, values: &[Arg]) {
        if values.is_empty() {
            self.sql.push_str(if is { "1=0" } else { "1=1" });
            return;
        }
        self.sql.push_str(column);
        self.sql.push_str(if is { " IN (" } else { " NOT IN (" });
        // Filled up with the last value: lists of all lengths make few different texts, each of which is prepared once.
        let fill = match values.len() {
            few @ ..=FILLED => few.next_power_of_two() - few,
            _many => 0,
        };
        let last = values.iter().rev().take(1).cycle().take(fill);
        for (index, value) in values.iter().chain(last).enumerate() {
            if index > 0 {
                self.sql.push(',');
            }
            self.bind(value.clone());
        }
        self.sql.push(')');
    }

    fn raw(&mut self, text: &str, args: &[Arg]) {
        let mut args = args.iter();
        self.sql.push('(');
        for (index, piece) in text.split("{}").enumerate() {
            if index > 0
                && let Some(arg) = args.next()
            {
                self.bind(arg.clone());
            }
            self.sql.push_str(piece);
        }
        self.sql.push(')');
    }

    fn any(&mut self, groups: &[Where]) {
        if groups.is_empty() {
            self.sql.push_str("1=0");
            return;
        }
        self.sql.push('(');
        for (index, group) in groups.iter().enumerate() {
            if index > 0 {
                self.sql.push_str(" OR ");
            }
            self.sql.push('(');
            for (inner, condition) in group.conditions.iter().enumerate() {
                if inner > 0 {
                    self.sql.push_str(" AND ");
                }
                self.condition(condition);
            }
            if group.conditions.is_empty() {
                self.sql.push_str("1=1");
            }
            self.sql.push(')');
        }
        self.sql.push(')');
    }

    /// Behind the marker: greater in the first column, or equal there and greater in the next, and so on.
    fn behind(&mut self, sort: &[(&'static str, Direction)], after: &[Arg]) {
        self.sql.push('(');
        for (depth, ((column, direction), value)) in sort.iter().zip(after).enumerate() {
            if depth > 0 {
                self.sql.push_str(" OR ");
            }
            self.sql.push('(');
            for ((equal, _), same) in sort.iter().zip(after).take(depth) {
                self.sql.push_str(equal);
                self.sql.push('=');
                self.bind(same.clone());
                self.sql.push_str(" AND ");
            }
            self.sql.push_str(column);
            self.sql.push(if *direction == Direction::Asc {
                '>'
            } else {
                '<'
            });
            self.bind(value.clone());
            self.sql.push(')');
        }
        self.sql.push(')');
    }

    fn order(&mut self, page: &Page) {
        for (index, (column, direction)) in page.sort.iter().enumerate() {
            self.sql
                .push_str(if index == 0 { " ORDER BY " } else { ", " });
            self.sql.push_str(column);
            self.sql.push_str(if *direction == Direction::Asc {
                " ASC"
            } else {
                " DESC"
            });
        }
        if let Some(limit) = page.limit {
            self.sql.push_str(&format!(" LIMIT {limit}"));
        }
    }
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
        assert_eq!(counts, [64, 4, 2, 1]);
        let Some((Sql::Built(sql), args)) = statements.into_iter().nth(2) else {
            panic!("it is built");
        };
        let wanted = "INSERT INTO t (a, b) VALUES ($1, $2), ($3, $4) ON CONFLICT (a) DO NOTHING";
        assert_eq!(&*sql, wanted);
        assert_eq!(args, args![68_i64, "x", 69_i64, "x"]);
        assert!(of_rows("INSERT INTO t (a)", &[], "").is_empty());
    }

    #[test]
    fn long_lists_of_values_make_few_different_texts() {
        let text = |count: i64| {
            Where::new("SELECT 1")
                .in_("id", 0..count)
                .render(EngineKind::Sqlite)
        };
        assert_eq!(text(5).0, text(8).0);
        assert_eq!(
            text(5).1,
            args![0_i64, 1_i64, 2_i64, 3_i64, 4_i64, 4_i64, 4_i64, 4_i64]
        );
        assert_eq!(text(300).1.len(), 300);
    }

    #[test]
    fn a_statement_with_values_of_its_own_counts_on_from_there() {
        let update = Where::given("UPDATE t SET x = $1", args!["x"]).eq("id", "i");
        let (sql, args) = update.render(EngineKind::Postgres);
        assert_eq!(&*sql, "UPDATE t SET x = $1 WHERE id=$2");
        assert_eq!(args, args!["x", "i"]);
    }

    #[test]
    fn filters_and_a_page_render_with_numbered_binds() {
        let query = Where::new("SELECT id FROM t")
            .eq("project_id", "p")
            .in_("id", ["a", "b"])
            .any(vec![
                Where::group().eq("x", 1i64),
                Where::group().is_null("y"),
            ])
            .page(Page {
                sort: vec![("name", Direction::Asc), ("id", Direction::Desc)],
                after: Some(args!["n", "i"]),
                limit: Some(10),
            });
        let (sql, args) = query.render(EngineKind::Sqlite);
        assert_eq!(
            &*sql,
            "SELECT id FROM t WHERE project_id=$1 AND id IN ($2,$3) AND ((x=$4) OR (y IS NULL)) \
             AND ((name>$5) OR (name=$6 AND id<$7)) ORDER BY name ASC, id DESC LIMIT 10"
        );
        assert_eq!(args, args!["p", "a", "b", 1i64, "n", "n", "i"]);
    }
}
