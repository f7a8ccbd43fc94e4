//! The first things of a cloud: the domain, roles, accounts and catalog without which nobody could log in.
//!
//! Everything has an id that follows from its name, so that doing it again finds what is there. What an operator changed
//! since (descriptions, further assignments) stays; passwords and URLs follow the settings.

use std::collections::BTreeMap;
use std::path::PathBuf;

use nephos_db::Tx;
use nephos_runtime::ids;
use nephos_types::{DomainId, ProjectId, UserId};
use serde_json::json;
use uuid::Uuid;

use crate::model::assignment::{ActorKind, Assignment, SYSTEM, TargetKind};
use crate::model::catalog::{Endpoint, Service};
use crate::model::directory::{Project, Role, User};
use crate::model::extra::Extra;
use crate::{Identity, StartError, store};

/// What a new cloud begins with.
#[derive(Clone)]
pub struct Bootstrap {
    /// The password of the user `admin`.
    pub admin_password: String,
    /// The region of all endpoints: `RegionOne`.
    pub region: String,
    /// Where clients reach the cloud: `http://192.0.2.1:8774`; a service's endpoint is this and its path.
    pub public_url: String,
    /// The services of the catalog.
    pub catalog: Vec<CatalogEntry>,
    /// The accounts with which services log in.
    pub service_users: Vec<ServiceUser>,
    /// Accounts of services that there were once and that are removed with their tokens.
    pub retired_users: Vec<String>,
    /// The folder in which earlier versions kept the signing keys; they are taken over once.
    pub key_folder: Option<PathBuf>,
}

impl std::fmt::Debug for Bootstrap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bootstrap")
            .field("public_url", &self.public_url)
            .finish_non_exhaustive()
    }
}

/// A service of the catalog.
#[derive(Clone, Debug)]
pub struct CatalogEntry {
    /// `nova`.
    pub name: String,
    /// `compute`.
    pub kind: String,
    /// The path below the public URL: `/compute/v2.1`; a full URL stands as it is.
    pub path: String,
}

/// The account of a service: role `service` in project `service`.
#[derive(Clone)]
pub struct ServiceUser {
    /// `nova`.
    pub name: String,
    /// Its password.
    pub password: String,
    /// Whether it has `admin` there as well: for the few calls of siblings that only the operator may make.
    pub admin: bool,
}

impl std::fmt::Debug for ServiceUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceUser")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The domain of everything that is made here.
const DOMAIN: &str = "default";
/// Roles, each with what it implies.
const ROLES: [(&str, Option<&str>); 7] = [
    ("admin", Some("manager")),
    ("manager", Some("member")),
    ("member", Some("reader")),
    ("reader", None),
    ("service", None),
    ("ResellerAdmin", None),
    ("heat_stack_owner", None),
];
/// Ids follow from names under this one.
const NAMESPACE: Uuid = Uuid::from_u128(0x6e65_7068_6f73_4aaa_8000_6964_656e_7479);

fn id(kind: &str, name: &str) -> String {
    ids::derived(&NAMESPACE, &format!("{kind} {name}"))
        .simple()
        .to_string()
}

