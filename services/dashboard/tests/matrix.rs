//! Who may call what: nobody, by a token. The dashboard's calls are for who is signed in, and take the cookie alone.

use std::path::Path;

use nephos_dashboard::Dashboard;
use nephos_testkit::{Persona, check_matrix, matrix};
use serde_json::{Value, json};

use crate::Site;

#[tokio::test]
async fn tokens_open_nothing_here() {
    let site = Site::new().await;
    let ask = site
        .world
        .ask(&site.app)
        .with_header("x-nephos-dashboard", "1");
    let table = matrix::<Dashboard, _, _>(&ask, |name| std::future::ready(row(name))).await;
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/matrix.txt");
    check_matrix(&table, Path::new(golden));
}

fn row(name: &str) -> Option<(String, Value)> {
    let project = Persona::Member.project();
    Some(match name {
        "CreateSession" => (
            "/v1/session".to_owned(),
            json!({"user": "dana", "password": "wrong"}),
        ),
        "ShowSession" | "DeleteSession" => ("/v1/session".to_owned(), Value::Null),
        "ShowProject" => (format!("/v1/projects/{project}"), Value::Null),
        "ShowEvents" => (
            format!("/v1/events?project={project}&kinds=servers"),
            Value::Null,
        ),
        "ShowFit" => (
            "/v1/fit?vcpus=1&ram_mib=1&disk_gib=1".to_owned(),
            Value::Null,
        ),
        _unknown => return None,
    })
}
