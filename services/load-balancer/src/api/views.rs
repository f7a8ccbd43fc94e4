//! How things are shown.

use nephos_types::Timestamp;
use serde_json::{Map, Value, json};

use crate::model::quota::FORMER;
use crate::model::spec::{Counters, LoadBalancerSeen};
use crate::model::tree::{Balancer, Detail, Kind, Part, Tree};
use crate::store::parts::Link;
use crate::store::quotas::Limits;

/// What of many things is shown with one: ids of what hangs on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beside<'a>(pub &'a [Link]);

impl Beside<'_> {
    fn ids(&self, kind: Kind, fits: impl Fn(&Link) -> bool) -> Value {
        let links = self.0.iter();
        let found = links.filter(|link| link.kind == kind.as_str() && fits(link));
        found.map(|link| json!({"id": link.id})).collect()
    }

    fn below(&self, kind: Kind, parent: &str) -> Value {
        self.ids(kind, |link| link.parent_id == parent)
    }

    fn of_balancer(&self, kind: Kind, balancer: &str) -> Value {
        self.ids(kind, |link| link.balancer_id == balancer)
    }
}

fn time(at: Option<Timestamp>) -> Value {
    at.map_or(Value::Null, |at| json!(at.format("%Y-%m-%dT%H:%M:%S")))
}

/// A load balancer with the ids of its listeners and pools.
pub(crate) fn balancer(one: &Balancer, beside: Beside<'_>) -> Value {
    let id = one.id.as_str();
    let mut view = json!({
        "id": id, "name": one.name, "description": one.description, "project_id": one.project_id,
        "tenant_id": one.project_id, "admin_state_up": one.enabled,
        "provisioning_status": one.provisioning.as_str(), "operating_status": one.operating.as_str(),
        "created_at": time(Some(one.created_at)), "updated_at": time(one.updated_at), "provider": one.provider,
        "vip_address": one.vip.address, "vip_port_id": one.vip.port_id, "vip_subnet_id": one.vip.subnet_id,
        "vip_network_id": one.vip.network_id, "vip_qos_policy_id": null, "vip_vnic_type": "normal", "vip_sg_ids": [],
        "flavor_id": null, "availability_zone": null, "tags": one.tags,
        "additional_vips": one.vip.additional.iter().map(|more| json!({
            "subnet_id": more.subnet_id, "ip_address": more.ip_address, "port_id": one.vip.port_id,
        })).collect::<Vec<Value>>(),
        "listeners": beside.of_balancer(Kind::Listener, id), "pools": beside.of_balancer(Kind::Pool, id),
    });
    // Beyond Octavia: why it is in error, in words.
    if let (Some(why), Some(view)) = (&one.problem, view.as_object_mut()) {
        view.insert("fault".to_owned(), json!(why));
    }
    view
}

