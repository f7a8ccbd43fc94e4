//! Each row of each version table changes what a client sees at its version, and not before.

use nephos_api::version::ChangeKind;
use nephos_api::{Service as _, Shape, Version};
use nephos_compute::Compute;
use nephos_testkit::{Ask, Persona};
use serde_json::{Value, json};

use crate::cloud::Cloud;

fn before(version: Version) -> Version {
    Version {
        major: version.major,
        minor: version.minor - 1,
    }
}

/// The object of a reply that a table speaks of; of a list, the first.
fn object(shape: &Shape, body: &Value) -> Value {
    let found = shape
        .place
        .split('.')
        .filter(|key| !key.is_empty())
        .fold(body, |at, key| &at[key]);
    if shape.many {
        found[0].clone()
    } else {
        found.clone()
    }
}

/// The server goes to another host while it runs.
async fn on_its_way(cloud: &Cloud, server: &str) {
    let mut tx = cloud.db.write().await.unwrap();
    let sql = "INSERT INTO migrations SELECT 1, id, id, project_id, user_id, 'live-migration', 'running', 'begun', host, \
         host, NULL, flavor, flavor, 0, 'running', 0, 0, 0, NULL, 0, 0, NULL, '' FROM servers WHERE id = $1 \
         ON CONFLICT DO NOTHING";
    tx.exec(sql, nephos_db::args![server]).await.unwrap();
    let sql = "UPDATE migrations SET ended_at = NULL";
    tx.exec(sql, nephos_db::args![]).await.unwrap();
    tx.commit().await.unwrap();
}

struct Call {
    method: http::Method,
    target: String,
    body: Value,
}

