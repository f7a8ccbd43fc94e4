//! A bootstrapped identity service and the verbs with which tests arrange things.

use std::sync::Arc;
use std::time::Duration;

use nephos_api::App;
use nephos_identity::{Bootstrap, CatalogEntry, Config, Identity, ServiceUser};
use nephos_testkit::{Answer, Ask, World};
use serde_json::{Value, json};

pub const ADMIN_PASSWORD: &str = "admin-secret";
pub const SERVICE_PASSWORD: &str = "service-secret";

pub struct Cloud {
    pub world: World,
    pub identity: Arc<Identity>,
    pub ask: Ask,
}

pub fn bootstrap(public_url: &str) -> Bootstrap {
    let entry = |name: &str, kind: &str, path: &str| CatalogEntry {
        name: name.to_owned(),
        kind: kind.to_owned(),
        path: path.to_owned(),
    };
    Bootstrap {
        admin_password: ADMIN_PASSWORD.to_owned(),
        region: "RegionOne".to_owned(),
        public_url: public_url.to_owned(),
        catalog: vec![
            entry("keystone", "identity", "/identity"),
            entry("nova", "compute", "/compute/v2.1"),
            entry("swift", "object-store", "/object/v1/AUTH_$(project_id)s"),
        ],
        service_users: vec![ServiceUser {
            name: "nova".to_owned(),
            password: SERVICE_PASSWORD.to_owned(),
            admin: false,
        }],
        retired_users: Vec::new(),
        key_folder: None,
    }
}

impl Cloud {
    pub async fn new() -> Self {
        Self::with(Config::default()).await
    }

    pub async fn with(config: Config) -> Self {
        let world = World::new();
        let identity = Self::open(&world, config).await;
        identity
            .bootstrap(&bootstrap("http://cloud.test"))
            .await
            .unwrap();
        Self::around(world, identity)
    }

    /// Opens the same database and keys: a start, or a restart.
    pub async fn open(world: &World, config: Config) -> Arc<Identity> {
        let core = world.core::<Identity>().await;
        let signing_secret = "the secret of every test".to_owned();
        let config = Config {
            signing_secret,
            ..config
        };
        Arc::new(Identity::new(core, world.bus.clone(), config).unwrap())
    }

    pub fn around(world: World, identity: Arc<Identity>) -> Self {
        let app: App<Identity> = world.app(Arc::clone(&identity));
        let ask = world.ask(&app);
        Self {
            world,
            identity,
            ask,
        }
    }

    /// A moment later: what ends tokens ends those from before.
    pub fn later(&self) {
        self.world.clock.advance(Duration::from_millis(1));
    }

    pub async fn log_in(&self, identity: Value, scope: Value) -> Answer {
        let mut body = json!({"auth": {"identity": identity}});
        if !scope.is_null() {
            body["auth"]["scope"] = scope;
        }
        self.ask.post("/v3/auth/tokens", body).await
    }

    /// A client with a token of this user for this scope.
    pub async fn as_user(&self, name: &str, password: &str, scope: Value) -> Ask {
        let answer = self
            .log_in(by_name(name, password), scope)
            .await
            .expect(201);
        self.ask.with_token(token_of(&answer))
    }

    pub async fn admin(&self) -> Ask {
        self.as_user("admin", ADMIN_PASSWORD, on_project("admin"))
            .await
    }

    pub async fn system_admin(&self) -> Ask {
        self.as_user("admin", ADMIN_PASSWORD, on_system()).await
    }

    /// A project of the default domain; its id.
    pub async fn project(&self, name: &str) -> String {
        let body = json!({"project": {"name": name, "domain_id": "default"}});
        id_of(
            &self
                .admin()
                .await
                .post("/v3/projects", body)
                .await
                .expect(201),
            "project",
        )
    }

    /// A user of the default domain whose password is its name; its id.
    pub async fn user(&self, name: &str) -> String {
        let body = json!({"user": {"name": name, "password": name, "domain_id": "default"}});
        id_of(
            &self.admin().await.post("/v3/users", body).await.expect(201),
            "user",
        )
    }

    pub async fn role(&self, name: &str) -> String {
        let admin = self.admin().await;
        let found = admin
            .get(&format!("/v3/roles?name={name}"))
            .await
            .expect(200);
        found.json["roles"][0]["id"].as_str().unwrap().to_owned()
    }

    /// Gives a role by name, on `projects/{id}`, `domains/{id}` or `system`.
    pub async fn give(&self, user: &str, role: &str, target: &str) {
        let role = self.role(role).await;
        let path = format!("/v3/{target}/users/{user}/roles/{role}");
        self.admin().await.put(&path, Value::Null).await.expect(204);
    }

    /// A user with a role on a project of its own; ids of user and project.
    pub async fn tenant(&self, name: &str, role: &str) -> (String, String) {
        let (project, user) = (self.project(name).await, self.user(name).await);
        self.give(&user, role, &format!("projects/{project}")).await;
        (user, project)
    }
}

pub fn by_name(name: &str, password: &str) -> Value {
    json!({"methods": ["password"], "password": {"user": {
        "name": name, "domain": {"id": "default"}, "password": password}}})
}

pub fn by_token(token: &str) -> Value {
    json!({"methods": ["token"], "token": {"id": token}})
}

pub fn on_project(name: &str) -> Value {
    json!({"project": {"name": name, "domain": {"name": "Default"}}})
}

pub fn on_domain(id: &str) -> Value {
    json!({"domain": {"id": id}})
}

pub fn on_system() -> Value {
    json!({"system": {"all": true}})
}

pub fn token_of(answer: &Answer) -> &str {
    answer.header("x-subject-token").unwrap()
}

pub fn id_of(answer: &Answer, key: &str) -> String {
    answer.json[key]["id"].as_str().unwrap().to_owned()
}

/// The values of one attribute of a list, sorted.
pub fn all(answer: &Answer, list: &str, key: &str) -> Vec<String> {
    let items = answer.json[list].as_array().unwrap();
    let mut found: Vec<String> = items
        .iter()
        .map(|item| item[key].as_str().unwrap_or_default().to_owned())
        .collect();
    found.sort_unstable();
    found
}
