//! `yaql`: an expression over data.

use serde_json::{Map, Value, json};

use super::super::yaql;
use super::{Evaluated, Trouble, World, call_of, evaluate};

/// So many steps of an expression count as one value that functions make.
const STEPS_OF_ONE: usize = 4;

/// Works the data out, and then the expression with it.
pub(super) fn query(world: &dyn World, args: &Value) -> Evaluated {
    let args = parts(args)?;
    let expression = match args.get("expression") {
        Some(expression) => evaluate(world, expression)?,
        None => return Err(syntax()),
    };
    let expression = expression.as_str().ok_or_else(no_text)?;
    let data = args.get("data").map(|data| evaluate(world, data));
    let data = data.transpose()?.unwrap_or_else(|| json!({}));
    // What cannot be read is told apart from what cannot be worked out.
    readable(expression)?;
    let (result, steps) = yaql::evaluate(expression, &data);
    world.spend(steps / STEPS_OF_ONE)?;
    result.map_err(|why| {
        Trouble::wrong(format!(
            "The yaql expression {} fails: {why}.",
            short(expression)
        ))
    })
}

/// Refuses calls of `yaql` that can never be worked out in what a section of a template has under its names: what
/// surrounds them may not be worked out before there are resources.
///
/// # Errors
/// The first one, with its place.
pub(crate) fn check_queries(section: &Map<String, Value>, place: &str) -> Result<(), String> {
    for (name, value) in section {
        readable_in(value).map_err(|(mut path, why)| {
            path.extend([name.clone(), place.to_owned()]);
            path.reverse();
            format!("{}: {why}", path.join("."))
        })?;
    }
    Ok(())
}

/// The trouble comes with the way to it, last step first.
fn readable_in(value: &Value) -> Result<(), (Vec<String>, Trouble)> {
    match value {
        Value::Object(map) => {
            if let Some(("yaql", args)) = call_of(value) {
                check(args).map_err(|why| (Vec::new(), why))?;
            }
            for (name, value) in map {
                readable_in(value).map_err(|trouble| under(trouble, name.clone()))?;
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                readable_in(item).map_err(|trouble| under(trouble, at.to_string()))?;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    Ok(())
}

fn under((mut path, why): (Vec<String>, Trouble), step: String) -> (Vec<String>, Trouble) {
    path.push(step);
    (path, why)
}

fn check(args: &Value) -> Result<(), Trouble> {
    match parts(args)?.get("expression") {
        // A function gives the expression later.
        Some(Value::Object(_)) => Ok(()),
        Some(Value::String(expression)) => readable(expression),
        Some(_) => Err(no_text()),
        None => Err(syntax()),
    }
}

fn parts(args: &Value) -> Result<&Map<String, Value>, Trouble> {
    let map = args
        .as_object()
        .ok_or_else(|| Trouble::wrong("Arguments to \"yaql\" must be a map."))?;
    let known = |name: &String| matches!(name.as_str(), "expression" | "data");
    if map.contains_key("expression") && map.keys().all(known) {
        return Ok(map);
    }
    Err(syntax())
}

fn syntax() -> Trouble {
    Trouble::wrong(
        "\"yaql\" takes an expression and its data: {expression: $.data.sizes.sum(), data: {sizes: [3, 2, 1]}}",
    )
}

fn no_text() -> Trouble {
    Trouble::wrong("The \"expression\" argument to yaql must contain a string.")
}

fn readable(expression: &str) -> Result<(), Trouble> {
    yaql::check(expression)
        .map_err(|why| Trouble::wrong(format!("Bad expression {}: {why}.", short(expression))))
}

/// Where an expression begins, for messages.
fn short(expression: &str) -> String {
    let start: String = expression.chars().take(100).collect();
    format!("{start:?}")
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::super::tests::{check, check_condition, refused};
    use super::check_queries;

    #[test]
    fn what_can_never_be_worked_out_has_a_place() {
        let section = |value: Value| Map::from_iter([("r".to_owned(), value)]);
        let bad = json!({"properties": {"a": [1, {"yaql": {"expression": "1 +"}}]}});
        assert_eq!(
            check_queries(&section(bad), "resources"),
            Err(
                "resources.r.properties.a.1: Bad expression \"1 +\": it ends too early.".to_owned()
            )
        );
        let later = json!({"yaql": {"expression": {"get_attr": ["s", "x"]}, "data": {}}});
        assert_eq!(check_queries(&section(later), "outputs"), Ok(()));
        // A name is no function.
        let named = Map::from_iter([("yaql".to_owned(), json!({"type": "X"}))]);
        assert_eq!(check_queries(&named, "resources"), Ok(()));
    }

    #[test]
    fn queries() {
        check(
            json!({"yaql": {"expression": "$.data.all.select($ + '!')", "data": {"all": {"get_param": "list"}}}}),
            json!(["a!", "b!"]),
        );
        check(json!({"yaql": {"expression": "1 + 1"}}), json!(2));
        check(
            json!({"yaql": {"expression": {"get_param": "text"}}}),
            json!("hello"),
        );
        check_condition(
            json!({"yaql": {"expression": "$.data.contains(a)", "data": {"get_param": "list"}}}),
            true,
        );
        for (args, words) in [
            (json!(["$"]), "must be a map"),
            (json!({"data": {}}), "takes an expression"),
            (json!({"expression": "$", "dat": 1}), "takes an expression"),
            (json!({"expression": 1}), "must contain a string"),
            (
                json!({"expression": "$."}),
                "Bad expression \"$.\": it ends",
            ),
            (json!({"expression": "$.data.x"}), "no key 'x'."),
        ] {
            refused(json!({ "yaql": args }), words);
        }
    }
}
