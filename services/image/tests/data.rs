//! Upload, download, and what is left when either goes wrong.

use std::time::Duration;

use bytes::Bytes;
use nephos_testkit::Persona;
use serde_json::json;

use crate::kit::{Needs, cloud, cloud_ruled, cloud_with, created, message, put_octets, upload};

#[tokio::test]
async fn what_is_uploaded_is_downloaded_with_its_digests() {
    let cloud = cloud().await;
    let id = cloud.queued().await;
    let target = format!("/v2/images/{id}/file");
    let empty = cloud.member().get(&target).await.expect(204);
    assert!(empty.bytes.is_empty());
    upload(&cloud.member(), &id, Bytes::from_static(b"hello world"))
        .await
        .expect(204);
    let image = cloud.show(&id).await;
    assert_eq!(image["status"], "active");
    assert_eq!(image["size"], 11);
    assert_eq!(image["virtual_size"], 11);
    assert_eq!(image["checksum"], "5eb63bbbe01eeed093cb22bb8f5acdc3");
    assert_eq!(image["os_hash_algo"], "sha512");
    assert!(
        image["os_hash_value"]
            .as_str()
            .unwrap()
            .starts_with("309ecc489c12d6eb4cc40f50c902f2b4")
    );
    assert_eq!(image["stores"], "file");
    let whole = cloud.member().get(&target).await.expect(200);
    assert_eq!(&whole.bytes[..], b"hello world");
    assert_eq!(
        whole.header("content-md5"),
        Some("5eb63bbbe01eeed093cb22bb8f5acdc3")
    );
    assert_eq!(
        whole.header("content-type"),
        Some("application/octet-stream")
    );
    let again = upload(&cloud.member(), &id, Bytes::from_static(b"x"))
        .await
        .expect(409);
    assert_eq!(
        message(&again),
        "Image status transition from active to saving is not allowed"
    );
}

#[tokio::test]
async fn a_range_is_downloaded_alone() {
    let cloud = cloud().await;
    let id = cloud.active(b"0123456789").await;
    let get = |range: &'static str| {
        let ask = cloud.member().with_header("range", range);
        let target = format!("/v2/images/{id}/file");
        async move { ask.get(&target).await }
    };
    let part = get("bytes=2-4").await.expect(206);
    assert_eq!(&part.bytes[..], b"234");
    assert_eq!(part.header("content-range"), Some("bytes 2-4/10"));
    assert_eq!(&get("bytes=-3").await.expect(206).bytes[..], b"789");
    assert_eq!(&get("bytes=8-").await.expect(206).bytes[..], b"89");
    let beyond = get("bytes=10-").await.expect(416);
    assert_eq!(beyond.header("content-range"), Some("bytes */10"));
    get("bytes=a-b").await.expect(416);
    get("bytes=0-1,3-4").await.expect(400);
}

#[tokio::test]
async fn an_upload_needs_formats_a_media_type_and_a_store_that_exists() {
    let cloud = cloud().await;
    let bare = cloud
        .member()
        .post("/v2/images", json!({"name": "x"}))
        .await
        .expect(201);
    let id = bare.json["id"].as_str().unwrap();
    let refused = upload(&cloud.member(), id, Bytes::from_static(b"x"))
        .await
        .expect(400);
    assert_eq!(
        message(&refused),
        "Properties disk_format, container_format must be set prior to saving data."
    );
    let id = cloud.queued().await;
    cloud
        .member()
        .put(&format!("/v2/images/{id}/file"), json!({}))
        .await
        .expect(415);
    let elsewhere = cloud.member().with_header("x-image-meta-store", "moon");
    upload(&elsewhere, &id, Bytes::from_static(b"x"))
        .await
        .expect(400);
    let reserve = cloud.member().with_header("x-image-meta-store", "reserve");
    upload(&reserve, &id, Bytes::from_static(b"x"))
        .await
        .expect(204);
    assert_eq!(cloud.show(&id).await["stores"], "reserve");
    let prefer = format!("/v2/images/{id}/file?prefer=file,reserve");
    cloud.member().get(&prefer).await.expect(200);
    cloud
        .member()
        .get(&format!("/v2/images/{id}/file?prefer=moon"))
        .await
        .expect(400);
}

