//! What the tables say about each other; `nephos fsck` asks.

use std::collections::BTreeSet;

use nephos_db::{Db, Error, args};
use nephos_types::Finding;
use serde_json::Value;

use super::groups::Pair;

/// What contradicts what; nothing when all is well.
pub(crate) async fn findings(db: &Db) -> Result<Vec<Finding>, Error> {
    let mut found = Vec::new();
    for (what, hint, sql) in CHECKS {
        let ids: Vec<String> = db.fetch_all(sql, args![]).await?;
        found.extend(ids.into_iter().map(|id| Finding::new(*what, id, *hint)));
    }
    found.extend(lent_roles(db).await?);
    found.extend(provider_domains(db).await?);
    Ok(found)
}

/// Application credentials go with their roles.
async fn lent_roles(db: &Db) -> Result<Vec<Finding>, Error> {
    let sql = "SELECT id FROM roles";
    let roles: BTreeSet<String> = db.fetch_all(sql, args![]).await?.into_iter().collect();
    let sql = "SELECT id AS a, role_ids AS b FROM app_credentials";
    let apps: Vec<Pair> = db.fetch_all(sql, args![]).await?;
    let lost = apps.into_iter().filter(|Pair(_, lent)| {
        let lent: Vec<String> = serde_json::from_str(lent).unwrap_or_default();
        !lent.iter().all(|id| roles.contains(id))
    });
    let finding = |Pair(id, _)| {
        let what = "is an application credential with a role that there is not";
        Finding::new(what, id, "Delete the application credential.")
    };
    Ok(lost.map(finding).collect())
}

