//! Trusts.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cloud::{Cloud, all, by_name, by_token, id_of, on_project, token_of};

struct Pair {
    cloud: Cloud,
    trustor: String,
    trustee: String,
    project: String,
}

async fn pair() -> Pair {
    let cloud = Cloud::new().await;
    let (trustor, project) = cloud.tenant("tor", "member").await;
    let trustee = cloud.user("tee").await;
    Pair {
        cloud,
        trustor,
        trustee,
        project,
    }
}

impl Pair {
    fn body(&self, extra: Value) -> Value {
        let mut trust = json!({"trustor_user_id": self.trustor, "trustee_user_id": self.trustee,
            "project_id": self.project, "impersonation": true, "roles": [{"name": "reader"}]});
        trust
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        json!({"trust": trust})
    }

    async fn trust(&self, extra: Value) -> String {
        let tor = self.cloud.as_user("tor", "tor", on_project("tor")).await;
        id_of(
            &tor.post("/v3/OS-TRUST/trusts", self.body(extra))
                .await
                .expect(201),
            "trust",
        )
    }

    async fn use_it(&self, id: &str) -> nephos_testkit::Answer {
        let scope = json!({"OS-TRUST:trust": {"id": id}});
        self.cloud.log_in(by_name("tee", "tee"), scope).await
    }
}

#[tokio::test]
async fn a_trustee_gets_the_lent_roles_as_the_trustor_or_as_itself() {
    let pair = pair().await;
    for (impersonation, user) in [(true, &pair.trustor), (false, &pair.trustee)] {
        let id = pair.trust(json!({"impersonation": impersonation})).await;
        let token = pair.use_it(&id).await.expect(201);
        let shown = &token.json["token"];
        assert_eq!(shown["user"]["id"], *user);
        assert_eq!(shown["project"]["id"], pair.project);
        assert_eq!(shown["roles"].as_array().unwrap().len(), 1);
        assert_eq!(shown["roles"][0]["name"], "reader");
        assert_eq!(shown["OS-TRUST:trust"]["id"], id);
        assert_eq!(shown["OS-TRUST:trust"]["trustee_user"]["id"], pair.trustee);
        pair.cloud
            .log_in(by_token(token_of(&token)), on_project("tor"))
            .await
            .expect(403);
    }
}

#[tokio::test]
async fn a_trust_ends_with_its_time_its_uses_its_removal_and_the_trustors_role() {
    let pair = pair().await;
    let cloud = &pair.cloud;
    let expires = cloud.world.clock.now().plus_secs(60).iso();
    let id = pair
        .trust(json!({"expires_at": expires, "remaining_uses": 2}))
        .await;
    pair.use_it(&id).await.expect(201);
    pair.use_it(&id).await.expect(201);
    pair.use_it(&id).await.expect(403);
    let id = pair.trust(json!({"expires_at": expires})).await;
    pair.use_it(&id).await.expect(201);
    cloud.world.clock.advance(Duration::from_secs(61));
    pair.use_it(&id).await.expect(401);

    let id = pair.trust(json!({})).await;
    let token = pair.use_it(&id).await.expect(201);
    let tee = cloud.ask.with_token(token_of(&token));
    tee.get("/v3/auth/catalog").await.expect(200);
    let tor = cloud.as_user("tor", "tor", on_project("tor")).await;
    cloud.later();
    tor.delete(&format!("/v3/OS-TRUST/trusts/{id}"))
        .await
        .expect(204);
    tee.get("/v3/auth/catalog").await.expect(401);
    pair.use_it(&id).await.expect(401);

    let id = pair.trust(json!({})).await;
    let role = cloud.role("member").await;
    let grant = format!(
        "/v3/projects/{}/users/{}/roles/{role}",
        pair.project, pair.trustor
    );
    cloud.admin().await.delete(&grant).await.expect(204);
    pair.use_it(&id).await.expect(403);
}

