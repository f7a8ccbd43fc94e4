//! Expressions, compared with what YAQL itself gives for them.

use serde_json::{Value, json};

use super::*;

/// Expressions with what YAQL 3.2.0 (with the limits of the original's orchestration) gives for them: a result, or an
/// error of some kind.
const GOLDEN: &str = include_str!("golden.json");

#[test]
fn expressions_give_what_the_original_gives() {
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert!(cases.len() > 150);
    let mut wrong = Vec::new();
    for case in cases {
        let expression = case["expression"].as_str().unwrap();
        let (result, _) = evaluate(expression, &golden["data"]);
        let fits = match (&result, case.get("result")) {
            (Ok(result), Some(expected)) => result == expected,
            (Err(_), None) => true,
            _other => false,
        };
        if !fits {
            wrong.push(format!("{case}: {result:?}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

#[track_caller]
fn refused(expression: &str, words: &str) {
    let data = json!({"numbers": (0..300).collect::<Vec<_>>(), "text": "x".repeat(20_000)});
    let (result, _) = evaluate(expression, &data);
    let why = result.unwrap_err().to_string();
    assert!(why.contains(words), "{expression}: {why}");
}

#[test]
fn what_is_not_offered_is_refused_by_name() {
    refused("now()", "yaql function 'now' is not available here");
    refused("random()", "yaql function 'random' is not available here");
    refused(
        "def(f, 1) -> f()",
        "yaql function 'def' is not available here",
    );
    refused(
        "$.data.format()",
        "yaql function 'format' is not available here",
    );
}

#[test]
fn what_is_too_much_is_given_up() {
    refused("$.data.numbers.select($)", "more than 200 items");
    refused("$.data.text.len()", "too much memory");
    refused(
        "range(200).select(range(200).select(range(200).sum()).sum()).sum()",
        "more than 300000 steps",
    );
    // Lists that share their parts are written out in the end.
    let doubled = "let([1, 1]) -> ".to_owned() + &"let([$, $]) -> ".repeat(40) + "$";
    refused(&doubled, "more than 300000 steps");
    refused(
        "range(200).aggregate(range(200).aggregate([$1], $1), [])",
        "deeper than 300 levels",
    );
    refused(
        "range(200).aggregate(range(200).aggregate(let($1), $1), 1)",
        "deeper than 300 levels",
    );
    refused("pow(10, 1000)", "too large");
    refused(
        "'a'.replace('', 'b' * 9000).replace('', 'c' * 9000)",
        "too much memory",
    );
    refused("('a' * 200) =~ '(?:(a+)\\\\1?)+b'", "reasonable time");
}

#[test]
fn what_cannot_be_read_is_refused() {
    let deep = format!("{}1{}", "(".repeat(200), ")".repeat(200));
    for (expression, words) in [
        ("1 +", "it ends too early"),
        ("", "it ends too early"),
        ("a b", "at position 2"),
        ("#", "illegal character '#' at position 0"),
        (deep.as_str(), "deeper than 64 levels"),
        (&format!("1{}", " + 1".repeat(200)), "deeper than 64 levels"),
        (
            &format!("'{}'", "a".repeat(10_000)),
            "longer than 10000 bytes",
        ),
        ("99999999999999999999999999999999999999999", "too large"),
    ] {
        let why = check(expression).unwrap_err().to_string();
        assert!(why.contains(words), "{expression}: {why}");
    }
    assert_eq!(check("$.data.x.where($ > 1).sum()"), Ok(()));
}

#[test]
fn the_deepest_expression_needs_no_large_stack() {
    let methods = format!("[1]{}", ".select($)".repeat(62));
    let groups = format!("{}1{}", "(".repeat(62), ")".repeat(62));
    let nested = format!("{}1{}", "[1].select(".repeat(31), ")".repeat(31));
    let work = move || {
        for expression in [&methods, &groups, &nested] {
            let (result, _) = evaluate(expression, &json!({}));
            assert!(result.is_ok(), "{expression}: {result:?}");
        }
    };
    let thread = std::thread::Builder::new().stack_size(1 << 19);
    thread.spawn(work).unwrap().join().unwrap();
}