/// Identity providers go with the domain of their users.
async fn provider_domains(db: &Db) -> Result<Vec<Finding>, Error> {
    let sql = "SELECT id FROM projects WHERE is_domain";
    let domains: BTreeSet<String> = db.fetch_all(sql, args![]).await?.into_iter().collect();
    let providers = super::documents::list(db, "identity_provider", "").await?;
    let text = |body: &Value| body.as_str().unwrap_or_default().to_owned();
    let lost = providers.iter().filter(|provider| {
        let domain = provider.0.get("domain_id").map(text);
        domain.is_some_and(|domain| !domains.contains(&domain))
    });
    let finding = |id: &Value| {
        let what = "is an identity provider of no domain";
        Finding::new(what, text(id), "Delete the identity provider.")
    };
    let ids = lost.filter_map(|provider| provider.0.get("id"));
    Ok(ids.map(finding).collect())
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
    (
        "is a group of no domain",
        "Delete the group.",
        "SELECT g.id FROM groups g WHERE NOT EXISTS (SELECT 1 FROM projects p WHERE p.id = g.domain_id AND \
         p.is_domain)",
    ),
    (
        "is a role of no domain",
        "Delete the role.",
        "SELECT r.id FROM roles r WHERE r.domain_id <> '' AND NOT EXISTS (SELECT 1 FROM projects p WHERE p.id \
         = r.domain_id AND p.is_domain)",
    ),
    (
        "is a project below nothing",
        "Delete the project.",
        "SELECT c.id FROM projects c WHERE c.parent_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM projects p \
         WHERE p.id = c.parent_id)",
    ),
    (
        "is enabled and stands below a project that is not",
        "Disable the project, or enable the one above it.",
        "SELECT c.id FROM projects c JOIN projects p ON p.id = c.parent_id WHERE c.enabled AND NOT p.enabled \
         AND NOT p.is_domain",
    ),
    (
        "is in a group and is no user",
        "Delete its rows in memberships.",
        "SELECT DISTINCT m.user_id FROM memberships m WHERE NOT EXISTS (SELECT 1 FROM users u WHERE u.id = \
         m.user_id)",
    ),
    (
        "has roles on it and is neither project nor domain",
        "Delete its rows in assignments.",
        "SELECT DISTINCT a.target_id FROM assignments a WHERE a.target_kind <> 'system' AND NOT EXISTS \
         (SELECT 1 FROM projects p WHERE p.id = a.target_id AND p.is_domain = (a.target_kind = 'domain'))",
    ),
    (
        "is implied or implies and is no role",
        "Delete its rows in implied_roles.",
        "SELECT i.prior_id FROM implied_roles i WHERE NOT EXISTS (SELECT 1 FROM roles r WHERE r.id = \
         i.prior_id) UNION SELECT i.implied_id FROM implied_roles i WHERE NOT EXISTS (SELECT 1 FROM roles r \
         WHERE r.id = i.implied_id)",
    ),
    (
        "is a credential of no user",
        "Delete the credential.",
        "SELECT c.id FROM credentials c WHERE NOT EXISTS (SELECT 1 FROM users u WHERE u.id = c.user_id)",
    ),
    (
        "is an application credential of no user",
        "Delete the application credential.",
        "SELECT a.id FROM app_credentials a WHERE NOT EXISTS (SELECT 1 FROM users u WHERE u.id = a.user_id)",
    ),
    (
        "is an application credential for no project",
        "Delete the application credential.",
        "SELECT a.id FROM app_credentials a WHERE NOT EXISTS (SELECT 1 FROM projects p WHERE p.id = \
         a.project_id)",
    ),
    (
        "is an access rule of no user",
        "Delete the access rule.",
        "SELECT a.id FROM access_rules a WHERE NOT EXISTS (SELECT 1 FROM users u WHERE u.id = a.user_id)",
    ),
    (
        "has access rules and is no application credential",
        "Delete its rows in app_credential_rules.",
        "SELECT DISTINCT l.app_credential_id FROM app_credential_rules l WHERE NOT EXISTS (SELECT 1 FROM \
         app_credentials a WHERE a.id = l.app_credential_id)",
    ),
    (
        "is used by an application credential and is no access rule",
        "Delete its rows in app_credential_rules.",
        "SELECT DISTINCT l.access_rule_id FROM app_credential_rules l WHERE NOT EXISTS (SELECT 1 FROM \
         access_rules a WHERE a.id = l.access_rule_id)",
    ),
    (
        "is a trust from or to no user",
        "Delete the trust.",
        "SELECT t.id FROM trusts t WHERE t.deleted_at IS NULL AND (NOT EXISTS (SELECT 1 FROM users u WHERE \
         u.id = t.trustor_user_id) OR NOT EXISTS (SELECT 1 FROM users u WHERE u.id = t.trustee_user_id))",
    ),
    (
        "is a trust on no project",
        "Delete the trust.",
        "SELECT t.id FROM trusts t WHERE t.deleted_at IS NULL AND t.project_id IS NOT NULL AND NOT EXISTS \
         (SELECT 1 FROM projects p WHERE p.id = t.project_id)",
    ),
    (
        "is a trust made from one that is not in force",
        "Delete the trust.",
        "SELECT t.id FROM trusts t WHERE t.deleted_at IS NULL AND t.redelegated_trust_id IS NOT NULL AND NOT \
         EXISTS (SELECT 1 FROM trusts o WHERE o.id = t.redelegated_trust_id AND o.deleted_at IS NULL)",
    ),
    (
        "is an endpoint in no region",
        "Delete the endpoint, or make the region.",
        "SELECT e.id FROM endpoints e WHERE e.region_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM regions r \
         WHERE r.id = e.region_id)",
    ),
    (
        "is a region below no region",
        "Delete the region.",
        "SELECT c.id FROM regions c WHERE c.parent_region_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM \
         regions p WHERE p.id = c.parent_region_id)",
    ),
    (
        "is a protocol of no identity provider",
        "Delete its rows in documents.",
        "SELECT d.id FROM documents d WHERE d.kind = 'protocol' AND NOT EXISTS (SELECT 1 FROM documents i \
         WHERE i.kind = 'identity_provider' AND i.id = d.parent)",
    ),
    (
        "is a registered limit of no service",
        "Delete the registered limit.",
        "SELECT l.id FROM registered_limits l WHERE NOT EXISTS (SELECT 1 FROM services s WHERE s.id = \
         l.service_id)",
    ),
    (
        "is a registered limit in no region",
        "Delete the registered limit.",
        "SELECT l.id FROM registered_limits l WHERE l.region_id <> '' AND NOT EXISTS (SELECT 1 FROM regions r \
         WHERE r.id = l.region_id)",
    ),
    (
        "is a limit that is not registered",
        "Delete the limit.",
        "SELECT l.id FROM limits l WHERE NOT EXISTS (SELECT 1 FROM registered_limits r WHERE r.id = \
         l.registered_limit_id)",
    ),
    (
        "is a limit of no project or domain",
        "Delete the limit.",
        "SELECT l.id FROM limits l WHERE NOT EXISTS (SELECT 1 FROM projects p WHERE p.id = l.owner_id AND \
         p.is_domain = (l.owner_kind = 'domain'))",
    ),
];
