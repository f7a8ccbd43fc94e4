//! Texts. Places in them are counted in letters, not in bytes.

use std::rc::Rc;

use super::call::{Function, Given, On, as_text, either, method, plain};
use super::datum::Datum;
use super::eval::Run;
use super::sequence::iterable;
use super::{Fault, MAX_TEXT, Out, patterns, show};

/// Bytes of the longest text on the way to a result.
const MAX_MADE: usize = MAX_TEXT * 4;

pub(super) const FUNCTIONS: &[Function] = &[
    plain("concat", On::Nothing, "*", |run, given| {
        let mut out = String::new();
        for value in given.others(run)? {
            add(&mut out, &as_text(&value)?)?;
        }
        Ok(Datum::text(out))
    }),
    either("len", On::Text, "", |_, given| {
        Ok(Datum::count(given.own_text()?.chars().count()))
    }),
    method("toUpper", On::Text, "", |_, given| {
        Ok(Datum::text(given.own_text()?.to_uppercase()))
    }),
    method("toLower", On::Text, "", |_, given| {
        Ok(Datum::text(given.own_text()?.to_lowercase()))
    }),
    method("split", On::Text, "separator? maxSplits?", |run, given| {
        if let Some(Datum::Pattern(pattern)) = given.maybe(run, 0)? {
            let most = given.int_or(run, 1, 0)?;
            return patterns::split(run, &pattern, &given.own_text()?, most);
        }
        split(run, given, false)
    }),
    method(
        "rightSplit",
        On::Text,
        "separator? maxSplits?",
        |run, given| split(run, given, true),
    ),
    method("join", On::Text, "sequence", |run, given| {
        let items = given.value(run, 0)?;
        join(&items, &given.own_text()?)
    }),
    method("join", On::Items, "separator", |run, given| {
        let separator = given.text(run, 0)?;
        join(&given.it, &separator)
    }),
    plain("str", On::Any, "", |_, given| {
        show::text(&given.it).map(Datum::text)
    }),
    method("trim", On::Text, "chars?", |run, given| {
        Ok(trimmed(run, given, 0)?.map_or(Datum::Null, Datum::text))
    }),
    method("trimLeft", On::Text, "chars?", |run, given| {
        let chars = given.maybe_text(run, 0)?;
        Ok(Datum::text(given.own_text()?.trim_start_matches(
            |letter| among(letter, chars.as_deref()),
        )))
    }),
    method("trimRight", On::Text, "chars?", |run, given| {
        let chars = given.maybe_text(run, 0)?;
        Ok(Datum::text(given.own_text()?.trim_end_matches(|letter| {
            among(letter, chars.as_deref())
        })))
    }),
    either("isEmpty", On::MaybeText, "trim? chars?", |run, given| {
        let trim = given.flag(run, 0, true)?;
        Ok(Datum::Bool(match (&given.it, trim) {
            (Datum::Null, _) => true,
            (_, true) => trimmed(run, given, 1)?.is_none_or(|text| text.is_empty()),
            (_, false) => given.own_text()?.is_empty(),
        }))
    }),
    method("replace", On::Text, "old new count?", |run, given| {
        let old = given.value(run, 0)?;
        let (new, count) = (given.text(run, 1)?, given.maybe(run, 2)?);
        if let Datum::Pattern(pattern) = &old {
            let count = given.int_or(run, 2, 0)?;
            return patterns::replace(run, pattern, &given.own_text()?, (&new, count));
        }
        let count = count.map_or(Ok(-1), |_| given.int(run, 2))?;
        run.spend(given.own_text()?.len() / 8)?;
        replaced(&given.own_text()?, &as_text(&old)?, &new, count).map(Datum::text)
    }),
    method("replace", On::Text, "replacements count?", |run, given| {
        let replacements = given.value(run, 0)?;
        let count = given.int_or(run, 1, -1)?;
        let Datum::Dict(replacements) = &replacements else {
            return Err(Fault::new("replace() takes a text and another, or a map"));
        };
        let mut text = given.own_text()?.to_string();
        for (old, new) in &replacements.pairs {
            run.spend(1 + text.len() / 8)?;
            text = replaced(&text, &show::text(old)?, &show::text(new)?, count)?;
        }
        Ok(Datum::text(text))
    }),
    method("substring", On::Text, "start length?", |run, given| {
        let text = given.own_text()?;
        let (start, length) = (given.int(run, 0)?, given.int_or(run, 1, -1)?);
        let all = i128::try_from(text.chars().count()).unwrap_or(i128::MAX);
        let length = if length < 0 { all } else { length };
        let start = if start < 0 {
            start.saturating_add(all)
        } else {
            start
        };
        let (start, end) = cut(start, start.saturating_add(length), all);
        Ok(Datum::text(
            text.chars()
                .skip(start)
                .take(end.saturating_sub(start))
                .collect::<String>(),
        ))
    }),
    method("indexOf", On::Text, "sub start? length?", |run, given| {
        index(run, given, false)
    }),
    method(
        "lastIndexOf",
        On::Text,
        "sub start? length?",
        |run, given| index(run, given, true),
    ),
    method("toCharArray", On::Text, "", |run, given| {
        let text = given.own_text()?;
        run.spend(text.len())?;
        Datum::list(
            text.chars()
                .map(|letter| Datum::text(letter.to_string()))
                .collect(),
        )
    }),
    plain("isString", On::Any, "", |_, given| {
        Ok(Datum::Bool(matches!(given.it, Datum::Text(_))))
    }),
    method("startsWith", On::Text, "*", |run, given| {
        let text = given.own_text()?;
        any(run, given, |part| text.starts_with(part))
    }),
    method("endsWith", On::Text, "*", |run, given| {
        let text = given.own_text()?;
        any(run, given, |part| text.ends_with(part))
    }),
];