/// How each endpoint that has a table for its reply is asked, at a version.
async fn call(
    cloud: &Cloud,
    server: &str,
    name: &str,
    version: Version,
    count: usize,
) -> Option<Call> {
    use http::Method;
    let mut tx = cloud.db.write().await.unwrap();
    let sql = "UPDATE migrations SET ended_at = 1";
    tx.exec(sql, nephos_db::args![]).await.unwrap();
    tx.commit().await.unwrap();
    let uuids = version >= nephos_api::version::v(2, 53);
    let listed = cloud
        .admin()
        .at("compute 2.53")
        .get("/v2.1/os-hypervisors")
        .await
        .expect(200)
        .json;
    let host = if uuids {
        listed["hypervisors"][0]["id"].as_str().unwrap().to_owned()
    } else {
        "1".to_owned()
    };
    let get = |target: &str| {
        Some(Call {
            method: Method::GET,
            target: format!("/v2.1{target}"),
            body: Value::Null,
        })
    };
    match name {
        "ShowServer" => get(&format!("/servers/{server}")),
        "ListServersDetail" => get("/servers/detail?all_tenants=1"),
        "UpdateServer" => Some(Call {
            method: Method::PUT,
            target: format!("/v2.1/servers/{server}"),
            body: json!({"server": {"name": "web"}}),
        }),
        "Rebuild" => Some(Call {
            method: Method::POST,
            target: format!("/v2.1/servers/{server}/action"),
            body: json!({"rebuild": {"imageRef": cloud.image_id}}),
        }),
        "ListFlavors" => get("/flavors"),
        "ListFlavorsDetail" => get("/flavors/detail"),
        "ShowFlavor" => get("/flavors/small"),
        "UpdateFlavor" => Some(Call {
            method: Method::PUT,
            target: "/v2.1/flavors/small".to_owned(),
            body: json!({"flavor": {"description": "x"}}),
        }),
        "CreateFlavor" => Some(Call {
            method: Method::POST,
            target: "/v2.1/flavors".to_owned(),
            body: json!({"flavor": {"name": format!("f{count}"), "ram": 1, "vcpus": 1, "disk": 1}}),
        }),
        "CreateKeyPair" | "CreateKeyPairOld" => Some(Call {
            method: Method::POST,
            target: "/v2.1/os-keypairs".to_owned(),
            body: if version >= nephos_api::version::v(2, 92) {
                // 2.92: keys are not made here any more.
                let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEqnY4TdVKX2mYTZLqMeKJfBqnWzGdbTV2FMsFzU6VyW me";
                json!({"keypair": {"name": format!("k{count}"), "public_key": key}})
            } else {
                json!({"keypair": {"name": format!("k{count}")}})
            },
        }),
        "ListHypervisors" => get("/os-hypervisors"),
        "ListHypervisorsDetail" => get("/os-hypervisors/detail"),
        "ShowHypervisor" => get(&format!("/os-hypervisors/{host}")),
        "ShowUptime" => get(&format!("/os-hypervisors/{host}/uptime")),
        "SearchHypervisors" => get("/os-hypervisors/one/search"),
        "ListHypervisorServers" => get("/os-hypervisors/one/servers"),
        "ListServices" => get("/os-services"),
        "UpdateService" => {
            let services = cloud
                .admin()
                .at("compute 2.53")
                .get("/v2.1/os-services")
                .await
                .expect(200)
                .json;
            let id = services["services"][0]["id"].as_str().unwrap();
            Some(Call {
                method: Method::PUT,
                target: format!("/v2.1/os-services/{id}"),
                body: json!({"status": "enabled"}),
            })
        }
        "ListMigrations" => {
            on_its_way(cloud, server).await;
            get("/os-migrations")
        }
        "ListServerMigrations" => {
            on_its_way(cloud, server).await;
            get(&format!("/servers/{server}/migrations"))
        }
        "ShowServerMigration" => {
            on_its_way(cloud, server).await;
            get(&format!("/servers/{server}/migrations/1"))
        }
        "ListAggregates" => {
            aggregate(cloud, count).await;
            get("/os-aggregates")
        }
        "ShowAggregate" => get(&format!("/os-aggregates/{}", aggregate(cloud, count).await)),
        "CreateAggregate" => Some(Call {
            method: Method::POST,
            target: "/v2.1/os-aggregates".to_owned(),
            body: json!({"aggregate": {"name": format!("a{count}")}}),
        }),
        "UpdateAggregate" => Some(Call {
            method: Method::PUT,
            target: format!("/v2.1/os-aggregates/{}", aggregate(cloud, count).await),
            body: json!({"aggregate": {"name": format!("b{count}")}}),
        }),
        "AddHost" | "RemoveHost" | "SetAggregateMetadata" => {
            let target = format!(
                "/v2.1/os-aggregates/{}/action",
                aggregate(cloud, count).await
            );
            let add = json!({"add_host": {"host": "one"}});
            if name == "RemoveHost" {
                cloud.admin().post(&target, add.clone()).await.expect(200);
            }
            let body = match name {
                "AddHost" => add,
                "RemoveHost" => json!({"remove_host": {"host": "one"}}),
                _metadata => json!({"set_metadata": {"metadata": {"k": "v"}}}),
            };
            Some(Call {
                method: Method::POST,
                target,
                body,
            })
        }
        "ListServerGroups" => {
            server_group(cloud).await;
            get("/os-server-groups?all_projects=1")
        }
        "ShowServerGroup" => get(&format!("/os-server-groups/{}", server_group(cloud).await)),
        "CreateServerGroup" if server_group(cloud).await.is_empty() => None,
        "CreateServerGroup" => Some(Call {
            method: Method::POST,
            target: "/v2.1/os-server-groups".to_owned(),
            body: if version >= nephos_api::version::v(2, 64) {
                json!({"server_group": {"name": "g", "policy": "affinity"}})
            } else {
                json!({"server_group": {"name": "g", "policies": ["affinity"]}})
            },
        }),
        "ListAttachments" => get(&format!("/servers/{server}/os-volume_attachments")),
        "ShowAttachment" => {
            let volume = cloud.block.state().volumes.keys().next().cloned();
            let volume = volume.unwrap_or_default();
            get(&format!("/servers/{server}/os-volume_attachments/{volume}"))
        }
        "AttachVolume" => Some(Call {
            method: Method::POST,
            target: format!("/v2.1/servers/{server}/os-volume_attachments"),
            body: json!({"volumeAttachment": {"volumeId": cloud.block.add(&json!({}))}}),
        }),
        "ListActions" => get(&format!("/servers/{server}/os-instance-actions")),
        "ShowAction" => {
            let target = format!("/v2.1/servers/{server}/os-instance-actions");
            let actions = cloud.admin().get(&target).await.expect(200).json;
            let request = actions["instanceActions"][0]["request_id"]
                .as_str()
                .unwrap();
            get(&format!("/servers/{server}/os-instance-actions/{request}"))
        }
        _unknown => None,
    }
}

