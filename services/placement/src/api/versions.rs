//! How replies changed over the versions. The code knows only the newest shape.

use nephos_api::version::{Change, Object, added, before, changed, v};
use serde_json::{Value, json};

/// A resource provider.
pub(crate) const PROVIDER: &[Change] = &[
    before(v(1, 1), "links", |provider| {
        drop_link(provider, "aggregates")
    }),
    before(v(1, 6), "links", |provider| drop_link(provider, "traits")),
    before(v(1, 11), "links", |provider| {
        drop_link(provider, "allocations")
    }),
    added(v(1, 14), "parent_provider_uuid"),
    added(v(1, 14), "root_provider_uuid"),
];

/// The aggregates of a provider.
pub(crate) const AGGREGATES: &[Change] = &[added(v(1, 19), "resource_provider_generation")];

/// The allocations of a consumer.
pub(crate) const CONSUMER: &[Change] = &[
    added(v(1, 12), "project_id"),
    added(v(1, 12), "user_id"),
    added(v(1, 28), "consumer_generation"),
    added(v(1, 38), "consumer_type"),
];

/// The allocations on a provider.
pub(crate) const ON_PROVIDER: &[Change] = &[before(
    v(1, 28),
    "allocations",
    without_consumer_generations,
)];

/// Allocation candidates.
pub(crate) const CANDIDATES: &[Change] = &[
    changed(v(1, 12), requests_as_lists),
    changed(v(1, 17), |body| drop_of_summaries(body, &["traits"])),
    changed(v(1, 27), only_requested_classes),
    changed(v(1, 29), |body| {
        drop_of_summaries(body, &["parent_provider_uuid", "root_provider_uuid"]);
    }),
    changed(v(1, 34), without_mappings),
];

fn drop_link(provider: &mut Object, rel: &str) {
    if let Some(links) = provider.get_mut("links").and_then(Value::as_array_mut) {
        links.retain(|link| link["rel"] != rel);
    }
}

fn without_consumer_generations(body: &mut Object) {
    for allocation in values(body, "allocations") {
        allocation.shift_remove("consumer_generation");
    }
}

fn drop_of_summaries(body: &mut Object, keys: &[&str]) {
    for summary in values(body, "provider_summaries") {
        for key in keys {
            summary.shift_remove(*key);
        }
    }
}

fn only_requested_classes(body: &mut Object) {
    let requested = body.get("_requested").cloned().unwrap_or_default();
    let requested: Vec<&str> = requested
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for summary in values(body, "provider_summaries") {
        if let Some(resources) = summary.get_mut("resources").and_then(Value::as_object_mut) {
            resources.retain(|class, _| requested.contains(&class.as_str()));
        }
    }
}

fn without_mappings(body: &mut Object) {
    for request in requests(body) {
        request.shift_remove("mappings");
    }
}

fn requests_as_lists(body: &mut Object) {
    for request in requests(body) {
        let Some(Value::Object(allocations)) = request.get_mut("allocations").map(Value::take)
        else {
            continue;
        };
        let list = allocations.into_iter().map(|(uuid, allocation)| {
            json!({
                "resource_provider": {"uuid": uuid},
                "resources": allocation.get("resources"),
            })
        });
        let list = list.collect();
        request.insert("allocations".into(), Value::Array(list));
    }
}

fn requests(body: &mut Object) -> impl Iterator<Item = &mut Object> {
    let list = body.get_mut("allocation_requests");
    let list = list.and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_object_mut)
}

/// The objects that stand under the keys of the object at `key`.
fn values<'a>(body: &'a mut Object, key: &str) -> impl Iterator<Item = &'a mut Object> {
    let map = body.get_mut(key).and_then(Value::as_object_mut);
    let map = map.into_iter().flat_map(serde_json::Map::values_mut);
    map.filter_map(Value::as_object_mut)
}