#[tokio::test]
async fn trusts_are_shown_to_both_sides_and_lists_to_each() {
    let pair = pair().await;
    let cloud = &pair.cloud;
    let id = pair.trust(json!({})).await;
    cloud.tenant("other", "member").await;
    let tor = cloud.as_user("tor", "tor", on_project("tor")).await;
    let other = cloud.as_user("other", "other", on_project("other")).await;
    let path = format!("/v3/OS-TRUST/trusts/{id}");
    let shown = tor.get(&path).await.expect(200).json;
    let trust = &shown["trust"];
    assert_eq!(trust["expires_at"], Value::Null);
    assert_eq!(trust["roles"][0]["name"], "reader");
    let link = trust["links"]["self"].as_str().unwrap();
    assert_eq!(link, format!("http://cloud.test/identity{path}"));
    other.get(&path).await.expect(403);
    other.get("/v3/OS-TRUST/trusts/nothing").await.expect(404);
    other.delete(&path).await.expect(403);
    let own = format!("/v3/OS-TRUST/trusts?trustor_user_id={}", pair.trustor);
    assert_eq!(
        all(&tor.get(&own).await.expect(200), "trusts", "id"),
        [id.as_str()]
    );
    other.get(&own).await.expect(403);
    tor.get("/v3/OS-TRUST/trusts").await.expect(403);
    cloud
        .admin()
        .await
        .get("/v3/OS-TRUST/trusts")
        .await
        .expect(200);
    let roles = tor.get(&format!("{path}/roles")).await.expect(200);
    assert_eq!(all(&roles, "roles", "name"), ["reader"]);
    let (reader, member) = (cloud.role("reader").await, cloud.role("member").await);
    tor.get(&format!("{path}/roles/{reader}")).await.expect(200);
    tor.get(&format!("{path}/roles/{member}")).await.expect(404);
}

#[tokio::test]
async fn nobody_lends_what_is_not_theirs() {
    let pair = pair().await;
    let tor = pair.cloud.as_user("tor", "tor", on_project("tor")).await;
    let post = |extra: Value| {
        let (tor, body) = (tor.clone(), pair.body(extra));
        async move { tor.post("/v3/OS-TRUST/trusts", body).await }
    };
    post(json!({"roles": [{"name": "admin"}]}))
        .await
        .expect(404);
    post(json!({"roles": []})).await.expect(403);
    post(json!({"trustee_user_id": "nobody"})).await.expect(404);
    post(json!({"trustor_user_id": pair.trustee}))
        .await
        .expect(403);
    post(json!({"expires_at": "bad.123Z"})).await.expect(400);
    post(json!({"expires_at": "2001-01-01T00:00:00Z"}))
        .await
        .expect(400);
    post(json!({"remaining_uses": 0})).await.expect(400);
    post(json!({"project_id": "nowhere"})).await.expect(404);
}

#[tokio::test]
async fn what_is_lent_on_is_no_more_and_ends_with_its_source() {
    let pair = pair().await;
    let cloud = &pair.cloud;
    let third = cloud.user("third").await;
    let id = pair
        .trust(json!({"allow_redelegation": true, "redelegation_count": 1}))
        .await;
    let tee = cloud
        .ask
        .with_token(token_of(&pair.use_it(&id).await.expect(201)));
    let on = |extra: Value| {
        let mut body = pair.body(extra);
        body["trust"]["trustee_user_id"] = json!(third);
        let tee = tee.clone();
        async move { tee.post("/v3/OS-TRUST/trusts", body).await }
    };
    on(json!({"roles": [{"name": "member"}]})).await.expect(403);
    let second = on(json!({})).await.expect(201);
    assert_eq!(second.json["trust"]["redelegated_trust_id"], id);
    assert_eq!(second.json["trust"]["redelegation_count"], 0);
    let second = id_of(&second, "trust");
    let scope = json!({"OS-TRUST:trust": {"id": second}});
    cloud
        .log_in(by_name("third", "third"), scope.clone())
        .await
        .expect(201);
    let tor = cloud.as_user("tor", "tor", on_project("tor")).await;
    tor.delete(&format!("/v3/OS-TRUST/trusts/{id}"))
        .await
        .expect(204);
    cloud
        .log_in(by_name("third", "third"), scope)
        .await
        .expect(401);
    let only = pair.trust(json!({})).await;
    let tee = cloud
        .ask
        .with_token(token_of(&pair.use_it(&only).await.expect(201)));
    tee.post("/v3/OS-TRUST/trusts", pair.body(json!({})))
        .await
        .expect(403);
}
