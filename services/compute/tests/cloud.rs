//! A small cloud around the service under test.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;

use nephos_compute::agent::{Agent, DesiredServers, Settings, Word};
use nephos_compute::driver::DriverError;
use nephos_compute::driver::fake::{self, HostSize, Latency};
use nephos_compute::model::guest_password::{GuestPassword, KIND_PASSWORD};
use nephos_compute::model::snapshot::{KIND_SNAPSHOT, SnapshotSeen, SnapshotWish};
use nephos_compute::model::spec::{
    ConsoleTail, KIND_CONSOLE, KIND_HOST, KIND_SERVER, ServerId, ServerSpec,
};
use nephos_compute::{Compute, Config};
use nephos_db::{Db, args};
use nephos_ops::Worker;
use nephos_peer::Transport;
use nephos_runtime::crash::Crashed;
use nephos_runtime::{Clock, Shutdown, Task};
use nephos_testkit::{Ask, Persona, World};
use nephos_types::feed::{FeedPage, Observed};
use serde_json::{Value, json};

use crate::block::SimulatedBlock;
use crate::siblings::{SimulatedImage, SimulatedNetwork, SimulatedPlacement};

/// What signs guests' questions.
pub(crate) const SECRET: &str = "between us";

/// The service, its siblings, its hosts.
pub(crate) struct Cloud {
    pub world: World,
    pub compute: Arc<Compute>,
    pub ask: Ask,
    pub db: Db,
    pub placement: SimulatedPlacement,
    pub network: SimulatedNetwork,
    pub image: SimulatedImage,
    pub block: SimulatedBlock,
    pub simulated: fake::World,
    pub hosts: BTreeMap<String, Host>,
    pub worker: Worker<Compute>,
    /// How often a crash point has killed the worker.
    pub killed: u32,
    /// What every project may boot.
    pub image_id: String,
    pub flavor_id: String,
    pub network_id: String,
}

/// A simulated host with its agent, and the little that binds it to the feed.
pub(crate) struct Host {
    name: String,
    agent: Agent,
    clock: Clock,
    revision: i64,
    desired: BTreeMap<ServerId, Arc<ServerSpec>>,
    _running: Task,
}

impl Host {
    fn start(world: &fake::World, name: &str, clock: &Clock, size: HostSize) -> Self {
        let driver = Arc::new(world.host(name, size));
        let agent = Agent::new(driver, clock.clone(), Settings::default());
        let runner = agent.clone();
        let running = nephos_runtime::spawn("agent", async move {
            let _ended = runner.run(Shutdown::new()).await;
        });
        let (name, clock) = (name.to_owned(), clock.clone());
        Self {
            name,
            agent,
            clock,
            revision: 0,
            desired: BTreeMap::new(),
            _running: running,
        }
    }