/// Adds a text to another one that is not too long yet.
pub(super) fn add(out: &mut String, more: &str) -> Out<()> {
    if out.len().saturating_add(more.len()) > MAX_MADE {
        return Err(Fault::too_much());
    }
    out.push_str(more);
    Ok(())
}

fn among(letter: char, chars: Option<&str>) -> bool {
    chars.map_or_else(|| letter.is_whitespace(), |chars| chars.contains(letter))
}

/// The first value without the letters at its ends that the name at a place tells, or white space; nothing for null.
pub(super) fn trimmed(run: &mut Run, given: &Given<'_>, chars: usize) -> Out<Option<String>> {
    let chars = given.maybe_text(run, chars)?;
    match &given.it {
        Datum::Text(text) => {
            let text = text.trim_matches(|letter| among(letter, chars.as_deref()));
            Ok(Some(text.to_owned()))
        }
        _other => Ok(None),
    }
}

fn any(run: &mut Run, given: &Given<'_>, fits: impl Fn(&str) -> bool) -> Out<Datum> {
    let parts = given.others(run)?;
    let parts: Vec<Rc<str>> = parts.iter().map(as_text).collect::<Out<_>>()?;
    Ok(Datum::Bool(parts.iter().any(|part| fits(part))))
}

fn join(items: &Datum, separator: &str) -> Out<Datum> {
    let mut out = String::new();
    for (at, item) in iterable(items)?.all()?.iter().enumerate() {
        if at > 0 {
            add(&mut out, separator)?;
        }
        add(&mut out, &show::text(item)?)?;
    }
    Ok(Datum::text(out))
}

/// The parts between separators, or between white space; at most so many separators are taken, from one end.
fn split(run: &mut Run, given: &Given<'_>, from_right: bool) -> Out<Datum> {
    let text = given.own_text()?;
    let separator = given.maybe_text(run, 0)?;
    let most = given.int_or(run, 1, -1)?;
    let most = usize::try_from(most).unwrap_or(usize::MAX - 1);
    run.spend(text.len() / 8)?;
    let parts: Vec<String> = match separator.as_deref() {
        Some("") => return Err(Fault::new("a separator is not empty")),
        Some(separator) if from_right => {
            let mut parts: Vec<_> = text
                .rsplitn(most + 1, separator)
                .map(str::to_owned)
                .collect();
            parts.reverse();
            parts
        }
        Some(separator) => text
            .splitn(most + 1, separator)
            .map(str::to_owned)
            .collect(),
        None if from_right => {
            let turned: String = text.chars().rev().collect();
            let parts = words(&turned, most).into_iter();
            let mut parts: Vec<String> = parts.map(|part| part.chars().rev().collect()).collect();
            parts.reverse();
            parts
        }
        None => words(&text, most),
    };
    Datum::list(parts.into_iter().map(Datum::text).collect())
}

/// The words of a text; after so many of them the rest is one.
fn words(text: &str, most: usize) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if out.len() == most {
            out.push(rest.to_owned());
            break;
        }
        let (word, after) = rest
            .find(char::is_whitespace)
            .map_or((rest, ""), |at| rest.split_at(at));
        out.push(word.to_owned());
        rest = after.trim_start();
    }
    out
}

fn replaced(text: &str, old: &str, new: &str, count: i128) -> Out<String> {
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    let mut out = String::new();
    let mut done = 0;
    for (at, found) in text.match_indices(old).take(most) {
        add(&mut out, text.get(done..at).unwrap_or_default())?;
        add(&mut out, new)?;
        done = at + found.len();
    }
    add(&mut out, text.get(done..).unwrap_or_default())?;
    Ok(out)
}

/// Places from the one to the other, as Python cuts: from the end where they are below zero, never outside.
fn cut(from: i128, to: i128, length: i128) -> (usize, usize) {
    let near = |at: i128| {
        let at = if at < 0 {
            at.saturating_add(length)
        } else {
            at
        };
        usize::try_from(at.clamp(0, length)).unwrap_or(0)
    };
    (near(from), near(to))
}

/// Where a part stands first or last in (a span of) a text, -1 for nowhere.
fn index(run: &mut Run, given: &Given<'_>, last: bool) -> Out<Datum> {
    let text = given.own_text()?;
    let part = given.text(run, 0)?;
    run.spend(text.len() / 8)?;
    let all = i128::try_from(text.chars().count()).unwrap_or(i128::MAX);
    let mut start = given.int_or(run, 1, 0)?;
    let mut end = all;
    if given.lambda(2).is_some() {
        start = if start < 0 {
            start.saturating_add(all)
        } else {
            start
        };
        let length = given.int(run, 2)?;
        end = if length < 0 {
            all
        } else {
            start.saturating_add(length)
        };
    }
    let beyond = start > all;
    let (start, end) = cut(start, end, all);
    let span: String = text
        .chars()
        .skip(start)
        .take(end.saturating_sub(start))
        .collect();
    let found = if last {
        span.rfind(&*part)
    } else {
        span.find(&*part)
    };
    Ok(
        match found.filter(|_| !beyond).and_then(|at| span.get(..at)) {
            Some(before) => Datum::count(start + before.chars().count()),
            None => Datum::Int(-1),
        },
    )
}
