//! Containers of the object service.

use http::{HeaderMap, HeaderValue};
use nephos_testkit::Persona;
use serde_json::{Value, json};

use crate::kit::{Cloud, cloud};
use crate::siblings::{Answer, State, missing};

impl State {
    /// Containers and accounts keep the headers that they are given; an empty one takes it away.
    pub fn objects(
        &mut self,
        (method, account, rest): (&str, &str, &[&str]),
        headers: &HeaderMap,
        out: &mut HeaderMap,
    ) -> Answer {
        assert_eq!(account, format!("AUTH_{}", Persona::Member.project()));
        let own = |name: &str| {
            ["x-container-", "x-account-"]
                .iter()
                .any(|begin| name.starts_with(begin))
        };
        let kept = |thing: &mut Value| {
            for (name, value) in headers.iter().filter(|(name, _)| own(name.as_str())) {
                let map = thing.as_object_mut().unwrap();
                match value.to_str().unwrap() {
                    "" => drop(map.remove(name.as_str())),
                    value => drop(map.insert(name.as_str().to_owned(), json!(value))),
                }
            }
        };
        match (method, rest) {
            ("POST", []) => {
                let account = self.rows("accounts").entry(account.to_owned());
                kept(account.or_insert_with(|| json!({})));
                (204, Value::Null)
            }
            ("PUT", [name]) => {
                let there = self.rows("containers").contains_key(*name);
                let container = self.rows("containers").entry((*name).to_owned());
                kept(container.or_insert_with(|| json!({})));
                (if there { 202 } else { 201 }, Value::Null)
            }
            (_, [name, ..]) if !self.rows("containers").contains_key(*name) => missing(),
            ("POST", [name]) => {
                kept(self.rows("containers").get_mut(*name).unwrap());
                (204, Value::Null)
            }
            ("HEAD", [name]) => {
                for (header, value) in self.rows("containers")[*name].as_object().unwrap() {
                    let header = http::HeaderName::from_bytes(header.as_bytes()).unwrap();
                    out.insert(
                        header,
                        HeaderValue::from_str(value.as_str().unwrap()).unwrap(),
                    );
                }
                let count = self.rows(&format!("objects of {name}")).len();
                out.insert("x-container-object-count", HeaderValue::from(count));
                (204, Value::Null)
            }
            ("GET", [name]) => {
                let objects = self.rows(&format!("objects of {name}"));
                let listed = objects.keys().take(32).map(|name| json!({"name": name}));
                (200, listed.collect())
            }
            ("DELETE", [name]) => {
                assert!(self.rows(&format!("objects of {name}")).is_empty());
                self.rows("containers").remove(*name);
                (204, Value::Null)
            }
            ("DELETE", [name, object @ ..]) => {
                let object = object.join("/").replace("%20", " ");
                let gone = self.rows(&format!("objects of {name}")).remove(&object);
                gone.map_or_else(missing, |_| (204, Value::Null))
            }
            other => panic!("the object service is not asked this: {other:?}"),
        }
    }
}

fn fill(cloud: &Cloud, container: &str, count: usize) {
    let mut state = cloud.siblings.state();
    for at in 0..count {
        let objects = state.rows(&format!("objects of {container}"));
        objects.insert(format!("a b/{at}"), Value::Null);
    }
}

fn container(properties: Value) -> Value {
    json!({"c": {"type": "OS::Swift::Container", "properties": properties}})
}

#[tokio::test]
async fn a_container_is_made_shown_and_goes() {
    let cloud = cloud().await;
    let mut body = crate::kit::template(container(json!({
        "name": "pictures", "X-Container-Read": ".r:*", "X-Container-Meta": {"Colour": "blue", "count": 1},
        "X-Account-Meta": {"Temp-URL-Key": "k"},
    })));
    body["outputs"] = json!({"all": {"value": [
        {"get_attr": ["c", "DomainName"]}, {"get_attr": ["c", "WebsiteURL"]}, {"get_attr": ["c", "RootURL"]},
        {"get_attr": ["c", "ObjectCount"]}, {"get_attr": ["c", "HeadContainer", "x-container-meta-colour"]},
        {"get_resource": "c"},
    ]}});
    let stack = cloud.create("s", json!({ "template": body })).await;
    cloud.settle().await;
    let shown = cloud.show(&stack).await;
    assert_eq!(shown["stack_status"], "CREATE_COMPLETE", "{shown}");
    let root = "http://cloud.test:8080/object/v1/AUTH_p";
    assert_eq!(
        shown["outputs"][0]["output_value"],
        json!([
            "cloud.test",
            format!("{root}/pictures"),
            root,
            "0",
            "blue",
            "pictures"
        ])
    );
    {
        let mut state = cloud.siblings.state();
        assert_eq!(
            state.rows("containers")["pictures"],
            json!({"x-container-read": ".r:*", "x-container-meta-colour": "blue", "x-container-meta-count": "1"})
        );
        let account = state.rows("accounts").values().next().cloned().unwrap();
        assert_eq!(account, json!({"x-account-meta-temp-url-key": "k"}));
    }
    cloud.delete(&stack).await;
    assert_eq!(cloud.siblings.count("containers"), 0);
}

