//! Create, show, change, delete.

use bytes::Bytes;
use http::Method;
use nephos_testkit::Persona;
use serde_json::json;

use crate::kit::{cloud, created, message, patch, upload};

#[tokio::test]
async fn a_new_image_is_queued_and_shows_what_was_given() {
    let cloud = cloud().await;
    let body = json!({"name": "debian", "disk_format": "qcow2", "container_format": "bare", "min_disk": 2,
        "tags": ["b", "a"], "os_distro": "debian", "ramdisk_id": "00000000-1111-2222-3333-444455556666"});
    let answer = cloud.member().post("/v2/images", body).await.expect(201);
    let image = &answer.json;
    let id = image["id"].as_str().unwrap();
    assert_eq!(
        answer.header("location").unwrap(),
        format!("http://cloud.test/image/v2/images/{id}")
    );
    assert_eq!(
        answer.header("openstack-image-import-methods"),
        Some("glance-direct,web-download,copy-image")
    );
    assert_eq!(
        answer.header("openstack-image-store-ids"),
        Some("file,reserve")
    );
    assert_eq!(image["status"], "queued");
    assert_eq!(image["visibility"], "shared");
    assert_eq!(image["owner"], Persona::Member.project());
    assert_eq!(image["tags"], json!(["a", "b"]));
    assert_eq!(image["os_distro"], "debian");
    assert_eq!(image["min_disk"], 2);
    assert_eq!(image["size"], json!(null));
    assert_eq!(image["os_hash_value"], json!(null));
    assert_eq!(image["created_at"], "2026-01-02T03:04:05Z");
    assert_eq!(image["self"], format!("/v2/images/{id}"));
    assert_eq!(image["file"], format!("/v2/images/{id}/file"));
    assert_eq!(image["schema"], "/v2/schemas/image");
    assert_eq!(&cloud.show(id).await, image);
}

#[tokio::test]
async fn an_image_takes_its_id_from_the_request_once() {
    let cloud = cloud().await;
    let id = "71c675ab-d94f-49cd-a114-e12490b328d9";
    assert_eq!(created(&cloud.member(), json!({"id": id})).await, id);
    let again = cloud
        .other()
        .post("/v2/images", json!({"id": id}))
        .await
        .expect(409);
    assert_eq!(message(&again), format!("Image ID {id} already exists!"));
    assert_eq!(again.json["code"], "409 Conflict");
    cloud
        .member()
        .delete(&format!("/v2/images/{id}"))
        .await
        .expect(204);
    cloud.settle().await;
    created(&cloud.member(), json!({"id": id})).await;
}

#[tokio::test]
async fn what_a_create_must_not_say() {
    let cloud = cloud().await;
    for (body, status) in [
        (json!({"self": "x"}), 403),
        (json!({"status": "active"}), 403),
        (json!({"checksum": "x"}), 403),
        (json!({"os_glance_x": "x"}), 403),
        (json!({"deleted": "x"}), 403),
        (json!({"id": "x"}), 400),
        (json!({"disk_format": "x"}), 400),
        (json!({"min_ram": -1}), 400),
        (json!({"min_ram": 2_147_483_648_i64}), 400),
        (json!({"visibility": "x"}), 400),
        (json!({"x": 5}), 400),
        (json!({"x": "a\u{0}b"}), 400),
        (json!({"name": "x".repeat(256)}), 400),
        (json!({"owner": "somebody"}), 403),
        (json!({"visibility": "public"}), 403),
        (json!([]), 400),
    ] {
        cloud.member().post("/v2/images", body).await.expect(status);
    }
    let many: serde_json::Map<_, _> = (0..129).map(|n| (format!("p{n}"), json!("x"))).collect();
    cloud
        .member()
        .post("/v2/images", many.into())
        .await
        .expect(413);
    created(
        &cloud.admin(),
        json!({"visibility": "public", "owner": "somebody"}),
    )
    .await;
}

