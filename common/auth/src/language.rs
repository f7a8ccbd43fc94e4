//! The oslo.policy rule language: text to tree and back.
//!
//! Where oslo.policy logs and "fails closed" on a rule that it cannot read, this parser refuses: a typing error in
//! `policy.yaml` should stop the start, not lock people out at three in the morning.

use std::fmt;

/// A parsed rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// `@` or the empty rule.
    Always,
    /// `!`.
    Never,
    /// `not x`.
    Not(Box<Expr>),
    /// `x and y`.
    All(Vec<Expr>),
    /// `x or y`.
    Any(Vec<Expr>),
    /// `rule:name`.
    Rule(String),
    /// `role:name`.
    Role(Template),
    /// `field:networks:shared=True`, Neutron's: an attribute of the target equals a constant.
    Field {
        /// The resource's plural; only a label, the target is the resource.
        resource: String,
        /// The attribute.
        name: String,
        /// The text it must have.
        value: String,
    },
    /// `user_id:%(target.user.id)s`: an attribute of the caller equals the template.
    Attribute {
        /// Dotted path into the caller.
        path: String,
        /// What it must be.
        wanted: Template,
    },
    /// `None:%(x)s`, `'public':%(visibility)s`: a constant equals the template.
    Literal {
        /// The constant as Python's `str()` shows it.
        value: String,
        /// The constant as written, quotes included.
        written: String,
        /// What it must be.
        wanted: Template,
    },
}

/// The right side of a check: text with `%(name)s` holes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(pub(crate) Vec<Part>);

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Constant text.
    Text(String),
    /// `%(name)s`.
    Hole(String),
}

/// Why a text is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// A check without a colon.
    #[error("'{0}' is no check: expected kind:match, @ or !")]
    NoCheck(String),
    /// A quoted string where a check must stand.
    #[error("{0} is a quoted string, not a check")]
    Quoted(String),
    /// The left side is neither an attribute's name nor a constant.
    #[error("'{0}' is neither an attribute of the caller nor a constant")]
    Kind(String),
    /// A `%` that is not `%(name)s` or `%%`.
    #[error("'{0}' has a % that is not %(name)s")]
    Template(String),
    /// `field:` without resource, name or value.
    #[error("'{0}' is not field:resources:name=value")]
    Field(String),
    /// A word stands where it cannot.
    #[error("unexpected '{0}'")]
    Unexpected(String),
    /// The text ends in the middle of an expression.
    #[error("the rule ends too early")]
    TooShort,
    /// Nested deeper than any honest rule.
    #[error("more than {MAX_DEPTH} levels of parentheses and nots")]
    TooDeep,
}

/// No upstream rule nests deeper than 5; the limit keeps a hostile file from overflowing the stack.
const MAX_DEPTH: usize = 64;

impl Expr {
    /// Reads a rule.
    ///
    /// # Errors
    /// A [`SyntaxError`] that says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let tokens = tokenize(text)?;
        if tokens.is_empty() {
            return Ok(Self::Always);
        }
        let mut parser = Parser {
            tokens: tokens.into_iter().peekable(),
            depth: 0,
        };
        let expr = parser.any()?;
        match parser.tokens.next() {
            None => Ok(expr),
            Some(token) => Err(SyntaxError::Unexpected(token.to_string())),
        }
    }

    /// Calls `visit` with the name of each rule that this one refers to.
    pub(crate) fn references<'a>(&'a self, visit: &mut dyn FnMut(&'a str)) {
        match self {
            Self::Rule(name) => visit(name),
            Self::Not(inner) => inner.references(visit),
            Self::All(list) | Self::Any(list) => {
                list.iter().for_each(|inner| inner.references(visit));
            }
            Self::Always
            | Self::Never
            | Self::Role(_)
            | Self::Field { .. }
            | Self::Attribute { .. }
            | Self::Literal { .. } => {}
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Open,
    Close,
    And,
    Or,
    Not,
    Check(Expr),
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("("),
            Self::Close => f.write_str(")"),
            Self::And => f.write_str("and"),
            Self::Or => f.write_str("or"),
            Self::Not => f.write_str("not"),
            Self::Check(check) => check.fmt(f),
        }
    }
}

/// As oslo.policy does: words between blanks, parentheses stripped from their ends (`%(x)s` ends with an `s`).
fn tokenize(text: &str) -> Result<Vec<Token>, SyntaxError> {
    let mut tokens = Vec::new();
    for word in text.split_whitespace() {
        let inner = word.trim_start_matches('(');
        tokens.extend(std::iter::repeat_n(Token::Open, word.len() - inner.len()));
        let clean = inner.trim_end_matches(')');
        if !clean.is_empty() {
            tokens.push(match clean.to_ascii_lowercase().as_str() {
                "and" => Token::And,
                "or" => Token::Or,
                "not" => Token::Not,
                _ => Token::Check(check(clean)?),
            });
        }
        tokens.extend(std::iter::repeat_n(Token::Close, inner.len() - clean.len()));
    }
    Ok(tokens)
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    depth: usize,
}