/// An aggregate to look at; the number of the call keeps their names apart.
async fn aggregate(cloud: &Cloud, count: usize) -> String {
    let body = json!({"aggregate": {"name": format!("aggregate-{count}")}});
    let made = cloud.admin().post("/v2.1/os-aggregates", body).await;
    made.expect(200).json["aggregate"]["id"].to_string()
}

/// A server group of the admin's project; there is room for many.
async fn server_group(cloud: &Cloud) -> String {
    let project = Persona::Admin.project();
    let unlimited = json!({"quota_set": {"server_groups": -1}});
    let target = format!("/v2.1/os-quota-sets/{project}");
    cloud.admin().put(&target, unlimited).await.expect(200);
    let body = json!({"server_group": {"name": "g", "policies": ["affinity"]}});
    let made = cloud.admin().post("/v2.1/os-server-groups", body).await;
    let id = &made.expect(200).json["server_group"]["id"];
    id.as_str().unwrap().to_owned()
}

async fn shown(ask: &Ask, call: Call, version: Version) -> Value {
    let ask = ask.at(&format!("compute {version}"));
    let answer = ask.json(call.method, &call.target, &call.body).await;
    assert!(
        answer.status < 300,
        "{} at {version}: {} {}",
        call.target,
        answer.status,
        answer.json
    );
    answer.json
}

#[tokio::test]
async fn every_row_of_a_reply_table_changes_the_reply_at_its_version() {
    let mut cloud = Cloud::new().await;
    let server = cloud.running().await;
    let volume = cloud.block.add(&json!({}));
    let wish = json!({ "volumeId": volume });
    crate::volumes::attach(&mut cloud, &server, wish)
        .await
        .expect(200);
    cloud.settle().await;
    let mut rows = 0;
    for row in Compute::endpoints() {
        let Some(shape) = row.info.reply_shape else {
            continue;
        };
        for change in shape.table {
            let (now, old) = (change.since, before(change.since));
            if old < row.info.since.max(Version { major: 2, minor: 1 }) || now > row.info.until {
                continue;
            }
            rows += 1;
            let name = row.info.name;
            // Admins saw host names of guests all along: only others see that they came.
            let of_server = matches!(change.kind, ChangeKind::Rewrite(_))
                && (name.ends_with("Server") || name == "Rebuild");
            let ask = cloud.ask.as_persona(if of_server {
                Persona::Member
            } else {
                Persona::Admin
            });
            let mut seen = Vec::new();
            for version in [old, now] {
                let call = call(&cloud, &server, name, version, rows * 2 + seen.len()).await;
                let call = call.unwrap_or_else(|| panic!("how is {name} asked?"));
                let asking = shown(&ask, call, version);
                let answer = if name == "AttachVolume" {
                    cloud.work_beside(asking).await
                } else {
                    asking.await
                };
                seen.push(object(&shape, &answer));
                if name == "Rebuild" || name == "AttachVolume" {
                    cloud.settle().await;
                }
            }
            let has = |at: usize| seen[at].get(change.key).is_some();
            match change.kind {
                // Groups are shown with one server, not in lists; a list asked with all_tenants is an admin's.
                ChangeKind::Added
                    if name == "ListServersDetail" && change.key == "server_groups" =>
                {
                    assert!(!has(1))
                }
                ChangeKind::Added => {
                    assert!(!has(0) && has(1), "{name} {now} {}: {seen:?}", change.key)
                }
                ChangeKind::Removed => {
                    assert!(has(0) && !has(1), "{name} {now} {}: {seen:?}", change.key)
                }
                ChangeKind::Rewrite(_) if name == "ListServersDetail" && change.key.is_empty() => {}
                ChangeKind::Rewrite(_) => {
                    assert_ne!(seen[0], seen[1], "{name} {now} {}", change.key)
                }
            }
            assert!(
                !seen[0].to_string().contains("\"_"),
                "a hidden key is shown: {}",
                seen[0]
            );
        }
    }
    assert!(rows > 80, "{rows} rows");
}

