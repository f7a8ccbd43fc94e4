//! Volume types, their specs, who may use them; back ends chosen by them.

use nephos_testkit::Persona;
use serde_json::json;

use crate::kit::{cloud, created, message};

#[tokio::test]
async fn a_type_sends_its_volumes_to_its_back_end() {
    let cloud = cloud().await;
    for name in ["one", "two"] {
        let kind =
            json!({"volume_type": {"name": name, "extra_specs": {"volume_backend_name": name}}});
        cloud
            .admin()
            .post("/v3/types", kind.clone())
            .await
            .expect(200);
        cloud.admin().post("/v3/types", kind).await.expect(409);
        let id = cloud
            .volume_of(json!({"size": 1, "volume_type": name}))
            .await;
        let file = cloud.file(&format!("volume-{id}"));
        assert_eq!(
            file.parent().unwrap().file_name().unwrap().to_str(),
            Some(name)
        );
    }
    let shown = cloud.member().get("/v3/types/two").await.expect(200).json;
    assert_eq!(
        shown["volume_type"]["extra_specs"],
        json!({}),
        "how a type is made is for administrators"
    );
    let nowhere =
        json!({"volume_type": {"name": "x", "extra_specs": {"volume_backend_name": "mars"}}});
    cloud.admin().post("/v3/types", nowhere).await.expect(200);
    let lost = created(&cloud.member(), json!({"size": 1, "volume_type": "x"})).await;
    cloud.settle().await;
    assert_eq!(cloud.status(&lost).await, "error");
    let messages = cloud
        .member()
        .get(&format!("/v3/messages?resource_uuid={lost}"))
        .await
        .expect(200)
        .json;
    let words = messages["messages"][0]["user_message"].as_str().unwrap();
    assert!(
        words.contains("No valid backend was found") && words.contains("volume_backend_name=mars"),
        "{words}"
    );
    assert_eq!(messages["messages"][0]["event_id"], "VOLUME_VOLUME_001_003");
    cloud
        .member()
        .delete(&format!("/v3/volumes/{lost}"))
        .await
        .expect(202);
    cloud.settle().await;
    assert_eq!(cloud.usage().await.0, 2);
}

#[tokio::test]
async fn a_private_type_is_for_those_who_may_use_it() {
    let cloud = cloud().await;
    let kind = json!({"volume_type": {"name": "p", "os-volume-type-access:is_public": false}});
    let made = cloud.admin().post("/v3/types", kind).await.expect(200).json;
    let target = format!("/v3/types/{}", made["volume_type"]["id"].as_str().unwrap());
    cloud.member().get(&target).await.expect(404);
    let body = json!({"volume": {"size": 1, "volume_type": "p"}});
    cloud
        .member()
        .post("/v3/volumes", body.clone())
        .await
        .expect(404);
    let access = json!({"addProjectAccess": {"project": Persona::Member.project()}});
    cloud
        .admin()
        .post(&format!("{target}/action"), access.clone())
        .await
        .expect(202);
    cloud
        .admin()
        .post(&format!("{target}/action"), access)
        .await
        .expect(409);
    cloud.member().get(&target).await.expect(200);
    cloud.other().get(&target).await.expect(404);
    cloud.member().post("/v3/volumes", body).await.expect(202);
    let listed = cloud
        .admin()
        .get(&format!("{target}/os-volume-type-access"))
        .await
        .expect(200)
        .json;
    assert_eq!(
        listed["volume_type_access"][0]["project_id"],
        Persona::Member.project()
    );
    cloud.admin().delete(&target).await.expect(400);
}

#[tokio::test]
async fn specs_and_default_types() {
    let cloud = cloud().await;
    let made = cloud
        .admin()
        .post("/v3/types", json!({"volume_type": {"name": "d"}}))
        .await
        .expect(200)
        .json;
    let target = format!("/v3/types/{}", made["volume_type"]["id"].as_str().unwrap());
    let specs = format!("{target}/extra_specs");
    cloud
        .admin()
        .post(&specs, json!({"extra_specs": {"hw:a": "1"}}))
        .await
        .expect(200);
    cloud
        .admin()
        .put(&format!("{specs}/hw:a"), json!({"hw:a": "2"}))
        .await
        .expect(200);
    cloud
        .admin()
        .put(&format!("{specs}/hw:a"), json!({"b": "2"}))
        .await
        .expect(400);
    assert_eq!(
        cloud.admin().get(&specs).await.expect(200).json,
        json!({"extra_specs": {"hw:a": "2"}})
    );
    cloud
        .member()
        .get(&format!("{specs}/hw:a"))
        .await
        .expect(404);
    cloud
        .admin()
        .delete(&format!("{specs}/hw:a"))
        .await
        .expect(202);
    cloud
        .admin()
        .delete(&format!("{specs}/hw:a"))
        .await
        .expect(404);
    let default = format!("/v3/default-types/{}", Persona::Member.project());
    cloud
        .member()
        .put(&default, json!({"default_type": {"volume_type": "d"}}))
        .await
        .expect(403);
    cloud
        .admin()
        .put(&default, json!({"default_type": {"volume_type": "d"}}))
        .await
        .expect(200);
    let id = cloud.volume().await;
    assert_eq!(cloud.show(&id).await["volume_type"], "d");
    cloud.admin().delete(&default).await.expect(204);
    cloud.admin().get(&default).await.expect(404);
    let shown = cloud
        .member()
        .get("/v3/types/default")
        .await
        .expect(200)
        .json;
    assert_eq!(shown["volume_type"]["name"], "__DEFAULT__");
}