impl Identity {
    /// Makes the first things of a cloud, or brings them up to date; then reads everything into memory.
    ///
    /// # Errors
    /// When the database or a key cannot be used.
    pub async fn bootstrap(&self, wanted: &Bootstrap) -> Result<(), StartError> {
        self.ensure_keys(wanted.key_folder.as_deref()).await?;
        let mut accounts = vec![("admin", wanted.admin_password.as_str())];
        let services = wanted.service_users.iter();
        accounts.extend(services.map(|user| (user.name.as_str(), user.password.as_str())));
        let mut hashes = BTreeMap::new();
        for (name, password) in accounts {
            if let Some(hash) = self.changed_password(name, password).await? {
                hashes.insert(name.to_owned(), hash);
            }
        }
        let known = Known::read(self).await?;
        let mut tx = self.core.db.write().await?;
        known.make_domain_and_projects(&mut tx).await?;
        known.make_roles(&mut tx).await?;
        known.make_admin(&mut tx).await?;
        for user in &wanted.service_users {
            known.make_service_user(&mut tx, user).await?;
        }
        let mut ends = Vec::new();
        for (name, hash) in &hashes {
            let user = known.user(name);
            let keep = (self.core.clock.now(), 1);
            store::users::set_password(&mut tx, &user, hash, keep).await?;
            if known.users.contains_key(name) {
                let mut revocation = self.revocation();
                revocation.user_id = Some(user);
                ends.push(revocation);
            }
        }
        for name in &wanted.retired_users {
            if let Some(user) = known.users.get(name) {
                store::users::remove(&mut tx, user.as_str()).await?;
                let mut revocation = self.revocation();
                revocation.user_id = Some(user.clone());
                ends.push(revocation);
            }
        }
        make_catalog(&mut tx, wanted).await?;
        store::revocations::bump(&mut tx, "snapshot").await?;
        self.commit_revoking(tx, ends).await?;
        self.load().await
    }

    /// The hash of a password that differs from the one in force.
    async fn changed_password(
        &self,
        name: &str,
        password: &str,
    ) -> Result<Option<String>, StartError> {
        if let Some(user) = store::users::find(&self.core.db, DOMAIN, name).await? {
            let stored = store::users::passwords(&self.core.db, &user.id).await?;
            let same = self
                .passwords
                .check(password, stored.first().map(String::as_str))
                .await;
            if same.map_err(|_| StartError::Hash)? {
                return Ok(None);
            }
        }
        let hash = self
            .passwords
            .hash(password)
            .await
            .map_err(|_| StartError::Hash)?;
        Ok(Some(hash))
    }
}

/// What is there already, by name: an operator, or an import, may have made it with another id.
struct Known {
    users: BTreeMap<String, UserId>,
    projects: BTreeMap<String, ProjectId>,
    roles: BTreeMap<String, String>,
    domain: bool,
}

impl Known {
    async fn read(identity: &Identity) -> Result<Self, StartError> {
        let db = &identity.core.db;
        let users = store::users::list(db, Some(DOMAIN), None).await?;
        let filter = store::projects::Filter {
            domain_id: Some(DOMAIN),
            ..store::projects::Filter::default()
        };
        let projects = store::projects::list(db, &filter).await?;
        let roles = store::roles::list(db).await?;
        let roles = roles.into_iter().filter(|role| role.domain_id.is_none());
        Ok(Self {
            users: users.into_iter().map(|user| (user.name, user.id)).collect(),
            projects: projects
                .into_iter()
                .map(|project| (project.name, project.id))
                .collect(),
            roles: roles.map(|role| (role.name, role.id)).collect(),
            domain: store::projects::get(db, DOMAIN).await?.is_some(),
        })
    }

    fn user(&self, name: &str) -> UserId {
        self.users
            .get(name)
            .cloned()
            .unwrap_or_else(|| UserId(id("user", name)))
    }

    fn project(&self, name: &str) -> ProjectId {
        self.projects
            .get(name)
            .cloned()
            .unwrap_or_else(|| ProjectId(id("project", name)))
    }

    fn role(&self, name: &str) -> String {
        self.roles
            .get(name)
            .cloned()
            .unwrap_or_else(|| id("role", name))
    }

    async fn make_domain_and_projects(&self, tx: &mut Tx) -> Result<(), StartError> {
        let project = |id: ProjectId, name: &str, description: &str| Project {
            id,
            name: name.to_owned(),
            domain_id: Some(DomainId::from(DOMAIN)),
            parent_id: Some(DOMAIN.to_owned()),
            is_domain: false,
            enabled: true,
            description: description.to_owned(),
            options: Extra::default(),
            tags: Vec::new(),
            extra: Extra::default(),
        };
        if !self.domain {
            let mut domain = project(DOMAIN.into(), "Default", "The default domain");
            domain.domain_id = None;
            domain.parent_id = None;
            domain.is_domain = true;
            store::projects::insert(tx, &domain).await?;
        }
        let projects = [
            ("admin", "The project of the cloud's operator"),
            ("service", "The project of the cloud's services"),
        ];
        for (name, description) in projects {
            if !self.projects.contains_key(name) {
                let project = project(self.project(name), name, description);
                store::projects::insert(tx, &project).await?;
            }
        }
        Ok(())
    }

