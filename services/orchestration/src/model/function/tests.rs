//! Each function, and what it refuses.

use serde_json::{Value, json};

use super::*;

struct Known(Version, Depth);

impl World for Known {
    fn version(&self) -> Version {
        self.0
    }
    fn spend(&self, _work: usize) -> Result<(), Trouble> {
        Ok(())
    }
    fn depth(&self) -> &Depth {
        &self.1
    }
    fn parameter(&self, name: &str) -> Evaluated {
        match name {
            "text" => Ok(json!("hello")),
            "list" => Ok(json!(["a", "b"])),
            "map" => Ok(json!({"k": {"l": [1, 2]}})),
            "yes" => Ok(json!(true)),
            _none => Err(Trouble::wrong(format!(
                "The Parameter ({name}) was not provided."
            ))),
        }
    }
    fn has_resource(&self, name: &str) -> bool {
        name == "server"
    }
    fn resource(&self, name: &str) -> Evaluated {
        Ok(json!(format!("id-of-{name}")))
    }
    fn attribute(&self, name: &str, attribute: Option<&str>, path: &[Value]) -> Evaluated {
        if name == "later" {
            return Err(Trouble::NotYet(name.to_owned()));
        }
        let all = json!({"addresses": {"net": [{"addr": "10.0.0.1"}]}});
        let one = attribute.map_or(all.clone(), |attribute| all[attribute].clone());
        Ok(walk(&one, path).unwrap_or_default())
    }
    fn file(&self, name: &str) -> Evaluated {
        Ok(json!(format!("content of {name}")))
    }
    fn condition(&self, name: &str) -> Result<bool, Trouble> {
        Ok(name == "true_one")
    }
    fn facade(&self, what: &str) -> Evaluated {
        Ok(json!(what))
    }
    fn zones(&self) -> Evaluated {
        Ok(json!(["nova", "other"]))
    }
}

#[track_caller]
fn check_at(version: Version, value: Value, expected: Value) {
    assert_eq!(
        evaluate(&Known(version, Depth::default()), &value),
        Ok(expected),
        "{value}"
    );
}

#[track_caller]
pub(super) fn check(value: Value, expected: Value) {
    check_at(Version::WALLABY, value, expected);
}

#[track_caller]
pub(super) fn refused(value: Value, words: &str) {
    let why = evaluate(&Known(Version::WALLABY, Depth::default()), &value)
        .unwrap_err()
        .to_string();
    assert!(why.contains(words), "{why}");
}

#[test]
fn parameters_resources_attributes_and_files() {
    check(json!({"get_param": "text"}), json!("hello"));
    check(json!({"get_param": ["map", "k", "l", 1]}), json!(2));
    check(json!({"get_param": ["list", 5]}), json!(""));
    check(json!({"get_resource": "server"}), json!("id-of-server"));
    check(
        json!({"get_attr": ["s", "addresses", "net", 0, "addr"]}),
        json!("10.0.0.1"),
    );
    check(
        json!({"get_attr": ["s", "addresses", "other"]}),
        Value::Null,
    );
    check(
        json!({"get_attr": ["s"]}),
        json!({"addresses": {"net": [{"addr": "10.0.0.1"}]}}),
    );
    check(json!({"get_file": "a.sh"}), json!("content of a.sh"));
    check(json!({"resource_facade": "metadata"}), json!("metadata"));
    refused(
        json!({"get_param": "nothing"}),
        "The Parameter (nothing) was not provided.",
    );
    refused(json!({"get_attr": []}), "get_attr");
    refused(json!({"resource_facade": "color"}), "resource_facade");
    let later = evaluate(
        &Known(Version::PIKE, Depth::default()),
        &json!([{"get_attr": ["later", "x"]}]),
    );
    assert_eq!(later, Err(Trouble::NotYet("later".to_owned())));
}

#[test]
fn what_a_version_does_not_have_is_a_plain_map() {
    check_at(
        Version::V2013_05,
        json!({"repeat": 1}),
        json!({"repeat": 1}),
    );
    check_at(
        Version::V2013_05,
        json!({"Fn::Select": ["1", ["a", "b"]]}),
        json!("b"),
    );
    check_at(
        Version::V2013_05,
        json!({"yaql": {"expression": "$"}}),
        json!({"yaql": {"expression": "$"}}),
    );
    check(
        json!({"get_param": "text", "other": 1}),
        json!({"get_param": "text", "other": 1}),
    );
}

