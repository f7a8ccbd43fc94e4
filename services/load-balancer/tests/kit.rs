//! A cloud with a load balancing service, and hosts that do what they are told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use nephos_api::App;
use nephos_load_balancer::{Config, LoadBalancing};
use nephos_peer::Transport;
use nephos_testkit::{Ask, Persona, World};
use serde_json::{Value, json};

use crate::network::{Network, SUBNET};

/// A cloud with a load balancing service.
pub struct Cloud {
    pub world: World,
    pub service: Arc<LoadBalancing>,
    pub ask: Ask,
    pub network: Network,
    pub hosts: Vec<Arc<Mutex<Host>>>,
}

/// A host: it says at once that it is as it was told.
#[derive(Default)]
pub struct Host {
    pub name: String,
    /// What it was told, with the generation.
    pub told: BTreeMap<String, (i64, Value)>,
    since: i64,
    gone: Vec<(String, i64)>,
    /// Why it cannot do what it is told.
    pub broken: Option<String>,
    /// What it is told needs what is not there yet.
    pub waits: bool,
    /// It neither listens nor says anything.
    pub silent: bool,
    /// Members that do not answer, as `POOL/MEMBER`.
    pub down: BTreeSet<String>,
    said: Value,
}

impl Host {
    fn seen(&self, spec: &Value, generation: i64) -> (&'static str, Value) {
        if let Some(why) = &self.broken {
            return (
                "failed",
                json!({"revision": 0, "running": false, "problem": why}),
            );
        }
        if self.waits {
            return (
                "waiting",
                json!({"revision": 0, "running": false, "problem": "its port is not ready"}),
            );
        }
        let enabled = spec["enabled"] == true;
        let mut listeners = json!({});
        for listener in spec["listeners"].as_array().unwrap() {
            let counters = json!({"active_connections": 1, "bytes_in": 10, "bytes_out": 20, "request_errors": 2, "total_connections": 3});
            listeners[listener["id"].as_str().unwrap()] = json!({"up": true, "counters": counters});
        }
        let mut members = json!({});
        for pool in spec["pools"].as_array().unwrap() {
            for member in pool["members"].as_array().unwrap() {
                let key = format!(
                    "{}/{}",
                    pool["id"].as_str().unwrap(),
                    member["id"].as_str().unwrap()
                );
                let health = match member {
                    _ if self.down.contains(&key) => "down",
                    member if member["enabled"] == false => "maint",
                    member if member["weight"] == 0 => "drain",
                    _ if pool["monitor"].is_null() => "no_check",
                    _up => "up",
                };
                members[key] = json!(health);
            }
        }
        let state = if enabled { "up" } else { "down" };
        (
            state,
            json!({"revision": generation, "running": enabled, "listeners": listeners, "members": members}),
        )
    }

    fn report(&self) -> Value {
        let mut all = vec![json!({
            "kind": "host", "id": self.name, "generation_seen": 0, "state": "up", "at": "2026-01-02T03:04:05Z",
            "detail": {"host": self.name, "haproxy": "2.6.12"},
        })];
        for (id, (generation, spec)) in &self.told {
            let (state, detail) = self.seen(spec, *generation);
            all.push(json!({
                "kind": "load_balancer", "id": id, "generation_seen": generation, "state": state, "detail": detail, "at": "2026-01-02T03:04:05Z",
            }));
        }
        for (id, generation) in &self.gone {
            all.push(json!({
                "kind": "load_balancer", "id": id, "generation_seen": generation, "state": "gone", "detail": {}, "at": "2026-01-02T03:04:05Z",
            }));
        }
        json!(all)
    }
}

pub async fn cloud() -> Cloud {
    cloud_of(&["one"]).await
}

pub async fn cloud_of(hosts: &[&str]) -> Cloud {
    let host = |name: &&str| {
        Arc::new(Mutex::new(Host {
            name: (*name).to_owned(),
            ..Host::default()
        }))
    };
    let cloud = start(
        World::new(),
        Network::default(),
        hosts.iter().map(host).collect(),
    )
    .await;
    cloud.settle().await;
    cloud
}

async fn start(world: World, network: Network, hosts: Vec<Arc<Mutex<Host>>>) -> Cloud {
    let transport = Transport::Local(Arc::new(network.clone()));
    world.directory.set("network", transport);
    let core = world.core::<LoadBalancing>().await;
    let peers = world.peers().await;
    let service = LoadBalancing::new(core, peers, world.bus.clone(), Config::default());
    let service = Arc::new(service);
    let app: App<LoadBalancing> = world.app(Arc::clone(&service));
    let ask = world.ask(&app);
    Cloud {
        world,
        service,
        ask,
        network,
        hosts,
    }
}

impl Cloud {
    /// The same cloud after the process was killed and started again.
    pub async fn restarted(self) -> Self {
        start(self.world, self.network, self.hosts).await
    }

    pub fn member(&self) -> Ask {
        self.ask.as_persona(Persona::Member)
    }

    pub fn admin(&self) -> Ask {
        self.ask.as_persona(Persona::Admin)
    }

