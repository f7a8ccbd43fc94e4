//! Access lists: who else reads and writes.

use nephos_testkit::Persona;

use crate::kit::{MINE, cloud_with_container, head, post, put};

#[tokio::test]
async fn a_container_is_opened_to_readers_by_its_list() {
    let cloud = cloud_with_container().await;
    let (member, target) = (cloud.member(), format!("{MINE}/c"));
    let object = format!("{target}/o");
    put(&member, &object, "x").await.expect(201);
    let other = Persona::OtherProject;
    cloud.other().get(&object).await.expect(403);
    cloud.ask.get(&object).await.expect(401);
    for (acl, other_status, anybody, listing) in [
        (
            format!("{}:{}", other.project(), other.user()),
            200,
            401,
            200,
        ),
        (format!("*:{}", other.user()), 200, 401, 200),
        (format!("{}:*", other.project()), 200, 401, 200),
        (
            "11111111111111111111111111111111:somebody".to_owned(),
            403,
            401,
            403,
        ),
        (".r:*".to_owned(), 200, 200, 403),
        (".r:*,.rlistings".to_owned(), 200, 200, 200),
        (".r:.example.com".to_owned(), 403, 401, 403),
    ] {
        post(&member.with_header("x-container-read", &acl), &target)
            .await
            .expect(204);
        assert_eq!(
            cloud.other().get(&object).await.status,
            other_status,
            "{acl}"
        );
        assert_eq!(cloud.ask.get(&object).await.status, anybody, "{acl}");
        assert_eq!(cloud.other().get(&target).await.status, listing, "{acl}");
        put(&cloud.other(), &object, "y").await.expect(403);
    }
    let from = cloud
        .ask
        .with_header("referer", "http://www.example.com/page");
    from.get(&object).await.expect(200);
    let shown = head(&member, &target).await;
    assert_eq!(shown.header("x-container-read"), Some(".r:.example.com"));
    post(&member.with_header("x-remove-container-read", "x"), &target)
        .await
        .expect(204);
    from.get(&object).await.expect(401);
    post(&member.with_header("x-container-read", ".r:"), &target)
        .await
        .expect(400);
    post(&member.with_header("x-container-write", ".r:*"), &target)
        .await
        .expect(400);
}

#[tokio::test]
async fn writers_write_objects_and_nothing_else() {
    let cloud = cloud_with_container().await;
    let (member, target) = (cloud.member(), format!("{MINE}/c"));
    let acl = format!("{}:*", Persona::OtherProject.project());
    post(&member.with_header("x-container-write", &acl), &target)
        .await
        .expect(204);
    let other = cloud.other();
    put(&other, &format!("{target}/o"), "x").await.expect(201);
    other.get(&format!("{target}/o")).await.expect(403);
    other.delete(&format!("{target}/o")).await.expect(204);
    other.delete(&target).await.expect(403);
    post(&other.with_header("x-container-read", ".r:*"), &target)
        .await
        .expect(403);
    other.get(MINE).await.expect(403);
}

#[tokio::test]
async fn readers_of_the_project_read_and_a_reseller_does_all() {
    let cloud = cloud_with_container().await;
    let target = format!("{MINE}/c");
    put(&cloud.member(), &format!("{target}/o"), "x")
        .await
        .expect(201);
    let reader = cloud.ask.as_persona(Persona::Reader);
    reader.get(&format!("{target}/o")).await.expect(200);
    reader.get(&target).await.expect(200);
    put(&reader, &format!("{target}/o"), "y").await.expect(403);
    reader.delete(&target).await.expect(403);
    let reseller = cloud.reseller();
    put(&reseller, &format!("{target}/o"), "z")
        .await
        .expect(201);
    // An administrator of another project is a stranger here.
    cloud
        .ask
        .as_persona(Persona::Admin)
        .get(&target)
        .await
        .expect(403);
    // Who may not know does not learn what there is.
    cloud.other().get(&format!("{MINE}/none")).await.expect(403);
    cloud.ask.get(&format!("{MINE}/none")).await.expect(401);
    let answer = cloud.ask.get(&target).await;
    assert!(
        answer
            .header("www-authenticate")
            .unwrap()
            .starts_with("Swift realm=")
    );
}
