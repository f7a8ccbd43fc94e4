//! What an expression says: words put together by how tightly operators bind.

use super::lexer::{Word, words};
use super::{Fault, Out};

/// An expression is at most so long, in bytes.
const MAX_LENGTH: usize = 10_000;

/// Parts stand in one another at most so deep: an expression is worked out by recursion. A chain of operators or of
/// methods counts, too, because each holds all that stands before it.
const MAX_DEPTH: usize = 64;

/// An expression, or a part of one.
#[derive(Debug)]
pub(super) struct Expr {
    pub what: What,
    depth: usize,
}

#[derive(Debug)]
pub(super) enum What {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
    /// A bare name: it stands for itself as a text, or for a member.
    Name(String),
    Variable(String),
    List(Vec<Expr>),
    Map(Vec<(Expr, Expr)>),
    Index(Box<Expr>, Vec<Expr>),
    Unary(&'static str, Box<Expr>),
    Binary(&'static str, Box<Expr>, Box<Expr>),
    Call(String, Args),
    /// In parentheses.
    Group(Box<Expr>),
}

/// The arguments of a call.
#[derive(Debug, Default)]
pub(super) struct Args {
    pub plain: Vec<Expr>,
    /// `key => value`.
    pub named: Vec<(Expr, Expr)>,
}

/// Reads an expression.
pub(super) fn parse(expression: &str) -> Out<Expr> {
    if expression.len() > MAX_LENGTH {
        return Err(Fault::new(format!("it is longer than {MAX_LENGTH} bytes")));
    }
    let words = words(expression)?;
    let mut parser = Parser {
        words: &words,
        at: 0,
        open: 0,
    };
    let whole = parser.expression(0)?;
    match parser.words.get(parser.at) {
        None => Ok(whole),
        Some(_) => Err(parser.unexpected()),
    }
}

/// How tightly an operator between two values binds, and whether what follows it is read first.
fn binds(sign: &str) -> Option<(u8, bool)> {
    Some(match sign {
        "." | "?." => (11, false),
        "[" => (10, false),
        "=~" | "!~" => (8, false),
        "*" | "/" | "mod" => (7, false),
        "+" | "-" => (6, false),
        ">" | "<" | ">=" | "<=" | "!=" | "=" | "in" => (5, false),
        "and" => (3, false),
        "or" => (2, false),
        "->" => (1, true),
        _other => return None,
    })
}

/// How tightly an operator before a value binds.
const UNARY: u8 = 9;
const NOT: u8 = 4;

struct Parser<'a> {
    words: &'a [(usize, Word)],
    at: usize,
    /// How many readings of a part are under way.
    open: usize,
}

impl Parser<'_> {
    fn sign(&self) -> Option<&'static str> {
        match self.words.get(self.at) {
            Some((_, Word::Sign(sign))) => Some(sign),
            _other => None,
        }
    }

    fn eat(&mut self, sign: &str) -> bool {
        let found = self.sign() == Some(sign);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) -> Out<()> {
        if self.eat(sign) {
            return Ok(());
        }
        Err(self.unexpected())
    }

    fn unexpected(&self) -> Fault {
        match self.words.get(self.at) {
            Some((at, _)) => Fault::new(format!("it cannot be read at position {at}")),
            None => Fault::new("it ends too early"),
        }
    }

    /// What binds tighter than `least`.
    fn expression(&mut self, least: u8) -> Out<Expr> {
        self.open += 1;
        if self.open > MAX_DEPTH {
            return Err(too_deep());
        }
        let mut left = self.operand()?;
        while let Some((sign, (tight, right_first))) = self.operator()
            && tight > least
        {
            self.at += 1;
            left = match sign {
                "[" => {
                    let args = self.args("]")?;
                    if !args.named.is_empty() {
                        return Err(Fault::new("an index is no pair"));
                    }
                    node(What::Index(Box::new(left), args.plain))?
                }
                _other => {
                    let right = self.expression(tight - u8::from(right_first))?;
                    node(What::Binary(sign, Box::new(left), Box::new(right)))?
                }
            };
        }
        self.open -= 1;
        Ok(left)
    }

    fn operator(&self) -> Option<(&'static str, (u8, bool))> {
        let sign = self.sign()?;
        binds(sign).map(|how| (sign, how))
    }

    fn operand(&mut self) -> Out<Expr> {
        let Some((_, word)) = self.words.get(self.at) else {
            return Err(self.unexpected());
        };
        let word = word.clone();
        self.at += 1;
        node(match word {
            Word::Null => What::Null,
            Word::True => What::Bool(true),
            Word::False => What::Bool(false),
            Word::Int(number) => What::Int(number),
            Word::Float(number) => What::Float(number),
            Word::Text(text) => What::Text(text),
            Word::Name(name) => What::Name(name),
            Word::Variable(name) => What::Variable(name),
            Word::Call(name) => What::Call(name, self.args(")")?),
            Word::Sign("(") => {
                let inside = self.expression(0)?;
                self.expect(")")?;
                What::Group(Box::new(inside))
            }
            Word::Sign("[") => {
                let args = self.args("]")?;
                if !args.named.is_empty() {
                    return Err(Fault::new("a list has no pairs"));
                }
                What::List(args.plain)
            }
            Word::Sign("{") => {
                let args = self.args("}")?;
                if !args.plain.is_empty() {
                    return Err(Fault::new("a map has pairs only"));
                }
                What::Map(args.named)
            }
            Word::Sign(sign @ ("+" | "-")) => What::Unary(sign, Box::new(self.expression(UNARY)?)),
            Word::Sign("not") => What::Unary("not", Box::new(self.expression(NOT)?)),
            Word::Sign(_) => {
                self.at -= 1;
                return Err(self.unexpected());
            }
        })
    }

    /// Arguments up to a bracket; pairs come last.
    fn args(&mut self, end: &str) -> Out<Args> {
        let mut args = Args::default();
        if self.eat(end) {
            return Ok(args);
        }
        loop {
            let start = self.at;
            let one = self.expression(0)?;
            if self.eat("=>") {
                args.named.push((one, self.expression(0)?));
            } else if args.named.is_empty() {
                args.plain.push(one);
            } else {
                self.at = start;
                return Err(self.unexpected());
            }
            if self.eat(end) {
                return Ok(args);
            }
            self.expect(",")?;
        }
    }
}

fn too_deep() -> Fault {
    Fault::new(format!(
        "its parts stand in one another deeper than {MAX_DEPTH} levels"
    ))
}

/// A part, which is one level deeper than those in it.
fn node(what: What) -> Out<Expr> {
    let of_all = |parts: &[Expr]| parts.iter().map(|part| part.depth).max().unwrap_or(0);
    let of_pairs = |pairs: &[(Expr, Expr)]| {
        let depths = pairs.iter().map(|(key, value)| key.depth.max(value.depth));
        depths.max().unwrap_or(0)
    };
    let inside = match &what {
        What::List(parts) => of_all(parts),
        What::Map(pairs) => of_pairs(pairs),
        What::Index(value, parts) => value.depth.max(of_all(parts)),
        What::Unary(_, value) | What::Group(value) => value.depth,
        What::Binary(_, left, right) => left.depth.max(right.depth),
        What::Call(_, args) => of_all(&args.plain).max(of_pairs(&args.named)),
        What::Null
        | What::Bool(_)
        | What::Int(_)
        | What::Float(_)
        | What::Text(_)
        | What::Name(_)
        | What::Variable(_) => 0,
    };
    if inside >= MAX_DEPTH {
        return Err(too_deep());
    }
    Ok(Expr {
        what,
        depth: inside + 1,
    })
}
