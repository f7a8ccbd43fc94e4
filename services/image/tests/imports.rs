//! Staging and imports: from the staging area, from the web, from store to store.

use bytes::Bytes;
use nephos_testkit::Persona;
use serde_json::{Value, json};

use crate::kit::{Cloud, WebServer, cloud, cloud_with, created, message, put_octets};

async fn stage(cloud: &Cloud, id: &str, bytes: &'static [u8]) {
    let target = format!("/v2/images/{id}/stage");
    put_octets(&cloud.member(), &target, Bytes::from_static(bytes))
        .await
        .expect(204);
}

async fn import(cloud: &Cloud, id: &str, body: Value) -> nephos_testkit::Answer {
    cloud
        .member()
        .post(&format!("/v2/images/{id}/import"), body)
        .await
}

fn direct() -> Value {
    json!({"method": {"name": "glance-direct"}, "all_stores": true})
}

#[tokio::test]
async fn staged_data_is_imported_into_all_stores() {
    let cloud = cloud().await;
    let id = cloud.queued().await;
    import(&cloud, &id, direct()).await.expect(409);
    stage(&cloud, &id, b"hello world").await;
    let staged = cloud.show(&id).await;
    assert_eq!(staged["status"], "uploading");
    assert_eq!(staged["size"], 11);
    let accepted = import(&cloud, &id, direct()).await.expect(202);
    let importing = cloud.show(&id).await;
    assert_eq!(importing["status"], "importing");
    assert_eq!(importing["os_glance_importing_to_stores"], "file,reserve");
    import(&cloud, &id, direct()).await.expect(409);
    cloud.settle().await;
    let image = cloud.show(&id).await;
    assert_eq!(image["status"], "active");
    assert_eq!(image["stores"], "file,reserve");
    assert_eq!(image["checksum"], "5eb63bbbe01eeed093cb22bb8f5acdc3");
    assert_eq!(image["virtual_size"], 11);
    assert_eq!(image["os_glance_failed_import"], "");
    assert_eq!(image["os_glance_importing_to_stores"], "");
    assert_eq!(image.get("os_glance_import_task"), None);
    assert_eq!(cloud.files().len(), 2);
    let tasks = format!("/v2/images/{id}/tasks");
    let tasks = cloud.member().get(&tasks).await.expect(200).json;
    let task = &tasks["tasks"][0];
    assert_eq!(task["status"], "success");
    assert_eq!(
        task["input"]["import_req"]["method"]["name"],
        "glance-direct"
    );
    assert_eq!(
        task["request_id"].as_str(),
        accepted.header("x-openstack-request-id")
    );
    import(&cloud, &id, direct()).await.expect(409);
}

#[tokio::test]
async fn an_import_names_its_stores() {
    let cloud = cloud().await;
    let id = cloud.queued().await;
    stage(&cloud, &id, b"x").await;
    let method = json!({"name": "glance-direct"});
    for (body, status) in [
        (json!({"method": method, "stores": ["moon"]}), 409),
        (
            json!({"method": method, "stores": [], "all_stores": false}),
            400,
        ),
        (
            json!({"method": method, "stores": ["file"], "all_stores": true}),
            400,
        ),
        (json!({"method": method, "all_stores": "yes"}), 400),
        (json!({"method": {"name": "carrier-pigeon"}}), 400),
        (json!({"method": {}}), 400),
        (json!({}), 400),
    ] {
        import(&cloud, &id, body).await.expect(status);
    }
    let reserve = json!({"method": method, "stores": ["reserve", "reserve"]});
    import(&cloud, &id, reserve).await.expect(202);
    cloud.settle().await;
    assert_eq!(cloud.show(&id).await["stores"], "reserve");
}

#[tokio::test]
async fn data_of_another_format_is_refused_and_leaves_nothing() {
    let cloud = cloud().await;
    let id = created(&cloud.member(), json!({"disk_format": "qcow2"})).await;
    stage(&cloud, &id, b"no disk at all").await;
    import(&cloud, &id, direct()).await.expect(202);
    cloud.settle().await;
    let image = cloud.show(&id).await;
    assert_eq!(image["status"], "queued");
    assert_eq!(image["size"], Value::Null);
    assert_eq!(image["os_glance_failed_import"], "file,reserve");
    assert_eq!(cloud.files(), [""; 0]);
    let tasks = format!("/v2/images/{id}/tasks");
    let task = cloud.member().get(&tasks).await.expect(200).json["tasks"][0].clone();
    assert_eq!(task["status"], "failure");
    assert_eq!(
        task["message"],
        "Image disk_format qcow2 does not match stream data raw"
    );
    stage(&cloud, &id, b"again").await;
}