    /// Reads the feed, lets the agent work, reports. Says whether there was anything to report.
    pub(crate) async fn sync(&mut self, ask: &Ask, images: &SimulatedImage) -> bool {
        let service = ask.as_host(&self.name);
        let target = format!(
            "/host/v1/feed?host={}&since={}&wait=0",
            self.name, self.revision
        );
        let page: FeedPage =
            serde_json::from_value(service.get(&target).await.expect(200).json).unwrap();
        if page.complete {
            self.desired.clear();
        }
        let mut observed = Vec::new();
        for item in page.items {
            match (item.kind.as_str(), item.spec) {
                (KIND_SERVER, Some(spec)) => {
                    let spec: ServerSpec = serde_json::from_value(spec).unwrap();
                    self.desired.insert(spec.server_id.clone(), Arc::new(spec));
                }
                (KIND_SERVER, None) => drop(self.desired.remove(&item.id.as_str().into())),
                (KIND_CONSOLE, Some(_)) => {
                    let text = self
                        .agent
                        .console_output(&item.id.as_str().into(), 1000)
                        .await;
                    let tail = ConsoleTail {
                        text: String::from_utf8_lossy(&text.unwrap_or_default()).into_owned(),
                        error: None,
                    };
                    observed.push(self.seen(KIND_CONSOLE, &item.id, item.generation, json!(tail)));
                }
                (KIND_PASSWORD, Some(_)) => {
                    if let Some(seen) = self.password(&service, &item.id).await {
                        observed.push(self.seen(KIND_PASSWORD, &item.id, item.generation, seen));
                    }
                }
                (KIND_SNAPSHOT, Some(spec)) => {
                    let wish: SnapshotWish = serde_json::from_value(spec).unwrap();
                    let seen = self.image(&item.id.as_str().into(), &wish, images).await;
                    observed.push(self.seen(KIND_SNAPSHOT, &item.id, item.generation, json!(seen)));
                }
                _other => {}
            }
        }
        self.revision = page.revision;
        self.agent.apply(DesiredServers {
            revision: self.revision,
            word: Word::ControlPlane,
            servers: self.desired.clone(),
        });
        quiet().await;
        for seen in self.agent.reports().take(1000) {
            let generation = seen.generation_seen;
            observed.push(self.seen(
                KIND_SERVER,
                seen.server_id.as_str(),
                generation,
                json!(seen),
            ));
        }
        let news = !observed.is_empty();
        let inventory = self.agent.inventory().await.unwrap();
        observed.push(self.seen(KIND_HOST, &self.name, 0, json!(inventory)));
        let target = format!("/host/v1/observed?host={}", self.name);
        service.put(&target, json!(observed)).await.expect(204);
        news
    }

    /// Sets a password as far as it is let; one that nobody wants any more is nothing.
    async fn password(&self, service: &Ask, id: &str) -> Option<Value> {
        let answer = service.get(&format!("/host/v1/passwords/{id}")).await;
        if answer.status == 404 {
            return None;
        }
        let password: GuestPassword = serde_json::from_value(answer.expect(200).json).unwrap();
        let seen = self.agent.set_password(&id.into(), &password).await;
        Some(json!(seen.ok()?))
    }

    /// Reads a disk and brings it, as far as it is let.
    async fn image(
        &self,
        server: &ServerId,
        wish: &SnapshotWish,
        images: &SimulatedImage,
    ) -> SnapshotSeen {
        match self.agent.take_snapshot(server, wish).await {
            Ok(_length) => {}
            Err(DriverError::Unavailable(_later)) => return SnapshotSeen::Reading,
            Err(why) => {
                let reason = why.to_string();
                return SnapshotSeen::Failed { reason };
            }
        }
        self.agent.remove_snapshot(server, wish).await.unwrap();
        match images.state().get_mut(wish.image.as_str()) {
            Some(image) => {
                image["status"] = json!("active");
                SnapshotSeen::Uploaded
            }
            None => SnapshotSeen::Failed {
                reason: "the image is gone".to_owned(),
            },
        }
    }

    /// What it says of itself.
    pub(crate) async fn inventory(&self) -> Value {
        json!(self.agent.inventory().await.unwrap())
    }

    fn seen(&self, kind: &str, id: &str, generation: i64, detail: Value) -> Observed {
        Observed {
            kind: kind.to_owned(),
            id: id.to_owned(),
            generation_seen: generation,
            state: String::new(),
            detail,
            at: self.clock.now(),
        }
    }
}

/// Lets everything happen that happens without time.
pub(crate) async fn quiet() {
    for _turn in 0..60 {
        tokio::task::yield_now().await;
    }
}

impl Cloud {
    /// A cloud with one host, an image, a flavor and a network.
    pub(crate) async fn new() -> Self {
        Self::with_hosts(&["one"], HostSize::default()).await
    }

    pub(crate) async fn with_hosts(names: &[&str], size: HostSize) -> Self {
        Self::build(names, size, true).await
    }

    /// The same without a block service.
    pub(crate) async fn without_volumes() -> Self {
        Self::build(&["one"], HostSize::default(), false).await
    }

