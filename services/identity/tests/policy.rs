//! Every endpoint, asked by everybody.

use std::collections::BTreeMap;
use std::path::Path;

use nephos_identity::Identity;
use nephos_testkit::{check_matrix, matrix};
use serde_json::{Value, json};

use crate::cloud::{Cloud, id_of};

/// Things for the matrix to ask about, made afresh for each call that could remove them.
struct Fixture {
    cloud: Cloud,
    count: u32,
}

impl Fixture {
    async fn make(&mut self, kind: &str) -> String {
        self.count += 1;
        let name = format!("{kind} {}", self.count);
        let (path, body) = match kind {
            // A name that nothing has.
            "fresh" => return format!("fresh{}", self.count),
            "service" => ("/v3/services", json!({"service": {"type": name}})),
            "policy" => (
                "/v3/policies",
                json!({"policy": {"type": name, "blob": "{}"}}),
            ),
            "region" => ("/v3/regions", json!({"region": {}})),
            "domain" => (
                "/v3/domains",
                json!({"domain": {"name": name, "enabled": false}}),
            ),
            "role" => ("/v3/roles", json!({"role": {"name": name}})),
            "endpoint" => {
                let service = Box::pin(self.make("service")).await;
                (
                    "/v3/endpoints",
                    json!({"endpoint": {"service_id": service, "interface": "public", "url": "http://x/"}}),
                )
            }
            "credential" => {
                let user = Box::pin(self.make("user")).await;
                (
                    "/v3/credentials",
                    json!({"credential": {"type": "cert", "blob": "x", "user_id": user}}),
                )
            }
            "user" => (
                "/v3/users",
                json!({"user": {"name": name, "domain_id": "default"}}),
            ),
            "group" => (
                "/v3/groups",
                json!({"group": {"name": name, "domain_id": "default"}}),
            ),
            _ => (
                "/v3/projects",
                json!({"project": {"name": name, "domain_id": "default"}}),
            ),
        };
        id_of(
            &self.cloud.admin().await.post(path, body).await.expect(201),
            kind,
        )
    }

    /// The path with a fresh thing for each of its names.
    async fn target(&mut self, pattern: &str) -> String {
        let kinds = BTreeMap::from([
            ("{user_id}", "user"),
            ("{project_id}", "project"),
            ("{domain_id}", "domain"),
            ("{group_id}", "group"),
            ("{role_id}", "role"),
            ("{implied_id}", "role"),
            ("{service_id}", "service"),
            ("{endpoint_id}", "endpoint"),
            ("{region_id}", "region"),
            ("{policy_id}", "policy"),
            ("{credential_id}", "credential"),
            ("{id}", "fresh"),
        ]);
        let mut target = pattern.to_owned();
        for (name, kind) in kinds {
            if target.contains(name) {
                let id = self.make(kind).await;
                target = target.replace(name, &id);
            }
        }
        target
            .replace("{value}", "tag")
            .replace('{', "no-")
            .replace('}', "")
    }
}

