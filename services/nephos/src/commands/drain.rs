//! `nephos host drain`: empties a host. New servers, routers and load balancers are kept away, and what is there moves to other hosts: what
//! runs, while it runs; what is off, off. It begins again where it was when it is started again.

mod balancers;
mod room;
mod routers;

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::time::Duration;

use nephos::cloud;
use nephos::secrets::Secrets;
use nephos::settings::Config;
use nephos_peer::{PeerError, Peers};
use nephos_runtime::Clock;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::terminal::say;

/// Servers on their way at a time: each takes what the network between two hosts gives.
const AT_ONCE: usize = 2;
/// How often is looked.
const LOOK: Duration = Duration::from_secs(1);
/// Things of a list that are asked for at a time.
const PAGE: usize = 500;
/// What does not get on for so long is not waited for.
const PATIENCE: Duration = Duration::from_secs(600);
const VERSION: &str = "compute 2.96";

#[derive(Deserialize)]
struct Server {
    id: String,
    name: String,
    status: String,
    #[serde(rename = "OS-EXT-STS:task_state")]
    task: Option<String>,
    #[serde(rename = "OS-EXT-SRV-ATTR:host")]
    host: Option<String>,
    #[serde(default, rename = "os-extended-volumes:volumes_attached")]
    volumes: Vec<Value>,
}

/// A move from the host.
#[derive(Deserialize)]
struct Move {
    /// Also the consumer that holds its room there.
    uuid: String,
    #[serde(rename = "instance_uuid")]
    server: String,
    #[serde(rename = "migration_type")]
    kind: String,
    status: String,
}

/// Of moves that nothing follows from any more.
const ENDED: [&str; 7] = [
    "failed",
    "confirmed",
    "reverted",
    "completed",
    "done",
    "error",
    "cancelled",
];

/// How a server may be moved.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Running,
    Off,
}

/// What is known of the work so far.
#[derive(Default)]
struct Work {
    /// Asked to move, and how.
    asked: BTreeMap<String, How>,
    /// Not to be moved, and said so.
    stay: BTreeSet<String>,
    /// What was said last of each.
    said: BTreeMap<String, String>,
    /// Since when each has been doing what it does.
    since: BTreeMap<String, (String, Duration)>,
    /// Consumers whose room on the host is explained by what was said.
    explained: BTreeSet<String>,
}

/// Empties a host; `switch_off`: also of servers that cannot move while they run. Fails when something stays.
pub fn run(config: &Config, host: &str, switch_off: bool) -> anyhow::Result<ExitCode> {
    let secrets = Secrets::read(&config.settings.state_dir)?;
    super::block_on(async {
        let clock = Clock::system();
        let peers = cloud::from_outside(config, &secrets, clock.clone())?;
        let drain = Drain {
            peers,
            clock: clock.clone(),
            host,
            switch_off,
        };
        drain.disable().await?;
        drain.drain_balancers(true).await?;
        let mut work = Work::default();
        while drain.look(&mut work).await? || drain.room(&mut work).await? {
            clock.sleep(LOOK).await;
        }
        let left = work.stay.len();
        let routers = drain.routers().await?;
        let balancers = drain.load_balancers().await?;
        if left == 0 && routers == 0 && balancers == 0 {
            say(&format!(
                "Host {host} is empty. `nephos host drain --undo {host}` lets it be used again."
            ));
            return Ok(ExitCode::SUCCESS);
        }
        say(&format!(
            "{left} servers, {routers} routers and {balancers} load balancers stay on host {host}, as said above."
        ));
        Ok(ExitCode::FAILURE)
    })
}

/// Lets a host be used again: by new servers, routers and load balancers.
pub fn undo(config: &Config, host: &str) -> anyhow::Result<ExitCode> {
    let secrets = Secrets::read(&config.settings.state_dir)?;
    super::block_on(async {
        let clock = Clock::system();
        let peers = cloud::from_outside(config, &secrets, clock.clone())?;
        let drain = Drain {
            peers,
            clock,
            host,
            switch_off: false,
        };
        let (id, _) = drain.service().await?;
        drain.set_service(&id, json!({"status": "enabled"})).await?;
        drain.may_house_routers().await?;
        drain.drain_balancers(false).await?;
        say(&format!(
            "Host {host} gets servers, routers and load balancers again."
        ));
        Ok(ExitCode::SUCCESS)
    })
}

struct Drain<'a> {
    peers: Peers,
    clock: Clock,
    host: &'a str,
    switch_off: bool,
}