/// A part, with the ids of what hangs on it.
pub(crate) fn part(part: &Part, beside: Beside<'_>) -> Value {
    let mut view = common(part);
    let id = part.id.as_str();
    let own = match &part.detail {
        Detail::Listener(one) => json!({
            "protocol": one.protocol, "protocol_port": one.protocol_port, "connection_limit": one.connection_limit,
            "default_pool_id": one.default_pool_id, "timeout_client_data": one.timeout_client_data,
            "timeout_member_connect": one.timeout_member_connect, "timeout_member_data": one.timeout_member_data,
            "timeout_tcp_inspect": one.timeout_tcp_inspect,
            "insert_headers": one.insert_headers.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            "allowed_cidrs": if one.allowed_cidrs.is_empty() { Value::Null } else { json!(one.allowed_cidrs) },
            "loadbalancers": [{"id": part.balancer_id}], "l7policies": beside.below(Kind::Policy, id),
            "default_tls_container_ref": null, "sni_container_refs": [], "client_ca_tls_container_ref": null,
            "client_authentication": "NONE", "client_crl_container_ref": null, "tls_ciphers": null, "tls_versions": [],
            "alpn_protocols": [], "hsts_max_age": null, "hsts_include_subdomains": false, "hsts_preload": false,
        }),
        Detail::Pool(one) => {
            let monitor = beside.below(Kind::Monitor, id);
            let monitor = monitor
                .get(0)
                .and_then(|monitor| monitor.get("id"))
                .cloned();
            let session = one.session_persistence.as_ref().map(|session| json!({
                "type": session.kind, "cookie_name": session.cookie_name, "persistence_timeout": null,
                "persistence_granularity": null,
            }));
            json!({
                "protocol": one.protocol, "lb_algorithm": one.lb_algorithm, "session_persistence": session,
                "loadbalancers": [{"id": part.balancer_id}], "members": beside.below(Kind::Member, id),
                "listeners": beside.ids(Kind::Listener, |link| link.pool_id == id), "healthmonitor_id": monitor,
                "tls_enabled": false, "tls_container_ref": null, "ca_tls_container_ref": null,
                "crl_container_ref": null, "tls_ciphers": null, "tls_versions": [], "alpn_protocols": [],
            })
        }
        Detail::Member(one) => json!({
            "address": one.address, "protocol_port": one.protocol_port, "weight": one.weight, "backup": one.backup,
            "subnet_id": one.subnet_id, "monitor_address": one.monitor_address, "monitor_port": one.monitor_port,
            "vnic_type": "normal",
        }),
        Detail::Monitor(one) => json!({
            "type": one.kind, "delay": one.delay, "timeout": one.timeout, "max_retries": one.max_retries,
            "max_retries_down": one.max_retries_down, "http_method": one.http_method, "url_path": one.url_path,
            "expected_codes": one.expected_codes, "http_version": one.http_version, "domain_name": one.domain_name,
            "pools": [{"id": part.parent_id}],
        }),
        Detail::Policy(one) => json!({
            "action": one.action, "redirect_pool_id": one.redirect_pool_id, "redirect_url": one.redirect_url,
            "redirect_prefix": one.redirect_prefix, "redirect_http_code": one.redirect_http_code,
            "position": one.position, "listener_id": part.parent_id, "rules": beside.below(Kind::Rule, id),
        }),
        Detail::Rule(one) => json!({
            "type": one.kind, "compare_type": one.compare_type, "key": one.key, "value": one.value, "invert": one.invert,
        }),
    };
    let unknown: &[&str] = match part.kind() {
        Kind::Listener | Kind::Pool | Kind::Policy => &[],
        Kind::Member | Kind::Monitor => &["description"],
        Kind::Rule => &["name", "description"],
    };
    view.retain(|key, _| !unknown.contains(&key.as_str()));
    if let Value::Object(own) = own {
        view.extend(own);
    }
    Value::Object(view)
}

fn common(part: &Part) -> Map<String, Value> {
    let view = json!({
        "id": part.id, "name": part.name, "description": part.description, "project_id": part.project_id,
        "tenant_id": part.project_id, "admin_state_up": part.enabled,
        "provisioning_status": part.provisioning.as_str(), "operating_status": part.operating.as_str(),
        "created_at": time(Some(part.created_at)), "updated_at": time(part.updated_at), "tags": part.tags,
    });
    match view {
        Value::Object(view) => view,
        _never => Map::new(),
    }
}

impl Tree {
    /// What hangs on what in it.
    pub(crate) fn links(&self) -> Vec<Link> {
        let parts = self.parts.iter().filter(|part| part.stays());
        let link = |part: &Part| Link {
            id: part.id.to_string(),
            kind: part.kind().as_str().to_owned(),
            balancer_id: part.balancer_id.to_string(),
            parent_id: part.parent_id.clone(),
            pool_id: match &part.detail {
                Detail::Listener(one) => one.default_pool_id.clone().unwrap_or_default(),
                Detail::Policy(one) => one.redirect_pool_id.clone().unwrap_or_default(),
                _other => String::new(),
            },
        };
        parts.map(link).collect()
    }

    /// The whole of it: what is made at once is shown at once.
    pub(crate) fn whole(&self) -> Value {
        let links = self.links();
        let beside = Beside(&links);
        let mut view = balancer(&self.balancer, beside);
        let listeners = self.staying(Kind::Listener).map(|one| {
            let policies = self.policies_of(one.id.as_str()).into_iter();
            let policies = policies.map(|policy| {
                let rules = self.below(Kind::Rule, policy.id.as_str());
                let rules = rules.map(|rule| part(rule, beside)).collect();
                with(part(policy, beside), "rules", rules)
            });
            with(part(one, beside), "l7policies", policies.collect())
        });
        let listeners = listeners.collect();
        let pools = self.staying(Kind::Pool).map(|one| {
            let id = one.id.as_str();
            let members = self.below(Kind::Member, id).map(|one| part(one, beside));
            let view = with(part(one, beside), "members", members.collect());
            let monitor = self.below(Kind::Monitor, id).next();
            let monitor = monitor.map_or(Value::Null, |one| part(one, beside));
            with(view, "healthmonitor", monitor)
        });
        let pools = pools.collect();
        view = with(view, "listeners", listeners);
        with(view, "pools", pools)
    }

