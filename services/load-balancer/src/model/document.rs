//! What the host of a load balancer is told of it.

use super::l7::{Policy, Rule};
use super::listener::Listener;
use super::monitor::Monitor;
use super::pool::{Pool, Session};
use super::spec::{
    Algorithm, InsertHeaders, L7Action, L7Compare, L7PolicySpec, L7RuleSpec, L7Subject,
    ListenerSpec, LoadBalancerSpec, MemberSpec, MonitorKind, MonitorSpec, Persistence, PoolSpec,
    Protocol, Timeouts,
};
use super::tree::{Kind, Part, Tree};

impl Tree {
    /// The document: everything that is to be, and nothing that is being removed.
    pub(crate) fn document(&self) -> LoadBalancerSpec {
        let listeners = self.staying(Kind::Listener).filter(|part| part.enabled);
        let listeners = listeners.filter_map(|part| Some(self.listener(part, part.listener()?)));
        let pools = self.staying(Kind::Pool);
        let pools = pools.filter_map(|part| Some(self.pool(part, part.pool()?)));
        LoadBalancerSpec {
            id: self.balancer.id.to_string(),
            port_id: self.balancer.vip.port_id.clone(),
            enabled: self.balancer.enabled,
            listeners: listeners.collect(),
            pools: pools.collect(),
        }
    }

    fn listener(&self, part: &Part, listener: &Listener) -> ListenerSpec {
        let limit = u32::try_from(listener.connection_limit);
        let ranges = listener.allowed_cidrs.iter();
        let policies = self.policies_of(part.id.as_str()).into_iter();
        ListenerSpec {
            id: part.id.to_string(),
            protocol: protocol(&listener.protocol),
            port: listener.protocol_port,
            addresses: self.balancer.vip.addresses(),
            connection_limit: limit.ok(),
            timeouts: Timeouts {
                client_data: listener.timeout_client_data,
                member_connect: listener.timeout_member_connect,
                member_data: listener.timeout_member_data,
                tcp_inspect: listener.timeout_tcp_inspect,
            },
            allowed_cidrs: ranges.filter_map(|text| text.parse().ok()).collect(),
            insert_headers: InsertHeaders {
                forwarded_for: listener.inserts("X-Forwarded-For"),
                forwarded_port: listener.inserts("X-Forwarded-Port"),
                forwarded_proto: listener.inserts("X-Forwarded-Proto"),
            },
            default_pool: listener.default_pool_id.clone().filter(|id| self.is_on(id)),
            l7: policies
                .filter(|part| part.enabled)
                .filter_map(|part| self.policy(part, part.policy()?))
                .collect(),
        }
    }

    /// Whether a pool is to be asked at all.
    fn is_on(&self, pool: &str) -> bool {
        self.part(Kind::Pool, pool).is_some_and(|part| part.enabled)
    }

    /// None: a policy without rules, or to a pool that is off, does nothing.
    fn policy(&self, part: &Part, policy: &Policy) -> Option<L7PolicySpec> {
        let code = policy.redirect_http_code.unwrap_or(302);
        let action = match policy.action.as_str() {
            "REDIRECT_TO_POOL" => {
                let pool = policy.redirect_pool_id.clone().filter(|id| self.is_on(id));
                L7Action::Pool { pool: pool? }
            }
            "REDIRECT_TO_URL" => L7Action::Redirect {
                url: policy.redirect_url.clone()?,
                code,
            },
            "REDIRECT_PREFIX" => L7Action::RedirectPrefix {
                prefix: policy.redirect_prefix.clone()?,
                code,
            },
            _reject => L7Action::Reject,
        };
        let rules = self.below(Kind::Rule, part.id.as_str());
        let rules: Vec<L7RuleSpec> = rules
            .filter(|part| part.enabled)
            .filter_map(|part| rule(part.rule()?))
            .collect();
        (!rules.is_empty()).then(|| L7PolicySpec {
            id: part.id.to_string(),
            action,
            rules,
        })
    }

    fn pool(&self, part: &Part, pool: &Pool) -> PoolSpec {
        let id = part.id.as_str();
        let members = self.below(Kind::Member, id).filter_map(member);
        let monitor = self.below(Kind::Monitor, id).find(|part| part.enabled);
        PoolSpec {
            id: part.id.to_string(),
            protocol: protocol(&pool.protocol),
            algorithm: match pool.lb_algorithm.as_str() {
                "LEAST_CONNECTIONS" => Algorithm::LeastConnections,
                "SOURCE_IP" => Algorithm::SourceIp,
                _round_robin => Algorithm::RoundRobin,
            },
            persistence: pool.session_persistence.as_ref().map(persistence),
            members: members.collect(),
            monitor: monitor.and_then(Part::monitor).map(monitor_spec),
        }
    }
}

fn protocol(word: &str) -> Protocol {
    match word {
        "HTTP" => Protocol::Http,
        "PROXY" => Protocol::Proxy,
        "PROXYV2" => Protocol::ProxyV2,
        // HTTPS is handed through.
        _bytes => Protocol::Tcp,
    }
}

fn persistence(session: &Session) -> Persistence {
    match (session.kind.as_str(), &session.cookie_name) {
        ("HTTP_COOKIE", _) => Persistence::HttpCookie,
        ("APP_COOKIE", Some(name)) => Persistence::AppCookie {
            cookie_name: name.clone(),
        },
        _source => Persistence::SourceIp {
            timeout_min: None,
            ipv4_prefix: None,
        },
    }
}

fn member(part: &Part) -> Option<MemberSpec> {
    let member = part.member()?;
    let monitored = member.monitor_address.as_ref();
    Some(MemberSpec {
        id: part.id.to_string(),
        address: member.address.parse().ok()?,
        port: member.protocol_port,
        weight: member.weight,
        backup: member.backup,
        enabled: part.enabled,
        monitor_address: monitored.and_then(|text| text.parse().ok()),
        monitor_port: member.monitor_port,
    })
}

fn monitor_spec(monitor: &Monitor) -> MonitorSpec {
    MonitorSpec {
        kind: match monitor.kind.as_str() {
            "HTTP" => MonitorKind::Http,
            _tcp_and_ping => MonitorKind::Tcp,
        },
        delay_s: monitor.delay,
        timeout_s: monitor.timeout,
        max_retries: monitor.max_retries,
        max_retries_down: monitor.max_retries_down,
        http_method: monitor.http_method.clone(),
        url_path: monitor.url_path.clone(),
        expected_codes: monitor.expected_codes.clone(),
        http_version: monitor.http_version.map(|version| format!("{version:.1}")),
        domain_name: monitor.domain_name.clone(),
    }
}

fn rule(rule: &Rule) -> Option<L7RuleSpec> {
    Some(L7RuleSpec {
        subject: match rule.kind.as_str() {
            "HOST_NAME" => L7Subject::HostName,
            "PATH" => L7Subject::Path,
            "FILE_TYPE" => L7Subject::FileType,
            "HEADER" => L7Subject::Header {
                key: rule.key.clone()?,
            },
            _cookie => L7Subject::Cookie {
                key: rule.key.clone()?,
            },
        },
        compare: match rule.compare_type.as_str() {
            "CONTAINS" => L7Compare::Contains,
            "ENDS_WITH" => L7Compare::EndsWith,
            "REGEX" => L7Compare::Regex,
            "STARTS_WITH" => L7Compare::StartsWith,
            _equal => L7Compare::Equal,
        },
        value: rule.value.clone(),
        invert: rule.invert,
    })
}