#[tokio::test]
async fn every_row_of_a_body_table_says_when_a_key_is_taken() {
    let cloud = Cloud::new().await;
    let member = cloud.admin();
    let mut rows = 0;
    for row in Compute::endpoints() {
        let Some(shape) = row.info.body_shape else {
            continue;
        };
        for change in shape.table {
            rows += 1;
            let target = row
                .info
                .path
                .replace("{id}", "11111111-1111-4111-8111-111111111111");
            let refused_at = match change.kind {
                ChangeKind::Added => (before(change.since), change.since),
                ChangeKind::Removed => (change.since, before(change.since)),
                ChangeKind::Rewrite(_) => panic!("bodies are not rewritten"),
            };
            let mut body = json!({});
            body[shape.place] = json!({(change.key): "x"});
            let says = |version: Version| {
                let (ask, target, body) = (
                    member.at(&format!("compute {version}")),
                    target.clone(),
                    body.clone(),
                );
                let words = format!("'{}' was unexpected", change.key);
                async move {
                    let answer = ask.json(row.info.method.clone(), &target, &body).await;
                    answer.json.to_string().contains(&words)
                }
            };
            let (refused, taken) = refused_at;
            if refused >= row.info.since.max(Version { major: 2, minor: 1 })
                && refused <= row.info.until
            {
                assert!(
                    says(refused).await,
                    "{} {} at {refused}",
                    row.info.name,
                    change.key
                );
            }
            if taken >= row.info.since && taken <= row.info.until {
                assert!(
                    !says(taken).await,
                    "{} {} at {taken}",
                    row.info.name,
                    change.key
                );
            }
        }
    }
    assert!(rows >= 12, "{rows} rows");
}

#[tokio::test]
async fn versions_are_told_and_kept_to() {
    let cloud = Cloud::new().await;
    let root = cloud.ask.get("/").await.expect(200).json;
    // Clients expect the older API first.
    assert_eq!(root["versions"][0]["id"], "v2.0");
    assert_eq!(
        (
            &root["versions"][1]["min_version"],
            &root["versions"][1]["version"]
        ),
        (&json!("2.1"), &json!("2.96"))
    );
    let older = cloud.ask.get("/v2/").await.expect(200).json;
    assert_eq!(older["version"]["status"], "SUPPORTED");
    let version = cloud.ask.get("/v2.1/").await.expect(200).json;
    assert_eq!(
        version["version"]["links"][0]["href"],
        "http://cloud.test/compute/v2.1/"
    );
    assert_eq!(
        version["version"]["media-types"][0]["base"],
        "application/json"
    );
    let member = cloud.member();
    let at = member
        .at("compute 2.50")
        .get("/v2.1/servers")
        .await
        .expect(200);
    assert_eq!(at.header("openstack-api-version"), Some("compute 2.50"));
    assert_eq!(at.header("x-openstack-nova-api-version"), Some("2.50"));
    assert!(
        at.header("x-compute-request-id")
            .unwrap()
            .starts_with("req-")
    );
    let latest = member
        .at("compute latest")
        .get("/v2.1/servers")
        .await
        .expect(200);
    assert_eq!(latest.header("openstack-api-version"), Some("compute 2.96"));
    member
        .at("compute 2.97")
        .get("/v2.1/servers")
        .await
        .expect(406);
    member
        .at("compute 3")
        .get("/v2.1/servers")
        .await
        .expect(400);
    for (target, last) in [
        ("/v2.1/os-security-groups", 35),
        ("/v2.1/images", 35),
        ("/v2.1/os-networks", 35),
    ] {
        member
            .at(&format!("compute 2.{last}"))
            .get(target)
            .await
            .expect(200);
        member
            .at(&format!("compute 2.{}", last + 1))
            .get(target)
            .await
            .expect(404);
    }
    let networks =
        json!({"server": {"name": "x", "imageRef": cloud.image_id, "flavorRef": "small"}});
    member
        .at("compute 2.37")
        .post("/v2.1/servers", networks.clone())
        .await
        .expect(400);
    member
        .at("compute 2.36")
        .post("/v2.1/servers", networks)
        .await
        .expect(202);
    member
        .at("compute 2.36")
        .post("/v2.1/servers", cloud.body(&json!({"networks": "none"})))
        .await
        .expect(400);
    member
        .at("compute 2.37")
        .post("/v2.1/servers", cloud.body(&json!({"networks": "none"})))
        .await
        .expect(202);
    member
        .at("compute 2.37")
        .post("/v2.1/servers", cloud.body(&json!({"networks": "auto"})))
        .await
        .expect(202);
    let tagged = json!({"networks": [{"uuid": cloud.network_id, "tag": "x"}]});
    for (version, status) in [("2.31", 400), ("2.36", 202), ("2.41", 400), ("2.42", 202)] {
        member
            .at(&format!("compute {version}"))
            .post("/v2.1/servers", cloud.body(&tagged))
            .await
            .expect(status);
    }
    for (version, name, status) in [
        ("2.93", "a.b", 400),
        ("2.94", "a.b", 202),
        ("2.90", "a", 202),
    ] {
        let body = cloud.body(&json!({ "hostname": name }));
        member
            .at(&format!("compute {version}"))
            .post("/v2.1/servers", body)
            .await
            .expect(status);
    }
}

