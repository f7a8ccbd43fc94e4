//! Patterns, which are written as Python's `re` reads them.

use std::rc::Rc;

use fancy_regex::{Captures, Regex, RegexBuilder};

use super::super::pattern::rewritten;
use super::call::{Function, Given, On, either, method, plain};
use super::datum::{Datum, Scope, Seq};
use super::eval::Run;
use super::parser::Expr;
use super::texts::add;
use super::{Fault, Out};

/// A pattern may look ahead and refer back; what that may take in one text is bounded.
const MAX_TRIES: usize = 20_000;

/// Bytes that a compiled pattern may take.
const MAX_PATTERN: usize = 5 << 20;

/// An expression may use so many patterns: each is compiled.
const MAX_PATTERNS: usize = 20;

/// Steps that compiling one counts for.
const COMPILING: usize = 20_000;

/// Steps that a search counts for, and bytes that count for one more.
const SEARCH: usize = 300;
const BYTES: usize = 16;

pub(super) const FUNCTIONS: &[Function] = &[
    plain(
        "regex",
        On::Text,
        "ignoreCase? multiLine? dotAll?",
        |run, given| {
            let mut flags = String::new();
            for (at, letter) in [(0, 'i'), (1, 'm'), (2, 's')] {
                if given.flag(run, at, false)? {
                    flags.push(letter);
                }
            }
            compiled(run, &given.own_text()?, &flags).map(Datum::Pattern)
        },
    ),
    method("matches", On::Text, "regexp", |run, given| {
        let pattern = given.value(run, 0)?;
        finds(run, &given.it, &pattern).map(Datum::Bool)
    }),
    method("matches", On::Pattern, "string", |run, given| {
        let text = given.value(run, 0)?;
        finds(run, &text, &given.it).map(Datum::Bool)
    }),
    method("search", On::Pattern, "string selector?", |run, given| {
        let (pattern, text) = (own(given)?, given.text(run, 0)?);
        match found(run, &pattern, &text, 0)? {
            Some(found) => shown(run, given, (&text, &found), given.lambda(1)),
            None => Ok(Datum::Null),
        }
    }),
    method(
        "searchAll",
        On::Pattern,
        "string selector?",
        |run, given| {
            let (pattern, text) = (own(given)?, given.text(run, 0)?);
            let mut out = Seq::default();
            let all = each(run, &pattern, &text, |run, found| {
                let item = shown(run, given, (&text, found), given.lambda(1))?;
                Ok(out.push(item))
            });
            out.then = out.then.or(all.err());
            Datum::iter(out)
        },
    ),
    method("split", On::Pattern, "string maxSplit?", |run, given| {
        let text = given.text(run, 0)?;
        let most = given.int_or(run, 1, 0)?;
        let pattern = own(given)?;
        split(run, &pattern, &text, most)
    }),
    method(
        "replace",
        On::Pattern,
        "string repl count?",
        |run, given| {
            let (text, new) = (given.text(run, 0)?, given.text(run, 1)?);
            let count = given.int_or(run, 2, 0)?;
            let pattern = own(given)?;
            replace(run, &pattern, &text, (&new, count))
        },
    ),
    method(
        "replaceBy",
        On::Pattern,
        "string repl count?",
        |run, given| {
            let text = given.text(run, 0)?;
            let pattern = own(given)?;
            replace_by(run, given, &pattern, &text)
        },
    ),
    method(
        "replaceBy",
        On::Text,
        "regexp repl count?",
        |run, given| match given.value(run, 0)? {
            Datum::Pattern(pattern) => replace_by(run, given, &pattern, &given.own_text()?),
            other => Err(no_pattern(&other)),
        },
    ),
    plain("escapeRegex", On::Text, "", |_, given| {
        let mut out = String::new();
        for letter in given.own_text()?.chars() {
            if "()[]{}?*+-|^$\\.&~# \t\n\r\u{b}\u{c}".contains(letter) {
                out.push('\\');
            }
            out.push(letter);
        }
        Ok(Datum::text(out))
    }),
    either("isRegex", On::Any, "", |_, given| {
        Ok(Datum::Bool(matches!(given.it, Datum::Pattern(_))))
    }),
];

fn no_pattern(value: &Datum) -> Fault {
    Fault::new(format!(
        "a pattern is expected where {} stands",
        value.kind()
    ))
}

