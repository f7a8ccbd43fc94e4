//! What haproxy says of itself, read. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::driver::Seen;
use crate::model::render::pool_of;
use crate::model::spec::{Counters, ListenerSeen, LoadBalancerSpec, MemberHealth, member_key};

/// What `show stat` says.
pub fn stat(text: &str) -> Seen {
    let mut seen = Seen {
        running: true,
        ..Seen::default()
    };
    let mut lines = text.lines();
    let head = lines.next().unwrap_or_default().trim_start_matches("# ");
    let columns: BTreeMap<&str, usize> = head.split(',').zip(0..).collect();
    for line in lines {
        let words: Vec<&str> = line.split(',').collect();
        let word = |name: &str| {
            let at = columns.get(name);
            at.and_then(|at| words.get(*at)).copied().unwrap_or("")
        };
        let number = |name: &str| word(name).parse().unwrap_or(0);
        match word("type") {
            "0" => {
                let counters = Counters {
                    active_connections: number("scur"),
                    bytes_in: number("bin"),
                    bytes_out: number("bout"),
                    request_errors: number("ereq"),
                    total_connections: number("stot"),
                };
                let up = word("status") == "OPEN";
                let listener = ListenerSeen { up, counters };
                seen.listeners.insert(word("pxname").to_owned(), listener);
            }
            "2" => {
                let key = member_key(pool_of(word("pxname")), word("svname"));
                seen.members
                    .entry(key)
                    .or_insert(health(word("status"), word("weight")));
            }
            _other => {}
        }
    }
    seen
}

/// `UP 1/3` is on its way down, `DOWN 1/2` on its way up; `MAINT (via …)` follows another.
fn health(status: &str, weight: &str) -> MemberHealth {
    match status.split(' ').next().unwrap_or_default() {
        "DRAIN" => MemberHealth::Drain,
        "UP" | "no" if weight == "0" => MemberHealth::Drain,
        "UP" | "NOLB" => MemberHealth::Up,
        "MAINT" => MemberHealth::Maint,
        "no" => MemberHealth::NoCheck,
        _down => MemberHealth::Down,
    }
}

/// What of `show servers state` the next process is told: of members that were looked after and still are, whether they
/// live. Weights, places and who is enabled the next one has from its own configuration.
pub fn carried(state: &str, spec: &LoadBalancerSpec) -> String {
    let mut watched = BTreeSet::new();
    for pool in spec.pools.iter().filter(|pool| pool.monitor.is_some()) {
        let members = pool
            .members
            .iter()
            .filter(|one| one.enabled && one.weight > 0);
        watched.extend(members.map(|member| member_key(&pool.id, &member.id)));
    }
    let mut text = String::new();
    let mut columns: BTreeMap<&str, usize> = BTreeMap::new();
    for line in state.lines() {
        let mut words: Vec<&str> = line.split(' ').collect();
        if let Some(head) = line.strip_prefix("# ") {
            columns = head.split(' ').zip(0..).collect();
        }
        let word = |name: &str| {
            let at = columns.get(name);
            at.and_then(|at| words.get(*at)).copied()
        };
        if let (Some(backend), Some(server), false) =
            (word("be_name"), word("srv_name"), line.starts_with('#'))
        {
            let enabled = word("srv_admin_state") == Some("0");
            let drains = word("srv_iweight") == Some("0");
            if !enabled || drains || !watched.contains(&member_key(pool_of(backend), server)) {
                continue;
            }
            for (name, nothing) in [
                ("srv_check_port", "0"),
                ("srv_check_addr", "-"),
                ("srv_agent_addr", "-"),
                ("srv_agent_port", "0"),
            ] {
                let at = columns.get(name).and_then(|at| words.get_mut(*at));
                if let Some(word) = at {
                    *word = nothing;
                }
            }
        }
        text += &words.join(" ");
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const STAT: &str = "# pxname,svname,scur,stot,bin,bout,ereq,status,weight,type,\n\
        l1,FRONTEND,2,9,100,2000,1,OPEN,,0,\n\
        p1:l1,m1,0,0,0,0,,UP 1/3,1,2,\n\
        p1:l1,m2,0,0,0,0,,DOWN,1,2,\n\
        p1:l1,m3,0,0,0,0,,DRAIN,1,2,\n\
        p1:l1,m4,0,0,0,0,,MAINT,1,2,\n\
        p1:l1,m5,0,0,0,0,,no check,1,2,\n\
        p1:l1,m6,0,0,0,0,,UP,0,2,\n\
        p1:l1,BACKEND,0,0,0,0,,UP,1,1,\n\
        p1:l2,m1,0,0,0,0,,UP,1,2,\n\n";

    #[test]
    fn counters_and_health_are_read_by_the_names_of_columns() {
        let seen = stat(STAT);
        let listener = seen.listeners["l1"];
        assert!(listener.up);
        let counters = Counters {
            active_connections: 2,
            bytes_in: 100,
            bytes_out: 2000,
            request_errors: 1,
            total_connections: 9,
        };
        assert_eq!(listener.counters, counters);
        let health: Vec<_> = seen.members.values().copied().collect();
        use MemberHealth::*;
        assert_eq!(health, [Up, Down, Drain, Maint, NoCheck, Drain]);
        assert_eq!(seen.members["p1/m2"], Down);
    }

    #[test]
    fn the_next_process_is_told_of_the_health_of_those_it_looks_after_and_of_nothing_else() {
        let member = |id: &str, enabled: bool| json!({"id": id, "address": "10.0.0.1", "port": 80, "weight": 1, "enabled": enabled});
        let spec = json!({"id": "b", "port_id": "p", "pools": [{"id": "p1", "protocol": "http", "algorithm": "round_robin",
            "monitor": {"kind": "tcp", "delay_s": 5, "timeout_s": 3, "max_retries": 1, "max_retries_down": 3},
            "members": [member("m1", true), member("m2", true), member("m3", false)]},
            {"id": "p2", "protocol": "http", "algorithm": "round_robin", "members": [member("m4", true)]}]});
        let spec = serde_json::from_value(spec).unwrap();
        let head = "1\n# be_id be_name srv_id srv_name srv_op_state srv_admin_state srv_iweight srv_check_port srv_check_addr\n";
        let line = |pool: &str, member: &str, admin: &str, port: &str| {
            format!("3 {pool}:l1 1 {member} 0 {admin} 1 {port} -\n")
        };
        let state = [
            head.to_owned(),
            line("p1", "m1", "0", "81"),
            line("p1", "m2", "5", "0"),
            line("p1", "m3", "0", "0"),
            line("p2", "m4", "0", "0"),
            line("p1", "gone", "0", "0"),
        ];
        let expected = head.to_owned() + &line("p1", "m1", "0", "0");
        assert_eq!(carried(&state.concat(), &spec), expected);
        assert_eq!(carried("", &spec), "");
    }
}