#[tokio::test]
async fn an_aborted_upload_leaves_nothing_and_may_be_tried_again() {
    let cloud = cloud().await;
    let id = cloud.queued().await;
    let streaming = cloud.stream(Persona::Member, &format!("/v2/images/{id}/file"));
    streaming.send(b"half of ").await;
    assert_eq!(streaming.abort().await, 400);
    let image = cloud.show(&id).await;
    assert_eq!(image["status"], "queued");
    assert_eq!(image["size"], json!(null));
    assert_eq!(cloud.files(), [""; 0]);
    let streaming = cloud.stream(Persona::Member, &format!("/v2/images/{id}/file"));
    streaming.send(b"all of ").await;
    streaming.send(b"it").await;
    assert_eq!(streaming.end().await, 204);
    assert_eq!(cloud.show(&id).await["size"], 9);
}

#[tokio::test]
async fn fewer_or_more_bytes_than_declared_are_refused() {
    let cloud = cloud().await;
    let id = cloud.queued().await;
    for declared in ["5", "500", "x"] {
        let ask = cloud
            .member()
            .with_header("x-openstack-image-size", declared);
        upload(&ask, &id, Bytes::from_static(b"0123456789"))
            .await
            .expect(400);
        assert_eq!(cloud.show(&id).await["status"], "queued");
    }
    assert_eq!(cloud.files(), [""; 0]);
}

#[tokio::test]
async fn an_image_beyond_the_limit_is_refused_declared_or_not() {
    let cloud = cloud_with(|config| config.max_image_bytes = 10).await;
    let id = cloud.queued().await;
    upload(&cloud.member(), &id, Bytes::from_static(b"01234567890"))
        .await
        .expect(413);
    let streaming = cloud.stream(Persona::Member, &format!("/v2/images/{id}/file"));
    streaming.send(b"012345").await;
    streaming.send(b"678901").await;
    assert_eq!(streaming.end().await, 413);
    assert_eq!(cloud.show(&id).await["status"], "queued");
    assert_eq!(cloud.files(), [""; 0]);
    upload(&cloud.member(), &id, Bytes::from_static(b"0123456789"))
        .await
        .expect(204);
}

#[tokio::test]
async fn of_two_uploads_at_once_one_wins() {
    let cloud = cloud().await;
    let id = cloud.queued().await;
    let target = format!("/v2/images/{id}/file");
    let first = cloud.stream(Persona::Member, &target);
    first.send(b"first").await;
    while cloud.show(&id).await["status"] != "saving" {
        tokio::task::yield_now().await;
    }
    upload(&cloud.member(), &id, Bytes::from_static(b"second"))
        .await
        .expect(409);
    put_octets(
        &cloud.member(),
        &format!("/v2/images/{id}/stage"),
        Bytes::from_static(b"x"),
    )
    .await
    .expect(409);
    assert_eq!(first.end().await, 204);
    assert_eq!(
        &cloud.member().get(&target).await.expect(200).bytes[..],
        b"first"
    );

    let id = cloud.queued().await;
    let (member, admin) = (cloud.member(), cloud.admin());
    let (one, two) = tokio::join!(
        upload(&member, &id, Bytes::from_static(b"one")),
        upload(&admin, &id, Bytes::from_static(b"two")),
    );
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 409]);
    assert_eq!(cloud.files().len(), 2);
}

