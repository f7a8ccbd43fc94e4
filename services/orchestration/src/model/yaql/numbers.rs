//! Numbers.

use super::call::{Function, Given, On, plain};
use super::datum::Datum;
use super::eval::Run;
use super::operators::less;
use super::{Fault, Out};

pub(super) const FUNCTIONS: &[Function] = &[
    plain("abs", On::Number, "", |_, given| match &given.it {
        Datum::Int(number) => Ok(Datum::Int(number.checked_abs().ok_or_else(too_large)?)),
        Datum::Float(number) => Ok(Datum::Float(number.abs())),
        other => Ok(other.clone()),
    }),
    plain("int", On::Any, "", |_, given| int(&given.it)),
    plain("float", On::Any, "", |_, given| float(&given.it)),
    plain("max", On::Any, "other", |run, given| {
        let other = given.value(run, 0)?;
        greater(run, &given.it, &other)
    }),
    plain("min", On::Any, "other", |run, given| {
        let other = given.value(run, 0)?;
        lesser(run, &given.it, &other)
    }),
    plain("pow", On::Number, "b c?", pow),
    plain("sign", On::Number, "", |_, given| {
        let number = real(&given.it).unwrap_or(0.0);
        Ok(Datum::Int(
            i128::from(number > 0.0) - i128::from(number < 0.0),
        ))
    }),
    plain("round", On::Number, "ndigits?", round),
    plain("hex", On::Int, "", |_, given| {
        let number = given.whole()?;
        let sign = if number < 0 { "-" } else { "" };
        Ok(Datum::text(format!("{sign}{:#x}", number.unsigned_abs())))
    }),
    plain("bitwiseAnd", On::Int, "right", |run, given| {
        Ok(Datum::Int(given.whole()? & given.int(run, 0)?))
    }),
    plain("bitwiseOr", On::Int, "right", |run, given| {
        Ok(Datum::Int(given.whole()? | given.int(run, 0)?))
    }),
    plain("bitwiseXor", On::Int, "right", |run, given| {
        Ok(Datum::Int(given.whole()? ^ given.int(run, 0)?))
    }),
    plain("bitwiseNot", On::Int, "", |_, given| {
        Ok(Datum::Int(!given.whole()?))
    }),
    plain("shiftBitsLeft", On::Int, "bitsNumber", |run, given| {
        let factor = power(2, given.int(run, 0)?)?;
        given
            .whole()?
            .checked_mul(factor)
            .map(Datum::Int)
            .ok_or_else(too_large)
    }),
    plain("shiftBitsRight", On::Int, "bitsNumber", |run, given| {
        let bits = u32::try_from(given.int(run, 0)?).map_err(|_| too_large())?;
        Ok(Datum::Int(given.whole()? >> bits.min(127)))
    }),
    plain("isInteger", On::Any, "", |_, given| {
        Ok(Datum::Bool(matches!(given.it, Datum::Int(_))))
    }),
    plain("isNumber", On::Any, "", |_, given| {
        Ok(Datum::Bool(matches!(
            given.it,
            Datum::Int(_) | Datum::Float(_)
        )))
    }),
];

pub(super) fn too_large() -> Fault {
    Fault::new("a number is too large")
}

/// A number as one with a point.
pub(super) fn real(value: &Datum) -> Option<f64> {
    match value {
        // What is too large to be exact is near enough.
        #[allow(clippy::cast_precision_loss)]
        Datum::Int(number) => Some(*number as f64),
        Datum::Float(number) => Some(*number),
        _other => None,
    }
}

/// The greater one of two values, the first one if neither is.
pub(super) fn greater(run: &mut Run, one: &Datum, other: &Datum) -> Out<Datum> {
    Ok(if less(run, one, other)? { other } else { one }.clone())
}

/// The lesser one of two values, the second one if neither is.
pub(super) fn lesser(run: &mut Run, one: &Datum, other: &Datum) -> Out<Datum> {
    Ok(if less(run, one, other)? { one } else { other }.clone())
}

/// `+ - * / mod` of two numbers; nothing where they are none. The division of whole numbers rounds down.
pub(super) fn arithmetic(sign: &str, left: &Datum, right: &Datum) -> Out<Option<Datum>> {
    let nothing = |is_zero: bool| {
        if is_zero && matches!(sign, "/" | "mod") {
            return Err(Fault::new("a number is divided by zero"));
        }
        Ok(())
    };
    if let (Datum::Int(left), Datum::Int(right)) = (left, right) {
        nothing(*right == 0)?;
        let rest = || {
            let rest = left.checked_rem(*right)?;
            let other_side = rest != 0 && (rest < 0) != (*right < 0);
            Some(if other_side { rest + right } else { rest })
        };
        let result = match sign {
            "+" => left.checked_add(*right),
            "-" => left.checked_sub(*right),
            "*" => left.checked_mul(*right),
            "/" => rest().and_then(|rest| left.checked_sub(rest)?.checked_div(*right)),
            _mod => rest(),
        };
        return result
            .map(|result| Some(Datum::Int(result)))
            .ok_or_else(too_large);
    }
    let (Some(left), Some(right)) = (real(left), real(right)) else {
        return Ok(None);
    };
    nothing(right == 0.0)?;
    Ok(Some(Datum::Float(match sign {
        "+" => left + right,
        "-" => left - right,
        "*" => left * right,
        "/" => left / right,
        _mod => {
            let rest = left % right;
            if rest != 0.0 && (rest < 0.0) != (right < 0.0) {
                rest + right
            } else {
                rest
            }
        }
    })))
}

