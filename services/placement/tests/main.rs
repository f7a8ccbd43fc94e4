//! Placement as its clients see it: SQLite always, PostgreSQL when `NEPHOS_TEST_PG` names a server.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod candidates;
mod claims;
mod explain;
mod input;
mod matrix;
mod providers;
mod versions;

use std::sync::Arc;

use nephos_api::{App, Check as _};
use nephos_placement::{Config, Placement};
use nephos_testkit::{Answer, Ask, Persona, World};
use serde_json::{Value, json};

/// A cloud, asked by its operator at the newest version.
pub struct Cloud {
    pub world: World,
    pub service: Arc<Placement>,
    pub admin: Ask,
}

impl Cloud {
    pub async fn new() -> Self {
        Self::over(World::new()).await
    }

    /// Over what is in the world already: a restart.
    pub async fn over(world: World) -> Self {
        let core = world.core::<Placement>().await;
        let service = Arc::new(Placement::new(core, Config::default()));
        let app: App<Placement> = world.app(Arc::clone(&service));
        let admin = world.ask(&app).as_persona(Persona::Admin);
        Self {
            world,
            service,
            admin: admin.at("placement 1.39"),
        }
    }

    pub fn at(&self, minor: u16) -> Ask {
        self.admin.at(&format!("placement 1.{minor}"))
    }

    /// Another service, at the newest version.
    pub fn peer(&self) -> Ask {
        self.admin.as_persona(Persona::Service)
    }

    /// Makes a provider with stock: `(class, total)`.
    pub async fn provider(&self, n: u64, parent: Option<u64>, stock: &[(&str, i64)]) -> String {
        let id = uuid(n);
        let body = json!({"name": format!("host-{n}"), "uuid": id, "parent_provider_uuid": parent.map(uuid)});
        let made = self.admin.post("/resource_providers", body).await;
        made.expect(200);
        for (class, total) in stock {
            let body = json!({"resource_class": class, "total": total});
            let target = format!("/resource_providers/{id}/inventories");
            self.admin.post(&target, body).await.expect(201);
        }
        id
    }

    /// Sets the traits of a provider, making custom ones.
    pub async fn traits(&self, n: u64, traits: &[&str]) {
        for name in traits.iter().filter(|name| name.starts_with("CUSTOM_")) {
            let target = format!("/traits/{name}");
            let made = self.admin.send(http::Method::PUT, &target, "".into()).await;
            assert!(made.status < 300);
        }
        let body =
            json!({"traits": traits, "resource_provider_generation": self.generation(n).await});
        let target = format!("/resource_providers/{}/traits", uuid(n));
        self.admin.put(&target, body).await.expect(200);
    }

    /// Sets the aggregates of a provider.
    pub async fn aggregates(&self, n: u64, aggregates: &[u64]) {
        let aggregates: Vec<String> = aggregates.iter().map(|n| uuid(*n)).collect();
        let body = json!({"aggregates": aggregates, "resource_provider_generation": self.generation(n).await});
        let target = format!("/resource_providers/{}/aggregates", uuid(n));
        self.admin.put(&target, body).await.expect(200);
    }

    pub async fn generation(&self, n: u64) -> i64 {
        let target = format!("/resource_providers/{}", uuid(n));
        let shown = self.admin.get(&target).await.expect(200);
        shown.json["generation"].as_i64().unwrap()
    }

    /// Claims for a consumer: `generation` null for a new one.
    pub async fn claim(&self, consumer: u64, generation: Value, allocations: Value) -> Answer {
        let target = format!("/allocations/{}", uuid(consumer));
        self.admin
            .put(&target, claim(generation, allocations))
            .await
    }

    pub async fn used(&self, n: u64) -> Value {
        let target = format!("/resource_providers/{}/usages", uuid(n));
        self.admin.get(&target).await.expect(200).json["usages"].clone()
    }

    /// Everything stands as it should.
    pub async fn check(&self) {
        assert_eq!(self.service.check().await.unwrap(), []);
    }
}

/// A UUID made of a number.
pub fn uuid(n: u64) -> String {
    format!("00000000-0000-4000-8000-{n:012x}")
}

/// The body of a claim.
pub fn claim(generation: Value, allocations: Value) -> Value {
    json!({
        "allocations": allocations,
        "project_id": "project",
        "user_id": "user",
        "consumer_generation": generation,
        "consumer_type": "INSTANCE",
    })
}

/// The text of the first error.
pub fn detail(answer: &Answer) -> &str {
    answer.json["errors"][0]["detail"]
        .as_str()
        .unwrap_or_default()
}