#[tokio::test]
async fn what_is_in_a_container_goes_only_when_that_was_said() {
    let cloud = cloud().await;
    let stack = cloud.made("s", container(json!({"name": "full"}))).await;
    fill(&cloud, "full", 40);
    cloud.delete(&stack).await;
    let reason = cloud.show(&stack).await["stack_status_reason"].to_string();
    assert!(
        reason.contains("Deleting non-empty container (full) when PurgeOnDelete is False"),
        "{reason}"
    );
    assert_eq!(cloud.siblings.count("objects of full"), 40);

    let purged = cloud
        .made(
            "t",
            container(json!({"name": "purged", "PurgeOnDelete": true})),
        )
        .await;
    fill(&cloud, "purged", 40);
    cloud.delete(&purged).await;
    cloud.get(&purged, "").await.expect(404);
    assert_eq!(cloud.siblings.count("containers"), 1);
    assert_eq!(cloud.siblings.count("objects of purged"), 0);
}

#[tokio::test]
async fn a_container_that_is_replaced_under_its_name_stays_and_becomes_what_is_said() {
    let cloud = cloud().await;
    let before = container(
        json!({"name": "same", "X-Container-Read": ".r:*", "X-Container-Meta": {"a": "1", "b": "2"}, "PurgeOnDelete": true}),
    );
    let stack = cloud.made("s", before).await;
    fill(&cloud, "same", 1);
    let id = cloud.resource(&stack, "c").await["physical_resource_id"].clone();
    let after = container(json!({"name": "same", "X-Container-Meta": {"a": "3"}}));
    cloud.updated(&stack, after).await;
    assert_eq!(cloud.state(&stack).await, "UPDATE_COMPLETE");
    assert_eq!(cloud.siblings.count("objects of same"), 1);
    assert_eq!(
        cloud.siblings.state().rows("containers")["same"],
        json!({"x-container-meta-a": "3"})
    );
    assert_eq!(
        cloud.resource(&stack, "c").await["physical_resource_id"],
        id
    );
}

#[tokio::test]
async fn a_failed_update_leads_back_to_the_container_as_it_was() {
    let cloud = cloud().await;
    let before = container(json!({"name": "same", "X-Container-Meta": {"a": "1"}}));
    let stack = cloud.made("s", before).await;
    let mut after = container(json!({"name": "same", "X-Container-Meta": {"b": "2"}}));
    after["bad"] =
        json!({"type": "OS::Heat::TestResource", "depends_on": "c", "properties": {"fail": true}});
    let body = json!({"template": crate::kit::template(after), "disable_rollback": false});
    cloud.update(&stack, body).await.expect(202);
    cloud.settle().await;
    assert_eq!(cloud.state(&stack).await, "ROLLBACK_COMPLETE");
    assert_eq!(
        cloud.siblings.state().rows("containers")["same"],
        json!({"x-container-meta-a": "1"})
    );
}

#[tokio::test]
async fn what_no_header_can_hold_is_refused_with_its_name() {
    let cloud = cloud().await;
    let stack = cloud
        .made(
            "s",
            container(json!({"X-Container-Meta": {"two words": "x"}})),
        )
        .await;
    let reason = cloud.show(&stack).await["stack_status_reason"].to_string();
    assert!(reason.contains("X-Container-Meta-two words"), "{reason}");
    cloud.delete(&stack).await;
    assert_eq!(cloud.siblings.count("containers"), 0);
}
