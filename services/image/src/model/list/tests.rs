//! Filters, orders and pages as clients write them.

use proptest::prelude::*;

use super::*;

fn parse(query: &str) -> Result<ListQuery, String> {
    let pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap();
            (key.to_owned(), value.to_owned())
        })
        .collect();
    ListQuery::parse(&pairs)
}

#[track_caller]
fn check(query: &str, expected: Filter) {
    assert_eq!(parse(query).unwrap().filters, [expected], "{query}");
}

#[test]
fn every_kind_of_filter() {
    let text = |key, values: &[&str]| {
        Filter::Text(
            key,
            values.iter().map(|value| (*value).to_owned()).collect(),
        )
    };
    check("name=a", text(TextKey::Name, &["a"]));
    check(
        "name=in:a,\"b,c\",d",
        text(TextKey::Name, &["a", "b,c", "d"]),
    );
    check("status=eq:active", text(TextKey::Status, &["active"]));
    check("size_min=5", Filter::AtLeast(NumberKey::Size, 5));
    check("min_ram_max=5", Filter::AtMost(NumberKey::MinRam, 5));
    check("size=x", Filter::Never);
    check(
        "os_distro=x",
        Filter::Property("os_distro".into(), "x".into()),
    );
    check("tag=x ", Filter::Tag("x".into()));
    let at = Timestamp::parse("2026-01-02T03:04:05Z").unwrap();
    let time = |from, until, outside| Filter::Time {
        key: TimeKey::Created,
        from,
        until,
        outside,
    };
    let next = at.plus_secs(1);
    check(
        "created_at=2026-01-02T03:04:05Z",
        time(Some(at), Some(next), false),
    );
    check(
        "created_at=gt:2026-01-02T03:04:05Z",
        time(Some(next), None, false),
    );
    check(
        "created_at=lte:2026-01-02T03:04:05Z",
        time(None, Some(next), false),
    );
    check(
        "created_at=neq:2026-01-02T03:04:05Z",
        time(Some(at), Some(next), true),
    );
}

#[test]
fn what_is_wrong_is_named() {
    for (query, why) in [
        ("name=like:x", "unknown operator 'like'"),
        ("name=in:\"a", "quote"),
        ("name=in:a\"b", "quote"),
        ("size_min=x", "non-numeric"),
        ("created_at=yesterday", "ISO 8601"),
        ("created_at=in:2026-01-02T03:04:05Z", "unknown operator"),
        ("limit=x", "integer"),
        ("limit=-1", "positive"),
        ("visibility=none", "Invalid visibility"),
        ("member_status=none", "Invalid status"),
        ("os_hidden=maybe", "'os_hidden' filter"),
        ("protected=True", "'protected' filter"),
        ("sort=name&sort_key=size", "cannot be combined"),
        ("sort_key=color", "Invalid sort key: color"),
        ("sort_dir=up", "Invalid sort direction"),
        ("sort_key=name&sort_dir=asc&sort_dir=desc", "does not match"),
        ("changes-since=1", "no longer available"),
    ] {
        let refused = parse(query).unwrap_err();
        assert!(refused.contains(why), "{query}: {refused}");
    }
}

#[test]
fn the_order_is_total_and_each_key_stands_once() {
    let sort = |query: &str| parse(query).unwrap().sort;
    assert_eq!(sort(""), [(SortKey::CreatedAt, true), (SortKey::Id, true)]);
    assert_eq!(
        sort("sort=name:asc,size,name"),
        [
            (SortKey::Name, false),
            (SortKey::Size, true),
            (SortKey::CreatedAt, false),
            (SortKey::Id, false)
        ]
    );
    assert_eq!(
        sort("sort_key=id&sort_dir=asc"),
        [(SortKey::Id, false), (SortKey::CreatedAt, false)]
    );
}

proptest! {
    #[test]
    fn no_query_panics(key in "[a-z_]{0,12}|name|created_at|size_min|sort", value in "\\PC{0,30}|in:[\",a]{0,8}") {
        let _outcome = ListQuery::parse(&[(key, value)]);
    }
}
