//! Bad input: a clear answer in Nova's form, and nothing half made.

use http::Method;
use nephos_db::args;
use serde_json::{Value, json};

use crate::cloud::Cloud;

#[tokio::test]
async fn a_server_that_cannot_be_is_refused_with_its_reason() {
    let cloud = Cloud::new().await;
    let big = cloud.image.add_image(&json!({"min_disk": 50}));
    let hungry = cloud.image.add_image(&json!({"min_ram": 4096}));
    let queued = cloud.image.add_image(&json!({"status": "queued"}));
    let empty = cloud.network.add(
        "networks",
        json!({"name": "empty", "subnets": [], "project_id": "p", "router:external": false}),
    );
    let unknown = "11111111-1111-4111-8111-111111111111";
    let long = "x".repeat(256);
    for (more, words) in [
        (json!({"name": ""}), "name"),
        (json!({"name": "   "}), "name"),
        (json!({"name": long}), "name"),
        (json!({"name": 5}), "name"),
        (json!({"imageRef": unknown}), "Can not find requested image"),
        (json!({"imageRef": "nothing"}), "'nothing' is not a 'uuid'"),
        (json!({"imageRef": ""}), "Missing imageRef attribute"),
        (
            json!({"imageRef": big}),
            "Flavor's disk is too small for requested image",
        ),
        (
            json!({"imageRef": hungry}),
            "Flavor's memory is too small for requested image",
        ),
        (json!({"imageRef": queued}), "is not active"),
        (
            json!({"flavorRef": "none"}),
            "Flavor none could not be found",
        ),
        (json!({"flavorRef": null}), "flavorRef"),
        (json!({"key_name": "none"}), "Invalid key_name provided"),
        (
            json!({"networks": [{"uuid": unknown}]}),
            "could not be found",
        ),
        (
            json!({"networks": [{"port": unknown}]}),
            "could not be found",
        ),
        (json!({"networks": [{"uuid": empty}]}), "requires a subnet"),
        (json!({"networks": [{}]}), "networks"),
        (json!({"networks": "some"}), "networks"),
        (
            json!({"networks": [{"uuid": cloud.network_id, "fixed_ip": "10.0.0"}]}),
            "Invalid input for field/attribute fixed_ip. Value: 10.0.0. '10.0.0' is not a",
        ),
        (
            json!({"networks": [{"uuid": cloud.network_id, "colour": "red"}]}),
            "networks",
        ),
        (
            json!({"security_groups": [{"name": "none"}]}),
            "Security group none not found",
        ),
        (json!({"user_data": "%%%"}), "user_data"),
        (json!({"user_data": "A".repeat(65_536)}), "user_data"),
        (json!({"accessIPv4": "::1"}), "accessIPv4"),
        (json!({"accessIPv6": "10.0.0.1"}), "accessIPv6"),
        (json!({"metadata": {"": "v"}}), "metadata"),
        (json!({"metadata": {"k".repeat(256): "v"}}), "metadata"),
        (json!({"metadata": {"k": 1}}), "attribute k."),
        (json!({"tags": ["a/b"]}), "tag"),
        (
            json!({"tags": (0..51).map(|n| n.to_string()).collect::<Vec<_>>()}),
            "tags",
        ),
        (json!({"hostname": "-x"}), "hostname"),
        (json!({"min_count": 0}), "min_count"),
        (
            json!({"min_count": 3, "max_count": 2}),
            "min_count must be <= max_count",
        ),
        (
            json!({"max_count": 2, "networks": [{"port": unknown}]}),
            "single configured port",
        ),
        (json!({"OS-DCF:diskConfig": "SOMETIMES"}), "diskConfig"),
        (
            json!({"block_device_mapping_v2": [{"source_type": "volume", "uuid": unknown}]}),
            "Block Device Mapping is Invalid",
        ),
        (json!({"colour": "red"}), "'colour' was unexpected"),
    ] {
        let answer = cloud
            .member()
            .at("compute 2.96")
            .post("/v2.1/servers", cloud.body(&more))
            .await;
        assert_eq!(answer.status, 400, "{more}: {}", answer.json);
        let message = answer.json["badRequest"]["message"]
            .as_str()
            .unwrap_or_default();
        assert!(message.contains(words), "{more}: {message}");
        assert_eq!(answer.json["badRequest"]["code"], 400);
    }
    let items: serde_json::Map<String, Value> =
        (0..129).map(|n| (n.to_string(), json!("v"))).collect();
    let many = cloud
        .member()
        .at("compute 2.96")
        .post("/v2.1/servers", cloud.body(&json!({ "metadata": items })))
        .await;
    assert!(
        many.expect(403).json["forbidden"]["message"]
            .as_str()
            .unwrap()
            .contains("metadata items exceeds 128")
    );
    let hints = json!({"server": cloud.body(&json!({}))["server"], "os:scheduler_hints": {"group": unknown}});
    cloud
        .member()
        .at("compute 2.96")
        .post("/v2.1/servers", hints)
        .await
        .expect(400);
    let rows: i64 = cloud
        .db
        .fetch_scalar("SELECT COUNT(*) FROM servers", args![])
        .await
        .unwrap();
    let used: i64 = cloud
        .db
        .fetch_scalar("SELECT COUNT(*) FROM quota_usage", args![])
        .await
        .unwrap();
    assert_eq!(
        (rows, used, cloud.live().await),
        (0, 0, 0),
        "something is half made"
    );
}

