//! How long a host's network agent takes for many ports: a control plane in this process, and the real agent with the kernel
//! of the namespace in which this runs.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use nephos_api::{Dispatch, Incoming, Payload, Request, Response};
use nephos_network::agent::{Agent, Driver, Fake, Kernel, Settings};
use nephos_peer::{Credentials, Directory, Peers, Transport};
use nephos_runtime::{Clock, Shutdown};
use nephos_types::Timestamp;
use nephos_types::feed::{FeedItem, FeedPage, Observed};
use serde_json::{Value, json};
use tokio::sync::watch;

/// Networks among which the ports are spread.
const NETWORKS: usize = 10;
/// A host that takes longer is broken.
const AT_MOST: Duration = Duration::from_secs(300);

/// What is put on the host.
#[derive(clap::Args, Clone, Copy)]
pub struct Size {
    /// Ports on the host.
    #[arg(long, default_value_t = 1000)]
    ports: usize,
    /// Ports of its networks elsewhere.
    #[arg(long, default_value_t = 10_000)]
    remotes: usize,
    /// Without the kernel: what the agent itself takes.
    #[arg(long)]
    simulated: bool,
}

/// The control plane: one page, and what the host said of ports.
#[derive(Clone)]
struct Control {
    page: watch::Sender<FeedPage>,
    up: watch::Sender<usize>,
    seen: Arc<Mutex<BTreeSet<(String, i64)>>>,
}

impl Dispatch for Control {
    fn dispatch(&self, request: Request) -> BoxFuture<'static, Response> {
        let control = self.clone();
        async move {
            let (status, body) = match request.path.as_str() {
                "/host/v1/feed" => (http::StatusCode::OK, control.feed(&request.query).await),
                "/host/v1/observed" => (http::StatusCode::OK, control.take(&request)),
                _other => (http::StatusCode::NOT_FOUND, Value::Null),
            };
            Response {
                status,
                headers: http::HeaderMap::new(),
                body: Payload::Bytes(Bytes::from(body.to_string())),
            }
        }
        .boxed()
    }
}

impl Control {
    async fn feed(&self, query: &str) -> Value {
        let since = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("since="))
            .and_then(|since| since.parse().ok())
            .unwrap_or(0);
        let mut page = self.page.subscribe();
        match page.wait_for(|page| page.revision > since).await {
            Ok(page) => serde_json::to_value(&*page).unwrap_or_default(),
            Err(_ended) => Value::Null,
        }
    }

    fn take(&self, request: &Request) -> Value {
        let Incoming::Bytes(body) = &request.body else {
            return Value::Null;
        };
        let observed: Vec<Observed> = serde_json::from_slice(body).unwrap_or_default();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let up = observed
            .into_iter()
            .filter(|one| one.kind == "port" && one.state == "up");
        seen.extend(up.map(|one| (one.id, one.generation_seen)));
        self.up.send_replace(seen.len());
        json!({})
    }

    /// Says something more, and gives how long it took until so many versions of ports were reported to be up.
    async fn until(&self, clock: &Clock, items: Vec<FeedItem>, up: usize) -> anyhow::Result<f64> {
        let began = clock.monotonic();
        self.page.send_modify(|page| {
            page.complete = page.revision == 0;
            page.revision += 1;
            page.items = items;
        });
        let mut counted = self.up.subscribe();
        let there = counted.wait_for(|count| *count >= up);
        let waited = tokio::time::timeout(AT_MOST, there).await;
        waited.context("the host does not say that its ports are up")??;
        Ok(clock.monotonic().saturating_sub(began).as_secs_f64())
    }
}