    async fn build(names: &[&str], size: HostSize, volumes: bool) -> Self {
        let world = World::new();
        let core = world.core::<Compute>().await;
        let db = core.db.clone();
        let peers = world.peers().await;
        let config = Config {
            metadata_secret: SECRET.to_owned(),
            sealing_secret: "0123456789abcdef".to_owned(),
            ..Config::default()
        };
        let compute = Arc::new(Compute::new(core, peers, world.bus.clone(), config));
        let app = world.app(Arc::clone(&compute));
        let ask = world.ask(&app);
        let (placement, network, image) = (
            SimulatedPlacement::default(),
            SimulatedNetwork::default(),
            SimulatedImage::default(),
        );
        world
            .directory
            .set("placement", Transport::Local(Arc::new(placement.clone())));
        world
            .directory
            .set("network", Transport::Local(Arc::new(network.clone())));
        let block = SimulatedBlock::default();
        if volumes {
            let transport = Transport::Local(Arc::new(block.clone()));
            world.directory.set("block", transport);
        }
        world
            .directory
            .set("image", Transport::Local(Arc::new(image.clone())));
        let simulated = fake::World::new(world.clock.clone(), Latency::default());
        let hosts = names
            .iter()
            .map(|name| {
                (
                    (*name).to_owned(),
                    Host::start(&simulated, name, &world.clock, size),
                )
            })
            .collect();
        let worker = compute.worker();
        let image_id = image.add_image(&json!({}));
        let network_id = network.add_network("private", Persona::Member.project());
        let mut cloud = Self {
            world,
            compute,

            ask,
            db,
            placement,
            network,
            image,
            block,
            simulated,
            hosts,
            worker,
            killed: 0,
            image_id,
            flavor_id: "small".to_owned(),
            network_id,
        };
        let flavor =
            json!({"flavor": {"id": "small", "name": "small", "vcpus": 1, "ram": 128, "disk": 1}});
        cloud
            .admin()
            .post("/v2.1/flavors", flavor)
            .await
            .expect(200);
        cloud.settle().await;
        cloud
    }

    pub(crate) fn member(&self) -> Ask {
        self.ask.as_persona(Persona::Member)
    }

    pub(crate) fn admin(&self) -> Ask {
        self.ask.as_persona(Persona::Admin)
    }

    /// Works until nothing is under way any more.
    pub(crate) async fn settle(&mut self) {
        for _round in 0..400 {
            self.drain().await;
            let mut news = false;
            for host in self.hosts.values_mut() {
                news |= host.sync(&self.ask, &self.image).await;
            }
            if !news && self.live().await == 0 {
                return;
            }
            self.world
                .clock
                .advance(Duration::from_millis(if news { 1 } else { 500 }));
            quiet().await;
        }
        let stuck: Vec<String> = self
            .db
            .fetch_all(
                "SELECT kind FROM operations WHERE finished_at IS NULL",
                args![],
            )
            .await
            .unwrap();
        panic!("still under way: {stuck:?}");
    }

    /// Works for so long, whether or not anything comes to its end.
    pub(crate) async fn work_for(&mut self, secs: u64) {
        for _second in 0..secs {
            self.drain().await;
            for host in self.hosts.values_mut() {
                host.sync(&self.ask, &self.image).await;
            }
            self.world.clock.advance(Duration::from_secs(1));
            quiet().await;
        }
    }

    /// Does what is due; a worker that a crash point kills is replaced by a new one.
    /// Says whether there was anything.
    async fn drain(&mut self) -> bool {
        let mut killed = false;
        loop {
            let panic = match AssertUnwindSafe(self.worker.drain()).catch_unwind().await {
                Ok(done) => return killed || done.unwrap() > 0,
                Err(panic) => panic,
            };
            if !panic.is::<Crashed>() {
                std::panic::resume_unwind(panic);
            }
            killed = true;
            self.killed += 1;
            self.worker = self.compute.worker();
            self.worker.take_over().await.unwrap();
        }
    }