    /// How everything is.
    pub(crate) fn status(&self) -> Value {
        let one = &self.balancer;
        let listeners = self.staying(Kind::Listener).map(|listener| {
            let own = listener
                .listener()
                .and_then(|one| one.default_pool_id.as_deref());
            let policies = self.policies_of(listener.id.as_str()).into_iter();
            let others = policies.filter_map(|one| one.policy()?.redirect_pool_id.as_deref());
            let mut ids: Vec<&str> = own.into_iter().chain(others).collect();
            ids.sort_unstable();
            ids.dedup();
            let pools = ids.iter().filter_map(|id| self.part(Kind::Pool, id));
            with(
                brief(listener),
                "pools",
                pools.map(|pool| self.pool_status(pool)).collect(),
            )
        });
        let listeners: Value = listeners.collect();
        json!({"loadbalancer": {
            "id": one.id, "name": one.name, "provisioning_status": one.provisioning.as_str(),
            "operating_status": one.operating.as_str(), "listeners": listeners,
        }})
    }

    fn pool_status(&self, pool: &Part) -> Value {
        let id = pool.id.as_str();
        let members = self.below(Kind::Member, id).map(|part| {
            let member = part.member();
            let view = with(
                brief(part),
                "address",
                json!(member.map(|one| &one.address)),
            );
            with(
                view,
                "protocol_port",
                json!(member.map(|one| one.protocol_port)),
            )
        });
        let view = with(brief(pool), "members", members.collect());
        let monitor = self.below(Kind::Monitor, id).next();
        match monitor {
            Some(part) => {
                let kind = json!(part.monitor().map(|one| &one.kind));
                with(view, "health_monitor", with(brief(part), "type", kind))
            }
            None => view,
        }
    }
}

fn brief(part: &Part) -> Value {
    json!({
        "id": part.id, "name": part.name, "provisioning_status": part.provisioning.as_str(),
        "operating_status": part.operating.as_str(),
    })
}

fn with(mut view: Value, key: &str, value: Value) -> Value {
    if let Some(view) = view.as_object_mut() {
        view.insert(key.to_owned(), value);
    }
    view
}

/// What went through one listener, or through all.
pub(crate) fn stats(seen: Option<&LoadBalancerSeen>, listener: Option<&str>) -> Value {
    let mut sum = Counters::default();
    let listeners = seen.into_iter().flat_map(|seen| &seen.listeners);
    for (_, one) in listeners.filter(|(id, _)| listener.is_none_or(|listener| listener == *id)) {
        let Counters {
            active_connections,
            bytes_in,
            bytes_out,
            request_errors,
            total_connections,
        } = one.counters;
        sum.active_connections = sum.active_connections.saturating_add(active_connections);
        sum.bytes_in = sum.bytes_in.saturating_add(bytes_in);
        sum.bytes_out = sum.bytes_out.saturating_add(bytes_out);
        sum.request_errors = sum.request_errors.saturating_add(request_errors);
        sum.total_connections = sum.total_connections.saturating_add(total_connections);
    }
    json!({"stats": sum})
}

/// Limits, also under the names that they had once.
pub(crate) fn quota(limits: &Limits, project: Option<&str>) -> Value {
    let mut view: Map<String, Value> = limits
        .iter()
        .map(|(name, limit)| (name.clone(), json!(limit)))
        .collect();
    for (former, name) in FORMER {
        if let Some(limit) = limits.get(name) {
            view.insert(former.to_owned(), json!(limit));
        }
    }
    if let Some(project) = project {
        view.insert("project_id".to_owned(), json!(project));
        view.insert("tenant_id".to_owned(), json!(project));
    }
    Value::Object(view)
}