#[test]
fn texts() {
    check(
        json!({"str_replace": {"template": "$user@$userhost", "params": {"$user": "u", "$userhost": {"get_param": "text"}}}}),
        json!("u@hello"),
    );
    check(
        json!({"str_replace": {"template": "a b", "params": {"a": "b", "b": "a"}}}),
        json!("b a"),
    );
    check(
        json!({"str_replace": {"template": "x y z", "params": {"x": 1, "y": true, "z": ["q"]}}}),
        json!("1 True [\"q\"]"),
    );
    refused(
        json!({"str_replace_strict": {"template": "x", "params": {"y": 1}}}),
        "not found in the template",
    );
    refused(
        json!({"str_replace_vstrict": {"template": "x", "params": {"x": ""}}}),
        "undefined or empty value for param x",
    );
    refused(json!({"str_replace": {"template": "x"}}), "params");
    check(
        json!({"list_join": ["-", {"get_param": "list"}, ["c", 1, {"d": 1}]]}),
        json!("a-b-c-1-{\"d\": 1}"),
    );
    refused(json!({"list_join": ["-", "ab"]}), "must be lists");
    check(json!({"str_split": [",", "a,b"]}), json!(["a", "b"]));
    check(json!({"str_split": [",", "a,b", 1]}), json!("b"));
    refused(json!({"str_split": [",", "a,b", 2]}), "between 0 and 1");
    check(
        json!({"digest": ["sha1", "x"]}),
        json!("11f6ad8ec52a2984abaafd7c3b516503785c2072"),
    );
    check(
        json!({"digest": ["md5", "x"]}),
        json!("9dd4e461268c8034f5c8564e155c67a6"),
    );
    refused(json!({"digest": ["rot13", "x"]}), "Algorithm must be");
    check(
        json!({"make_url": {"scheme": "http", "username": "u", "password": "p@", "host": "::1", "port": 80, "path": "a b", "query": {"q": "1&2"}, "fragment": "f"}}),
        json!("http://u:p%40@[::1]:80/a%20b?q=1%262#f"),
    );
    refused(json!({"make_url": {"port": 99999}}), "Invalid URL port");
}

#[test]
fn lists_and_maps() {
    check(
        json!({"repeat": {"for_each": {"%x%": {"get_param": "list"}, "%y%": [1, 2]}, "template": {"n": "%x%-%y%", "v": "%y%"}}}),
        json!([
        {"n": "a-1", "v": 1}, {"n": "a-2", "v": 2}, {"n": "b-1", "v": 1}, {"n": "b-2", "v": 2}]),
    );
    check(
        json!({"repeat": {"permutations": false, "for_each": {"%x%": ["a", "b"], "%y%": [1, 2]}, "template": "%x%%y%"}}),
        json!(["a1", "b2"]),
    );
    refused(
        json!({"repeat": {"permutations": false, "for_each": {"%x%": ["a"], "%y%": [1, 2]}, "template": ""}}),
        "same length",
    );
    let many: Vec<u32> = (0..200).collect();
    refused(
        json!({"repeat": {"for_each": {"a": many, "b": many}, "template": "a"}}),
        "more than 10000",
    );
    check(
        json!({"map_merge": [{"a": 1, "b": 1}, {"b": 2}]}),
        json!({"a": 1, "b": 2}),
    );
    check(
        json!({"map_replace": [{"a": "x", "b": "y"}, {"keys": {"a": "c"}, "values": {"y": "z"}}]}),
        json!({"c": "x", "b": "z"}),
    );
    refused(
        json!({"map_replace": [{"a": "x", "b": "y"}, {"keys": {"a": "b"}}]}),
        "collides",
    );
    check(
        json!({"list_concat": [["a"], ["a", "b"]]}),
        json!(["a", "a", "b"]),
    );
    check(
        json!({"list_concat_unique": [["a"], ["a", "b"]]}),
        json!(["a", "b"]),
    );
    check(
        json!({"filter": [[null, ""], ["a", null, ""]]}),
        json!(["a"]),
    );
    check(json!({"contains": ["a", ["a", "b"]]}), json!(true));
}

#[test]
fn choices() {
    check(json!({"if": ["true_one", "y", "n"]}), json!("y"));
    check(json!({"if": ["other", "y", "n"]}), json!("n"));
    check(json!({"if": [{"not": "other"}, "y", "n"]}), json!("y"));
    check(json!([1, {"if": ["other", 2]}, 3]), json!([1, 3]));
    check(json!({"a": {"if": ["other", 2]}}), json!({}));
    let newton = evaluate(
        &Known(Version::NEWTON, Depth::default()),
        &json!({"if": ["other", 2]}),
    );
    assert!(newton.is_err());
}

#[track_caller]
pub(super) fn check_condition(condition: Value, expected: bool) {
    assert_eq!(
        holds(&Known(Version::PIKE, Depth::default()), &condition),
        Ok(expected),
        "{condition}"
    );
}

