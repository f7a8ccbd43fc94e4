//! Everything around a service under test.

use std::sync::Arc;

use http::HeaderMap;
use nephos_api::{App, Core, Dispatch, Service};
use nephos_auth::{Caller, Issuer, Overrides, Policy, TrustBundle, Verifier, keys};
use nephos_bus::Bus;
use nephos_db::{Db, DbUrl};
use nephos_peer::{Credentials, Directory, Peers, Transport};
use nephos_runtime::Clock;
use nephos_types::Timestamp;

use crate::Persona;
use crate::ask::{Ask, BASE};

/// When every test begins: 2026-01-02T03:04:05Z.
pub const START: Timestamp = Timestamp(1_767_323_045_000_000);

/// The folder of keys.
const KEYS: &str = "keys";

/// A place for services under test: a folder, a virtual clock, keys, a bus. Dropped, it leaves nothing.
pub struct World {
    /// The virtual clock.
    pub clock: Clock,
    /// The in-process bus.
    pub bus: Bus,
    /// Where siblings are found.
    pub directory: Directory,
    /// Checks tokens.
    pub verifier: Verifier,
    issuer: Arc<Issuer>,
    folder: tempfile::TempDir,
}

#[expect(
    clippy::expect_used,
    reason = "a test that cannot be set up must fail at once"
)]
impl World {
    /// A new one.
    #[must_use]
    pub fn new() -> Self {
        let clock = Clock::virtual_at(START);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let key = keys::generate().expect("a key");
        let issuer = Issuer::new(&key).expect("a signing key");
        let keys = folder.path().join(KEYS);
        std::fs::create_dir(&keys).expect("a folder for keys");
        std::fs::write(keys.join("000001.pem"), &key).expect("a file with the key");
        let verifier = Verifier::new(clock.clone());
        let bundle = TrustBundle {
            epoch: 1,
            keys: vec![issuer.public().clone()],
            revocations: Vec::new(),
        };
        verifier.update(&bundle).expect("a trust bundle");
        Self {
            bus: Bus::local(),
            directory: Directory::default(),
            verifier,
            issuer: Arc::new(issuer),
            clock,
            folder,
        }
    }

    /// The folder with the key that signs the personas' tokens, for an identity service that is to believe them.
    #[must_use]
    pub fn key_folder(&self) -> std::path::PathBuf {
        self.folder.path().join(KEYS)
    }

    /// A folder for files of the test.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// The database, rules and clock of service `S`. Asked again, it opens the same database: a restart.
    pub async fn core<S: Service>(&self) -> Core {
        let url = self.url(S::NAME).await;
        let db = Db::open(&url, self.clock.clone(), Arc::new(self.bus.clone()))
            .await
            .expect("a database");
        db.migrate(&S::migrations()).await.expect("the tables");
        let policy = Policy::new(S::rules(), &Overrides::default()).expect("the default rules");
        let policy = policy.projects_only(S::PROJECTS_ONLY);
        Core {
            db,
            policy,
            clock: self.clock.clone(),
            verifier: self.verifier.clone(),
        }
    }

    /// SQLite in the folder, or a database of its own on the PostgreSQL that `NEPHOS_TEST_PG` names.
    #[expect(
        clippy::disallowed_methods,
        reason = "the test run says where PostgreSQL is"
    )]
    async fn url(&self, name: &str) -> DbUrl {
        if let Ok(server) = std::env::var("NEPHOS_TEST_PG") {
            let folder = self
                .folder
                .path()
                .file_name()
                .unwrap_or_default()
                .to_string_lossy();
            let folder = folder.trim_start_matches('.').to_lowercase();
            let database = format!("{}_{folder}", name.replace('-', "_"));
            return DbUrl::create_database(&server, &database)
                .await
                .expect("a test database");
        }
        DbUrl::sqlite(self.folder.path().join(format!("{name}.sqlite")))
    }

    /// The way to the siblings, as the service account.
    pub async fn peers(&self) -> Peers {
        let credentials = Credentials {
            user: "service".to_owned(),
            password: String::new(),
            project: "service".to_owned(),
        };
        let peers = Peers::new(
            self.directory.clone(),
            credentials,
            self.clock.clone(),
            BASE.to_owned(),
        )
        .expect("an HTTP client");
        let token = self
            .token(Persona::Service)
            .expect("the service has a token");
        peers.keep_token(token, Timestamp(i64::MAX)).await;
        peers
    }

    /// A token of a persona.
    #[must_use]
    pub fn token(&self, persona: Persona) -> Option<String> {
        sign(&self.issuer, &self.clock, persona.caller()?)
    }

    /// A token of any caller, as it is.
    #[must_use]
    pub fn sign(&self, caller: &Caller) -> String {
        self.issuer.sign(caller).expect("a token")
    }

    /// The pipeline of a service, known to its siblings.
    #[must_use]
    pub fn app<S: Service>(&self, service: Arc<S>) -> App<S> {
        let app = App::new(service).expect("rows that can be told apart");
        self.directory
            .set(S::NAME, Transport::Local(Arc::new(app.clone())));
        app
    }

    /// A client of a service, without a token yet.
    #[must_use]
    pub fn ask<S: Service>(&self, app: &App<S>) -> Ask {
        let (issuer, clock) = (Arc::clone(&self.issuer), self.clock.clone());
        Ask {
            app: Arc::new(app.clone()) as Arc<dyn Dispatch>,
            base: format!("{BASE}/{}", S::NAME),
            token: None,
            headers: HeaderMap::new(),
            sign: Arc::new(move |caller| sign(&issuer, &clock, caller)),
        }
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

fn sign(issuer: &Issuer, clock: &Clock, mut caller: Caller) -> Option<String> {
    caller.issued_at = clock.now();
    caller.expires_at = clock.now().plus_secs(24 * 3600);
    caller.audit_ids = vec![format!("audit-{}", caller.user_id)];
    issuer.sign(&caller).ok()
}
