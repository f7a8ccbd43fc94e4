//! The validator's words.

use serde_json::json;

use super::*;

#[track_caller]
fn check(schema: &Schema, value: Value, expected: &[&str]) {
    let found = schema.check(&value);
    match (expected, &found) {
        ([], found) => assert_eq!(*found, Ok(())),
        (texts, Err(found)) => {
            for text in texts {
                assert!(found.contains(text), "{found} has no {text}");
            }
        }
        (texts, Ok(())) => panic!("{value} passed, expected {texts:?}"),
    }
}

fn thing() -> Schema {
    let size = Schema::Integer {
        min: Some(1),
        max: Some(9),
    };
    let object = Object::of(vec![("name", Schema::text(3)), ("size", size)]);
    Schema::Object(object.optional(vec![
        ("generation", Schema::Nullable(Box::new(Schema::integer()))),
        ("id", Schema::Nullable(Box::new(Schema::uuid()))),
        ("how", Schema::OneOf(&["none", "isolate"])),
    ]))
}

#[test]
fn what_is_wrong_is_said_in_jsonschemas_words() {
    let id = "12345678-90ab-cdef-1234-567890abcdef";
    check(
        &thing(),
        json!({"name": "x", "size": 1, "id": id, "generation": null}),
        &[],
    );
    check(
        &thing(),
        json!({"size": 1}),
        &[
            "'name' is a required property",
            "Failed validating 'required' in schema",
        ],
    );
    check(
        &thing(),
        json!({"name": "x", "size": 0}),
        &["0 is less than the minimum of 1", "On instance['size']"],
    );
    check(
        &thing(),
        json!({"name": "x", "size": 10}),
        &["Failed validating 'maximum'"],
    );
    check(
        &thing(),
        json!({"name": "x", "size": 1.0}),
        &["1.0 is not of type 'integer'"],
    );
    check(
        &thing(),
        json!({"name": "x", "size": u64::MAX}),
        &["maximum"],
    );
    check(
        &thing(),
        json!({"name": "long", "size": 1}),
        &["Failed validating 'maxLength'"],
    );
    check(
        &thing(),
        json!({"name": "x", "size": 1, "id": "x"}),
        &["'x' is not a 'uuid'"],
    );
    check(
        &thing(),
        json!({"name": "x", "size": 1, "generation": "x"}),
        &["'x' is not of type 'integer', 'null'"],
    );
    check(
        &thing(),
        json!({"name": "x", "size": 1, "how": "so"}),
        &["is not one of ['none', 'isolate']"],
    );
    check(
        &thing(),
        json!({"name": "x", "size": 1, "b": 1, "a": 2}),
        &["('a', 'b' were unexpected)"],
    );
    check(&thing(), json!([true]), &["[True] is not of type 'object'"]);
}

#[test]
fn lists_and_patterned_keys() {
    let list = Schema::List {
        items: Box::new(Schema::uuid()),
        min: 1,
        unique: true,
    };
    check(&list, json!([]), &["[] should be non-empty"]);
    check(&list, json!(["x"]), &["'x' is not a 'uuid'"]);
    let id = "12345678-90ab-cdef-1234-567890abcdef";
    check(&list, json!([id, id]), &["has non-unique elements"]);
    let map = Schema::Object(Object {
        patterns: vec![(NAME, Schema::at_least(1))],
        min: 1,
        ..Object::default()
    });
    check(&map, json!({"VCPU": 1}), &[]);
    check(&map, json!({}), &["should be non-empty"]);
    check(
        &map,
        json!({"vcpu": 1}),
        &["'vcpu' does not match any of the regexes: '^[A-Z0-9_]+$'"],
    );
}