impl Drain<'_> {
    async fn get(&self, target: &str) -> Result<Value, PeerError> {
        let call = self.peers.get("compute", format!("/v2.1{target}"));
        call.version(VERSION).as_service().send().await?.json()
    }

    /// All pages of a list.
    async fn all<T: DeserializeOwned>(&self, target: &str, key: &str) -> anyhow::Result<Vec<T>> {
        let mut all = Vec::new();
        let mut marker = String::new();
        loop {
            let answer = self.get(&format!("{target}&limit={PAGE}{marker}")).await?;
            let page = answer.get(key).and_then(Value::as_array);
            let page = page.map_or(&[][..], Vec::as_slice);
            for one in page {
                all.push(serde_json::from_value(one.clone())?);
            }
            let name = if key == "migrations" { "uuid" } else { "id" };
            let last = page.last().and_then(|last| last.get(name)?.as_str());
            match last.filter(|_| page.len() >= PAGE) {
                Some(last) => marker = format!("&marker={last}"),
                None => return Ok(all),
            }
        }
    }

    async fn act(&self, server: &str, body: Value) -> Result<(), PeerError> {
        let target = format!("/v2.1/servers/{server}/action");
        let call = self.peers.post("compute", target).json(&body);
        call.version(VERSION).as_service().send().await.map(|_| ())
    }

    /// The host's compute service: its id, and whether it reports.
    async fn service(&self) -> anyhow::Result<(String, bool)> {
        let target = format!("/os-services?binary=nova-compute&host={}", self.host);
        let found = self.get(&target).await?;
        let of = |key: &str| {
            let value = found.pointer(&format!("/services/0/{key}"));
            value.and_then(Value::as_str)
        };
        let id = of("id").ok_or_else(|| anyhow::anyhow!("there is no host {}", self.host))?;
        Ok((id.to_owned(), of("state") == Some("up")))
    }

    async fn set_service(&self, id: &str, body: Value) -> Result<(), PeerError> {
        let call = self.peers.put("compute", format!("/v2.1/os-services/{id}"));
        let call = call.json(&body).version(VERSION).as_service();
        call.send().await.map(|_| ())
    }

    async fn disable(&self) -> anyhow::Result<()> {
        let (id, is_up) = self.service().await?;
        if !is_up {
            anyhow::bail!(
                "host {} does not report, so nothing can leave it: bring it back, or, when nothing runs on it any more for sure, \
                 `openstack compute service set --down {} nova-compute` and `openstack server evacuate` for each of its servers",
                self.host,
                self.host
            );
        }
        let body = json!({"status": "disabled", "disabled_reason": "drained"});
        self.set_service(&id, body).await?;
        say(&format!("Host {} gets no new servers.", self.host));
        Ok(())
    }

    /// Looks at everything once and does what there is to do; whether there is more.
    async fn look(&self, work: &mut Work) -> anyhow::Result<bool> {
        let target = format!("/servers/detail?all_tenants=1&host={}", self.host);
        let here: Vec<Server> = self.all(&target, "servers").await?;
        self.take_over(work, &here).await?;
        let mut under_way = 0;
        let gone: Vec<(String, How)> = work
            .asked
            .iter()
            .filter(|(id, _)| !here.iter().any(|server| server.id == **id))
            .map(|(id, how)| (id.clone(), *how))
            .collect();
        for (id, how) in gone {
            under_way += usize::from(self.elsewhere(work, &id, how).await?);
        }
        for server in &here {
            under_way += usize::from(self.still_here(work, server, under_way).await?);
        }
        let waits = here.iter().any(|server| !work.stay.contains(&server.id));
        Ok(under_way > 0 || waits)
    }

    /// Moves from the host that are under way although this process asked for none: it was started again, or somebody else
    /// moves servers, too.
    async fn take_over(&self, work: &mut Work, here: &[Server]) -> anyhow::Result<()> {
        let target = format!("/os-migrations?source_compute={}", self.host);
        let moves: Vec<Move> = self.all(&target, "migrations").await?;
        for one in moves {
            let id = &one.server;
            let ended = ENDED.contains(&one.status.as_str());
            if work.stay.contains(id) && !ended {
                work.explained.insert(one.uuid.clone());
            }
            let known = work.asked.contains_key(id) || work.stay.contains(id);
            let is_here = here.iter().any(|server| server.id == *id);
            if known || is_here || ended {
                continue;
            }
            match one.kind.as_str() {
                "migration" => _ = work.asked.insert(id.clone(), How::Off),
                "live-migration" => _ = work.asked.insert(id.clone(), How::Running),
                "resize" => {
                    let shown = self.get(&format!("/servers/{id}")).await?;
                    let why = "its owner has resized it, and until that is confirmed or reverted its disk is here as well";
                    stays(work, &part(shown, "server")?, why);
                    work.explained.insert(one.uuid);
                }
                _evacuated => {}
            }
        }
        Ok(())
    }

    /// A server that is on the host; whether it is on its way.
    async fn still_here(
        &self,
        work: &mut Work,
        server: &Server,
        under_way: usize,
    ) -> anyhow::Result<bool> {
        if work.stay.contains(&server.id) {
            return Ok(false);
        }
        if let Some(how) = work.asked.get(&server.id).copied() {
            if server.task.is_some() {
                let news = self.progress(&server.id, how).await?;
                tell(work, server, &news);
                return Ok(true);
            }
            // Nothing is under way any more, and it is here: it did not get there.
            let why = self.why(&server.id).await?;
            work.asked.remove(&server.id);
            stays(work, server, &why);
            return Ok(false);
        }
        if let Some(task) = &server.task {
            if self.too_long(work, &server.id, task) {
                stays(
                    work,
                    server,
                    &format!("it has been {task} for {} minutes", PATIENCE.as_secs() / 60),
                );
            } else {
                tell(work, server, &format!("waits: it is {task}"));
            }
            return Ok(false);
        }
        if under_way >= AT_ONCE {
            return Ok(false);
        }
        let how = match (server.status.as_str(), server.volumes.is_empty()) {
            ("ACTIVE" | "PAUSED", true) => How::Running,
            ("SHUTOFF", _) => How::Off,
            ("ACTIVE", false) if self.switch_off => How::Off,
            ("ACTIVE" | "PAUSED", false) => {
                stays(
                    work,
                    server,
                    "it has volumes, so it moves switched off only: say --switch-off",
                );
                return Ok(false);
            }
            (status, _) => {
                stays(
                    work,
                    server,
                    &format!("it is {status}, and that is for its owner to decide"),
                );
                return Ok(false);
            }
        };
        let wish = match how {
            How::Running => json!({"os-migrateLive": {"host": null, "block_migration": "auto"}}),
            How::Off => json!({"migrate": null}),
        };
        match self.act(&server.id, wish).await {
            Ok(()) => {
                work.asked.insert(server.id.clone(), how);
                tell(work, server, "is on its way");
                Ok(true)
            }
            Err(why) if why.status.is_some_and(|code| (400..500).contains(&code)) => {
                stays(work, server, &why.message);
                Ok(false)
            }
            Err(why) => Err(why.into()),
        }
    }

    /// A server that was asked to move and is not on the host any more; whether there is more to do.
    async fn elsewhere(&self, work: &mut Work, id: &str, how: How) -> anyhow::Result<bool> {
        let shown = match self.get(&format!("/servers/{id}")).await {
            Ok(shown) => shown,
            Err(why) if why.status == Some(404) => {
                work.asked.remove(id);
                return Ok(false);
            }
            Err(why) => return Err(why.into()),
        };
        let server: Server = part(shown, "server")?;
        if server.task.is_some() {
            return Ok(true);
        }
        // Its owner asked for nothing, so there is nothing for him to decide.
        if how == How::Off && server.status == "VERIFY_RESIZE" {
            self.act(id, json!({"confirmResize": null})).await?;
            return Ok(true);
        }
        work.asked.remove(id);
        let host = server.host.as_deref().unwrap_or("another host");
        tell(work, &server, &format!("is on {host} now"));
        Ok(false)
    }

    /// Whether something has been like this for longer than anybody waits.
    fn too_long(&self, work: &mut Work, id: &str, how: &str) -> bool {
        let now = self.clock.monotonic();
        let since = work
            .since
            .entry(id.to_owned())
            .or_insert_with(|| (how.to_owned(), now));
        if since.0 != how {
            *since = (how.to_owned(), now);
        }
        now.saturating_sub(since.1) > PATIENCE
    }

    async fn progress(&self, id: &str, how: How) -> Result<String, PeerError> {
        if how == How::Off {
            return Ok("is on its way, switched off".to_owned());
        }
        let found = self.get(&format!("/servers/{id}/migrations")).await?;
        let bytes = |key: &str| {
            let value = found.pointer(&format!("/migrations/0/{key}"));
            value.and_then(Value::as_u64).unwrap_or(0) >> 20
        };
        Ok(format!(
            "is on its way: {} of {} MiB of memory, {} of {} MiB of disk",
            bytes("memory_processed_bytes"),
            bytes("memory_total_bytes"),
            bytes("disk_processed_bytes"),
            bytes("disk_total_bytes")
        ))
    }

    /// Why the last thing that was done to a server went wrong.
    async fn why(&self, id: &str) -> Result<String, PeerError> {
        let actions = format!("/servers/{id}/os-instance-actions");
        let listed = self.get(&actions).await?;
        let request = listed.pointer("/instanceActions/0/request_id");
        let Some(request) = request.and_then(Value::as_str) else {
            return Ok("it did not get there".to_owned());
        };
        let shown = self.get(&format!("{actions}/{request}")).await?;
        let details = shown.pointer("/instanceAction/events/0/details");
        let details = details.and_then(Value::as_str);
        Ok(details.unwrap_or("it did not get there").to_owned())
    }
}

/// What an answer says under one key.
fn part<T: DeserializeOwned>(mut answer: Value, key: &str) -> serde_json::Result<T> {
    let found = answer.get_mut(key).map(Value::take);
    serde_json::from_value(found.unwrap_or_default())
}

/// Says what is new of a server.
fn tell(work: &mut Work, server: &Server, news: &str) {
    if work.said.get(&server.id).map(String::as_str) != Some(news) {
        work.said.insert(server.id.clone(), news.to_owned());
        say(&format!("{} ({}) {news}", server.name, server.id));
    }
}

fn stays(work: &mut Work, server: &Server, why: &str) {
    work.stay.insert(server.id.clone());
    tell(work, server, &format!("stays: {why}"));
}