#[tokio::test]
async fn bodies_that_are_none_are_refused() {
    let cloud = Cloud::new().await;
    let member = cloud.member().at("compute 2.96");
    for body in [
        "",
        "{",
        "[]",
        "null",
        "5",
        "{\"server\": null}",
        "{\"server\": []}",
        "{\"server\": {\"name\": \"x\"}}",
    ] {
        let answer = member
            .send(Method::POST, "/v2.1/servers", body.into())
            .await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.json);
        assert!(
            answer.json["badRequest"]["message"].is_string(),
            "{body}: {}",
            answer.json
        );
    }
    let huge = format!(
        "{{\"server\": {{\"name\": \"{}\"}}}}",
        "x".repeat(2 * 1024 * 1024)
    );
    let answer = member
        .send(Method::POST, "/v2.1/servers", huge.into())
        .await;
    assert_eq!(answer.status, 413);
    let deep = "[".repeat(100_000);
    member
        .send(Method::POST, "/v2.1/servers", deep.into())
        .await
        .expect(400);
    member
        .send(Method::POST, "/v2.1/servers", vec![0xff, 0xfe, 0x00].into())
        .await
        .expect(400);
}

#[tokio::test]
async fn things_that_are_not_there_are_not_found() {
    let cloud = Cloud::new().await;
    let member = cloud.member().at("compute 2.96");
    let id = "11111111-1111-4111-8111-111111111111";
    for id in [id, "999", "x'; DROP TABLE servers; --", &"x".repeat(300)] {
        let id = percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC)
            .to_string();
        let at = format!("/v2.1/servers/{id}");
        let shown = member.get(&at).await.expect(404).json;
        assert!(
            shown["itemNotFound"]["message"]
                .as_str()
                .unwrap()
                .contains("could not be found"),
            "{shown}"
        );
        member.delete(&at).await.expect(404);
        member
            .put(&at, json!({"server": {"name": "x"}}))
            .await
            .expect(404);
        for action in [
            json!({"os-stop": null}),
            json!({"reboot": {"type": "HARD"}}),
            json!({"lock": null}),
            json!({"os-getConsoleOutput": {}}),
            json!({"addSecurityGroup": {"name": "x"}}),
        ] {
            member
                .post(&format!("{at}/action"), action)
                .await
                .expect(404);
        }
        for rest in [
            "ips",
            "metadata",
            "tags",
            "os-interface",
            "os-instance-actions",
            "os-security-groups",
            "os-server-password",
        ] {
            member.get(&format!("{at}/{rest}")).await.expect(404);
        }
    }
    member.get("/v2.1/flavors/none").await.expect(404);
    member.get("/v2.1/os-keypairs/none").await.expect(404);
    member.get("/v2.1/nothing").await.expect(404);
    member
        .send(Method::PATCH, "/v2.1/servers", "{}".into())
        .await
        .expect(404);
    let image = format!("/v2.1/images/{id}");
    cloud.member().get(&image).await.expect(404);
    cloud
        .member()
        .get(&format!("/v2.1/os-security-groups/{id}"))
        .await
        .expect(404);
    cloud
        .member()
        .get(&format!("/v2.1/os-floating-ips/{id}"))
        .await
        .expect(404);
}

