use serde_json::{Value, json};

use super::*;

const LISTENER: &str = "11111111-1111-4111-8111-111111111111";
const POOL: &str = "22222222-2222-4222-8222-222222222222";

/// A load balancer with one HTTP listener, one pool and two members, and what `change` makes of it.
fn spec(change: impl FnOnce(&mut Value)) -> LoadBalancerSpec {
    let member = |id: &str, last: u8| json!({"id": id, "address": format!("10.0.0.{last}"), "port": 80, "weight": 1});
    let mut spec = json!({"id": "b", "port_id": "p",
        "listeners": [{"id": LISTENER, "protocol": "http", "port": 80, "addresses": ["10.0.0.5", "fd00::5"],
            "default_pool": POOL}],
        "pools": [{"id": POOL, "protocol": "http", "algorithm": "round_robin",
            "members": [member("m1", 11), member("m2", 12)]}]});
    change(&mut spec);
    serde_json::from_value(spec).unwrap()
}

fn rendered(spec: &LoadBalancerSpec) -> Result<String, String> {
    let folder = Path::new("/x");
    render(
        spec,
        Place {
            folder,
            connections: 5000,
            user: 4711,
        },
    )
}

/// The lines of a section.
fn lines(text: &str, section: &str) -> Vec<String> {
    let mut lines = text.lines().skip_while(|line| *line != section).skip(1);
    let lines = std::iter::from_fn(|| lines.next().filter(|line| line.starts_with(' ')));
    lines.map(|line| line.trim().to_owned()).collect()
}

fn frontend_of(text: &str) -> Vec<String> {
    lines(text, &format!("frontend {LISTENER}"))
}

fn backend_of(text: &str) -> Vec<String> {
    lines(text, &format!("backend {POOL}:{LISTENER}"))
}

#[test]
fn a_plain_load_balancer_is_a_frontend_and_a_backend() {
    let text = rendered(&spec(|_| {})).unwrap();
    assert_eq!(
        frontend_of(&text),
        [
            "mode http",
            "bind 10.0.0.5:80",
            "bind [fd00::5]:80",
            "timeout client 50000ms",
            &format!("default_backend {POOL}:{LISTENER}"),
        ]
    );
    assert_eq!(
        backend_of(&text),
        [
            "mode http",
            "balance roundrobin",
            "timeout connect 5000ms",
            "timeout server 50000ms",
            "server m1 10.0.0.11:80 weight 1",
            "server m2 10.0.0.12:80 weight 1",
        ]
    );
    let global = lines(&text, "global");
    for line in ["chroot '/x/empty'", "uid 4711", "gid 4711", "maxconn 5000"] {
        assert!(global.contains(&line.to_owned()), "{line}: {global:?}");
    }
    assert!(!text.contains("peers"), "{text}");
}

#[test]
fn a_pool_of_two_listeners_is_looked_after_once() {
    let spec = spec(|spec| {
        spec["pools"][0]["monitor"] = json!({"kind": "http", "delay_s": 5, "timeout_s": 3, "max_retries": 2,
            "max_retries_down": 4, "url_path": "/it's", "expected_codes": "200,202-204", "http_version": "1.1",
            "domain_name": "a%b", "http_method": "HEAD"});
        spec["pools"][0]["members"][0]["monitor_port"] = json!(81);
        spec["pools"][0]["members"][0]["monitor_address"] = json!("fd00::9");
        spec["pools"][0]["members"][1]["enabled"] = json!(false);
        let mut second = spec["listeners"][0].clone();
        second["id"] = json!("33333333-3333-4333-8333-333333333333");
        second["protocol"] = json!("tcp");
        second["timeouts"] =
            json!({"client_data": 1, "member_connect": 2, "member_data": 3, "tcp_inspect": 4});
        spec["listeners"].as_array_mut().unwrap().push(second);
    });
    let text = rendered(&spec).unwrap();
    let first = backend_of(&text);
    for line in [
        "timeout check 3s",
        "option httpchk",
        r"http-check send meth HEAD uri '/it'\''s' ver HTTP/1.1 hdr Host 'a%%b'",
        "http-check expect status 200,202-204",
        "server m1 10.0.0.11:80 weight 1 check inter 5s rise 2 fall 4 addr [fd00::9] port 81",
        "server m2 10.0.0.12:80 weight 1 disabled",
    ] {
        assert!(first.contains(&line.to_owned()), "{line}: {first:?}");
    }
    let name = format!("backend {POOL}:33333333-3333-4333-8333-333333333333");
    assert_eq!(
        lines(&text, &name),
        [
            "mode tcp",
            "balance roundrobin",
            "timeout connect 2ms",
            "timeout server 3ms",
            &format!("server m1 10.0.0.11:80 weight 1 track {POOL}:{LISTENER}/m1"),
            "server m2 10.0.0.12:80 weight 1 disabled",
        ]
    );
    assert!(text.contains("tcp-request inspect-delay 4ms"));
}