fn int(value: &Datum) -> Out<Datum> {
    let wrong = || Fault::new(format!("{} is no whole number", value.kind()));
    Ok(Datum::Int(match value {
        Datum::Null => 0,
        Datum::Bool(value) => i128::from(*value),
        Datum::Int(number) => *number,
        Datum::Float(number) if number.abs() < 1e30 => {
            // Below that, no part of the number is lost.
            #[allow(clippy::cast_possible_truncation)]
            let whole = number.trunc() as i128;
            whole
        }
        Datum::Text(text) => text.trim().parse().map_err(|_| wrong())?,
        _other => return Err(wrong()),
    }))
}

fn float(value: &Datum) -> Out<Datum> {
    Ok(Datum::Float(match value {
        Datum::Null => 0.0,
        Datum::Bool(value) => f64::from(u8::from(*value)),
        Datum::Text(text) => text
            .trim()
            .parse()
            .map_err(|_| Fault::new("the text is no number"))?,
        other => real(other).ok_or_else(|| Fault::new(format!("{} is no number", other.kind())))?,
    }))
}

fn power(base: i128, exponent: i128) -> Out<i128> {
    let exponent = u32::try_from(exponent).map_err(|_| too_large())?;
    base.checked_pow(exponent).ok_or_else(too_large)
}

fn pow(run: &mut Run, given: &Given<'_>) -> Out<Datum> {
    let exponent = given.value(run, 0)?;
    let modulus = given
        .maybe(run, 1)?
        .filter(|value| !matches!(value, Datum::Null));
    match (&given.it, &exponent, modulus) {
        (Datum::Int(base), Datum::Int(exponent), Some(Datum::Int(modulus))) => {
            modular(*base, *exponent, modulus).map(Datum::Int)
        }
        (Datum::Int(base), Datum::Int(exponent), None) if *exponent >= 0 => {
            power(*base, *exponent).map(Datum::Int)
        }
        (base, exponent, None) => {
            let (Some(base), Some(exponent)) = (real(base), real(exponent)) else {
                return Err(Fault::new("pow() is of numbers"));
            };
            let result = base.powf(exponent);
            if !result.is_finite() {
                return Err(Fault::new("pow() gives no number"));
            }
            Ok(Datum::Float(result))
        }
        _other => Err(Fault::new("pow() with a modulus is of whole numbers")),
    }
}

fn modular(base: i128, exponent: i128, modulus: i128) -> Out<i128> {
    // Products of two numbers below it are no larger than numbers can be.
    if modulus < 1 || modulus > i128::from(u32::MAX) || exponent < 0 {
        return Err(too_large());
    }
    let (mut result, mut base, mut left) = (1 % modulus, base.rem_euclid(modulus), exponent);
    while left > 0 {
        if left % 2 == 1 {
            result = result * base % modulus;
        }
        base = base * base % modulus;
        left /= 2;
    }
    Ok(result)
}

/// To so many digits after the point; halves go to the even side.
fn round(run: &mut Run, given: &Given<'_>) -> Out<Datum> {
    let digits = given.int_or(run, 0, 0)?.clamp(-30, 300);
    match &given.it {
        Datum::Float(number) if digits >= 0 => {
            let digits = usize::try_from(digits).unwrap_or(0);
            let rounded = format!("{number:.digits$}").parse();
            Ok(Datum::Float(rounded.unwrap_or(*number)))
        }
        Datum::Int(number) if digits < 0 => {
            let unit = power(10, -digits)?;
            let (low, rest) = (number.div_euclid(unit), number.rem_euclid(unit));
            let up = rest * 2 > unit || (rest * 2 == unit && low % 2 != 0);
            let rounded = (low + i128::from(up)).checked_mul(unit);
            rounded.map(Datum::Int).ok_or_else(too_large)
        }
        Datum::Float(number) => {
            let unit = 10_f64.powi(i32::try_from(-digits).unwrap_or(0));
            Ok(Datum::Float((number / unit).round_ties_even() * unit))
        }
        other => Ok(other.clone()),
    }
}
