//! Compute hears of changed addresses, also when it was away.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderMap, StatusCode};
use nephos_api::{Dispatch, Incoming, Payload, Request, Response};
use nephos_peer::Transport;
use serde_json::{Value, json};

use crate::cloud::{Cloud, make};

/// Takes in events as compute does, and can refuse.
#[derive(Default)]
struct SimulatedCompute {
    answer: Mutex<StatusCode>,
    heard: Mutex<Vec<String>>,
}

impl Dispatch for SimulatedCompute {
    fn dispatch(&self, request: Request) -> BoxFuture<'static, Response> {
        assert_eq!(request.path, "/v2.1/os-server-external-events");
        let status = *self.answer.lock().unwrap();
        if let (StatusCode::OK, Incoming::Bytes(bytes)) = (status, request.body) {
            let body: Value = serde_json::from_slice(&bytes).unwrap();
            for event in body["events"].as_array().unwrap() {
                assert_eq!(event["name"], "network-changed");
                let server = event["server_uuid"].as_str().unwrap().to_owned();
                self.heard.lock().unwrap().push(server);
            }
        }
        let body = Payload::Bytes(Bytes::from_static(b"{}"));
        async move {
            Response {
                status,
                headers: HeaderMap::new(),
                body,
            }
        }
        .boxed()
    }
}

#[tokio::test]
async fn compute_hears_of_floating_ips_that_come_and_go_even_if_it_was_away() {
    let cloud = Cloud::new().await;
    let compute = Arc::new(SimulatedCompute::default());
    let transport = Transport::Local(Arc::clone(&compute) as Arc<dyn Dispatch>);
    cloud.world.directory.set("compute", transport);
    let heard = || std::mem::take(&mut *compute.heard.lock().unwrap());

    let outside = cloud.outside().await;
    let (network, subnet) = cloud.wired("10.0.0.0/24").await;
    let gateway = json!({"name": "r", "external_gateway_info": {"network_id": outside}});
    let router = make(&cloud.member(), "router", gateway).await;
    let target = format!("/v2.0/routers/{router}/add_router_interface");
    cloud
        .member()
        .put(&target, json!({"subnet_id": subnet}))
        .await
        .expect(200);
    let server = "8a1f0b4e-58a6-4a0f-9a57-3a2f0b5b1c11";
    let port = json!({"network_id": network, "device_id": server, "device_owner": "compute:nova",
        "project_id": nephos_testkit::Persona::Member.project()});
    let port = make(&cloud.service(), "port", port).await;
    cloud.network.settle().await.unwrap();
    assert_eq!(
        heard(),
        Vec::<String>::new(),
        "compute made the port itself"
    );

    *compute.answer.lock().unwrap() = StatusCode::SERVICE_UNAVAILABLE;
    let floating = json!({"floating_network_id": outside, "port_id": port});
    let floating = make(&cloud.member(), "floatingip", floating).await;
    cloud.network.settle().await.unwrap();
    // A refusal is no answer to what it was told either: its rules may be put right.
    *compute.answer.lock().unwrap() = StatusCode::FORBIDDEN;
    cloud.network.settle().await.unwrap();
    assert_eq!(heard(), Vec::<String>::new());
    *compute.answer.lock().unwrap() = StatusCode::OK;
    cloud.network.settle().await.unwrap();
    assert_eq!(heard(), [server]);
    cloud.network.settle().await.unwrap();
    assert_eq!(heard(), Vec::<String>::new(), "it is told once");

    let target = format!("/v2.0/floatingips/{floating}");
    cloud
        .member()
        .put(&target, json!({"floatingip": {"port_id": null}}))
        .await
        .expect(200);
    cloud.network.settle().await.unwrap();
    assert_eq!(heard(), [server]);
    cloud
        .member()
        .put(&target, json!({"floatingip": {"port_id": port}}))
        .await
        .expect(200);
    cloud.member().delete(&target).await.expect(204);
    cloud.network.settle().await.unwrap();
    assert_eq!(heard(), [server], "several changes are one piece of news");
}