#[test]
fn conditions() {
    check_condition(json!(true), true);
    check_condition(json!("true_one"), true);
    check_condition(json!({"equals": [{"get_param": "text"}, "hello"]}), true);
    check_condition(json!({"equals": [1, 1.0]}), true);
    check_condition(json!({"and": ["true_one", {"equals": [1, 2]}]}), false);
    check_condition(json!({"or": ["other", {"get_param": "yes"}]}), true);
    check_condition(json!({"contains": ["a", {"get_param": "list"}]}), true);
    let world = Known(Version::PIKE, Depth::default());
    for wrong in [
        json!(3),
        json!({"and": [true]}),
        json!({"get_attr": ["s", "x"]}),
        json!({"get_param": "text"}),
    ] {
        assert!(holds(&world, &wrong).is_err(), "{wrong}");
    }
}

#[test]
fn what_the_original_has_and_this_does_not_is_refused() {
    for (version, name) in [
        (Version::V2014_10, "Fn::GetAZs"),
        (Version::V2014_10, "Fn::Join"),
        (Version::V2014_10, "Ref"),
        (Version::WALLABY, "Fn::Select"),
        (Version::WALLABY, "Fn::Join"),
    ] {
        assert!(withheld(name, version), "{name}");
    }
    assert!(!withheld("Fn::Select", Version::V2013_05));
    assert!(!withheld("list_join", Version::WALLABY));
}

#[test]
fn the_zones_are_those_of_the_cloud_whatever_region_is_named() {
    for region in ["", "here"] {
        check_at(
            Version::V2013_05,
            json!({ "Fn::Select": ["1", { "Fn::GetAZs": region }] }),
            json!("other"),
        );
    }
}

#[test]
fn maps_and_lists_are_written_as_python_writes_them() {
    assert_eq!(
        shown(&json!({"a": [1, "ü", null, true], "b": {}})),
        "{\"a\": [1, \"\\u00fc\", null, true], \"b\": {}}"
    );
}

#[test]
fn replacements_are_made_as_heat_makes_them() {
    let replace = |template: &str, params: Value| json!({"str_replace": {"template": template, "params": params}});
    // The longest name goes first, over the whole text, and what it leaves is looked through for the next.
    check(replace("abcd", json!({"ab": "1", "bcd": "2"})), json!("a2"));
    check(replace("aaa", json!({"aa": "a"})), json!("aa"));
    check(
        replace("x", json!({"x": {"b": 1, "a": [{"d": 1, "c": 2}]}})),
        json!("{\"a\": [{\"c\": 2, \"d\": 1}], \"b\": 1}"),
    );
    check(
        json!({"str_replace": {"template": "x", "params": {"x": 1}, "colour": "blue"}}),
        json!("1"),
    );
    refused(
        json!({"str_replace_strict": {"template": "x", "params": {"y": 1, "zz": 1, "x": 2}}}),
        "not found in the template: zz,y",
    );
    // A name that only stood within another one's place was not used.
    refused(
        json!({"str_replace_strict": {"template": "ab", "params": {"ab": 1, "a": 2}}}),
        "not found in the template: a",
    );
    for empty in [json!([]), json!({}), json!(""), Value::Null] {
        refused(
            json!({"str_replace_vstrict": {"template": "x", "params": {"x": empty}}}),
            "undefined or empty value",
        );
    }
    let long = "x".repeat(1 << 20);
    refused(
        replace(
            "abcde",
            json!({"a": long, "b": long, "c": long, "d": long, "e": long}),
        ),
        "more than 4194304 bytes",
    );
    check(json!({"list_join": [",", "", ["a"], null]}), json!("a"));
    check(
        json!({"list_join": [",", [{"b": 1, "a": 2}]]}),
        json!("{\"a\": 2, \"b\": 1}"),
    );
}

#[test]
fn positions_count_from_the_end_too() {
    check(json!({"str_split": [",", "a,b,c", -1]}), json!("c"));
    check(json!({"str_split": [",", "a,b,c", "-3"]}), json!("a"));
    refused(json!({"str_split": [",", "a,b", -3]}), "between 0 and 1");
    check(json!({"get_param": ["list", -1]}), json!("b"));
    check(json!({"get_param": ["list", -3]}), json!(""));
    check(
        json!({"get_attr": ["s", "addresses", "net", -1, "addr"]}),
        json!("10.0.0.1"),
    );
}