/// Every key of a body, with the keys of objects below it but not those that users name.
fn keys(body: &Value, at: &str, found: &mut std::collections::BTreeSet<String>) {
    let free = ["metadata", "addresses", "hosts", "extra_specs", "cpu_info"];
    match body {
        Value::Object(object) => {
            for (key, value) in object {
                let here = format!("{at}/{key}");
                let kind = match value {
                    Value::Object(_) => "{}",
                    Value::Array(_) => "[]",
                    Value::String(_) => "text",
                    Value::Number(_) => "number",
                    Value::Bool(_) => "bool",
                    Value::Null => "null",
                };
                found.insert(format!("{here} {kind}"));
                if !free.contains(&key.as_str()) {
                    keys(value, &here, found);
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|one| keys(one, at, found)),
        _leaf => {}
    }
}

/// A row that is missing in a table, or stands at another version, changes this file.
#[tokio::test]
async fn the_keys_of_every_reply_change_where_the_golden_file_says() {
    let mut cloud = Cloud::new().await;
    let server = cloud.running().await;
    let volume = cloud.block.add(&json!({}));
    let wish = json!({ "volumeId": volume });
    crate::volumes::attach(&mut cloud, &server, wish)
        .await
        .expect(200);
    cloud.settle().await;
    let (mut text, mut count) = (String::new(), 0);
    for row in Compute::endpoints() {
        if row.info.reply_shape.is_none() {
            continue;
        }
        let name = row.info.name;
        let mut before = std::collections::BTreeSet::new();
        for minor in 1..=96 {
            let version = Version { major: 2, minor };
            if version < row.info.since || version > row.info.until {
                continue;
            }
            count += 1;
            let call = call(&cloud, &server, name, version, 1000 + count)
                .await
                .unwrap();
            let admin = cloud.admin();
            let asking = shown(&admin, call, version);
            let seen = if name == "AttachVolume" {
                cloud.work_beside(asking).await
            } else {
                asking.await
            };
            if name == "Rebuild" || name == "AttachVolume" {
                cloud.settle().await;
            }
            if let Some(volume) = seen["volumeAttachment"]["id"].as_str()
                && name == "AttachVolume"
            {
                // A server has only so many places.
                let target = format!("/v2.1/servers/{server}/os-volume_attachments/{volume}");
                admin.delete(&target).await.expect(202);
                cloud.settle().await;
            }
            let mut now = std::collections::BTreeSet::new();
            keys(&seen, "", &mut now);
            for key in before.difference(&now) {
                text.push_str(&format!("{name} {version} -{key}\n"));
            }
            for key in now.difference(&before) {
                text.push_str(&format!("{name} {version} +{key}\n"));
            }
            before = now;
        }
    }
    for row in Compute::endpoints() {
        for change in row.info.body_shape.iter().flat_map(|shape| shape.table) {
            let sign = if matches!(change.kind, ChangeKind::Removed) {
                '-'
            } else {
                '+'
            };
            let (name, since, key) = (row.info.name, change.since, change.key);
            text.push_str(&format!("{name} body {since} {sign}/{key}\n"));
        }
    }
    nephos_testkit::check_golden(
        "what versions show",
        &text,
        std::path::Path::new(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/golden/versions.txt"
        )),
    );
}