#[tokio::test]
async fn a_deleted_image_takes_what_was_staged_with_it() {
    let cloud = cloud().await;
    let target = |id: &str| format!("/v2/images/{id}");
    let staged = cloud.queued().await;
    stage(&cloud, &staged, b"x").await;
    cloud.member().delete(&target(&staged)).await.expect(204);
    let importing = cloud.queued().await;
    stage(&cloud, &importing, b"x").await;
    import(&cloud, &importing, direct()).await.expect(202);
    cloud.member().delete(&target(&importing)).await.expect(204);
    cloud.settle().await;
    assert_eq!(cloud.files(), [""; 0]);
}

#[tokio::test]
async fn a_copy_goes_where_the_data_is_not() {
    let cloud = cloud().await;
    let id = cloud.active(b"hello world").await;
    let copy = |more: Value| {
        let mut body = json!({"method": {"name": "copy-image"}});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let (admin, target) = (cloud.admin(), format!("/v2/images/{id}/import"));
        async move { admin.post(&target, body).await }
    };
    import(&cloud, &id, json!({"method": {"name": "copy-image"}}))
        .await
        .expect(403);
    copy(json!({"stores": ["file"]})).await.expect(400);
    copy(json!({"all_stores": true, "all_stores_must_succeed": false}))
        .await
        .expect(202);
    assert_eq!(cloud.show(&id).await["status"], "active");
    cloud.settle().await;
    assert_eq!(cloud.show(&id).await["stores"], "file,reserve");
    copy(json!({"all_stores": true})).await.expect(202);
    cloud.settle().await;
    assert_eq!(cloud.files().len(), 2);

    let from = |store: &str| format!("/v2/stores/{store}/{id}");
    cloud.member().delete(&from("file")).await.expect(403);
    cloud.other().delete(&from("file")).await.expect(404);
    cloud.admin().delete(&from("moon")).await.expect(409);
    cloud.admin().delete(&from("file")).await.expect(204);
    assert_eq!(cloud.show(&id).await["stores"], "reserve");
    cloud.settle().await;
    assert_eq!(cloud.files().len(), 1);
    cloud.admin().delete(&from("file")).await.expect(404);
    cloud.admin().delete(&from("reserve")).await.expect(403);
    let file = format!("/v2/images/{id}/file");
    assert_eq!(
        &cloud.member().get(&file).await.expect(200).bytes[..],
        b"hello world"
    );
}

fn web(uri: &str) -> Value {
    json!({"method": {"name": "web-download", "uri": uri}})
}

#[tokio::test]
async fn an_image_is_downloaded_from_a_host_that_the_operator_named() {
    let server = WebServer::serving("200 OK", b"hello world").await;
    let cloud = cloud_with(|config| config.web_download_hosts = vec![server.host()]).await;
    let id = cloud.queued().await;
    import(&cloud, &id, web(&server.url())).await.expect(202);
    cloud.settle().await;
    let image = cloud.show(&id).await;
    assert_eq!(image["status"], "active");
    assert_eq!(image["checksum"], "5eb63bbbe01eeed093cb22bb8f5acdc3");
    assert_eq!(cloud.files().len(), 1);
}

#[tokio::test]
async fn what_the_web_refuses_or_redirects_is_not_an_image() {
    for status in ["404 Not Found", "302 Found"] {
        let server = WebServer::serving(status, b"x").await;
        let cloud = cloud_with(|config| config.web_download_hosts = vec![server.host()]).await;
        let id = cloud.queued().await;
        import(&cloud, &id, web(&server.url())).await.expect(202);
        cloud.settle().await;
        let image = cloud.show(&id).await;
        assert_eq!(image["status"], "queued", "{status}");
        assert_eq!(image["os_glance_failed_import"], "file", "{status}");
        assert_eq!(cloud.files(), [""; 0]);
    }
    let server = WebServer::serving("200 OK", b"hello world").await;
    let cloud = cloud_with(|config| {
        config.web_download_hosts = vec![server.host()];
        config.max_image_bytes = 5;
    })
    .await;
    let id = cloud.queued().await;
    import(&cloud, &id, web(&server.url())).await.expect(202);
    cloud.settle().await;
    assert_eq!(cloud.show(&id).await["status"], "queued");
    assert_eq!(cloud.files(), [""; 0]);
}

