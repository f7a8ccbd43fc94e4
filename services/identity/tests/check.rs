//! The consistency check: what hangs on nothing is found.

use nephos_api::Check as _;
use nephos_db::args;
use nephos_identity::Identity;

use crate::cloud::Cloud;

/// What is written past all checks, and what is to be found of it.
const ORPHANS: &[(&str, &str)] = &[
    (
        "INSERT INTO users VALUES ('x', 'x', 'no', TRUE, NULL, '{}', '{}')",
        "is a user of no domain",
    ),
    (
        "INSERT INTO groups VALUES ('x', 'x', 'no', '', '{}')",
        "is a group of no domain",
    ),
    (
        "INSERT INTO roles VALUES ('x', 'x', 'no', NULL, '{}', '{}')",
        "is a role of no domain",
    ),
    (
        "INSERT INTO projects VALUES ('x', 'x', 'default', 'no', FALSE, TRUE, '', '{}', '[]', '{}')",
        "is a project below nothing",
    ),
    (
        "INSERT INTO projects VALUES ('off', 'off', 'default', 'default', FALSE, FALSE, '', '{}', '[]', '{}'), \
         ('x', 'x', 'default', 'off', FALSE, TRUE, '', '{}', '[]', '{}')",
        "is enabled and stands below a project that is not",
    ),
    (
        "INSERT INTO passwords VALUES ('x', 1, 'h')",
        "has a password and is no user",
    ),
    (
        "INSERT INTO memberships SELECT 'x', MIN(id) FROM groups",
        "is in a group and is no user",
    ),
    (
        "INSERT INTO assignments SELECT 'user', MIN(id), 'project', 'x', (SELECT MIN(id) FROM roles), FALSE FROM users",
        "has roles on it and is neither project nor domain",
    ),
    (
        "INSERT INTO assignments SELECT 'user', 'x', 'system', 'system', MIN(id), FALSE FROM roles",
        "holds a role and is no user",
    ),
    (
        "INSERT INTO implied_roles SELECT MIN(id), 'x' FROM roles",
        "is implied or implies and is no role",
    ),
    (
        "INSERT INTO credentials VALUES ('x', 'no', NULL, 't', 'b', '{}')",
        "is a credential of no user",
    ),
    (
        "INSERT INTO app_credentials SELECT 'x', 'x', 'no', MIN(id), 'h', NULL, NULL, FALSE, '[]', FALSE FROM projects",
        "is an application credential of no user",
    ),
    (
        "INSERT INTO app_credentials SELECT 'x', 'x', MIN(id), 'no', 'h', NULL, NULL, FALSE, '[]', FALSE FROM users",
        "is an application credential for no project",
    ),
    (
        "INSERT INTO app_credentials SELECT 'x', 'x', MIN(id), 'default', 'h', NULL, NULL, FALSE, '[\"no\"]', FALSE \
         FROM users",
        "is an application credential with a role that there is not",
    ),
    (
        "INSERT INTO access_rules VALUES ('x', 'no', 's', 'GET', '/')",
        "is an access rule of no user",
    ),
    (
        "INSERT INTO trusts SELECT 'x', MIN(id), 'no', NULL, FALSE, NULL, NULL, NULL, 0, '[]', NULL, '{}' FROM users",
        "is a trust from or to no user",
    ),
    (
        "INSERT INTO trusts SELECT 'x', MIN(id), MIN(id), 'no', FALSE, NULL, NULL, NULL, 0, '[]', NULL, '{}' FROM users",
        "is a trust on no project",
    ),
    (
        "INSERT INTO trusts SELECT 'x', MIN(id), MIN(id), NULL, FALSE, NULL, NULL, 'no', 0, '[]', NULL, '{}' FROM users",
        "is a trust made from one that is not in force",
    ),
    (
        "INSERT INTO endpoints VALUES ('x', 'no', 'public', NULL, 'http://a', TRUE, '{}')",
        "is an endpoint of no service",
    ),
    (
        "INSERT INTO endpoints SELECT 'x', MIN(id), 'public', 'no', 'http://a', TRUE, '{}' FROM services",
        "is an endpoint in no region",
    ),
    (
        "INSERT INTO regions VALUES ('x', 'no', '', '{}')",
        "is a region below no region",
    ),
    (
        "INSERT INTO documents VALUES ('protocol', 'no', 'x', '{}')",
        "is a protocol of no identity provider",
    ),
    (
        "INSERT INTO documents VALUES ('identity_provider', '', 'x', '{\"id\": \"x\", \"domain_id\": \"no\"}')",
        "is an identity provider of no domain",
    ),
    (
        "INSERT INTO registered_limits VALUES ('x', 'no', '', 'r', 1, NULL)",
        "is a registered limit of no service",
    ),
    (
        "INSERT INTO registered_limits SELECT 'x', MIN(id), 'no', 'r', 1, NULL FROM services",
        "is a registered limit in no region",
    ),
    (
        "INSERT INTO limits VALUES ('x', 'domain', 'default', 'no', 1, NULL)",
        "is a limit that is not registered",
    ),
];

#[tokio::test]
async fn what_hangs_on_nothing_is_found() {
    let cloud = Cloud::new().await;
    let admin = cloud.admin().await;
    let group = serde_json::json!({"group": {"name": "g"}});
    admin.post("/v3/groups", group).await.expect(201);
    assert_eq!(cloud.identity.check().await.unwrap(), []);
    let db = cloud.world.core::<Identity>().await.db;
    for (sql, what) in ORPHANS {
        let mut tx = db.write().await.unwrap();
        tx.exec(sql, args![]).await.unwrap();
        tx.commit().await.unwrap();
        let found = cloud.identity.check().await.unwrap();
        let [finding] = &found[..] else {
            panic!("{sql}: {found:?}");
        };
        assert_eq!((finding.what.as_str(), finding.id.as_str()), (*what, "x"));
        for undo in UNDO {
            let mut tx = db.write().await.unwrap();
            tx.exec(undo, args![]).await.unwrap();
            tx.commit().await.unwrap();
        }
        assert_eq!(cloud.identity.check().await.unwrap(), [], "{sql}");
    }
}

const UNDO: &[&str] = &[
    "DELETE FROM users WHERE id = 'x'",
    "DELETE FROM groups WHERE id = 'x'",
    "DELETE FROM roles WHERE id = 'x'",
    "DELETE FROM projects WHERE id IN ('x', 'off')",
    "DELETE FROM passwords WHERE user_id = 'x'",
    "DELETE FROM memberships WHERE user_id = 'x'",
    "DELETE FROM assignments WHERE actor_id = 'x' OR target_id = 'x'",
    "DELETE FROM implied_roles WHERE implied_id = 'x'",
    "DELETE FROM credentials WHERE id = 'x'",
    "DELETE FROM app_credentials WHERE id = 'x'",
    "DELETE FROM access_rules WHERE id = 'x'",
    "DELETE FROM trusts WHERE id = 'x'",
    "DELETE FROM endpoints WHERE id = 'x'",
    "DELETE FROM regions WHERE id = 'x'",
    "DELETE FROM documents WHERE id = 'x'",
    "DELETE FROM registered_limits WHERE id = 'x'",
    "DELETE FROM limits WHERE id = 'x'",
];