    async fn make_roles(&self, tx: &mut Tx) -> Result<(), StartError> {
        for (name, _) in ROLES {
            if !self.roles.contains_key(name) {
                let role = Role {
                    id: self.role(name),
                    name: name.to_owned(),
                    domain_id: None,
                    description: None,
                    options: Extra::default(),
                    extra: Extra::default(),
                };
                store::roles::insert(tx, &role).await?;
            }
        }
        for (name, implied) in ROLES {
            if let Some(implied) = implied {
                store::roles::imply(tx, &self.role(name), &self.role(implied)).await?;
            }
        }
        Ok(())
    }

    async fn make_user(&self, tx: &mut Tx, name: &str, project: &str) -> Result<(), StartError> {
        if self.users.contains_key(name) {
            return Ok(());
        }
        let user = User {
            id: self.user(name),
            name: name.to_owned(),
            domain_id: DomainId::from(DOMAIN),
            enabled: true,
            default_project_id: Some(self.project(project)),
            password_expires_at: None,
            options: Extra::default(),
            extra: Extra::default(),
        };
        Ok(store::users::insert(tx, &user).await?)
    }

    async fn give(
        &self,
        tx: &mut Tx,
        user: &str,
        role: &str,
        target: (TargetKind, &str),
    ) -> Result<(), StartError> {
        let assignment = Assignment {
            actor_kind: ActorKind::User,
            actor_id: self.user(user).0,
            target_kind: target.0,
            target_id: target.1.to_owned(),
            role_id: self.role(role),
            inherited: false,
        };
        Ok(store::assignments::insert(tx, &assignment).await?)
    }

    async fn make_admin(&self, tx: &mut Tx) -> Result<(), StartError> {
        self.make_user(tx, "admin", "admin").await?;
        let project = self.project("admin");
        for target in [
            (TargetKind::Project, project.as_str()),
            (TargetKind::Domain, DOMAIN),
            (TargetKind::System, SYSTEM),
        ] {
            self.give(tx, "admin", "admin", target).await?;
        }
        Ok(())
    }

    async fn make_service_user(&self, tx: &mut Tx, user: &ServiceUser) -> Result<(), StartError> {
        self.make_user(tx, &user.name, "service").await?;
        let project = self.project("service");
        let target = (TargetKind::Project, project.as_str());
        self.give(tx, &user.name, "service", target).await?;
        if user.admin {
            self.give(tx, &user.name, "admin", target).await?;
        }
        Ok(())
    }
}

/// Services and endpoints have ids of their own, so a changed URL changes the endpoint instead of adding one.
async fn make_catalog(tx: &mut Tx, wanted: &Bootstrap) -> Result<(), StartError> {
    store::catalog::ensure_region(tx, &wanted.region).await?;
    for entry in &wanted.catalog {
        let mut extra = Extra::default();
        extra.0.insert("name".to_owned(), json!(entry.name));
        let service = Service {
            id: id("service", &entry.kind),
            kind: entry.kind.clone(),
            enabled: true,
            extra,
        };
        store::catalog::put_service(tx, &service).await?;
        let url = if entry.path.contains("://") {
            entry.path.clone()
        } else {
            format!("{}{}", wanted.public_url.trim_end_matches('/'), entry.path)
        };
        for interface in ["public", "internal", "admin"] {
            let endpoint = Endpoint {
                id: id("endpoint", &format!("{} {interface}", entry.kind)),
                service_id: service.id.clone(),
                interface: interface.to_owned(),
                region: Some(wanted.region.clone()),
                region_id: Some(wanted.region.clone()),
                url: url.clone(),
                enabled: true,
                extra: Extra::default(),
            };
            store::catalog::put_endpoint(tx, &endpoint).await?;
        }
    }
    Ok(())
}
