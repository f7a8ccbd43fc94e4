//! The cloud, as this machine reaches it.

use std::sync::Arc;
use std::time::Duration;

use nephos_bus::Bus;
use nephos_compute::agent::feed::is_unheard;
use nephos_peer::{Account, Directory, Peers, Replicas, Transport};
use nephos_runtime::Clock;
use nephos_types::Timestamp;
use serde::Deserialize;

use super::Finding;
use crate::cloud::{Cloud, elsewhere, from_outside};
use crate::databases;
use crate::membership::Membership;
use crate::secrets::Secrets;
use crate::services::{Run, SERVICES};
use crate::settings::Config;

/// Whatever is asked answers within this time, or does not.
const WITHIN: Duration = Duration::from_secs(10);

/// A machine that joined: its guests, and its way to the cloud.
pub(super) async fn from_a_host(config: &Config, clock: &Clock) -> Vec<Finding> {
    let Some(joined) = &config.settings.membership else {
        return Vec::new();
    };
    let mut found = Vec::new();
    if is_unheard(&config.settings.state("host"), &joined.name) {
        found.push(Finding::warning(
            "this machine has started since it last heard what is wanted on it: its guests stay off until it hears again",
            "Nothing, if the agents run and the way to the cloud is good; what follows says whether it is.",
        ));
    }
    found.extend(way_of_a_host(config, clock, joined).await);
    found
}

/// Its URL, its token, its feeds.
async fn way_of_a_host(config: &Config, clock: &Clock, joined: &Membership) -> Vec<Finding> {
    let way = elsewhere(config).and_then(|directory| {
        let (key, url) = (joined.key(), joined.url.clone());
        Ok(Peers::new(directory, key, clock.clone(), url)?)
    });
    let peers = match way {
        Ok(peers) => peers,
        Err(why) => {
            return vec![Finding::bad(
                format!("there is no way to {}: {why:#}", joined.url),
                "Join again.",
            )];
        }
    };
    let token = clock.timeout(WITHIN, peers.service_token()).await;
    match token {
        Some(Ok(_)) => {}
        Some(Err(why)) if why.status == Some(401) => {
            let hint = format!(
                "`nephos host add {}`, where the cloud is, says how it joins again.",
                joined.name
            );
            return vec![Finding::bad(
                format!(
                    "the cloud does not know this machine as host {} any more",
                    joined.name
                ),
                hint,
            )];
        }
        Some(Err(why)) => {
            let hint = "The address, the port and the certificate's authority stand in host.toml.";
            return vec![Finding::bad(
                format!("{}: {}", joined.url, why.message),
                hint,
            )];
        }
        None => {
            let what = format!(
                "{} does not answer within {} s",
                joined.url,
                WITHIN.as_secs()
            );
            return vec![Finding::bad(
                what,
                "A packet filter on the way may drop what it should let through.",
            )];
        }
    }
    let mut found = vec![Finding::good(format!(
        "this machine is host {} of {}",
        joined.name, joined.url
    ))];
    for service in ["compute", "network"] {
        let feed = peers
            .get(service, "/host/v1/feed?since=0&wait=0")
            .as_service();
        found.push(match feed.send().await {
            Ok(_) => Finding::good(format!("{service} says what is wanted here")),
            Err(why) => Finding::bad(
                format!("{service} does not say what is wanted here: {why}"),
                "Its log, where it runs, says more.",
            ),
        });
    }
    found
}

/// A machine that has the cloud's secrets: databases, broker, services, hosts.
pub(super) async fn from_its_own(config: &Config, clock: &Clock) -> Vec<Finding> {
    let secrets = match Secrets::read(&config.settings.state_dir) {
        Ok(secrets) => secrets,
        Err(why) => {
            return vec![Finding::bad(
                why.to_string(),
                "`nephos up` makes a cloud, `nephos join` a host of one.",
            )];
        }
    };
    let mut found = databases_are_there(config, &secrets, clock).await;
    found.extend(broker(config, clock).await);
    let mut silent = false;
    for offer in &SERVICES {
        for at in config.origins(offer.name) {
            let one = listener(offer.name, at, clock).await;
            silent |= one.state != super::State::Good;
            found.push(one);
        }
    }
    if !silent {
        found.extend(hosts(config, &secrets, clock).await);
    }
    found
}

/// The databases, and what else the services stand on.
async fn databases_are_there(config: &Config, secrets: &Secrets, clock: &Clock) -> Vec<Finding> {
    let looked = async {
        let cloud = Cloud::look(config, secrets, clock.clone()).await?;
        for service in cloud.services() {
            databases::must_be_up_to_date(&**service).await?;
        }
        anyhow::Ok(cloud)
    };
    let cloud = match clock.timeout(WITHIN, looked).await {
        Some(Ok(cloud)) => cloud,
        Some(Err(why)) => {
            return vec![Finding::bad(
                format!("{why:#}"),
                "`database` in [nephos] says where they are; `nephos migrate` makes their tables.",
            )];
        }
        None => {
            return vec![Finding::bad(
                "the database server does not answer",
                "Start it; `database` in [nephos] says where it is.",
            )];
        }
    };
    let mut found = vec![Finding::good(
        "the databases answer, and their tables are those of this program",
    )];
    for service in cloud.services() {
        found.extend(outside(&**service, clock).await);
    }
    found
}