#[tokio::test]
async fn an_image_deleted_while_it_is_uploaded_is_gone_with_its_bytes() {
    let cloud = cloud().await;
    let id = cloud.queued().await;
    let streaming = cloud.stream(Persona::Member, &format!("/v2/images/{id}/file"));
    streaming.send(b"half of ").await;
    while cloud.files().is_empty() {
        tokio::task::yield_now().await;
    }
    cloud
        .member()
        .delete(&format!("/v2/images/{id}"))
        .await
        .expect(204);
    cloud
        .member()
        .get(&format!("/v2/images/{id}"))
        .await
        .expect(404);
    assert_eq!(streaming.end().await, 410);
    cloud.settle().await;
    assert_eq!(cloud.files(), [""; 0]);
}

#[tokio::test]
async fn a_deleted_image_loses_its_bytes() {
    let cloud = cloud().await;
    let id = cloud.active(b"x").await;
    let other = cloud.active(b"y").await;
    cloud
        .member()
        .delete(&format!("/v2/images/{id}"))
        .await
        .expect(204);
    cloud.settle().await;
    assert_eq!(cloud.files().len(), 1);
    cloud
        .member()
        .get(&format!("/v2/images/{other}/file"))
        .await
        .expect(200);
}

#[tokio::test]
async fn a_deactivated_image_is_downloaded_by_admins_only() {
    let cloud = cloud().await;
    let id = cloud.active(b"x").await;
    let action = |name: &str| format!("/v2/images/{id}/actions/{name}");
    cloud
        .other()
        .post(&action("deactivate"), json!(null))
        .await
        .expect(404);
    for _twice in 0..2 {
        cloud
            .member()
            .post(&action("deactivate"), json!(null))
            .await
            .expect(204);
    }
    assert_eq!(cloud.show(&id).await["status"], "deactivated");
    let file = format!("/v2/images/{id}/file");
    cloud.member().get(&file).await.expect(403);
    cloud.admin().get(&file).await.expect(200);
    cloud
        .member()
        .post(&action("reactivate"), json!(null))
        .await
        .expect(204);
    cloud.member().get(&file).await.expect(200);
    let queued = created(&cloud.member(), json!({})).await;
    let refused = cloud
        .member()
        .post(
            &format!("/v2/images/{queued}/actions/deactivate"),
            json!(null),
        )
        .await
        .expect(403);
    assert_eq!(
        message(&refused),
        "Not allowed to deactivate image in status 'queued'"
    );
}

#[tokio::test]
async fn the_service_role_reads_every_image() {
    let cloud = cloud().await;
    let id = created(&cloud.member(), json!({"visibility": "private"})).await;
    upload(&cloud.member(), &id, Bytes::from_static(b"x"))
        .await
        .expect(204);
    let service = cloud.ask.as_persona(Persona::Service);
    service.get(&format!("/v2/images/{id}")).await.expect(200);
    service
        .get(&format!("/v2/images/{id}/file"))
        .await
        .expect(200);
    service
        .delete(&format!("/v2/images/{id}"))
        .await
        .expect(403);
    // What came to nothing it removes.
    let empty = created(&cloud.member(), json!({"visibility": "private"})).await;
    let empty = format!("/v2/images/{empty}");
    cloud.other().delete(&empty).await.expect(404);
    service.delete(&empty).await.expect(204);
    cloud
        .other()
        .get(&format!("/v2/images/{id}/file"))
        .await
        .expect(404);
    let reader = cloud.ask.as_persona(Persona::Reader);
    reader.get(&format!("/v2/images/{id}")).await.expect(200);
    reader
        .get(&format!("/v2/images/{id}/file"))
        .await
        .expect(403);
}