#[tokio::test]
async fn actions_are_checked() {
    let mut cloud = Cloud::new().await;
    let id = cloud.running().await;
    for (action, status) in [
        (json!({}), 400),
        (json!({"dance": null}), 400),
        (json!({"reboot": {}}), 400),
        (json!({"reboot": {"type": "GENTLE"}}), 400),
        (json!({"reboot": {"type": "SOFT", "now": true}}), 400),
        (json!({"os-resetState": {"state": "active"}}), 403),
        (json!({"lock": {"locked_reason": ""}}), 400),
        (json!({"lock": {"locked_reason": "x".repeat(256)}}), 400),
        (json!({"os-getConsoleOutput": {"length": "many"}}), 400),
        (json!({"unpause": null}), 409),
        (json!({"resume": null}), 409),
        (json!({"addSecurityGroup": {}}), 400),
    ] {
        let answer = cloud.act(&id, action.clone()).await;
        assert_eq!(answer.status, status, "{action}: {}", answer.json);
    }
    let target = format!("/v2.1/servers/{id}/os-interface");
    let member = cloud.member().at("compute 2.96");
    for body in [
        json!({"interfaceAttachment": {"net_id": "a", "port_id": "b"}}),
        json!({"interfaceAttachment": {"net_id": "x"}}),
        json!({"interfaceAttachment": {"port_id": "x"}}),
        json!({"interfaceAttachment": {"fixed_ips": [{"ip_address": "10.0.0.1"}]}}),
        json!({"interfaceAttachment": {"net_id": cloud.network_id, "fixed_ips": [{"ip_address": "x"}]}}),
        json!({"interfaceAttachment": {"colour": "red"}}),
    ] {
        let answer = member.post(&target, body.clone()).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.json);
    }
    let quota = format!(
        "/v2.1/os-quota-sets/{}",
        nephos_testkit::Persona::Member.project()
    );
    for set in [
        json!({"cores": -2}),
        json!({"cores": "many"}),
        json!({"colours": 5}),
        json!({"instances": 0}),
    ] {
        let answer = cloud.admin().put(&quota, json!({ "quota_set": set })).await;
        assert_eq!(answer.status, 400, "{set}: {}", answer.json);
    }
    let forced = json!({"quota_set": {"instances": 0, "force": true}});
    cloud.admin().put(&quota, forced).await.expect(200);
    cloud.admin().delete(&quota).await.expect(202);
    let shown = cloud.member().get(&quota).await.expect(200).json;
    assert_eq!(shown["quota_set"]["instances"], 10);
}

/// What Nova's schema refuses is refused before anything that it names is looked up, in the schema's words.
#[tokio::test]
async fn a_body_is_checked_before_what_it_refers_to() {
    let cloud = Cloud::new().await;
    let long = "x".repeat(256);
    let named =
        format!("Invalid input for field/attribute name. Value: {long}. '{long}' is too long");
    let member = cloud.member().at("compute 2.96");
    let said = |answer: nephos_testkit::Answer| {
        let answer = answer.expect(400).json;
        answer["badRequest"]["message"].as_str().unwrap().to_owned()
    };
    for (more, message) in [
        (json!({"name": long}), named.as_str()),
        (
            json!({"name": 5}),
            "Invalid input for field/attribute name. Value: 5. 5 is not of type 'string'",
        ),
        (
            json!({"imageRef": "nothing"}),
            "Invalid input for field/attribute imageRef. Value: nothing. 'nothing' is not a 'uuid'",
        ),
        (
            json!({"networks": [{"uuid": "x"}]}),
            "Invalid input for field/attribute uuid. Value: x. 'x' is not a 'uuid'",
        ),
        (
            json!({"min_count": 0}),
            "Invalid input for field/attribute min_count. Value: 0. 0 is less than the minimum of 1",
        ),
        (
            json!({"OS-DCF:diskConfig": "SOMETIMES"}),
            "Invalid input for field/attribute OS-DCF:diskConfig. Value: SOMETIMES. 'SOMETIMES' is not one of ['AUTO', 'MANUAL']",
        ),
        (
            json!({"accessIPv4": "::1"}),
            "Invalid input for field/attribute accessIPv4. Value: ::1. '::1' is not a 'ipv4'",
        ),
    ] {
        let mut body = cloud.body(&more);
        body["server"]["flavorRef"] = json!("none");
        assert_eq!(said(member.post("/v2.1/servers", body).await), message);
    }
    let mut body = cloud.body(&json!({}));
    let server = body["server"].as_object_mut().unwrap();
    server.insert("flavorRef".to_owned(), json!("none"));
    server.remove("networks");
    let missing = said(member.post("/v2.1/servers", body).await);
    assert!(
        missing.ends_with("'networks' is a required property"),
        "{missing}"
    );
    let missing = said(member.post("/v2.1/servers", json!({})).await);
    assert_eq!(missing, "'server' is a required property");
}

/// So are the bodies of what is done to a server: a wrong one is a 400, whether or not there is a server.
#[tokio::test]
async fn the_body_of_an_action_is_checked_before_the_server() {
    let cloud = Cloud::new().await;
    let path = "/v2.1/servers/11111111-1111-4111-8111-111111111111";
    let member = cloud.member().at("compute 2.96");
    let image = cloud.image_id.clone();
    for (target, body) in [
        ("/action", json!({"reboot": {"type": "GENTLE"}})),
        ("/action", json!({"lock": {"locked_reason": ""}})),
        (
            "/action",
            json!({"rebuild": {"imageRef": image, "name": ""}}),
        ),
        ("/action", json!({"rebuild": {"imageRef": "x"}})),
        ("/metadata", json!({"metadata": {"": "v"}})),
    ] {
        member
            .post(&format!("{path}{target}"), body)
            .await
            .expect(400);
    }
    let named = json!({"server": {"name": ""}});
    member.put(path, named).await.expect(400);
    let tags = json!({"tags": ["a/b"]});
    member.put(&format!("{path}/tags"), tags).await.expect(400);
    let fine = json!({"reboot": {"type": "SOFT"}});
    member
        .post(&format!("{path}/action"), fine)
        .await
        .expect(404);
}