    /// Works beside a request that waits for the work.
    pub(crate) async fn work_beside<T>(&mut self, request: impl Future<Output = T>) -> T {
        let answered = AtomicBool::new(false);
        let asking = async {
            let answer = request.await;
            answered.store(true, Ordering::Relaxed);
            answer
        };
        let working = async {
            while !answered.load(Ordering::Relaxed) {
                // Where nothing is due, something may wait for time to pass: the lease of a dead worker runs out.
                if !self.drain().await && self.live().await > 0 {
                    self.world.clock.advance(Duration::from_millis(100));
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(asking, working).0
    }

    /// The same with hosts that do what they are told.
    pub(crate) async fn run_beside<T>(&mut self, request: impl Future<Output = T>) -> T {
        let answered = AtomicBool::new(false);
        let asking = async {
            let answer = request.await;
            answered.store(true, Ordering::Relaxed);
            answer
        };
        let working = async {
            while !answered.load(Ordering::Relaxed) {
                let mut busy = self.drain().await;
                for host in self.hosts.values_mut() {
                    busy |= host.sync(&self.ask, &self.image).await;
                }
                if !busy && self.live().await > 0 {
                    self.world.clock.advance(Duration::from_millis(100));
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(asking, working).0
    }

    pub(crate) async fn live(&self) -> i64 {
        self.db
            .fetch_scalar(
                "SELECT COUNT(*) FROM operations WHERE finished_at IS NULL",
                args![],
            )
            .await
            .unwrap()
    }

    /// A body for one server.
    pub(crate) fn body(&self, more: &Value) -> Value {
        let mut server = json!({
            "name": "web", "imageRef": self.image_id, "flavorRef": self.flavor_id,
            "networks": [{"uuid": self.network_id}],
        });
        server
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().cloned().unwrap_or_default());
        json!({ "server": server })
    }

    /// Asks for a server; gives its id.
    pub(crate) async fn create(&self, more: &Value) -> String {
        let created = self
            .member()
            .at("compute 2.96")
            .post("/v2.1/servers", self.body(more))
            .await
            .expect(202);
        created.json["server"]["id"].as_str().unwrap().to_owned()
    }

    /// A running server.
    pub(crate) async fn running(&mut self) -> String {
        let id = self.create(&json!({})).await;
        self.settle().await;
        assert_eq!(
            self.show(&id).await["status"],
            "ACTIVE",
            "{}",
            self.show(&id).await
        );
        id
    }

    pub(crate) async fn show(&self, id: &str) -> Value {
        let shown = self
            .admin()
            .at("compute 2.96")
            .get(&format!("/v2.1/servers/{id}"))
            .await;
        shown.json["server"].clone()
    }

    pub(crate) async fn act(&self, id: &str, action: Value) -> nephos_testkit::Answer {
        self.member()
            .at("compute 2.96")
            .post(&format!("/v2.1/servers/{id}/action"), action)
            .await
    }

    /// Nothing of any server is left anywhere.
    pub(crate) async fn assert_nothing_left(&self) {
        assert!(
            self.placement.state().allocations.is_empty(),
            "allocations are left"
        );
        assert_eq!(self.network.ports(), Vec::<Value>::new(), "ports are left");
        for host in self.hosts.keys() {
            assert!(self.simulated.snapshot(host).is_empty(), "guests are left");
        }
        let used: i64 = self
            .db
            .fetch_scalar(
                "SELECT CAST(COALESCE(SUM(used), 0) AS BIGINT) FROM quota_usage",
                args![],
            )
            .await
            .unwrap();
        assert_eq!(used, 0, "quota is used");
        let wanted = "SELECT COUNT(*) FROM feed_items WHERE spec IS NOT NULL";
        assert_eq!(
            self.db.fetch_scalar::<i64>(wanted, args![]).await.unwrap(),
            0,
            "hosts still want something"
        );
        let servers = "SELECT COUNT(*) FROM servers";
        assert_eq!(
            self.db.fetch_scalar::<i64>(servers, args![]).await.unwrap(),
            0,
            "rows are left"
        );
        assert_eq!(self.live().await, 0, "operations are left");
        assert_eq!(self.block.attachments(), 0, "attachments are left");
    }
}
