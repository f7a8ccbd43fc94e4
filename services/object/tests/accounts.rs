//! Accounts: lists, metadata, quotas.

use crate::kit::{MINE, cloud, head, lines, post, put};

#[tokio::test]
async fn an_account_is_empty_until_something_is_in_it() {
    let cloud = cloud().await;
    let member = cloud.member();
    let answer = member.get(MINE).await.expect(204);
    assert_eq!(answer.header("x-account-container-count"), Some("0"));
    assert_eq!(
        member
            .get(&format!("{MINE}?format=json"))
            .await
            .expect(200)
            .json,
        serde_json::json!([])
    );
    cloud.container("b").await;
    cloud.container("a").await;
    put(&member, &format!("{MINE}/a/o"), "hello")
        .await
        .expect(201);
    let answer = head(&member, MINE).await.expect(204);
    for (name, value) in [
        ("x-account-container-count", "2"),
        ("x-account-object-count", "1"),
        ("x-account-bytes-used", "5"),
        ("x-account-storage-policy-policy-0-bytes-used", "5"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    assert!(answer.header("x-trans-id").unwrap().starts_with("tx"));
    assert_eq!(lines(&member.get(MINE).await.expect(200)), ["a", "b"]);
    assert_eq!(
        lines(&member.get(&format!("{MINE}?reverse=true")).await),
        ["b", "a"]
    );
    assert_eq!(
        lines(&member.get(&format!("{MINE}?marker=a&limit=1")).await),
        ["b"]
    );
    let json = member
        .get(&format!("{MINE}?format=json&prefix=a"))
        .await
        .expect(200)
        .json;
    assert_eq!(json[0]["name"], "a");
    assert_eq!(
        (json[0]["count"].as_i64(), json[0]["bytes"].as_i64()),
        (Some(1), Some(5))
    );
    let xml = member
        .with_header("accept", "application/xml")
        .get(MINE)
        .await
        .expect(200);
    let text = String::from_utf8_lossy(&xml.bytes).into_owned();
    assert!(
        text.contains("<container><name>a</name><count>1</count><bytes>5</bytes>"),
        "{text}"
    );
    member
        .with_header("accept", "image/png")
        .get(MINE)
        .await
        .expect(406);
    member.get(&format!("{MINE}?limit=10001")).await.expect(412);
}

#[tokio::test]
async fn metadata_of_an_account_is_merged() {
    let cloud = cloud().await;
    let member = cloud.member();
    let set = member
        .with_header("x-account-meta-color", "red")
        .with_header("x-account-meta-size", "1");
    post(&set, MINE).await.expect(204);
    post(&member.with_header("x-remove-account-meta-size", "x"), MINE)
        .await
        .expect(204);
    let answer = head(&member, MINE).await.expect(204);
    assert_eq!(answer.header("x-account-meta-color"), Some("red"));
    assert_eq!(answer.header("x-account-meta-size"), None);
    post(
        &member.with_header("x-account-meta-temp-url-key", "secret"),
        MINE,
    )
    .await
    .expect(204);
    let reader = cloud.ask.as_persona(nephos_testkit::Persona::Reader);
    assert_eq!(
        head(&reader, MINE)
            .await
            .expect(204)
            .header("x-account-meta-temp-url-key"),
        None
    );
    assert_eq!(
        head(&member, MINE)
            .await
            .header("x-account-meta-temp-url-key"),
        Some("secret")
    );
}

#[tokio::test]
async fn quotas_of_an_account_are_set_by_resellers_only_and_hold() {
    let cloud = cloud().await;
    cloud.container("c").await;
    let member = cloud.member();
    post(
        &member.with_header("x-account-meta-quota-bytes", "10"),
        MINE,
    )
    .await
    .expect(403);
    let reseller = cloud.reseller();
    post(
        &reseller.with_header("x-account-meta-quota-bytes", "ten"),
        MINE,
    )
    .await
    .expect(400);
    let set = reseller
        .with_header("x-account-meta-quota-bytes", "10")
        .with_header("x-account-quota-count", "2");
    post(&set, MINE).await.expect(204);
    let answer = head(&member, MINE).await;
    assert_eq!(answer.header("x-account-meta-quota-bytes"), Some("10"));
    assert_eq!(answer.header("x-account-quota-count"), Some("2"));
    put(&member, &format!("{MINE}/c/a"), "12345678901")
        .await
        .expect(413);
    put(&member, &format!("{MINE}/c/a"), "1234567890")
        .await
        .expect(201);
    // What replaces is counted by what it adds.
    put(&member, &format!("{MINE}/c/a"), "123456789")
        .await
        .expect(201);
    put(&member, &format!("{MINE}/c/b"), "12").await.expect(413);
    put(&member, &format!("{MINE}/c/b"), "").await.expect(201);
    put(&member, &format!("{MINE}/c/d"), "").await.expect(413);
    post(
        &reseller.with_header("x-remove-account-quota-count", "x"),
        MINE,
    )
    .await
    .expect(204);
    put(&member, &format!("{MINE}/c/d"), "").await.expect(201);
    cloud.settle().await;
}

#[tokio::test]
async fn info_is_for_everybody_and_names_what_there_is() {
    let cloud = cloud().await;
    let info = cloud.ask.get("/info").await.expect(200).json;
    for name in [
        "slo",
        "dlo",
        "tempurl",
        "bulk_delete",
        "account_quotas",
        "container_quotas",
        "versioned_writes",
    ] {
        assert!(info.get(name).is_some(), "{name}");
    }
    for name in [
        "bulk_upload",
        "staticweb",
        "symlink",
        "formpost",
        "container_sync",
        "object_versioning",
    ] {
        assert!(info.get(name).is_none(), "{name}");
    }
}