#[tokio::test]
async fn the_clouds_own_network_is_out_of_reach() {
    let server = WebServer::serving("200 OK", b"secret").await;
    let cloud = cloud().await;
    let id = cloud.queued().await;
    for uri in [
        server.url().as_str(),
        "http://127.0.0.1/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://[::1]/",
        "http://[::ffff:169.254.169.254]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://example.org:22/",
        "http://user:secret@example.org/",
        "file:///etc/passwd",
        "gopher://example.org/",
        "nonsense",
        "",
    ] {
        let refused = import(&cloud, &id, web(uri)).await.expect(400);
        assert!(
            message(&refused).contains("does not pass filtering"),
            "{uri}"
        );
    }
    // A name passes the first look; where it leads is found out before anything is asked of it.
    import(&cloud, &id, web("http://localhost/"))
        .await
        .expect(202);
    cloud.settle().await;
    assert_eq!(cloud.show(&id).await["status"], "queued");
    let tasks = cloud
        .member()
        .get(&format!("/v2/images/{id}/tasks"))
        .await
        .expect(200)
        .json;
    let why = tasks["tasks"][0]["message"].as_str().unwrap();
    assert!(why.contains("not public"), "{why}");
    assert_eq!(server.asked(), 0);
}

#[tokio::test]
async fn admins_see_tasks_and_begin_them_the_old_way() {
    let server = WebServer::serving("200 OK", b"hello world").await;
    let cloud = cloud_with(|config| config.web_download_hosts = vec![server.host()]).await;
    let task = |uri: &str| {
        json!({"type": "import", "input": {"import_from": uri, "import_from_format": "raw",
            "image_properties": {"name": "old", "disk_format": "raw", "container_format": "bare"}}})
    };
    cloud
        .member()
        .post("/v2/tasks", task(&server.url()))
        .await
        .expect(403);
    cloud
        .admin()
        .post("/v2/tasks", task("http://127.0.0.1/"))
        .await
        .expect(400);
    cloud
        .admin()
        .post("/v2/tasks", json!({"type": "export", "input": {}}))
        .await
        .expect(400);
    let made = cloud
        .admin()
        .post("/v2/tasks", task(&server.url()))
        .await
        .expect(201);
    let id = made.json["id"].as_str().unwrap();
    assert_eq!(made.json["status"], "pending");
    cloud.settle().await;
    let done = cloud
        .admin()
        .get(&format!("/v2/tasks/{id}"))
        .await
        .expect(200)
        .json;
    assert_eq!(done["status"], "success");
    let image = done["result"]["image_id"].as_str().unwrap();
    assert_eq!(cloud.show(image).await["status"], "active");
    let listed = cloud
        .admin()
        .get("/v2/tasks?status=success")
        .await
        .expect(200)
        .json;
    assert_eq!(listed["tasks"][0]["id"], id);
    assert_eq!(listed["tasks"][0].get("input"), None);
    cloud.admin().get("/v2/tasks?status=done").await.expect(400);
    cloud.member().get("/v2/tasks").await.expect(403);
    cloud.admin().get("/v2/tasks/x").await.expect(404);

    let broken = WebServer::serving("500 Oops", b"").await;
    let cloud = cloud_with(|config| config.web_download_hosts = vec![broken.host()]).await;
    let made = cloud
        .admin()
        .post("/v2/tasks", task(&broken.url()))
        .await
        .expect(201);
    cloud.settle().await;
    let id = made.json["id"].as_str().unwrap();
    let failed = cloud
        .admin()
        .get(&format!("/v2/tasks/{id}"))
        .await
        .expect(200)
        .json;
    assert_eq!(failed["status"], "failure");
    let image = failed["image_id"].as_str().unwrap();
    cloud
        .admin()
        .get(&format!("/v2/images/{image}"))
        .await
        .expect(404);
    assert_eq!(cloud.files(), [""; 0]);
}

#[tokio::test]
async fn stores_and_methods_are_told() {
    let cloud = cloud().await;
    let stores = cloud.member().get("/v2/info/stores").await.expect(200).json;
    assert_eq!(
        stores,
        json!({"stores": [{"id": "file", "default": "true"}, {"id": "reserve"}]})
    );
    cloud
        .member()
        .get("/v2/info/stores/detail")
        .await
        .expect(403);
    let service = cloud.ask.as_persona(Persona::Service);
    let detail = service.get("/v2/info/stores/detail").await.expect(200).json;
    assert_eq!(detail["stores"][1]["type"], "file");
    let import = cloud.member().get("/v2/info/import").await.expect(200).json;
    assert_eq!(
        import["import-methods"]["value"],
        json!(["glance-direct", "web-download", "copy-image"])
    );
}