#[tokio::test]
async fn an_image_is_changed_by_both_forms_of_patch() {
    let cloud = cloud().await;
    let id = created(&cloud.member(), json!({"os_distro": "debian"})).await;
    let changes = json!([
        {"op": "replace", "path": "/name", "value": "new"},
        {"op": "add", "path": "/hw_disk_bus", "value": "virtio"},
        {"op": "replace", "path": "/tags", "value": ["x"]},
        {"op": "remove", "path": "/os_distro"},
    ]);
    let changed = patch(&cloud.member(), &id, changes).await.expect(200).json;
    assert_eq!(changed["name"], "new");
    assert_eq!(changed["hw_disk_bus"], "virtio");
    assert_eq!(changed["tags"], json!(["x"]));
    assert_eq!(changed.get("os_distro"), None);
    assert_eq!(cloud.show(&id).await, changed);
    let older = cloud.member().with_header(
        "content-type",
        "application/openstack-images-v2.0-json-patch",
    );
    let target = format!("/v2/images/{id}");
    older
        .patch(
            &target,
            json!([{"replace": "/hw_disk_bus", "value": "scsi"}]),
        )
        .await
        .expect(200);
    older
        .patch(&target, json!([{"add": "/hw_disk_bus", "value": "ide"}]))
        .await
        .expect(409);
    assert_eq!(cloud.show(&id).await["hw_disk_bus"], "scsi");
}

#[tokio::test]
async fn what_a_patch_must_not_do() {
    let cloud = cloud().await;
    let id = cloud.active(b"x").await;
    let one = |op: &str, path: &str, value: serde_json::Value| json!([{"op": op, "path": path, "value": value}]);
    for (changes, status) in [
        (one("replace", "/status", json!("active")), 403),
        (one("replace", "/nothing", json!("x")), 409),
        (one("remove", "/nothing", json!(null)), 409),
        (one("remove", "/name", json!(null)), 403),
        (one("replace", "/disk_format", json!("qcow2")), 403),
        (one("replace", "/owner", json!("x")), 403),
        (one("replace", "/visibility", json!("public")), 403),
        (
            one("add", "/locations/-", json!({"url": "x", "metadata": {}})),
            403,
        ),
        (one("replace", "/min_disk", json!(-1)), 400),
        (one("frobnicate", "/name", json!("x")), 400),
        (json!({}), 400),
    ] {
        let shown = changes.to_string();
        let answer = patch(&cloud.member(), &id, changes).await;
        assert_eq!(answer.status, status, "{shown}: {}", answer.json);
    }
    let answer = cloud
        .member()
        .json(Method::PATCH, &format!("/v2/images/{id}"), &json!([]))
        .await
        .expect(415);
    assert!(
        answer
            .header("accept-patch")
            .unwrap()
            .contains("v2.1-json-patch")
    );
    let all_or_none = json!([{"op": "replace", "path": "/name", "value": "new"},
        {"op": "remove", "path": "/nothing"}]);
    patch(&cloud.member(), &id, all_or_none).await.expect(409);
    assert_eq!(cloud.show(&id).await["name"], "im");
    patch(&cloud.admin(), &id, one("replace", "/owner", json!("x")))
        .await
        .expect(200);
    assert_eq!(cloud.show(&id).await["owner"], "x");
}

#[tokio::test]
async fn a_protected_image_stays() {
    let cloud = cloud().await;
    let id = created(&cloud.member(), json!({"protected": true})).await;
    let target = format!("/v2/images/{id}");
    let refused = cloud.member().delete(&target).await.expect(403);
    assert_eq!(
        message(&refused),
        format!("Image {id} is protected and cannot be deleted.")
    );
    let unprotect = json!([{"op": "replace", "path": "/protected", "value": false}]);
    patch(&cloud.member(), &id, unprotect).await.expect(200);
    cloud.member().delete(&target).await.expect(204);
    cloud.member().get(&target).await.expect(404);
    cloud.member().delete(&target).await.expect(404);
}

#[tokio::test]
async fn tags_are_added_and_removed_one_by_one() {
    let cloud = cloud().await;
    let id = cloud.queued().await;
    let target = format!("/v2/images/{id}/tags/a%20tag");
    cloud.member().put(&target, json!(null)).await.expect(204);
    cloud.member().put(&target, json!(null)).await.expect(204);
    assert_eq!(cloud.show(&id).await["tags"], json!(["a tag"]));
    cloud.member().delete(&target).await.expect(204);
    cloud.member().delete(&target).await.expect(404);
    let long = format!("/v2/images/{id}/tags/{}", "x".repeat(256));
    cloud.member().put(&long, json!(null)).await.expect(400);
    cloud
        .ask
        .as_persona(Persona::Reader)
        .put(&target, json!(null))
        .await
        .expect(403);
}