fn body(name: &str) -> Value {
    match name {
        "CreateToken" => json!({"auth": {"identity": {"methods": []}}}),
        "AddHost" => json!({"host": {"name": "one"}}),
        "PutHosts" => json!({"hosts": [{"name": "own", "secret": "s".repeat(43)}]}),
        "JoinHost" => json!({"join": {"token": "x", "secret": "s".repeat(43)}}),
        "CreateHostToken" => json!({"host": {"name": "x", "secret": "x"}}),
        "CreateApplicationCredential" => json!({"application_credential": {"name": "x"}}),
        "CreateCredential" => json!({"credential": {"user_id": "x", "type": "t", "blob": "b"}}),
        "CreateEc2Credential" => json!({"tenant_id": "x"}),
        "CreateS3Token" => {
            json!({"credentials": {"access": "x", "signature": "x", "token": "x"}})
        }
        "CreateTrust" => {
            json!({"trust": {"trustor_user_id": "x", "trustee_user_id": "y", "impersonation": true}})
        }
        "ChangePassword" => json!({"user": {"original_password": "x", "password": "y"}}),
        "UpdateProjectTags" => json!({"tags": []}),
        "CreateEndpoint" => {
            json!({"endpoint": {"service_id": "x", "interface": "public", "url": "http://x/"}})
        }
        "CreatePolicy" => json!({"policy": {"type": "t", "blob": "b"}}),
        "CreateLimits" => json!({"limits": []}),
        "CreateRegisteredLimits" => json!({"registered_limits": []}),
        "UpdateLimit" => json!({"limit": {}}),
        "UpdateRegisteredLimit" => json!({"registered_limit": {}}),
        "CreateMapping" | "UpdateMapping" => json!({"mapping": {"rules": [
            {"local": [], "remote": [{"type": "t"}]}]}}),
        "CreateProtocol" | "UpdateProtocol" => json!({"protocol": {"mapping_id": "m"}}),
        "CreateIdentityProvider" | "UpdateIdentityProvider" => json!({"identity_provider": {}}),
        "CreateServiceProvider" | "UpdateServiceProvider" => json!({"service_provider": {
            "auth_url": "http://x/", "sp_url": "http://x/"}}),
        "CreateService" => json!({"service": {"type": "t"}}),
        _ => {
            let (verb, kinds) = [("Create", 0), ("Update", 0), ("Put", 0)]
                .into_iter()
                .find_map(|(verb, _)| name.strip_prefix(verb).map(|kind| (verb, kind)))
                .unwrap_or(("", ""));
            let key = kinds.to_lowercase();
            match (verb, key.as_str()) {
                ("", _) | (_, "impliedrole" | "projecttag") => Value::Null,
                ("Create", _) => json!({key: {"name": nephos_runtime::ids::hex()}}),
                _ => json!({key: {"description": "x"}}),
            }
        }
    }
}

#[tokio::test]
async fn every_endpoint_answers_every_persona_as_the_golden_table_says() {
    let cloud = Cloud::new().await;
    let ask = cloud.ask.clone();
    let fixture = std::sync::Arc::new(tokio::sync::Mutex::new(Fixture { cloud, count: 0 }));
    let rows = <Identity as nephos_api::Service>::endpoints();
    let paths: BTreeMap<&str, &str> = rows
        .iter()
        .map(|row| (row.info.name, row.info.path))
        .collect();
    let table = matrix::<Identity, _, _>(&ask, |name| {
        let (fixture, path) = (std::sync::Arc::clone(&fixture), paths[name]);
        async move {
            let target = fixture.lock().await.target(path).await;
            Some((target, body(name)))
        }
    })
    .await;
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/policy.txt");
    check_matrix(&table, &golden);
}

#[test]
fn every_rule_stands_in_a_row() {
    let rows = <Identity as nephos_api::Service>::endpoints();
    let asked: Vec<&str> = rows
        .iter()
        .filter_map(|row| match row.info.access {
            nephos_api::Access::Loaded(rule) | nephos_api::Access::Rule(rule) => Some(rule.name),
            nephos_api::Access::Public | nephos_api::Access::Authenticated => None,
        })
        .collect();
    let all = <Identity as nephos_api::Service>::rules();
    let used_otherwise = [
        // Rules that stand in for the row's rule, for roles of domains and trees of projects.
        "identity:get_domain_role",
        "identity:list_domain_roles",
        "identity:create_domain_role",
        "identity:update_domain_role",
        "identity:delete_domain_role",
        "identity:list_role_assignments_for_tree",
        "identity:list_trusts_for_trustor",
        "identity:list_trusts_for_trustee",
        // Any valid token passes them, so the rows ask for just that.
        "identity:get_auth_catalog",
        "identity:get_auth_projects",
        "identity:get_auth_domains",
        "identity:get_auth_system",
        "identity:get_limit_model",
    ];
    let idle: Vec<&str> = all
        .iter()
        .map(|rule| rule.name)
        .filter(|name| name.starts_with("identity:"))
        .filter(|name| !asked.contains(name) && !used_otherwise.contains(name))
        .collect();
    assert_eq!(idle, [] as [&str; 0]);
}
