//! The source keeps its own rules, and each rule can be broken.
#![expect(clippy::panic, reason = "a test fails by panicking")]

use nephos_tidy::{
    Crate, File, Finding, Workspace, check_crates, check_doors, check_paths, check_rooms,
    check_sizes, check_transactions, check_words,
};

#[track_caller]
fn none(findings: &[Finding]) {
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(
        lines.is_empty(),
        "{} findings:\n{}",
        lines.len(),
        lines.join("\n")
    );
}

#[test]
fn arrows_between_crates() {
    none(&check_crates(&Workspace::read().unwrap().crates));
}

#[test]
fn arrows_between_rooms() {
    none(&check_rooms(&Workspace::read().unwrap().files));
}

#[test]
fn one_door_per_outside_world() {
    none(&check_doors(&Workspace::read().unwrap().files));
}

#[test]
fn no_second_connection_within_a_transaction() {
    none(&check_transactions(&Workspace::read().unwrap().files));
}

#[test]
fn a_second_connection_within_a_transaction_is_seen() {
    let sin = |text: &str| check_transactions(&[file("services/compute/src/ops/power.rs", text)]);
    one(
        &sin(
            "async fn a(cx: Cx) {\n    let mut tx = cx.write().await?;\n    get(cx.db()).await?;\n}\n",
        ),
        "power.rs:3: `.db()`",
    );
    one(
        &sin("async fn a(\n    cx: Cx,\n    tx: &mut Tx,\n) {\n    get(cx.db()).await?;\n}\n"),
        "power.rs:5: `.db()`",
    );
    none(&sin(
        "async fn a(cx: Cx) {\n    get(cx.db()).await?;\n    let mut tx = cx.write().await?;\n    \
         tx.commit().await?;\n    get(cx.db()).await?;\n}\nasync fn b(cx: Cx) {\n    get(cx.db()).await?;\n}\n",
    ));
}

#[test]
fn sizes() {
    none(&check_sizes(&Workspace::read().unwrap().files));
}

#[test]
fn words_and_paths() {
    let files = Workspace::read().unwrap().files;
    none(&check_words(&files));
    none(&check_paths(&files));
}

#[test]
fn the_checks_see_the_whole_source() {
    let workspace = Workspace::read().unwrap();
    let compute = workspace
        .crates
        .iter()
        .find(|found| found.name == "nephos-compute")
        .unwrap();
    assert_eq!(compute.folder, "services/compute");
    assert!(compute.dependencies.contains("nephos-types"));
    assert!(
        workspace
            .files
            .iter()
            .any(|file| file.path == "services/nephos/src/main.rs")
    );
}

fn file(path: &str, text: &str) -> File {
    File {
        path: path.to_owned(),
        text: text.to_owned(),
    }
}

fn named(name: &str, folder: &str, dependencies: &[&str], dev: &[&str]) -> Crate {
    let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    Crate {
        name: name.to_owned(),
        folder: folder.to_owned(),
        dependencies: set(dependencies),
        dev_dependencies: set(dev),
    }
}

#[track_caller]
fn one(findings: &[Finding], part: &str) {
    let [finding] = findings else {
        panic!("one finding expected, got {findings:?}")
    };
    assert!(finding.to_string().contains(part), "{finding}");
}

#[test]
fn a_wrong_arrow_between_crates_is_seen() {
    let image = named("nephos-image", "services/image", &[], &[]);
    let sinner = |dependencies: &[&str], dev: &[&str]| {
        named("nephos-compute", "services/compute", dependencies, dev)
    };
    one(
        &check_crates(&[image.clone(), sinner(&["nephos-image"], &[])]),
        "only services/nephos knows services",
    );
    one(
        &check_crates(&[image.clone(), sinner(&[], &["nephos-image"])]),
        "not even for its tests",
    );
    let whole = named("nephos", "services/nephos", &["nephos-image"], &[]);
    none(&check_crates(&[image.clone(), whole]));
    let db = named("nephos-db", "common/db", &["nephos-api"], &[]);
    let api = named(
        "nephos-api",
        "common/api",
        &["nephos-db"],
        &["nephos-testkit"],
    );
    one(
        &check_crates(&[db, api]),
        "nephos-db stands below nephos-api",
    );
    let kit = named("nephos-testkit", "common/testkit", &[], &[]);
    one(
        &check_crates(&[kit, sinner(&["nephos-testkit"], &[])]),
        "for tests only",
    );
}

#[test]
fn a_wrong_arrow_between_rooms_is_seen() {
    let sin = |path: &str, text: &str| check_rooms(&[file(path, text)]);
    one(
        &sin(
            "services/compute/src/api/servers.rs",
            "use crate::driver::Driver;\n",
        ),
        "api never mentions crate::driver",
    );
    one(
        &sin(
            "services/compute/src/model/server.rs",
            "use nephos_db::Db;\n",
        ),
        "model never mentions nephos_db",
    );
    one(
        &sin(
            "services/compute/src/agent/plan.rs",
            "let x = crate::store::servers::get();\n",
        ),
        "agent never mentions",
    );
    one(
        &sin("services/image/src/utils/mod.rs", ""),
        "no service has a room called utils",
    );
    none(&sin(
        "services/compute/src/api/servers.rs",
        "// crate::driver is not for us\nuse crate::driver_list;\n",
    ));
    none(&sin(
        "services/compute/src/model/server.rs",
        "#[cfg(test)]\nmod tests {\n    use nephos_db::Db;\n}\n",
    ));
}

#[test]
fn a_second_door_is_seen() {
    let sin = |path: &str, text: &str| check_doors(&[file(path, text)]);
    one(
        &sin(
            "services/image/src/store/images.rs",
            "    sqlx::query(\"SELECT\");\n",
        ),
        "sqlx belongs to",
    );
    one(
        &sin(
            "services/compute/src/agent/apply.rs",
            "use virt::domain::Domain;\n",
        ),
        "virt belongs to",
    );
    none(&sin("common/db/src/engine.rs", "use sqlx::Row;\n"));
    none(&sin(
        "services/compute/src/agent/apply.rs",
        "use crate::driver::libvirt::Virt;\n",
    ));
}

#[test]
fn sins_of_size_and_word_are_seen() {
    one(
        &check_sizes(&[file("common/api/src/x.rs", &"line\n".repeat(801))]),
        "801 lines",
    );
    none(&check_sizes(&[file(
        "common/api/src/x/tests.rs",
        &"line\n".repeat(801),
    )]));
    one(
        &check_words(&[file("services/image/src/api/helpers.rs", "")]),
        "`helpers` does not say",
    );
    one(
        &check_words(&[file("README.md", "TODO: write\n")]),
        "TODO is for work in progress",
    );
    none(&check_words(&[file("deploy/x", "mktemp -d /tmp/XXXXXX\n")]));
    one(
        &check_paths(&[file("deploy/x", "cat /root/secret\n")]),
        "/root/ is a path of one machine",
    );
}