/// What a service stands on beside its database.
async fn outside(service: &dyn Run, clock: &Clock) -> Option<Finding> {
    let name = service.name();
    let hint = || format!("[{name}] and its sub-sections say where it is.");
    match clock.timeout(WITHIN, service.outside()).await {
        Some(looked) => Some(match looked? {
            Ok(well) => Finding::good(well),
            Err(why) => Finding::bad(format!("{name}: {why:#}"), hint()),
        }),
        None => {
            let what = format!("what {name} stands on does not answer");
            Some(Finding::bad(what, hint()))
        }
    }
}

async fn broker(config: &Config, clock: &Clock) -> Option<Finding> {
    let url = config.settings.bus.as_deref()?;
    // Without its password.
    let at = url.rsplit('@').next().unwrap_or_default();
    Some(match Bus::reach(url, clock).await {
        Ok(()) => Finding::good(format!("the broker lets us in at {at}")),
        Err(why) => Finding::warning(
            format!(
                "the broker does not let us in at {at} ({why}): work goes on, up to a second later each time"
            ),
            "Is RabbitMQ up? `bus` in [nephos] says where, as whom and in which vhost; `rabbitmqctl list_permissions` what that \
             user may.",
        ),
    })
}

async fn listener(service: &'static str, at: String, clock: &Clock) -> Finding {
    let directory = Directory::default();
    let there = Replicas::new(vec![at.clone()]);
    directory.set(service, Transport::Http(Arc::new(there)));
    let answer = match Peers::new(directory, Account::Nobody, clock.clone(), at.clone()) {
        Ok(peers) => peers.get(service, "/healthz").send().await,
        Err(why) => Err(why),
    };
    match answer {
        Ok(answer) => {
            let words = String::from_utf8_lossy(&answer.body)
                .trim()
                .replace('\n', "; ");
            if words == "ok" {
                Finding::good(format!("{service} answers at {at}"))
            } else {
                Finding::warning(
                    format!("{service} at {at}: {words}"),
                    "Is identity well, and the way to it?",
                )
            }
        }
        Err(why) => Finding::bad(
            format!("{service} does not answer at {at}: {}", why.message),
            "Start it, or take it out of [peers].",
        ),
    }
}

#[derive(Deserialize)]
struct Services {
    services: Vec<HostService>,
}

#[derive(Deserialize)]
struct HostService {
    host: String,
    state: String,
    status: String,
    #[serde(default)]
    updated_at: Option<String>,
}

/// What compute knows of its hosts.
async fn hosts(config: &Config, secrets: &Secrets, clock: &Clock) -> Vec<Finding> {
    let asked = async {
        let peers = from_outside(config, secrets, clock.clone())?;
        let call = peers.get("compute", "/v2.1/os-services").as_service();
        let listed: Services = call.send().await?.json()?;
        anyhow::Ok(listed.services)
    };
    let listed = match asked.await {
        Ok(listed) => listed,
        Err(why) => {
            return vec![Finding::bad(
                format!("hosts cannot be listed: {why:#}"),
                "Compute's log says more.",
            )];
        }
    };
    if listed.is_empty() {
        let hint =
            "`nephos host add NAME` says how a machine joins; `nephos up` makes this one a host.";
        return vec![Finding::warning("there is no host yet", hint)];
    }
    listed
        .into_iter()
        .map(|one| host(&one, clock.now()))
        .collect()
}

fn host(one: &HostService, now: Timestamp) -> Finding {
    let name = &one.host;
    match (one.state.as_str(), one.status.as_str()) {
        ("up", "enabled") => Finding::good(format!("host {name} reports")),
        ("up", _) => Finding::warning(
            format!("host {name} is disabled: no new servers are put there"),
            format!("openstack compute service set --enable {name} nova-compute"),
        ),
        _silent => {
            let last = one.updated_at.as_deref().and_then(Timestamp::parse);
            let since = last.map_or_else(String::new, |last| {
                format!(" since {} s", (now.0 - last.0) / 1_000_000)
            });
            Finding::bad(
                format!("host {name} has not reported{since}, or its hypervisor does not answer"),
                "`nephos doctor` there; if it is lost for good, docs/operator.md says how its servers are made anew.",
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn each_host_is_told_with_what_helps() {
        let one = |state: &str, status: &str| HostService {
            host: "one".to_owned(),
            state: state.to_owned(),
            status: status.to_owned(),
            updated_at: Some("2026-01-02T03:04:05.000000".to_owned()),
        };
        let now = Timestamp::parse("2026-01-02T03:04:15Z").unwrap();
        assert_eq!(host(&one("up", "enabled"), now).state, State::Good);
        assert!(
            host(&one("up", "disabled"), now)
                .hint
                .contains("--enable one")
        );
        let silent = host(&one("down", "enabled"), now);
        assert_eq!(silent.state, State::Bad);
        assert!(silent.what.contains("10 s"), "{silent:?}");
    }
}