fn own(given: &Given<'_>) -> Out<Rc<Regex>> {
    match &given.it {
        Datum::Pattern(pattern) => Ok(Rc::clone(pattern)),
        other => Err(no_pattern(other)),
    }
}

fn compiled(run: &mut Run, pattern: &str, flags: &str) -> Out<Rc<Regex>> {
    let known = format!("{flags}:{pattern}");
    if let Some(pattern) = run.patterns.get(&known) {
        return Ok(Rc::clone(pattern));
    }
    if run.patterns.len() >= MAX_PATTERNS {
        return Err(Fault::new(format!(
            "it uses more than {MAX_PATTERNS} patterns"
        )));
    }
    run.spend(COMPILING)?;
    let flags = if flags.is_empty() {
        String::new()
    } else {
        format!("(?{flags})")
    };
    let built = rewritten(pattern).and_then(|pattern| {
        RegexBuilder::new(&format!("{flags}{pattern}"))
            .backtrack_limit(MAX_TRIES)
            .delegate_size_limit(MAX_PATTERN)
            .build()
            .ok()
    });
    let built = built.ok_or_else(|| Fault::new("a pattern is wrong or too large"))?;
    let built = Rc::new(built);
    run.patterns.insert(known, Rc::clone(&built));
    Ok(built)
}

/// What a pattern finds first from a byte on.
fn found<'t>(
    run: &mut Run,
    pattern: &Regex,
    text: &'t str,
    from: usize,
) -> Out<Option<Captures<'t, str>>> {
    run.spend(SEARCH + text.len().saturating_sub(from) / BYTES)?;
    pattern
        .captures_from_pos(text, from)
        .map_err(|_| Fault::new("a pattern is not matched in reasonable time"))
}

/// Whether a pattern, or a text that is one, finds something in a text.
pub(super) fn finds(run: &mut Run, text: &Datum, pattern: &Datum) -> Out<bool> {
    let text = super::call::as_text(text)?;
    let pattern = match pattern {
        Datum::Pattern(pattern) => Rc::clone(pattern),
        Datum::Text(pattern) => compiled(run, pattern, "")?,
        other => return Err(no_pattern(other)),
    };
    Ok(found(run, &pattern, &text, 0)?.is_some())
}

/// Goes through all that a pattern finds, as long as that is wanted.
fn each<'t>(
    run: &mut Run,
    pattern: &Regex,
    text: &'t str,
    mut take: impl FnMut(&mut Run, &Captures<'t, str>) -> Out<bool>,
) -> Out<()> {
    let mut from = 0;
    let mut last_end = None;
    while from <= text.len() {
        let Some(one) = found(run, pattern, text, from)? else {
            break;
        };
        let Some(whole) = one.get(0) else {
            break;
        };
        let is_empty = whole.start() == whole.end();
        // Nothing may be found where something was found before, but not twice.
        let again = is_empty && last_end == Some((whole.end(), true));
        if !again && !take(run, &one)? {
            break;
        }
        last_end = Some((whole.end(), is_empty));
        let step = text.get(whole.end()..).and_then(|rest| rest.chars().next());
        let step = step.map_or(1, char::len_utf8);
        from = whole.end() + if is_empty { step } else { 0 };
    }
    Ok(())
}