#[test]
fn digests_are_of_latin_1() {
    check(
        json!({"digest": ["SHA256", "\u{e9}"]}),
        json!("de2e331d891ae267a7009cb45b4e8830f170e0c937288ea2731a1941c7a53b0d"),
    );
    check(
        json!({"digest": ["MD5", "\u{e9}"]}),
        json!("3406877694691ddd1dfb0aca54681407"),
    );
    refused(json!({"digest": ["md5", "\u{20ac}"]}), "Latin-1");
    check(
        json!({"digest": ["sha512_256", ""]}),
        json!("c672b8d1ef56ed28ab87c3622c5114069bdd3ad7b8f9737498d0c01ecef0967a"),
    );
    for (algorithm, begins) in [
        ("sha3_224", "63e6ceb28ad474fa"),
        ("SHA3_256", "741efa311f976869"),
        ("sha3_384", "5abfc7bc2a09a612"),
        ("sha3_512", "0fdb27960308c514"),
        ("blake2b", "0909377ad35110ca"),
        ("blake2s", "ec308c07c83582c6"),
    ] {
        let value = json!({ "digest": [algorithm, "x"] });
        let digest = evaluate(&Known(Version::WALLABY, Depth::default()), &value).unwrap();
        assert!(digest.as_str().unwrap().starts_with(begins), "{algorithm}");
    }
}

#[test]
fn urls_are_written_as_python_writes_them() {
    let url = |parts: Value| json!({ "make_url": parts });
    check(
        url(json!({"scheme": "http", "host": "h", "query": {"k y": "v/w x"}, "fragment": "a/b"})),
        json!("http://h?k+y=v/w+x#a/b"),
    );
    check(
        url(json!({"scheme": "file", "path": "/x"})),
        json!("file:///x"),
    );
    check(
        url(json!({"scheme": "mailto", "path": "a"})),
        json!("mailto:a"),
    );
    check(
        url(json!({"password": "p", "host": "h_\u{e9}"})),
        json!("//:p@h_%C3%A9"),
    );
    refused(url(json!({"host": "h", "port": 0})), "must be in range");
}

#[test]
fn nothing_is_nothing_to_replace_or_filter() {
    check(
        json!({"map_replace": [{"a": 1, "b": true}, null]}),
        json!({"a": 1, "b": true}),
    );
    check(
        json!({"map_replace": [{"a": 1, "b": "1"}, {"values": {"1": "x"}, "keys": {"a": null}}]}),
        json!({"a": 1, "b": "x"}),
    );
    check(json!({"filter": [null, ["a"]]}), json!(["a"]));
    check(json!({"filter": [["a"], null]}), Value::Null);
}

#[test]
fn functions_in_a_repetition_are_carried_out_before_it() {
    check(
        json!({"repeat": {"for_each": {"%i%": ["a", "b"]},
            "template": {"str_replace": {"template": "x-NAME", "params": {"NAME": "%i%"}}}}}),
        json!(["x-a", "x-b"]),
    );
}

#[test]
fn the_first_version_has_functions_of_cloud_formation() {
    let check = |value: Value, expected: Value| check_at(Version::V2013_05, value, expected);
    check(json!({"Ref": "server"}), json!("id-of-server"));
    check(json!({"Ref": "text"}), json!("hello"));
    check(
        json!({"Fn::Join": ["-", ["a", {"Ref": "text"}]]}),
        json!("a-hello"),
    );
    check(json!({"Fn::Split": [",", "a,b"]}), json!(["a", "b"]));
    check(
        json!({"Fn::Replace": [{"$a": "1"}, "$a $b"]}),
        json!("1 $b"),
    );
    check(json!({"Fn::Base64": {"Ref": "text"}}), json!("hello"));
    check(json!({"Fn::Select": ["-1", ["a", "b"]]}), json!("b"));
    check(json!({"Fn::Select": ["k", "{\"k\": 1}"]}), json!(1));
    check(json!({"Fn::Select": ["k", {"l": 1}]}), json!(""));
    check(
        json!({"Fn::ResourceFacade": "DeletionPolicy"}),
        json!("deletion_policy"),
    );
    check(
        json!({"Fn::MemberListToMap": ["Name", "Value", [
            ".member.1.Name=b", ".member.0.Value=x=y", ".member.0.Name=a", ".member.1.Value=z", ".member.2.Name=c"]]}),
        json!({"a": "x=y", "b": "z"}),
    );
    for wrong in [
        json!({"Ref": "nobody"}),
        json!({"Fn::Join": ["-", ["a"], ["b"]]}),
        json!({"Fn::Base64": 5}),
        json!({"Fn::Select": ["x", ["a"]]}),
        json!({"Fn::ResourceFacade": "metadata"}),
        json!({"Fn::MemberListToMap": ["Name", "Value", ["x"]]}),
    ] {
        let known = Known(Version::V2013_05, Depth::default());
        assert!(evaluate(&known, &wrong).is_err(), "{wrong}");
    }
}