#[test]
fn who_comes_back_comes_to_the_same_member() {
    let of = |persistence: Value| {
        rendered(&spec(|spec| spec["pools"][0]["persistence"] = persistence)).unwrap()
    };
    let text = of(json!({"type": "http_cookie"}));
    let lines = backend_of(&text);
    assert!(lines.contains(&"cookie SRV insert indirect nocache".to_owned()));
    assert!(lines.contains(&"server m1 10.0.0.11:80 weight 1 cookie m1".to_owned()));
    assert!(!text.contains("peers"));
    let text = of(json!({"type": "source_ip", "timeout_min": 5, "ipv4_prefix": 24}));
    let lines = backend_of(&text);
    assert!(lines.contains(&"stick-table type ipv6 size 10k expire 5m peers here".to_owned()));
    assert!(lines.contains(&"stick on src,ipmask(24)".to_owned()));
    assert!(text.contains("peers here\n    bind 127.0.0.1:1\n"));
    let lines = backend_of(&of(
        json!({"type": "app_cookie", "cookie_name": "JSESSIONID"}),
    ));
    assert!(lines.contains(&"stick match 'req.cook(JSESSIONID)'".to_owned()));
}

#[test]
fn refusals_come_before_redirections_and_those_before_pools() {
    let rule = |value: &str| json!({"subject": {"type": "path"}, "compare": "starts_with", "value": value});
    let not = |value: &str| json!({"subject": {"type": "host_name"}, "compare": "equal", "value": value, "invert": true});
    let text = rendered(&spec(|spec| {
        spec["listeners"][0]["l7"] = json!([
            {"id": "a", "action": {"type": "pool", "pool": POOL}, "rules": [rule("/a"), not("x")]},
            {"id": "b", "action": {"type": "redirect", "url": "http://x/100%", "code": 302}, "rules": [rule("/b")]},
            {"id": "c", "action": {"type": "reject"}, "rules": [rule("/c")]},
            {"id": "d", "action": {"type": "reject"}, "rules": []},
            {"id": "e", "action": {"type": "redirect_prefix", "prefix": "https://x", "code": 308}, "rules": [rule("/e")]},
        ]);
    }));
    let text = text.unwrap();
    let lines = frontend_of(&text);
    let done: Vec<_> = lines.iter().filter(|line| line.contains(" if ")).collect();
    assert_eq!(
        done,
        [
            "http-request deny if l7_0_0",
            "http-request redirect code 302 location 'http://x/100%%' if l7_1_0",
            "http-request redirect code 308 prefix 'https://x' if l7_2_0",
            &format!("use_backend {POOL}:{LISTENER} if l7_3_0 !l7_3_1"),
        ]
    );
    assert!(lines.contains(&"acl l7_3_1 req.hdr(host),field(1,:) -i -m str -- 'x'".to_owned()));
}

#[test]
fn only_some_clients_and_headers_for_members() {
    let text = rendered(&spec(|spec| {
        spec["listeners"][0]["allowed_cidrs"] = json!(["10.0.0.7/8", "fd00::/64"]);
        spec["listeners"][0]["connection_limit"] = json!(7);
        spec["listeners"][0]["insert_headers"] = json!({"forwarded_for": true, "forwarded_port": true,
            "forwarded_proto": true});
    }));
    let text = text.unwrap();
    let lines = frontend_of(&text);
    for line in [
        "maxconn 7",
        "acl allowed src 10.0.0.0/8",
        "acl allowed src fd00::/64",
        "tcp-request connection reject if !allowed",
        "option forwardfor",
        "http-request set-header X-Forwarded-Port %[dst_port]",
        "http-request set-header X-Forwarded-Proto http",
    ] {
        assert!(lines.contains(&line.to_owned()), "{line}: {lines:?}");
    }
}

