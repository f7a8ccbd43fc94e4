//! What every log-in and every validation needs, in memory: roles, what they imply, and the catalog.

use std::collections::BTreeMap;
use std::sync::Arc;

use moka::sync::Cache;
use nephos_db::{Db, Error};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::model::assignment::Implications;
use crate::model::catalog::Catalog;
use crate::model::directory::Role;
use crate::store;

/// Catalogs with project ids in their URLs that are kept; about 5 KiB each.
const CACHED_CATALOGS: u64 = 1000;

/// Roles and catalog at one revision.
pub(crate) struct Snapshot {
    pub revision: i64,
    pub roles: BTreeMap<String, Role>,
    pub implies: Implications,
    pub catalog: Catalog,
    /// Enabled service providers as tokens show them.
    pub service_providers: Vec<Value>,
    constant: Option<Arc<RawValue>>,
    per_caller: Cache<(String, String), Arc<RawValue>>,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}

impl Snapshot {
    /// Nothing: before the first [`Snapshot::load`].
    pub(crate) fn empty() -> Self {
        Self::new(0, Vec::new(), Implications::default(), Catalog::default())
    }

    fn new(revision: i64, roles: Vec<Role>, implies: Implications, catalog: Catalog) -> Self {
        let constant = catalog
            .is_constant()
            .then(|| raw(&catalog.view(Some(""), "")));
        Self {
            revision,
            roles: roles
                .into_iter()
                .map(|role| (role.id.clone(), role))
                .collect(),
            implies,
            catalog,
            service_providers: Vec::new(),
            constant: constant.flatten(),
            per_caller: Cache::new(CACHED_CATALOGS),
        }
    }

    /// Reads everything. The revision is read first, so that a change in between is seen by the next look.
    pub(crate) async fn load(db: &Db) -> Result<Self, Error> {
        let revision = store::revocations::revision(db, "snapshot").await?;
        let roles = store::roles::list(db).await?;
        let implies = store::roles::implications(db).await?;
        let services = store::catalog::services(db).await?;
        let endpoints = store::catalog::endpoints(db).await?;
        let providers = store::documents::list(db, "service_provider", "").await?;
        let enabled = providers.iter().filter(|one| one.is_true("enabled"));
        let shown = enabled.map(|one| {
            let of = |key: &str| one.0.get(key).cloned();
            json!({"id": of("id"), "auth_url": of("auth_url"), "sp_url": of("sp_url")})
        });
        let service_providers = shown.collect();
        let catalog = Catalog {
            services,
            endpoints,
        };
        let mut snapshot = Self::new(revision, roles, implies, catalog);
        snapshot.service_providers = service_providers;
        Ok(snapshot)
    }

    /// The catalog of a caller as JSON text.
    pub(crate) fn catalog_of(
        &self,
        project_id: Option<&str>,
        user_id: &str,
    ) -> Option<Arc<RawValue>> {
        if let Some(constant) = &self.constant {
            return Some(Arc::clone(constant));
        }
        let key = (
            project_id.unwrap_or_default().to_owned(),
            user_id.to_owned(),
        );
        if let Some(found) = self.per_caller.get(&key) {
            return Some(found);
        }
        let made = raw(&self.catalog.view(project_id, user_id))?;
        self.per_caller.insert(key, Arc::clone(&made));
        Some(made)
    }

    /// The global role of that name.
    pub(crate) fn role_named(&self, name: &str) -> Option<&Role> {
        self.roles
            .values()
            .find(|role| role.domain_id.is_none() && role.name.eq_ignore_ascii_case(name))
    }

    /// The role names that may stand in a token: those of domain roles never do.
    pub(crate) fn names<'a>(&self, ids: impl IntoIterator<Item = &'a String>) -> Vec<String> {
        ids.into_iter()
            .filter_map(|id| self.roles.get(id))
            .filter(|role| role.domain_id.is_none())
            .map(|role| role.name.clone())
            .collect()
    }
}

fn raw(value: &serde_json::Value) -> Option<Arc<RawValue>> {
    let text = serde_json::value::to_raw_value(value).ok()?;
    Some(Arc::from(text))
}