/// Seconds until all ports are up on an empty host, until one more is, and until the host knows that one elsewhere has moved.
pub async fn plane(size: Size) -> anyhow::Result<Value> {
    let clock = Clock::system();
    let control = Control {
        page: watch::Sender::new(FeedPage::default()),
        up: watch::Sender::new(0),
        seen: Arc::default(),
    };
    let directory = Directory::default();
    directory.set("network", Transport::Local(Arc::new(control.clone())));
    let nobody = Credentials {
        user: String::new(),
        password: String::new(),
        project: String::new(),
    };
    let peers = Peers::new(directory, nobody, clock.clone(), String::new())?;
    peers.keep_token("none".into(), Timestamp(i64::MAX)).await;
    let settings = Settings::new("one", "", std::net::Ipv4Addr::LOCALHOST.into());
    let driver: Arc<dyn Driver> = if size.simulated {
        Arc::new(Fake::default())
    } else {
        Arc::new(Kernel::new(&settings.namespace_prefix))
    };
    let agent = Agent::new(peers, clock.clone(), settings, driver);
    let shutdown = Shutdown::new();
    let running = nephos_runtime::spawn("agent", {
        let shutdown = shutdown.clone();
        async move { _ = agent.run(shutdown).await }
    });
    let mut items: Vec<FeedItem> = (0..NETWORKS).flat_map(shared).collect();
    items.extend((0..size.ports).map(|number| port(number, 1)));
    items.extend((0..size.remotes).map(|number| remote(number, 1)));
    let cold = control.until(&clock, items, size.ports).await?;
    let mut more = Vec::new();
    for extra in 1..=10 {
        let one = port(size.ports + extra, 1);
        more.push(control.until(&clock, vec![one], size.ports + extra).await?);
    }
    let mut moved = Vec::new();
    for generation in 2..12 {
        // A host says nothing of ports elsewhere: one of its own changes with it, in the same pass.
        let news = vec![remote(0, generation), port(0, generation)];
        let up = size.ports + 9 + usize::try_from(generation)?;
        moved.push(control.until(&clock, news, up).await?);
    }
    shutdown.begin();
    running.join().await;
    Ok(json!({"cold_secs": cold, "port_secs": median(more), "moved_secs": median(moved)}))
}

fn median(mut took: Vec<f64>) -> f64 {
    took.sort_by(f64::total_cmp);
    took.get(took.len() / 2).copied().unwrap_or_default()
}

fn id(kind: u8, number: usize) -> String {
    format!("{number:08x}-{kind:04x}-4000-8000-000000000000")
}

fn item(kind: &str, id: String, generation: i64, spec: Value) -> FeedItem {
    FeedItem {
        kind: kind.to_owned(),
        id,
        generation,
        spec: Some(spec),
        request_id: None,
    }
}

/// A network and its security group, whose members reach each other.
fn shared(number: usize) -> [FeedItem; 2] {
    let (network, group) = (id(1, number), id(2, number));
    let subnet = json!({"id": id(3, number), "cidr": format!("10.{number}.0.0/16"), "dhcp": true});
    let rules = json!([
        {"id": "out", "direction": "egress", "ip_version": 4},
        {"id": "in", "direction": "ingress", "ip_version": 4, "remote_group": group},
    ]);
    let vni = 1000 + number;
    let segment = json!({"type": "vxlan", "vni": vni});
    let spec = json!({"id": network, "segment": segment, "mtu": 1450, "subnets": [subnet]});
    [
        item("network", network.clone(), 1, spec),
        item(
            "security_group",
            group.clone(),
            1,
            json!({"id": group, "rules": rules}),
        ),
    ]
}

fn address(number: usize, side: usize) -> String {
    let own = number / NETWORKS;
    format!(
        "10.{}.{}.{}",
        number % NETWORKS,
        side + own / 250,
        own % 250 + 1
    )
}

fn port(number: usize, generation: i64) -> FeedItem {
    let (id, network) = (id(4, number), number % NETWORKS);
    let tap: String = id.chars().take(11).collect();
    let spec = json!({
        "id": id, "network_id": self::id(1, network), "project_id": "p", "device_id": format!("server-{number}"),
        "mac": format!("fa:16:3e:00:{:02x}:{:02x}", number / 256, number % 256), "tap": format!("tap{tap}"),
        "fixed_ips": [{"subnet_id": self::id(3, network), "ip": address(number, 0)}],
        "security_groups": [self::id(2, network)], "dns_name": format!("guest-{generation}"),
    });
    item("port", id, generation, spec)
}

fn remote(number: usize, generation: i64) -> FeedItem {
    let spec = json!({
        "mac": format!("fa:16:3e:01:{:02x}:{:02x}", number / 256 % 256, number % 256),
        "ips": [address(number, 100)], "vtep": format!("192.0.2.{}", (number + usize::try_from(generation).unwrap_or(0)) % 200 + 1),
    });
    let entry = format!("{}/{}", id(1, number % NETWORKS), id(5, number));
    item("remote_port", entry, generation, spec)
}
