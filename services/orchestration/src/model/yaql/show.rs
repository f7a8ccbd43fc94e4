//! Values as texts: as Python writes them, since that is what `str` gives.

use super::datum::Datum;
use super::{Fault, MAX_TEXT, Out};

/// What `str` gives.
pub(super) fn text(value: &Datum) -> Out<String> {
    Ok(match value {
        Datum::Text(text) => text.to_string(),
        Datum::Null => "null".to_owned(),
        Datum::Bool(value) => value.to_string(),
        other => {
            let mut out = String::new();
            write(other, &mut out)?;
            out
        }
    })
}

fn write(value: &Datum, out: &mut String) -> Out<()> {
    if out.len() > MAX_TEXT {
        return Err(Fault::too_much());
    }
    match value {
        Datum::Null => out.push_str("None"),
        Datum::Bool(value) => out.push_str(if *value { "True" } else { "False" }),
        Datum::Int(number) => out.push_str(&number.to_string()),
        Datum::Float(number) => out.push_str(&float(*number)),
        Datum::Text(text) => quoted(text, out),
        Datum::List(list) => {
            out.push('(');
            separated(list.items.iter(), out, write)?;
            out.push_str(if list.items.len() == 1 { ",)" } else { ")" });
        }
        Datum::Dict(dict) => {
            out.push('{');
            separated(dict.pairs.iter(), out, |(key, value), out| {
                write(key, out)?;
                out.push_str(": ");
                write(value, out)
            })?;
            out.push('}');
        }
        Datum::Iter(_) | Datum::Sorted(_) | Datum::Set(_) | Datum::Pattern(_) | Datum::Scope(_) => {
            return Err(Fault::new(format!(
                "{} is not shown as a text",
                value.kind()
            )));
        }
    }
    Ok(())
}

fn separated<T>(
    items: impl Iterator<Item = T>,
    out: &mut String,
    write: impl Fn(T, &mut String) -> Out<()>,
) -> Out<()> {
    for (at, item) in items.enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        write(item, out)?;
    }
    Ok(())
}

fn quoted(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    out.push(quote);
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            letter if letter == quote => {
                out.push('\\');
                out.push(letter);
            }
            letter if letter.is_ascii_control() => {
                out.push_str(&format!("\\x{:02x}", u32::from(letter)));
            }
            letter => out.push(letter),
        }
    }
    out.push(quote);
}

/// A number with a point: `1.0`, `1e+16`, `1e-05`.
pub(super) fn float(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let size = number.abs();
    if number == 0.0 || (1e-4..1e16).contains(&size) {
        return format!("{number:?}");
    }
    let written = format!("{number:e}");
    let (digits, exponent) = written.split_once('e').unwrap_or((&written, "0"));
    match exponent.strip_prefix('-') {
        Some(exponent) => format!("{digits}e-{exponent:0>2}"),
        None => format!("{digits}e+{exponent:0>2}"),
    }
}