impl Parser {
    fn any(&mut self) -> Result<Expr, SyntaxError> {
        let mut list = vec![self.all()?];
        while self.tokens.next_if_eq(&Token::Or).is_some() {
            list.push(self.all()?);
        }
        Ok(single(list, Expr::Any))
    }

    fn all(&mut self) -> Result<Expr, SyntaxError> {
        let mut list = vec![self.one()?];
        while self.tokens.next_if_eq(&Token::And).is_some() {
            list.push(self.one()?);
        }
        Ok(single(list, Expr::All))
    }

    fn one(&mut self) -> Result<Expr, SyntaxError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(SyntaxError::TooDeep);
        }
        let expr = match self.tokens.next().ok_or(SyntaxError::TooShort)? {
            Token::Check(check) => check,
            Token::Not => Expr::Not(Box::new(self.one()?)),
            Token::Open => {
                let inner = self.any()?;
                match self.tokens.next() {
                    Some(Token::Close) => inner,
                    Some(other) => return Err(SyntaxError::Unexpected(other.to_string())),
                    None => return Err(SyntaxError::TooShort),
                }
            }
            other @ (Token::Close | Token::And | Token::Or) => {
                return Err(SyntaxError::Unexpected(other.to_string()));
            }
        };
        self.depth -= 1;
        Ok(expr)
    }
}

fn single(mut list: Vec<Expr>, join: fn(Vec<Expr>) -> Expr) -> Expr {
    match list.pop() {
        Some(only) if list.is_empty() => only,
        Some(last) => {
            list.push(last);
            join(list)
        }
        None => Expr::Never,
    }
}

fn check(word: &str) -> Result<Expr, SyntaxError> {
    match word {
        "@" => return Ok(Expr::Always),
        "!" => return Ok(Expr::Never),
        _ if is_quoted(word) => return Err(SyntaxError::Quoted(word.to_owned())),
        _ => {}
    }
    let (kind, wanted) = word
        .split_once(':')
        .ok_or_else(|| SyntaxError::NoCheck(word.to_owned()))?;
    if kind == "rule" {
        return Ok(Expr::Rule(wanted.to_owned()));
    }
    if kind == "field" {
        let field = wanted.split_once(':').and_then(|(resource, rest)| {
            let (name, value) = rest.split_once('=')?;
            Some(Expr::Field {
                resource: resource.to_owned(),
                name: name.to_owned(),
                value: value.to_owned(),
            })
        });
        return field.ok_or_else(|| SyntaxError::Field(word.to_owned()));
    }
    let wanted = Template::parse(wanted)?;
    if kind == "role" {
        return Ok(Expr::Role(wanted));
    }
    if let Some(value) = literal(kind) {
        return Ok(Expr::Literal {
            value,
            written: kind.to_owned(),
            wanted,
        });
    }
    let is_path = !kind.is_empty()
        && kind.split('.').all(|name| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        });
    if is_path {
        Ok(Expr::Attribute {
            path: kind.to_owned(),
            wanted,
        })
    } else {
        Err(SyntaxError::Kind(kind.to_owned()))
    }
}

fn is_quoted(word: &str) -> bool {
    word.len() >= 2
        && ['\'', '"']
            .iter()
            .any(|&quote| word.starts_with(quote) && word.ends_with(quote))
}

/// What Python's `ast.literal_eval` would read, as `str()` prints it.
fn literal(kind: &str) -> Option<String> {
    if is_quoted(kind) {
        return kind.get(1..kind.len() - 1).map(str::to_owned);
    }
    match kind {
        "None" | "True" | "False" => Some(kind.to_owned()),
        _ => kind.parse::<i64>().ok().map(|number| number.to_string()),
    }
}

impl Template {
    fn parse(text: &str) -> Result<Self, SyntaxError> {
        let broken = || SyntaxError::Template(text.to_owned());
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            plain.push_str(rest.get(..at).unwrap_or_default());
            rest = rest.get(at + 1..).unwrap_or_default();
            if let Some(tail) = rest.strip_prefix('%') {
                plain.push('%');
                rest = tail;
                continue;
            }
            let inner = rest.strip_prefix('(').ok_or_else(broken)?;
            let (name, tail) = inner.split_once(")s").ok_or_else(broken)?;
            if name.is_empty() {
                return Err(broken());
            }
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::Hole(name.to_owned()));
            rest = tail;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self(parts))
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(&text.replace('%', "%%")),
            Part::Hole(name) => write!(f, "%({name})s"),
        })
    }
}