#[tokio::test]
async fn a_disabled_back_end_takes_no_volumes() {
    let cloud = cloud().await;
    let body = json!({"host": "here@one", "binary": "cinder-volume", "disabled_reason": "repair"});
    cloud
        .admin()
        .put("/v3/os-services/disable-log-reason", body)
        .await
        .expect(200);
    let id = cloud.volume().await;
    assert!(
        cloud
            .file(&format!("volume-{id}"))
            .to_string_lossy()
            .contains("/two/")
    );
    let services = cloud
        .admin()
        .get("/v3/os-services?host=here@one")
        .await
        .expect(200)
        .json;
    assert_eq!(services["services"][0]["disabled_reason"], "repair");
    let pools = cloud
        .admin()
        .get("/v3/scheduler-stats/get_pools?detail=true")
        .await
        .expect(200)
        .json;
    assert_eq!(pools["pools"].as_array().unwrap().len(), 2);
    cloud
        .admin()
        .get("/v3/capabilities/here@one")
        .await
        .expect(200);
    cloud.admin().get("/v3/os-hosts/here@two").await.expect(200);
    let two = json!({"host": "here@two"});
    cloud
        .admin()
        .put("/v3/os-services/freeze", two.clone())
        .await
        .expect(200);
    let refused = created(&cloud.member(), json!({"size": 1})).await;
    cloud.settle().await;
    assert_eq!(cloud.status(&refused).await, "error");
    cloud
        .admin()
        .put("/v3/os-services/thaw", two)
        .await
        .expect(200);
    cloud.volume().await;
    cloud
        .admin()
        .put("/v3/os-services/freeze", json!({"host": "mars"}))
        .await
        .expect(400);
    cloud.member().get("/v3/os-services").await.expect(403);
}

#[tokio::test]
async fn what_a_type_promises_its_volumes_does_not_change_under_them() {
    let cloud = cloud().await;
    let admin = cloud.admin();
    let specs = json!({"provisioning:min_vol_size": "2", "provisioning:max_vol_size": "4"});
    let body = json!({"volume_type": {"name": "sized", "extra_specs": specs}});
    let made = admin.post("/v3/types", body).await.expect(200).json;
    let id = made["volume_type"]["id"].as_str().unwrap();
    let member = cloud.member();
    for (size, words) in [
        (1, "less than the minimum"),
        (5, "greater than the maximum"),
    ] {
        let body = json!({"volume": {"size": size, "volume_type": "sized"}});
        let refused = member.post("/v3/volumes", body).await.expect(400).json;
        assert!(message(&refused).contains(words), "{refused}");
    }
    let of_it = json!({"size": 3, "volume_type": "sized"});
    let volume = cloud.volume_of(of_it).await;
    let action = format!("/v3/volumes/{volume}/action");
    let too_large = json!({"os-extend": {"new_size": 5}});
    member.post(&action, too_large).await.expect(400);
    let small = cloud.volume().await;
    let retype = json!({"os-retype": {"new_type": "sized"}});
    let of_small = format!("/v3/volumes/{small}/action");
    member.post(&of_small, retype).await.expect(400);
    let all = format!("/v3/types/{id}/extra_specs");
    let one = format!("{all}/provisioning:min_vol_size");
    let more = json!({"extra_specs": {"multiattach": "<is> True"}});
    let change = json!({"provisioning:min_vol_size": "1"});
    for refused in [
        admin.post(&all, more.clone()).await,
        admin.put(&one, change.clone()).await,
        admin.delete(&one).await,
    ] {
        let refused = refused.expect(400).json;
        assert!(message(&refused).contains("currently in use"), "{refused}");
    }
    member
        .delete(&format!("/v3/volumes/{volume}"))
        .await
        .expect(202);
    cloud.settle().await;
    admin.put(&one, change).await.expect(200);
    admin.post(&all, more).await.expect(200);
    let wrong = json!({"provisioning:min_vol_size": "many"});
    admin.put(&one, wrong).await.expect(400);
}