fn qcow2(backing_file: u64) -> Bytes {
    let mut bytes = vec![0; 4096];
    bytes[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
    bytes[8..16].copy_from_slice(&backing_file.to_be_bytes());
    bytes[24..32].copy_from_slice(&(1_u64 << 30).to_be_bytes());
    bytes.into()
}

#[tokio::test]
async fn every_upload_is_inspected() {
    let cloud = cloud().await;
    let id = created(&cloud.member(), json!({"disk_format": "qcow2"})).await;
    let refused = upload(&cloud.member(), &id, qcow2(600)).await.expect(415);
    assert_eq!(
        message(&refused),
        "Image failed safety checks: it is qcow2 and has a backing file"
    );
    let refused = upload(&cloud.member(), &id, Bytes::from_static(b"raw"))
        .await
        .expect(415);
    assert_eq!(
        message(&refused),
        "Image disk_format qcow2 does not match stream data raw"
    );
    assert_eq!(cloud.show(&id).await["status"], "queued");
    assert_eq!(cloud.files(), [""; 0]);
    upload(&cloud.member(), &id, qcow2(0)).await.expect(204);
    assert_eq!(cloud.show(&id).await["virtual_size"], 1 << 30);

    // Neither another format nor a container hides what reaches out.
    for disguise in [
        json!({}),
        json!({"container_format": "ovf"}),
        json!({"disk_format": "ami", "container_format": "ami"}),
    ] {
        let id = created(&cloud.member(), disguise).await;
        upload(&cloud.member(), &id, qcow2(600)).await.expect(415);
    }
    let archive = created(
        &cloud.member(),
        json!({"disk_format": "vmdk", "container_format": "ova"}),
    )
    .await;
    upload(&cloud.member(), &archive, Bytes::from_static(b"an archive"))
        .await
        .expect(204);
}

#[tokio::test]
async fn a_mismatch_is_accepted_where_the_operator_says_so_and_danger_is_not() {
    let cloud = cloud_with(|config| config.require_format_match = false).await;
    let id = created(&cloud.member(), json!({"disk_format": "qcow2"})).await;
    upload(&cloud.member(), &id, qcow2(600)).await.expect(415);
    upload(&cloud.member(), &id, Bytes::from_static(b"raw"))
        .await
        .expect(204);
    assert_eq!(cloud.show(&id).await["virtual_size"], json!(null));
}

#[tokio::test]
async fn an_image_that_gets_its_data_meanwhile_is_not_removed_by_a_service() {
    let cloud = cloud().await;
    let db = cloud.world.core::<nephos_image::Image>().await.db;
    let id = created(&cloud.member(), json!({"visibility": "private"})).await;
    let target = format!("/v2/images/{id}");
    let service = cloud.ask.as_persona(Persona::Service);
    let mut tx = db.write().await.unwrap();
    let sql = "UPDATE images SET status = 'active'";
    tx.exec(sql, Vec::new()).await.unwrap();
    let publish = async {
        // Meanwhile the other one reads the image as it was, and waits.
        for _read in 0..50 {
            let sql = "SELECT status FROM images";
            let status: Option<String> = db.fetch_opt(sql, Vec::new()).await.unwrap();
            assert_eq!(status.as_deref(), Some("queued"));
        }
        tx.commit().await.unwrap();
    };
    let (refused, ()) = tokio::join!(service.delete(&target), publish);
    assert_eq!(refused.status, 403);
    assert_eq!(cloud.show(&id).await["status"], "active");
}

#[tokio::test]
async fn whom_a_rule_of_the_operator_allows_it_removes_images_with_data() {
    let cloud = cloud_ruled("delete_image", "role:member or role:service").await;
    let service = cloud.ask.as_persona(Persona::Service);
    for (asks, status) in [(service, 403), (cloud.other(), 204)] {
        let id = created(&cloud.member(), json!({"visibility": "community"})).await;
        let bytes = Bytes::from_static(b"x");
        upload(&cloud.member(), &id, bytes).await.expect(204);
        let target = format!("/v2/images/{id}");
        assert_eq!(asks.delete(&target).await.status, status);
    }
}

#[tokio::test]
async fn a_slow_upload_stays_alive_and_a_stalled_one_is_given_up() {
    let cloud = cloud().await;
    let db = cloud.world.core::<nephos_image::Image>().await.db;
    let id = cloud.queued().await;
    let streaming = cloud.stream(Persona::Member, &format!("/v2/images/{id}/file"));
    streaming.send(b"slow").await;
    let alive_until = || async {
        let sql = "SELECT writer_until FROM blobs";
        db.fetch_opt::<i64>(sql, Vec::new()).await.unwrap()
    };
    while cloud.files().is_empty() {
        tokio::task::yield_now().await;
    }
    for _ in 0..6 {
        let before = alive_until().await;
        cloud.world.clock.advance(Duration::from_secs(25));
        let mut polls = 0;
        while alive_until().await == before {
            // A beat whose transaction was open when the clock jumped is refused; the next one comes.
            polls += 1;
            if polls % 2000 == 0 {
                cloud.world.clock.advance(Duration::from_secs(25));
            }
            tokio::task::yield_now().await;
        }
        cloud.image.look().await.unwrap();
        assert_eq!(cloud.show(&id).await["status"], "saving");
    }
    cloud.world.clock.advance(Duration::from_secs(601));
    assert_eq!(streaming.answer.await.unwrap().status.as_u16(), 408);
    assert_eq!(cloud.show(&id).await["status"], "queued");
    assert_eq!(cloud.files(), [""; 0]);
}

#[tokio::test]
async fn a_host_reads_the_images_of_its_servers_and_no_others() {
    let cloud = cloud().await;
    let wanted = cloud.active(b"wanted").await;
    let other = cloud.active(b"other").await;
    let one = cloud.ask.as_host("one");
    let file = |id: &str| format!("/v2/images/{id}/file");
    // Nobody knows what it needs while compute is away.
    one.get(&file(&wanted)).await.expect(503);
    cloud.needs(Needs("one", Some(wanted.clone())));
    let read = one.get(&file(&wanted)).await.expect(200);
    assert_eq!(read.bytes, Bytes::from_static(b"wanted"));
    one.get(&file(&other)).await.expect(404);
    one.get(&file("no-image")).await.expect(404);
    let two = cloud.ask.as_host("two");
    two.get(&file(&wanted)).await.expect(404);
    // And nothing but the bytes.
    one.get(&format!("/v2/images/{wanted}")).await.expect(403);
    one.get("/v2/images").await.expect(403);
    one.delete(&format!("/v2/images/{wanted}"))
        .await
        .expect(403);
}

#[tokio::test]
async fn a_host_brings_the_data_of_the_image_that_it_is_to_bring_and_of_no_other() {
    let cloud = cloud().await;
    let (wanted, other) = (cloud.queued().await, cloud.queued().await);
    let file = |id: &str| format!("/v2/images/{id}/file");
    let bring = |host: &str, id: &str| {
        let octets = ("content-type", "application/octet-stream");
        let host = cloud.ask.as_host(host).with_header(octets.0, octets.1);
        let target = file(id);
        async move {
            let bytes = Bytes::from_static(b"brought");
            host.send(http::Method::PUT, &target, bytes).await
        }
    };
    // Nobody knows what it brings while compute is away.
    bring("one", &wanted).await.expect(503);
    cloud.needs(Needs("one", Some(wanted.clone())));
    bring("two", &wanted).await.expect(404);
    bring("one", &other).await.expect(404);
    bring("one", "no-image").await.expect(404);
    assert_eq!(cloud.show(&wanted).await["status"], "queued");
    bring("one", &wanted).await.expect(204);
    assert_eq!(cloud.show(&wanted).await["status"], "active");
    assert_eq!(cloud.show(&other).await["status"], "queued");
    // Once.
    bring("one", &wanted).await.expect(409);
    let stage = format!("/v2/images/{other}/stage");
    let one = cloud.ask.as_host("one");
    one.send(http::Method::PUT, &stage, Bytes::from_static(b"x"))
        .await
        .expect(403);
}