/// The words of a line, as haproxy reads them.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut any) = (Vec::new(), String::new(), false, false);
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' => (quoted, any) = (!quoted, true),
            other if quoted => word.push(other),
            '\\' => word.extend(letters.next()),
            ' ' if any || !word.is_empty() => {
                words.push(std::mem::take(&mut word));
                any = false;
            }
            ' ' => {}
            '"' | '$' | '#' => panic!("{letter} means something in {line}"),
            other => word.push(other),
        }
    }
    assert!(!quoted, "{line}");
    words.extend((any || !word.is_empty()).then_some(word));
    words
}

#[test]
fn hostile_text_stays_in_its_word_or_is_refused() {
    const PLACES: [&str; 8] = [
        "/pools/0/monitor/url_path",
        "/pools/0/monitor/domain_name",
        "/pools/0/monitor/expected_codes",
        "/pools/0/monitor/http_method",
        "/pools/0/persistence/cookie_name",
        "/listeners/0/l7/0/rules/0/value",
        "/listeners/0/l7/0/rules/0/subject/key",
        "/listeners/0/l7/0/action/url",
    ];
    let hostile = [
        "x\n    server evil 192.0.2.1:80",
        "x\r",
        "x' if TRUE #",
        "a'b\"c$HOME \\ %[path] ${X} #z",
        "x) if { always_true }",
        "-f /etc/passwd",
        "\0",
        "\u{2028}",
        "'",
        "\\",
        "",
    ];
    let whole = |spec: &mut Value| {
        spec["pools"][0]["monitor"] = json!({"kind": "http", "delay_s": 5, "timeout_s": 3, "max_retries": 2,
            "max_retries_down": 4, "url_path": "/", "expected_codes": "200", "http_version": "1.1",
            "domain_name": "a", "http_method": "GET"});
        spec["pools"][0]["persistence"] = json!({"type": "app_cookie", "cookie_name": "c"});
        spec["listeners"][0]["l7"] = json!([{"id": "b", "action": {"type": "redirect", "url": "http://x", "code": 302},
            "rules": [{"subject": {"type": "header", "key": "k"}, "compare": "regex", "value": "v"}]}]);
    };
    let plain = rendered(&spec(whole)).unwrap();
    let mut taken = 0;
    for place in PLACES {
        for text in hostile {
            let made = rendered(&spec(|spec| {
                whole(spec);
                *spec.pointer_mut(place).unwrap() = json!(text);
            }));
            let Ok(made) = made else { continue };
            taken += 1;
            assert_eq!(
                made.lines().count(),
                plain.lines().count(),
                "{place} {text:?}"
            );
            for (line, like) in made.lines().zip(plain.lines()) {
                let (words, expected) = (words(line), words(like));
                assert_eq!(words.len(), expected.len(), "{place} {text:?}: {line}");
                let changed: Vec<_> = words
                    .iter()
                    .zip(&expected)
                    .filter(|(a, b)| a != b)
                    .collect();
                assert!(changed.len() <= 1, "{place} {text:?}: {line}");
                for (word, _) in changed {
                    let read = word.replace("%%", "%");
                    assert!(
                        read == text || read.ends_with(&format!("({text})")),
                        "{place} {text:?}: {line}"
                    );
                }
            }
        }
    }
    assert!(taken > 20, "{taken}");
}

#[test]
fn what_cannot_be_is_said() {
    let why = |change: &dyn Fn(&mut Value)| rendered(&spec(change)).unwrap_err();
    let unknown = why(&|spec| spec["listeners"][0]["default_pool"] = json!("other"));
    assert_eq!(unknown, "pool other is not told");
    let id = why(&|spec| spec["pools"][0]["members"][0]["id"] = json!("a b"));
    assert_eq!(id, "\"a b\" is no id");
    let proxy = why(&|spec| spec["listeners"][0]["protocol"] = json!("proxy"));
    assert!(proxy.contains("protocol of pools"), "{proxy}");
    let slow = why(&|spec| {
        spec["listeners"][0]["timeouts"] = json!({"client_data": 1, "member_connect": 2, "member_data": 2_147_483_648_u32, "tcp_inspect": 4});
    });
    assert!(slow.contains("timeout_member_data"), "{slow}");
    let code = why(&|spec| {
        spec["listeners"][0]["l7"] = json!([{"id": "b", "action": {"type": "redirect", "url": "http://x", "code": 200},
            "rules": [{"subject": {"type": "path"}, "compare": "equal", "value": "v"}]}]);
    });
    assert!(code.contains("no status code of a redirection"), "{code}");
}