/// Writes the rule so that reading it gives the same tree.
impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |f: &mut fmt::Formatter<'_>, list: &[Self], word: &str| {
            list.iter().enumerate().try_for_each(|(at, inner)| {
                if at > 0 {
                    write!(f, " {word} ")?;
                }
                match inner {
                    Self::All(_) | Self::Any(_) => write!(f, "({inner})"),
                    _ => inner.fmt(f),
                }
            })
        };
        match self {
            Self::Always => f.write_str("@"),
            Self::Never => f.write_str("!"),
            Self::Not(inner) if matches!(**inner, Self::All(_) | Self::Any(_)) => {
                write!(f, "not ({inner})")
            }
            Self::Not(inner) => write!(f, "not {inner}"),
            Self::All(list) => join(f, list, "and"),
            Self::Any(list) => join(f, list, "or"),
            Self::Rule(name) => write!(f, "rule:{name}"),
            Self::Role(name) => write!(f, "role:{name}"),
            Self::Field {
                resource,
                name,
                value,
            } => write!(f, "field:{resource}:{name}={value}"),
            Self::Attribute { path, wanted } => write!(f, "{path}:{wanted}"),
            Self::Literal {
                written, wanted, ..
            } => write!(f, "{written}:{wanted}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, canonical: &str) {
        assert_eq!(
            Expr::parse(text).map(|expr| expr.to_string()).as_deref(),
            Ok(canonical)
        );
    }

    #[track_caller]
    fn refused(text: &str, error: SyntaxError) {
        assert_eq!(Expr::parse(text), Err(error));
    }

    #[test]
    fn upstream_rules_are_read() {
        check("", "@");
        check("role:admin or is_admin:1", "role:admin or is_admin:1");
        check(
            "((role:reader and system_scope:all) or rule:owner)",
            "(role:reader and system_scope:all) or rule:owner",
        );
        check("a:1 or b:2 and c:3", "a:1 or (b:2 and c:3)");
        check("NOT a:1 And b:2", "not a:1 and b:2");
        check("not not ( a:1 )", "not not a:1");
        check(
            "'public':%(visibility)s or None:%(x)s",
            "'public':%(visibility)s or None:%(x)s",
        );
        check("field:networks:shared=True", "field:networks:shared=True");
        check(
            "project_id:%(network:project_id)s",
            "project_id:%(network:project_id)s",
        );
        check("role:x%%%(a)s-y", "role:x%%%(a)s-y");
    }

    #[test]
    fn nonsense_is_refused_with_its_reason() {
        refused("admin", SyntaxError::NoCheck("admin".into()));
        refused("'admin'", SyntaxError::Quoted("'admin'".into()));
        refused("a:1 b:2", SyntaxError::Unexpected("b:2".into()));
        refused("a:1 and", SyntaxError::TooShort);
        refused("(a:1", SyntaxError::TooShort);
        refused("a:1)", SyntaxError::Unexpected(")".into()));
        refused("or a:1", SyntaxError::Unexpected("or".into()));
        refused("a:%(x", SyntaxError::Template("%(x".into()));
        refused("a-b:1", SyntaxError::Kind("a-b".into()));
        refused("field:x", SyntaxError::Field("field:x".into()));
        refused(&format!("{}a:1", "(".repeat(1000)), SyntaxError::TooDeep);
        refused(
            &format!("{}a:1", "not ".repeat(100_000)),
            SyntaxError::TooDeep,
        );
    }

    fn trees() -> impl Strategy<Value = Expr> {
        let leaf = prop_oneof![
            Just(Expr::Always),
            Just(Expr::Never),
            "[a-z_]{1,8}".prop_map(Expr::Rule),
            "[a-z]{1,8}".prop_map(|name| Expr::Role(Template(vec![Part::Text(name)]))),
            ("[a-z]{1,4}(\\.[a-z]{1,4})?", "[a-z.:]{1,8}")
                .prop_filter("words with a meaning", |(path, _)| {
                    !["rule", "role", "field"].contains(&path.as_str())
                })
                .prop_map(|(path, hole)| Expr::Attribute {
                    path,
                    wanted: Template(vec![Part::Hole(hole)]),
                }),
        ];
        leaf.prop_recursive(5, 40, 4, |inner| {
            prop_oneof![
                inner.clone().prop_map(|expr| Expr::Not(Box::new(expr))),
                proptest::collection::vec(inner.clone(), 2..4).prop_map(Expr::All),
                proptest::collection::vec(inner, 2..4).prop_map(Expr::Any),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(tree in trees()) {
            prop_assert_eq!(Expr::parse(&tree.to_string()), Ok(tree));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "[ ()%@!:'\"a-z.=]{0,80}|.{0,80}") {
            let _ = Expr::parse(&text);
        }
    }
}