#[tokio::test]
async fn versions_are_told_to_everybody() {
    let cloud = cloud().await;
    let listed = cloud.ask.get("/").await.expect(300).json;
    let newest = &listed["versions"][0];
    assert_eq!(newest["id"], "v2.15");
    assert_eq!(newest["status"], "CURRENT");
    assert_eq!(newest["links"][0]["href"], "http://cloud.test/image/v2/");
    assert_eq!(cloud.ask.get("/versions").await.expect(200).json, listed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_comes_together_to_one_image_happens_and_it_is_deleted_once() {
    let cloud = cloud().await;
    let id = created(&cloud.member(), json!({})).await;
    let member = cloud.member();
    let changes = (0..6).map(|number| {
        let change = json!([{"op": "add", "path": format!("/key{number}"), "value": "v"}]);
        patch(&member, &id, change)
    });
    for answer in futures_util::future::join_all(changes).await {
        answer.expect(200);
    }
    let shown = cloud.show(&id).await;
    assert!(
        (0..6).all(|number| shown[format!("key{number}")] == "v"),
        "{shown}"
    );
    let target = format!("/v2/images/{id}");
    let deletes = (0..6).map(|_| member.delete(&target));
    let mut answers: Vec<u16> = futures_util::future::join_all(deletes)
        .await
        .into_iter()
        .map(|answer| answer.status)
        .collect();
    answers.sort_unstable();
    assert_eq!(answers, [204, 404, 404, 404, 404, 404]);
}

#[tokio::test]
async fn a_client_that_names_no_json_gets_a_fault_as_a_page() {
    let cloud = cloud().await;
    let target = "/v2/images/11111111-1111-4111-8111-111111111111";
    let words = "No image found with ID 11111111-1111-4111-8111-111111111111";
    for accept in ["*/*", "text/html"] {
        let asks = cloud.member().with_header("accept", accept);
        let page = asks.get(target).await.expect(404);
        assert_eq!(
            page.header("content-type"),
            Some("text/html; charset=UTF-8")
        );
        // python-glanceclient looks for the heading and what follows it.
        let text = String::from_utf8_lossy(&page.bytes);
        assert!(text.contains("<h1>404 Not Found</h1>"), "{text}");
        assert!(text.contains(words), "{text}");
    }
    let asks = cloud.member().with_header("accept", "application/json");
    let fault = asks.get(target).await.expect(404);
    assert_eq!(fault.header("content-type"), Some("application/json"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_uploaded_is_what_the_image_says_it_is() {
    let cloud = cloud().await;
    let member = cloud.member();
    for _ in 0..6 {
        let id = created(
            &member,
            json!({"disk_format": "raw", "container_format": "bare"}),
        )
        .await;
        let other = json!([{"op": "replace", "path": "/disk_format", "value": "qcow2"}]);
        let (changed, uploaded) = tokio::join!(
            patch(&member, &id, other),
            upload(&member, &id, Bytes::from_static(b"no qcow2"))
        );
        let format = cloud.show(&id).await["disk_format"].clone();
        match uploaded.status {
            204 => assert_eq!(format, "raw"),
            // These bytes are no qcow2.
            400 | 415 => assert_eq!((changed.status, format), (200, json!("qcow2"))),
            other => panic!("{other}: {}", uploaded.json),
        }
        member.delete(&format!("/v2/images/{id}")).await.expect(204);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_upload_ends_whoever_changes_the_image_meanwhile() {
    let cloud = cloud().await;
    let member = cloud.member();
    for _ in 0..6 {
        let id = created(
            &member,
            json!({"disk_format": "raw", "container_format": "bare"}),
        )
        .await;
        let changes = (0..4).map(|number| {
            let name = json!([{"op": "replace", "path": "/name", "value": format!("n{number}")}]);
            patch(&member, &id, name)
        });
        let changes = futures_util::future::join_all(changes);
        let bytes = Bytes::from(vec![7; 1 << 20]);
        let (uploaded, _changed) = tokio::join!(upload(&member, &id, bytes), changes);
        uploaded.expect(204);
        assert_eq!(cloud.show(&id).await["status"], "active");
    }
}