    /// Works and lets hosts work until nothing is left to do.
    pub async fn settle(&self) {
        self.service.worker().take_over().await.unwrap();
        for _time in 0..30 {
            let done = self.service.worker().drain().await.unwrap();
            let mut news = false;
            for host in &self.hosts {
                news |= self.act(host).await;
            }
            if done == 0 && !news {
                return;
            }
        }
    }

    /// A host hears what is wanted, and says what it sees when that is news.
    async fn act(&self, host: &Mutex<Host>) -> bool {
        let (name, since, silent) = {
            let host = host.lock().unwrap();
            (host.name.clone(), host.since, host.silent)
        };
        if silent {
            return false;
        }
        let ask = self.ask.as_host(&name);
        let page = ask
            .get(&format!("/host/v1/feed?since={since}"))
            .await
            .expect(200)
            .json;
        let report = {
            let mut host = host.lock().unwrap();
            host.since = page["revision"].as_i64().unwrap();
            host.gone.clear();
            for item in page["items"].as_array().unwrap() {
                let (id, generation) = (
                    item["id"].as_str().unwrap(),
                    item["generation"].as_i64().unwrap(),
                );
                match item.get("spec") {
                    Some(spec) => {
                        host.told.insert(id.to_owned(), (generation, spec.clone()));
                    }
                    None => {
                        if host.told.remove(id).is_some() {
                            host.gone.push((id.to_owned(), generation));
                        }
                    }
                }
            }
            let report = host.report();
            if report == host.said {
                return false;
            }
            host.said = report.clone();
            report
        };
        ask.put("/host/v1/observed", report).await.expect(204);
        true
    }

    /// Time passes, during which hosts that speak say that they live.
    pub async fn later(&self, secs: u64) {
        self.world
            .clock
            .advance(std::time::Duration::from_secs(secs));
        for host in &self.hosts {
            host.lock().unwrap().said = Value::Null;
            self.act(host).await;
        }
    }

    /// Time passes, during which a worker looks after hosts as it does.
    pub async fn watch(&self, secs: u64) {
        for _look in 0..secs / 10 {
            self.later(10).await;
            self.service.look_after_hosts().await.unwrap();
        }
    }

    /// One more host.
    pub fn add_host(&mut self, name: &str) {
        let host = Host {
            name: name.to_owned(),
            ..Host::default()
        };
        self.hosts.push(Arc::new(Mutex::new(host)));
    }

    /// Makes something, and gives it as it is shown.
    pub async fn make(&self, target: &str, key: &str, body: Value) -> Value {
        let target = format!("/v2/lbaas/{target}");
        let made = self.member().post(&target, json!({ (key): body })).await;
        made.expect(201).json[key].clone()
    }

    /// A load balancer that is active; its id.
    pub async fn balancer(&self) -> String {
        let made = self.make(
            "loadbalancers",
            "loadbalancer",
            json!({"name": "lb", "vip_subnet_id": SUBNET}),
        );
        let id = id(&made.await);
        self.settle().await;
        id
    }

    /// A listener, a pool behind it, and a member: their ids, active.
    pub async fn chain(&self, balancer: &str) -> (String, String, String) {
        let body = json!({"loadbalancer_id": balancer, "protocol": "HTTP", "protocol_port": 80});
        let listener = id(&self.make("listeners", "listener", body).await);
        let body =
            json!({"listener_id": listener, "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"});
        let pool = id(&self.make("pools", "pool", body).await);
        let body = json!({"address": "10.0.0.5", "protocol_port": 8080});
        let member = id(&self
            .make(&format!("pools/{pool}/members"), "member", body)
            .await);
        self.settle().await;
        (listener, pool, member)
    }

    /// Something as it is shown.
    pub async fn show(&self, target: &str, key: &str) -> Value {
        let answer = self.member().get(&format!("/v2/lbaas/{target}")).await;
        answer.expect(200).json[key].clone()
    }

    /// The load balancer's two statuses.
    pub async fn status(&self, id: &str) -> (String, String) {
        let shown = self
            .show(&format!("loadbalancers/{id}"), "loadbalancer")
            .await;
        statuses(&shown)
    }

    /// What hosts were told of a load balancer, by host.
    pub fn told(&self, id: &str) -> Vec<(String, Value)> {
        let hosts = self.hosts.iter().map(|host| host.lock().unwrap());
        hosts
            .filter_map(|host| Some((host.name.clone(), host.told.get(id)?.1.clone())))
            .collect()
    }

    /// Does what it is told on a host.
    pub fn on<T>(&self, host: usize, work: impl FnOnce(&mut Host) -> T) -> T {
        work(&mut self.hosts[host].lock().unwrap())
    }
}

pub fn id(shown: &Value) -> String {
    shown["id"].as_str().unwrap().to_owned()
}

/// Provisioning and operating status.
pub fn statuses(shown: &Value) -> (String, String) {
    let text = |key: &str| shown[key].as_str().unwrap().to_owned();
    (text("provisioning_status"), text("operating_status"))
}

/// As [`statuses`] gives them.
pub fn both(provisioning: &str, operating: &str) -> (String, String) {
    (provisioning.to_owned(), operating.to_owned())
}