/// What was found: as a text, or what a selector makes of it, where `$` is all of it and `$2` the first group.
fn shown(
    run: &mut Run,
    given: &Given<'_>,
    (text, found): (&str, &Captures<'_, str>),
    selector: Option<&Expr>,
) -> Out<Datum> {
    let Some(selector) = selector else {
        let whole = found.get(0).map_or("", |whole| whole.as_str());
        return Ok(Datum::text(whole));
    };
    let letters = |at: usize| {
        let before = text.get(..at).unwrap_or_default();
        Datum::count(before.chars().count())
    };
    let mut variables = Vec::new();
    for (at, group) in found.iter().enumerate() {
        run.spend(1 + text.len() / BYTES)?;
        let (value, start, end) = match group {
            Some(group) => (
                Datum::text(group.as_str()),
                letters(group.start()),
                letters(group.end()),
            ),
            None => (Datum::Null, Datum::Int(-1), Datum::Int(-1)),
        };
        let group = Datum::dict(vec![
            (Datum::text("value"), value),
            (Datum::text("start"), start),
            (Datum::text("end"), end),
        ])?;
        variables.push(((at + 1).to_string(), group));
    }
    let scope = Scope::inside(Some(given.scope), variables)?;
    run.eval(selector, &scope)
}

/// So many, where nothing stands for all.
fn limit(most: i128) -> usize {
    match usize::try_from(most) {
        Ok(0) | Err(_) => usize::MAX,
        Ok(most) => most,
    }
}

/// The parts between what a pattern finds, with what its groups found between them.
pub(super) fn split(run: &mut Run, pattern: &Regex, text: &str, most: i128) -> Out<Datum> {
    let mut parts = Vec::new();
    let (mut done, mut count) = (0, 0);
    each(run, pattern, text, |_, found| {
        let (start, end) = found
            .get(0)
            .map_or((0, 0), |whole| (whole.start(), whole.end()));
        parts.push(Datum::text(text.get(done..start).unwrap_or_default()));
        let groups = found.iter().skip(1);
        parts.extend(
            groups.map(|group| group.map_or(Datum::Null, |group| Datum::text(group.as_str()))),
        );
        done = end;
        count += 1;
        Ok(count < limit(most))
    })?;
    parts.push(Datum::text(text.get(done..).unwrap_or_default()));
    Datum::list(parts)
}

/// A text with something else for what a pattern finds.
fn substituted<'t>(
    run: &mut Run,
    pattern: &Regex,
    (text, most): (&'t str, i128),
    mut make: impl FnMut(&mut Run, &Captures<'t, str>) -> Out<String>,
) -> Out<Datum> {
    let mut out = String::new();
    let (mut done, mut count) = (0, 0);
    each(run, pattern, text, |run, found| {
        let (start, end) = found
            .get(0)
            .map_or((0, 0), |whole| (whole.start(), whole.end()));
        add(&mut out, text.get(done..start).unwrap_or_default())?;
        add(&mut out, &make(run, found)?)?;
        done = end;
        count += 1;
        Ok(count < limit(most))
    })?;
    add(&mut out, text.get(done..).unwrap_or_default())?;
    Ok(Datum::text(out))
}

pub(super) fn replace(
    run: &mut Run,
    pattern: &Regex,
    text: &str,
    (new, count): (&str, i128),
) -> Out<Datum> {
    substituted(run, pattern, (text, count), |_, found| filled(new, found))
}

fn replace_by(run: &mut Run, given: &Given<'_>, pattern: &Regex, text: &str) -> Out<Datum> {
    let count = given.int_or(run, 2, 0)?;
    substituted(run, pattern, (text, count), |run, found| {
        let new = shown(run, given, (text, found), given.lambda(1))?;
        Ok(super::call::as_text(&new)?.to_string())
    })
}

/// A replacement with what groups found for `\1`, `\g<1>` and `\g<name>`.
fn filled(new: &str, found: &Captures<'_, str>) -> Out<String> {
    let mut out = String::new();
    let mut rest = new;
    while let Some((before, after)) = rest.split_once('\\') {
        add(&mut out, before)?;
        let letter = after.chars().next();
        let wrong = || Fault::new("a replacement has a backslash that means nothing");
        let (more, length) = match letter {
            Some('g') => {
                let name = after.get(1..).and_then(|name| name.strip_prefix('<'));
                let (name, _) = name
                    .and_then(|name| name.split_once('>'))
                    .ok_or_else(wrong)?;
                let group = match name.parse::<usize>() {
                    Ok(number) => found.get(number),
                    Err(_) => found.name(name),
                };
                (group.map_or("", |group| group.as_str()), name.len() + 3)
            }
            Some('1'..='9') => {
                let digits = after
                    .chars()
                    .take(2)
                    .take_while(char::is_ascii_digit)
                    .count();
                let number = after
                    .get(..digits)
                    .and_then(|digits| digits.parse::<usize>().ok());
                let number = number
                    .filter(|number| *number < found.len())
                    .ok_or_else(wrong)?;
                (found.get(number).map_or("", |group| group.as_str()), digits)
            }
            Some('n') => ("\n", 1),
            Some('t') => ("\t", 1),
            Some('r') => ("\r", 1),
            Some('\\') => ("\\", 1),
            _other => return Err(wrong()),
        };
        add(&mut out, more)?;
        rest = after.get(length..).unwrap_or_default();
    }
    add(&mut out, rest)?;
    Ok(out)
}
