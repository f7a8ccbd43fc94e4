//! A cloud with an orchestration service, and verbs to arrange stacks in it.

use std::sync::Arc;
use std::time::Duration;

use nephos_orchestration::{Config, Orchestration};
use nephos_peer::Transport;
use nephos_testkit::{Answer, Ask, Persona, World};
use serde_json::{Value, json};

use crate::siblings::Siblings;

/// A cloud with an orchestration service and stand-ins for its siblings.
pub struct Cloud {
    pub world: World,
    pub orchestration: Arc<Orchestration>,
    pub ask: Ask,
    pub siblings: Siblings,
    /// Whose stacks they are.
    pub who: Persona,
}

pub async fn cloud() -> Cloud {
    let world = World::new();
    let siblings = Siblings::default();
    for name in [
        "identity",
        "network",
        "compute",
        "image",
        "block",
        "object",
        "load-balancer",
    ] {
        world
            .directory
            .set(name, Transport::Local(Arc::new(siblings.clone())));
    }
    start(world, siblings).await
}

async fn start(world: World, siblings: Siblings) -> Cloud {
    let core = world.core::<Orchestration>().await;
    let config = Config {
        public_url: "http://cloud.test/orchestration".to_owned(),
        ..Config::default()
    };
    let service = Orchestration::new(core, world.peers().await, world.bus.clone(), config);
    let orchestration = Arc::new(service);
    let app = world.app(Arc::clone(&orchestration));
    let ask = world.ask(&app);
    Cloud {
        world,
        orchestration,
        ask,
        siblings,
        who: Persona::Member,
    }
}

/// The path of the member's project.
pub fn path(rest: &str) -> String {
    format!("/v1/{}{rest}", Persona::Member.project())
}

/// A template of this version with these resources.
pub fn template(resources: Value) -> Value {
    json!({"heat_template_version": "2018-08-31", "resources": resources})
}

impl Cloud {
    /// The same cloud after the process was killed and started again.
    pub async fn restarted(self) -> Self {
        let Self {
            world,
            siblings,
            orchestration,
            ask,
            who,
        } = self;
        // A process that is gone holds no database open.
        let stand_in = Transport::Local(Arc::new(siblings.clone()));
        world.directory.set("orchestration", stand_in);
        drop((orchestration, ask));
        let mut cloud = start(world, siblings).await;
        cloud.who = who;
        cloud.world.clock.advance(Duration::from_secs(31));
        cloud
    }

    pub fn member(&self) -> Ask {
        self.ask.as_persona(self.who)
    }

    /// The path of its project.
    fn path(&self, rest: &str) -> String {
        format!("/v1/{}{rest}", self.who.project())
    }

    /// Does all durable work that is due within ten minutes.
    pub async fn settle(&self) {
        self.settle_for(600).await;
    }

    pub async fn settle_for(&self, secs: u64) {
        let worker = self.orchestration.worker();
        worker.take_over().await.unwrap();
        worker.settle(Duration::from_secs(secs)).await.unwrap();
    }

    /// Asks for a stack; its `name/id`.
    pub async fn create(&self, name: &str, body: Value) -> String {
        let mut body = body;
        body["stack_name"] = json!(name);
        let answer = self
            .member()
            .post(&self.path("/stacks"), body)
            .await
            .expect(201);
        format!("{name}/{}", answer.json["stack"]["id"].as_str().unwrap())
    }

    /// Makes a stack of a template and waits for its end.
    pub async fn made(&self, name: &str, resources: Value) -> String {
        let stack = self
            .create(name, json!({ "template": template(resources) }))
            .await;
        self.settle().await;
        stack
    }

    pub async fn update(&self, stack: &str, body: Value) -> Answer {
        self.member()
            .put(&self.path(&format!("/stacks/{stack}")), body)
            .await
    }

    /// Updates a stack to these resources and waits for the end.
    pub async fn updated(&self, stack: &str, resources: Value) {
        self.update(stack, json!({ "template": template(resources) }))
            .await
            .expect(202);
        self.settle().await;
    }

    pub async fn show(&self, stack: &str) -> Value {
        self.member()
            .get(&self.path(&format!("/stacks/{stack}")))
            .await
            .expect(200)
            .json["stack"]
            .clone()
    }

    pub async fn state(&self, stack: &str) -> String {
        self.show(stack).await["stack_status"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    #[track_caller]
    pub fn get(&self, stack: &str, rest: &str) -> impl Future<Output = Answer> {
        let target = self.path(&format!("/stacks/{stack}{rest}"));
        let ask = self.member();
        async move { ask.get(&target).await }
    }

    pub async fn resource(&self, stack: &str, name: &str) -> Value {
        self.get(stack, &format!("/resources/{name}"))
            .await
            .expect(200)
            .json["resource"]
            .clone()
    }

    pub async fn signal(&self, stack: &str, name: &str, body: Value) -> Answer {
        self.member()
            .post(
                &self.path(&format!("/stacks/{stack}/resources/{name}/signal")),
                body,
            )
            .await
    }

    pub async fn delete(&self, stack: &str) {
        self.member()
            .delete(&self.path(&format!("/stacks/{stack}")))
            .await
            .expect(204);
        self.settle().await;
    }
}

/// The message of a refusal.
pub fn message(answer: &Answer) -> &str {
    answer.json["error"]["message"].as_str().unwrap_or_default()
}

/// A group of three whose members are changed one by one, each a password and something that depends on it; the second
/// member cannot become `bad`.
pub fn in_batches(value: &str) -> Value {
    let mut member = template(json!({
        "w": {"type": "OS::Heat::RandomString", "properties": {"salt": {"get_param": "value"}}},
        "t": {"type": "OS::Heat::TestResource", "depends_on": "w", "properties": {
            "value": {"get_param": "value"}, "fail": {"if": ["fails", true, false]}}},
    }));
    member["parameters"] = json!({"at": {"type": "string"}, "value": {"type": "string"}});
    let is = |name: &str, value: &str| json!({"equals": [{"get_param": name}, value]});
    member["conditions"] = json!({"fails": {"and": [is("at", "1"), is("value", "bad")]}});
    member["outputs"] = json!({
        "word": {"value": {"get_attr": ["w", "value"]}},
        "value": {"value": {"get_attr": ["t", "output"]}},
    });
    let mut body = template(json!({"s": {
        "type": "OS::Heat::ResourceGroup",
        "update_policy": {"rolling_update": {"max_batch_size": 1}},
        "properties": {"count": 3, "resource_def": {
            "type": "member.yaml", "properties": {"at": "%index%", "value": value}}},
    }}));
    body["outputs"] = json!({
        "words": {"value": {"get_attr": ["s", "word"]}},
        "values": {"value": {"get_attr": ["s", "value"]}},
    });
    json!({"template": body, "files": {"member.yaml": member.to_string()}})
}
