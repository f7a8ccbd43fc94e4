//! What is wrong with a body is said in Neutron's words.

use nephos_testkit::Answer;
use serde_json::{Value, json};

use crate::cloud::{Cloud, path};

fn said(answer: &Answer) -> (String, String) {
    let error = &answer.json["NeutronError"];
    let text = |key: &str| error[key].as_str().unwrap().to_owned();
    (text("type"), text("message"))
}

#[tokio::test]
async fn wrong_names_and_values_are_said_as_neutron_says_them() {
    let cloud = Cloud::new().await;
    let net = cloud.net().await;
    let member = cloud.member();
    let long = "x".repeat(256);
    let too_long =
        format!("Invalid input for name. Reason: '{long}' exceeds maximum length of 255.");
    for (kind, body, name, message) in [
        (
            "network",
            json!({"bla": 1}),
            "HTTPBadRequest",
            "Unrecognized attribute(s) 'bla'",
        ),
        (
            "network",
            json!({"status": "DOWN"}),
            "HTTPBadRequest",
            "Attribute 'status' not allowed in POST",
        ),
        (
            "network",
            json!({"name": 5}),
            "HTTPBadRequest",
            "Invalid input for name. Reason: '5' is not a valid string.",
        ),
        (
            "network",
            json!({"name": null}),
            "HTTPBadRequest",
            "Invalid input for name. Reason: 'None' is not a valid string.",
        ),
        (
            "network",
            json!({"name": long}),
            "HTTPBadRequest",
            too_long.as_str(),
        ),
        (
            "network",
            json!({"mtu": "abc"}),
            "InvalidInput",
            "Invalid input for operation: 'abc' is not an integer.",
        ),
        (
            "network",
            json!({"admin_state_up": "abc"}),
            "InvalidInput",
            "Invalid input for operation: 'abc' cannot be converted to boolean.",
        ),
        (
            "network",
            json!({"tags": "x"}),
            "HTTPBadRequest",
            "Invalid input for tags. Reason: 'x' is not a list.",
        ),
        (
            "subnet",
            json!({"cidr": "10.0.0.0/24"}),
            "HTTPBadRequest",
            "Failed to parse request. Required attribute 'network_id' not specified",
        ),
        (
            "subnet",
            json!({"network_id": "x"}),
            "HTTPBadRequest",
            "Invalid input for network_id. Reason: 'x' is not a valid UUID.",
        ),
        (
            "subnet",
            json!({"network_id": net, "cidr": "10.0.0.0/24", "ip_version": 4, "allocation_pools": [{"start": "x", "end": "y"}]}),
            "HTTPBadRequest",
            "Invalid input for allocation_pools. Reason: 'x' is not a valid IP address.",
        ),
        (
            "subnet",
            json!({"network_id": net, "cidr": "10.0.0.0/24", "ip_version": 4, "host_routes": [{"destination": "x", "nexthop": "10.0.0.1"}]}),
            "HTTPBadRequest",
            "Invalid input for host_routes. Reason: 'x' is not a valid CIDR.",
        ),
        (
            "subnet",
            json!({"network_id": net, "ip_version": 5}),
            "HTTPBadRequest",
            "Invalid input for ip_version. Reason: 5 is not in [4, 6].",
        ),
        (
            "port",
            json!({"network_id": net, "security_groups": ["nope"]}),
            "HTTPBadRequest",
            "Invalid input for security_groups. Reason: 'nope' is not a valid UUID.",
        ),
        (
            "port",
            json!({"network_id": net, "fixed_ips": "x"}),
            "HTTPBadRequest",
            "Invalid input for fixed_ips. Reason: Invalid data format for fixed IP: 'x'.",
        ),
        (
            "port",
            json!({"network_id": net, "fixed_ips": [{"bla": 1}]}),
            "HTTPBadRequest",
            "Invalid input for fixed_ips. Reason: Unexpected keys supplied: bla.",
        ),
        (
            "router",
            json!({"routes": []}),
            "HTTPBadRequest",
            "Attribute 'routes' not allowed in POST",
        ),
        (
            "router",
            json!({"external_gateway_info": "x"}),
            "HTTPBadRequest",
            "Invalid input for external_gateway_info. Reason: 'x' is not a dictionary.",
        ),
        (
            "security_group_rule",
            json!({"direction": "ingress"}),
            "HTTPBadRequest",
            "Failed to parse request. Required attribute 'security_group_id' not specified",
        ),
        (
            "network",
            json!({"project_id": "a", "tenant_id": "b"}),
            "HTTPBadRequest",
            "'project_id' and 'tenant_id' do not match",
        ),
    ] {
        let answer = member
            .post(&path(kind), json!({kind: body}))
            .await
            .expect(400);
        assert_eq!(
            said(&answer),
            (name.to_owned(), message.to_owned()),
            "{kind} {body}"
        );
    }
}

