//! What the tables say about each other; `nephos fsck` asks.

use nephos_db::{Db, Error, args};
use nephos_types::Finding;

/// What contradicts what; nothing when all is well.
pub(crate) async fn findings(db: &Db) -> Result<Vec<Finding>, Error> {
    let mut found = Vec::new();
    for (what, hint, sql) in CHECKS {
        let ids: Vec<String> = db.fetch_all(sql, args![]).await?;
        found.extend(ids.into_iter().map(|id| Finding::new(*what, id, *hint)));
    }
    Ok(found)
}

const CHECKS: &[(&str, &str, &str)] = &[
    (
        "is a user of no domain",
        "Delete the user.",
        "SELECT u.id FROM users u WHERE NOT EXISTS (SELECT 1 FROM projects p WHERE p.id = u.domain_id AND p.is_domain)",
    ),
    (
        "is a project of no domain",
        "Delete the project.",
        "SELECT c.id FROM projects c WHERE c.domain_id IS NOT NULL AND c.domain_id <> '' AND NOT EXISTS \
         (SELECT 1 FROM projects p WHERE p.id = c.domain_id AND p.is_domain)",
    ),
    (
        "holds a role and is no user",
        "Delete its rows in assignments.",
        "SELECT DISTINCT a.actor_id FROM assignments a WHERE a.actor_kind = 'user' AND NOT EXISTS \
         (SELECT 1 FROM users u WHERE u.id = a.actor_id)",
    ),
    (
        "holds a role and is no group",
        "Delete its rows in assignments.",
        "SELECT DISTINCT a.actor_id FROM assignments a WHERE a.actor_kind = 'group' AND NOT EXISTS \
         (SELECT 1 FROM groups g WHERE g.id = a.actor_id)",
    ),
    (
        "is assigned and is no role",
        "Delete its rows in assignments.",
        "SELECT DISTINCT a.role_id FROM assignments a WHERE NOT EXISTS (SELECT 1 FROM roles r WHERE r.id = a.role_id)",
    ),
    (
        "has members and is no group",
        "Delete its rows in memberships.",
        "SELECT DISTINCT m.group_id FROM memberships m WHERE NOT EXISTS (SELECT 1 FROM groups g WHERE g.id = m.group_id)",
    ),
    (
        "has a password and is no user",
        "Delete its rows in passwords.",
        "SELECT DISTINCT w.user_id FROM passwords w WHERE NOT EXISTS (SELECT 1 FROM users u WHERE u.id = w.user_id)",
    ),
    (
        "is an endpoint of no service",
        "Delete the endpoint.",
        "SELECT e.id FROM endpoints e WHERE NOT EXISTS (SELECT 1 FROM services s WHERE s.id = e.service_id)",
    ),
];