#[tokio::test]
async fn a_body_holds_one_thing_or_many() {
    let cloud = Cloud::new().await;
    let net = cloud.net().await;
    let member = cloud.member();
    let at = format!("/v2.0/networks/{net}");
    for (body, message) in [
        (json!({}), "Resource body required"),
        (json!([]), "Body contains invalid data"),
        (
            json!({"port": {}}),
            "Unable to find 'network' in request body",
        ),
        (
            json!({"network": 5}),
            "Object 'network' contains invalid data",
        ),
        (json!({"networks": []}), "Resources required"),
        (
            json!({"networks": [{"bla": 1}]}),
            "Unrecognized attribute(s) 'bla'",
        ),
        (
            json!({"network": {}, "bla": 1}),
            "Unrecognized attribute(s) 'bla'",
        ),
        (
            json!({"networks": [{}], "bla": 1}),
            "Unrecognized attribute(s) 'bla'",
        ),
    ] {
        let answer = member
            .post("/v2.0/networks", body.clone())
            .await
            .expect(400);
        assert_eq!(
            said(&answer),
            ("HTTPBadRequest".to_owned(), message.to_owned()),
            "{body}"
        );
    }
    for (body, message) in [
        (
            json!({"network": {"status": "DOWN"}}),
            "Cannot update read-only attribute status",
        ),
        (
            json!({"network": {"provider:network_type": "flat"}}),
            "Cannot update read-only attribute provider:network_type",
        ),
        (
            json!({"network": {"bla": 1}}),
            "Unrecognized attribute(s) 'bla'",
        ),
        (json!({"networks": [{}]}), "Bulk operation not supported"),
    ] {
        let answer = member.put(&at, body.clone()).await.expect(400);
        assert_eq!(
            said(&answer),
            ("HTTPBadRequest".to_owned(), message.to_owned()),
            "{body}"
        );
    }
    let quota = json!({"quota": {"network": "abc"}});
    let answer = cloud.admin().put("/v2.0/quotas/p", quota).await.expect(400);
    let message = "Invalid input for operation: 'abc' is not an integer.";
    assert_eq!(
        said(&answer),
        ("InvalidInput".to_owned(), message.to_owned())
    );
}

#[tokio::test]
async fn a_floating_ip_or_gateway_wants_an_external_network() {
    let cloud = Cloud::new().await;
    let (net, _) = cloud.wired("10.0.0.0/24").await;
    let member = cloud.member();
    let refused = |kind: &'static str, body: Value| {
        let member = member.clone();
        async move {
            said(
                &member
                    .post(&path(kind), json!({kind: body}))
                    .await
                    .expect(400),
            )
        }
    };
    let message = format!("Bad floatingip request: Network {net} is not a valid external network.");
    let body = json!({"floating_network_id": net});
    assert_eq!(
        refused("floatingip", body).await,
        ("BadRequest".to_owned(), message)
    );
    let message = format!("Bad router request: Network {net} is not an external network.");
    let body = json!({"external_gateway_info": {"network_id": net}});
    assert_eq!(
        refused("router", body).await,
        ("BadRequest".to_owned(), message)
    );
}
