//! Real haproxys, as root, in network namespaces that each test makes for itself. Members and clients live in the
//! load balancer's own namespace.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::mount::MsFlags;
use nix::sched::{CloneFlags, setns, unshare};
use serde_json::{Value, json};

use super::*;
use crate::model::spec::{MemberHealth, member_key};

const LB: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const PORT: &str = "bbbbbbbb-0000-4000-8000-000000000001";
const LISTENER: &str = "11111111-1111-4111-8111-111111111111";
const POOL: &str = "22222222-2222-4222-8222-222222222222";
const VIP: &str = "10.0.0.5";
/// How long something may take.
const SOON: Duration = Duration::from_secs(15);

/// A host, with the namespace of one port.
struct Bench {
    folder: tempfile::TempDir,
    driver: Haproxy,
    /// Members that serve, by their last number.
    members: BTreeMap<u8, Arc<AtomicBool>>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        processes::end(&processes::all(self.folder.path()));
    }
}

/// Runs a test in a network and a mount namespace of its own, which die with its threads.
fn alone(test: impl FnOnce(&mut Bench) + Send + 'static) {
    assert!(
        nix::unistd::Uid::effective().is_root(),
        "this test makes network namespaces: run it as root"
    );
    let thread = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).unwrap();
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        let nothing = None::<&str>;
        nix::mount::mount(nothing, "/", nothing, private, nothing).unwrap();
        nix::mount::mount(
            Some("run"),
            "/run",
            Some("tmpfs"),
            MsFlags::empty(),
            nothing,
        )
        .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut bench = Bench {
            driver: Haproxy::new(folder.path(), "nephos-"),
            folder,
            members: BTreeMap::new(),
        };
        bench.plumb();
        test(&mut bench);
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

fn shell(words: &str) {
    let output = std::process::Command::new("sh")
        .args(["-c", words])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}: {said}");
}

/// Runs something in the load balancer's namespace.
fn inside<T: Send + 'static>(what: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::spawn(move || {
        let file = fs::File::open(Path::new("/run/netns").join(space("nephos-", PORT))).unwrap();
        setns(file, CloneFlags::CLONE_NEWNET).unwrap();
        what()
    });
    thread.join().unwrap()
}

/// Waits until it is so.
#[track_caller]
fn until(mut what: impl FnMut() -> bool) {
    let mut waited = Duration::ZERO;
    while !what() {
        assert!(waited < SOON, "it never came to that");
        std::thread::sleep(Duration::from_millis(20));
        waited += Duration::from_millis(20);
    }
}

impl Bench {
    fn plumb(&self) {
        let name = space("nephos-", PORT);
        shell(&format!(
            "ip netns add {name}; ip -n {name} link set lo up; ip -n {name} addr add {VIP}/32 dev lo"
        ));
    }

    /// A member 127.0.0.N that says its number to whoever asks by HTTP; or echoes.
    fn serve(&mut self, number: u8, echo: bool) {
        let over = Arc::new(AtomicBool::new(false));
        self.members.insert(number, Arc::clone(&over));
        inside(move || {
            let listener = TcpListener::bind((format!("127.0.0.{number}"), 8000)).unwrap();
            listener.set_nonblocking(true).unwrap();
            std::thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    match listener.accept() {
                        Ok((stream, _)) => {
                            _ = std::thread::spawn(move || answer(stream, number, echo))
                        }
                        Err(_) => std::thread::sleep(Duration::from_millis(2)),
                    }
                }
            });
        });
    }

    fn stop(&mut self, number: u8) {
        self.members
            .remove(&number)
            .unwrap()
            .store(true, Ordering::Relaxed);
        let at = SocketAddr::from(([127, 0, 0, number], 8000));
        until(|| inside(move || TcpStream::connect(at).is_err()));
    }

    fn spec(&self, members: &[u8]) -> Value {
        let members = members.iter().map(|number| {
            json!({"id": format!("m{number}"), "address": format!("127.0.0.{number}"), "port": 8000, "weight": 1})
        });
        json!({"id": LB, "port_id": PORT,
            "listeners": [{"id": LISTENER, "protocol": "http", "port": 80, "addresses": [VIP], "default_pool": POOL}],
            "pools": [{"id": POOL, "protocol": "http", "algorithm": "round_robin",
                "members": members.collect::<Vec<_>>(),
                "monitor": {"kind": "tcp", "delay_s": 1, "timeout_s": 1, "max_retries": 1, "max_retries_down": 1}}]})
    }

    fn ensure(&self, spec: &Value) -> Result<(), DriverError> {
        let spec: LoadBalancerSpec = serde_json::from_value(spec.clone()).unwrap();
        self.driver.0.ensure(&spec, 1)
    }

    fn look(&self) -> Seen {
        self.try_look().unwrap()
    }

    fn try_look(&self) -> Result<Seen, DriverError> {
        self.driver.0.at(LB)?.look()
    }

    fn health(&self, number: u8) -> Option<MemberHealth> {
        let key = member_key(POOL, &format!("m{number}"));
        self.look().members.get(&key).copied()
    }

    fn processes(&self) -> Vec<Process> {
        processes::all(self.folder.path())
    }

    fn pid(&self) -> i32 {
        let current = self.driver.0.at(LB).unwrap().current().unwrap();
        current.unwrap().pid
    }
}

fn answer(mut stream: TcpStream, number: u8, echo: bool) {
    let mut bytes = [0; 4096];
    let _accepted = stream.set_nonblocking(false);
    while let Ok(length @ 1..) = stream.read(&mut bytes) {
        let words = if echo {
            String::from_utf8_lossy(&bytes[..length]).into_owned()
        } else {
            let body = format!("m{number}");
            format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        if stream.write_all(words.as_bytes()).is_err() {
            return;
        }
    }
}

/// The whole answer to a question of the VIP.
fn ask(head: &str) -> String {
    let question = format!("{head}\r\nConnection: close\r\n\r\n");
    inside(move || {
        let mut stream = TcpStream::connect((VIP, 80)).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.write_all(question.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    })
}

/// Who answers.
fn who() -> String {
    let answer = ask("GET / HTTP/1.1\r\nHost: x");
    answer.rsplit("\r\n").next().unwrap().to_owned()
}

#[test]
fn members_take_turns_and_one_that_is_dead_is_left_out() {
    alone(|bench| {
        bench.serve(11, false);
        bench.serve(12, false);
        let spec = bench.spec(&[11, 12]);
        bench.ensure(&spec).unwrap();
        let answers: Vec<_> = (0..4).map(|_| who()).collect();
        assert_ne!(answers[0], answers[1]);
        assert_eq!(answers[..2], answers[2..]);
        bench.stop(11);
        until(|| bench.health(11) == Some(MemberHealth::Down));
        assert_eq!(bench.health(12), Some(MemberHealth::Up));
        let answers: Vec<_> = (0..4).map(|_| who()).collect();
        assert_eq!(answers, ["m12"; 4]);
        let counters = bench.look().listeners[LISTENER];
        assert!(counters.up && counters.counters.bytes_out > 0);
        assert_eq!(counters.counters.total_connections, 8);
        // Asked again, it does nothing; and an agent that starts again finds what runs.
        let pid = bench.pid();
        bench.driver = Haproxy::new(bench.folder.path(), "nephos-");
        bench.ensure(&spec).unwrap();
        assert_eq!(bench.pid(), pid);
        assert_eq!(bench.processes().len(), 1);
    });
}

#[test]
fn what_runs_is_a_user_of_its_own_with_nothing_around_it_and_bounds() {
    alone(|bench| {
        bench.ensure(&bench.spec(&[11])).unwrap();
        let pid = bench.pid();
        // Another one is another user; the next process of this one is the same.
        let other = bench.folder.path().join("other");
        fs::create_dir(&other).unwrap();
        let user = |home: &Path| users::of(bench.folder.path(), home).unwrap();
        let (own, another) = (user(&bench.folder.path().join(LB)), user(&other));
        assert_eq!((own, another), (2_000_000_000, 2_000_000_001));
        assert_eq!(user(&bench.folder.path().join(LB)), own);
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let memory = limits
            .lines()
            .find(|line| line.starts_with("Max address space"));
        let bytes = (1536 << 20).to_string();
        assert!(memory.unwrap().contains(&bytes), "{limits}");
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = |name: &str| {
            let mut lines = status.lines();
            let line = lines.find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(2).map(str::to_owned)
        };
        assert_eq!(line("Uid:"), Some(own.to_string()));
        assert_eq!(line("Gid:"), Some(own.to_string()));
        assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
        let root = fs::read_dir(format!("/proc/{pid}/root")).unwrap().count();
        assert_eq!(root, 0);
        for file in fs::read_dir(bench.folder.path().join(LB)).unwrap() {
            let file = file.unwrap();
            if file.file_type().unwrap().is_file() && file.file_name() != "pid" {
                assert_eq!(
                    file.metadata().unwrap().permissions().mode() & 0o077,
                    0,
                    "{file:?}"
                );
            }
        }
        let own = bench.folder.path().join(LB).metadata().unwrap();
        assert_eq!(own.permissions().mode() & 0o077, 0);
    });
}

#[test]
fn a_change_cuts_no_connection_and_counters_go_on() {
    alone(|bench| {
        bench.serve(11, true);
        let mut spec = bench.spec(&[11]);
        spec["listeners"][0]["protocol"] = json!("tcp");
        bench.ensure(&spec).unwrap();
        let first = bench.pid();
        let mut talk = inside(|| TcpStream::connect((VIP, 80)).unwrap());
        talk.set_read_timeout(Some(SOON)).unwrap();
        let mut says = |words: &str| {
            talk.write_all(words.as_bytes()).unwrap();
            let mut bytes = vec![0; words.len()];
            talk.read_exact(&mut bytes).unwrap();
            String::from_utf8(bytes).unwrap()
        };
        assert_eq!(says("before"), "before");
        spec["listeners"][0]["connection_limit"] = json!(50);
        bench.ensure(&spec).unwrap();
        assert_ne!(bench.pid(), first);
        assert_eq!(bench.processes().len(), 2);
        assert_eq!(says("after"), "after");
        assert_eq!(
            bench.look().listeners[LISTENER].counters.total_connections,
            1
        );
        // The same configuration as before is not taken for the one that is on its way out.
        spec["listeners"][0]
            .as_object_mut()
            .unwrap()
            .remove("connection_limit");
        bench.ensure(&spec).unwrap();
        until(|| bench.processes().len() == 2);
        assert_ne!(bench.pid(), first);
        assert_eq!(says("and after"), "and after");
        drop(talk);
        let current = bench.pid();
        until(|| bench.processes().iter().map(|one| one.pid).eq([current]));
    });
}

#[test]
fn one_that_is_dead_or_hangs_is_started_again() {
    alone(|bench| {
        bench.serve(11, false);
        let spec = bench.spec(&[11]);
        bench.ensure(&spec).unwrap();
        let first = bench.pid();
        kill_with(first, "KILL");
        until(|| bench.processes().is_empty());
        // The kernel closes its socket a moment after the process has gone.
        until(|| bench.try_look().is_ok_and(|seen| seen == Seen::default()));
        bench.ensure(&spec).unwrap();
        assert_eq!(who(), "m11");
        kill_with(bench.pid(), "STOP");
        for _look in 1..SILENT {
            let why = bench.ensure(&spec).unwrap_err();
            assert!(matches!(why, DriverError::Failed { .. }), "{why}");
        }
        bench.ensure(&spec).unwrap();
        assert_eq!(who(), "m11");
        assert_eq!(bench.processes().len(), 1);
    });
}

fn kill_with(pid: i32, signal: &str) {
    shell(&format!("kill -{signal} {pid}"));
}

#[test]
fn one_that_cannot_start_leaves_the_old_one_and_says_why() {
    alone(|bench| {
        bench.serve(11, false);
        let spec = bench.spec(&[11]);
        bench.ensure(&spec).unwrap();
        let other = inside(|| TcpListener::bind((VIP, 9000)).unwrap());
        let mut wrong = spec.clone();
        wrong["listeners"][0]["port"] = json!(9000);
        let why = bench.ensure(&wrong).unwrap_err().to_string();
        assert!(why.contains("cannot bind"), "{why}");
        assert_eq!(who(), "m11");
        drop(other);
        bench.ensure(&wrong).unwrap();
        assert_eq!(bench.look().listeners.len(), 1);
    });
}

#[test]
fn it_waits_for_its_port_and_follows_it_into_a_new_namespace() {
    alone(|bench| {
        let name = space("nephos-", PORT);
        shell(&format!("ip netns del {name}"));
        let spec = bench.spec(&[11]);
        let why = bench.ensure(&spec).unwrap_err();
        assert!(matches!(why, DriverError::Waiting(_)), "{why}");
        bench.plumb();
        bench.serve(11, false);
        bench.ensure(&spec).unwrap();
        assert_eq!(who(), "m11");
        let first = bench.pid();
        bench.stop(11);
        shell(&format!("ip netns del {name}"));
        bench.plumb();
        bench.serve(11, false);
        bench.ensure(&spec).unwrap();
        assert_ne!(bench.pid(), first);
        assert_eq!(bench.processes().len(), 1);
        assert_eq!(who(), "m11");
    });
}

#[test]
fn what_its_namespace_lacks_for_a_moment_is_waited_for() {
    alone(|bench| {
        let name = space("nephos-", PORT);
        let spec = bench.spec(&[11]);
        let waits = |bench: &Bench| {
            let why = bench.ensure(&spec).unwrap_err();
            assert!(matches!(why, DriverError::Waiting(_)), "{why}");
        };
        // Its addresses are not there yet.
        shell(&format!("ip -n {name} addr del {VIP}/32 dev lo"));
        waits(bench);
        // Its file is there, and nothing is mounted on it yet.
        shell(&format!("ip netns del {name}; touch /run/netns/{name}"));
        waits(bench);
        shell(&format!("rm /run/netns/{name}"));
        bench.plumb();
        bench.serve(11, false);
        bench.ensure(&spec).unwrap();
        assert_eq!(who(), "m11");
    });
}

#[test]
fn of_two_that_a_killed_agent_left_one_answers() {
    alone(|bench| {
        bench.serve(11, false);
        let mut spec = bench.spec(&[11]);
        bench.ensure(&spec).unwrap();
        let first = bench.pid();
        // As an agent leaves them that is killed before the new one has told the old one to end.
        let home = bench.folder.path().join(LB);
        let config = bench.processes()[0].config.display().to_string();
        let again = || {
            let (name, home) = (space("nephos-", PORT), home.display());
            shell(&format!(
                "ip netns exec {name} haproxy -D -f {config} -p {home}/pid"
            ));
        };
        again();
        until(|| bench.pid() != first);
        assert_eq!(bench.processes().len(), 2);
        bench.driver = Haproxy::new(bench.folder.path(), "nephos-");
        bench.ensure(&spec).unwrap();
        until(|| {
            bench
                .processes()
                .iter()
                .map(|one| one.pid)
                .eq([bench.pid()])
        });
        // Likewise when what is wanted has changed meanwhile, and when nobody answers at the socket.
        again();
        again();
        fs::remove_file(home.join("s")).unwrap();
        assert_eq!(bench.processes().len(), 3);
        spec["listeners"][0]["connection_limit"] = json!(50);
        bench.driver = Haproxy::new(bench.folder.path(), "nephos-");
        bench.ensure(&spec).unwrap();
        until(|| {
            bench
                .processes()
                .iter()
                .map(|one| one.pid)
                .eq([bench.pid()])
        });
        assert_eq!(who(), "m11");
    });
}

#[test]
fn the_next_process_knows_who_is_dead_and_who_was_switched_on() {
    alone(|bench| {
        bench.serve(11, false);
        let mut spec = bench.spec(&[11, 12]);
        spec["pools"][0]["monitor"]["delay_s"] = json!(1);
        spec["pools"][0]["members"][0]["enabled"] = json!(false);
        bench.ensure(&spec).unwrap();
        assert_eq!(bench.health(11), Some(MemberHealth::Maint));
        until(|| bench.health(12) == Some(MemberHealth::Down));
        // From now on nobody looks for so long that only what was handed over is known.
        spec["pools"][0]["monitor"]["delay_s"] = json!(3600);
        spec["pools"][0]["monitor"]["max_retries_down"] = json!(3);
        spec["pools"][0]["members"][0]["enabled"] = json!(true);
        bench.ensure(&spec).unwrap();
        assert_eq!(bench.health(12), Some(MemberHealth::Down));
        assert_eq!(bench.health(11), Some(MemberHealth::Up));
        assert_eq!(who(), "m11");
        spec["pools"][0]["members"][0]["weight"] = json!(0);
        bench.ensure(&spec).unwrap();
        assert_eq!(bench.health(11), Some(MemberHealth::Drain));
        spec["pools"][0].as_object_mut().unwrap().remove("monitor");
        spec["pools"][0]["members"][0]["weight"] = json!(1);
        bench.ensure(&spec).unwrap();
        assert_eq!(bench.health(11), Some(MemberHealth::NoCheck));
        assert_eq!(bench.health(12), Some(MemberHealth::NoCheck));
    });
}

#[test]
fn who_came_to_a_member_comes_to_it_after_a_change_too() {
    alone(|bench| {
        for number in [11, 12, 13] {
            bench.serve(number, false);
        }
        let mut spec = bench.spec(&[11, 12, 13]);
        spec["pools"][0]["persistence"] = json!({"type": "source_ip"});
        bench.ensure(&spec).unwrap();
        let from = |ip: &'static str| {
            inside(move || {
                // 127.0.0.1 reaches the VIP, which is an address of the same link.
                let output = std::process::Command::new("curl")
                    .args([
                        "-s",
                        "--max-time",
                        "10",
                        "--interface",
                        ip,
                        &format!("http://{VIP}/"),
                    ])
                    .output();
                String::from_utf8(output.unwrap().stdout).unwrap()
            })
        };
        let (first, second) = (from("127.0.0.1"), from("127.0.0.2"));
        assert_ne!(first, second);
        assert_eq!(from("127.0.0.2"), second);
        // The first process looks for somebody who knows more for five seconds; until then it teaches nobody.
        let socket = bench.folder.path().join(LB).join("s");
        until(|| {
            let info = socket::ask(&socket, "show info").unwrap();
            socket::value(&info, "Uptime_sec")
                .unwrap()
                .parse::<u64>()
                .unwrap()
                > 5
        });
        for limit in [50, 51] {
            spec["listeners"][0]["connection_limit"] = json!(limit);
            bench.ensure(&spec).unwrap();
            until(|| bench.processes().len() == 1);
            assert_eq!(from("127.0.0.2"), second);
            assert_eq!(from("127.0.0.1"), first);
        }
    });
}

#[test]
fn hostile_text_means_what_it_says_and_no_more() {
    alone(|bench| {
        bench.serve(11, false);
        let text = "a'b\"c$HOME ${HOME} \\ %[path] #z";
        let url = "http://x/'\"$HOME%[path]#%20";
        let mut spec = bench.spec(&[11]);
        let rule = |value: &str| json!([{"subject": {"type": "header", "key": "X-Odd_1"}, "compare": "equal", "value": value}]);
        spec["listeners"][0]["l7"] = json!([
            {"id": "a", "action": {"type": "reject"}, "rules": rule(text)},
            {"id": "b", "action": {"type": "redirect", "url": url, "code": 302}, "rules": rule("-i")},
        ]);
        spec["pools"][0]["monitor"] = json!({"kind": "http", "delay_s": 1, "timeout_s": 1, "max_retries": 1,
            "max_retries_down": 1, "url_path": "/it's?a=\"$HOME", "domain_name": "x%y", "http_version": "1.1"});
        bench.ensure(&spec).unwrap();
        let with = |value: &str| ask(&format!("GET / HTTP/1.1\r\nHost: x\r\nX-Odd_1: {value}"));
        assert!(with(text).starts_with("HTTP/1.1 403"), "{}", with(text));
        assert!(with("a'b").ends_with("m11"));
        let moved = with("-i").to_lowercase();
        assert!(
            moved.contains(&format!("location: {}\r\n", url.to_lowercase())),
            "{moved}"
        );
        until(|| bench.health(11) == Some(MemberHealth::Up));
    });
}

#[test]
fn all_that_can_be_said_is_understood() {
    alone(|bench| {
        let mut spec = bench.spec(&[11, 12]);
        spec["listeners"][0]["allowed_cidrs"] = json!(["10.0.0.0/8", "fd00::/64"]);
        spec["listeners"][0]["addresses"] = json!([VIP, "fd00::5"]);
        spec["listeners"][0]["insert_headers"] = json!({"forwarded_for": true, "forwarded_port": true,
            "forwarded_proto": true});
        let rule = |subject: Value, compare: &str| json!({"subject": subject, "compare": compare, "value": "v"});
        let key = |kind: &str| json!({"type": kind, "key": "a!#$&*+-.^_|~b"});
        spec["listeners"][0]["l7"] = json!([
            {"id": "a", "action": {"type": "redirect_prefix", "prefix": "https://x", "code": 303},
             "rules": [rule(json!({"type": "host_name"}), "ends_with"), rule(json!({"type": "path"}), "contains")]},
            {"id": "b", "action": {"type": "pool", "pool": POOL},
             "rules": [rule(json!({"type": "file_type"}), "equal"), rule(key("header"), "regex"),
                       rule(key("cookie"), "starts_with")]},
        ]);
        let mut tcp = spec["listeners"][0].clone();
        tcp["id"] = json!("33333333-3333-4333-8333-333333333333");
        tcp["protocol"] = json!("tcp");
        tcp["port"] = json!(81);
        tcp["l7"] = json!([]);
        tcp["timeouts"] = json!({"client_data": 1000, "member_connect": 2000, "member_data": 3000, "tcp_inspect": 4});
        spec["listeners"].as_array_mut().unwrap().push(tcp);
        spec["pools"][0]["members"][0]["backup"] = json!(true);
        spec["pools"][0]["members"][0]["monitor_port"] = json!(81);
        spec["pools"][0]["members"][0]["monitor_address"] = json!("fd00::9");
        spec["pools"][0]["members"][1]["address"] = json!("fd00::11");
        // As far as the API goes.
        let longest = crate::model::listener::MAX_TIMEOUT;
        let mut far = spec["listeners"][0].clone();
        far["id"] = json!("44444444-4444-4444-8444-444444444444");
        far["port"] = json!(82);
        far["connection_limit"] = json!(i32::MAX);
        far["timeouts"] = json!({"client_data": longest, "member_connect": longest, "member_data": 0, "tcp_inspect": longest});
        let pattern =
            |value: &&str| json!({"subject": {"type": "path"}, "compare": "regex", "value": value});
        let patterns = crate::model::words::PATTERNS
            .iter()
            .map(pattern)
            .collect::<Vec<_>>();
        let many = vec![rule(json!({"type": "path"}), "equal"); crate::model::quota::RULES];
        far["l7"] = json!([
            {"id": "c", "action": {"type": "reject"}, "rules": patterns},
            {"id": "d", "action": {"type": "redirect", "url": "http://x", "code": 308}, "rules": many},
            {"id": "e", "action": {"type": "pool", "pool": POOL}, "rules": many},
        ]);
        spec["listeners"].as_array_mut().unwrap().push(far);
        let codes = vec!["599"; 50].join(",");
        spec["pools"][0]["monitor"] = json!({"kind": "http", "delay_s": 86_400, "timeout_s": 86_400, "max_retries": 10,
            "max_retries_down": 10, "expected_codes": codes, "http_method": "CONNECT"});
        let persistences = [
            json!({"type": "http_cookie"}),
            json!({"type": "app_cookie", "cookie_name": "a!#$&*+-.^_|~b"}),
            json!({"type": "source_ip", "timeout_min": 1, "ipv4_prefix": 24}),
        ];
        let algorithms = ["round_robin", "least_connections", "source_ip"];
        let protocols = ["http", "proxy", "proxyv2"];
        shell(&format!(
            "ip netns exec {} sysctl -qw net.ipv6.ip_nonlocal_bind=1",
            space("nephos-", PORT)
        ));
        for ((persistence, algorithm), protocol) in
            persistences.into_iter().zip(algorithms).zip(protocols)
        {
            spec["pools"][0]["persistence"] = persistence;
            spec["pools"][0]["algorithm"] = json!(algorithm);
            spec["pools"][0]["protocol"] = json!(protocol);
            bench.ensure(&spec).unwrap();
            assert_eq!(bench.look().listeners.len(), 3);
        }
    });
}

#[test]
fn nothing_is_left_of_one_that_is_removed_and_one_that_is_off_only_counted() {
    alone(|bench| {
        bench.serve(11, false);
        let mut spec = bench.spec(&[11]);
        bench.ensure(&spec).unwrap();
        assert_eq!(who(), "m11");
        spec["enabled"] = json!(false);
        bench.ensure(&spec).unwrap();
        assert!(bench.processes().is_empty());
        assert_eq!(bench.look(), Seen::default());
        assert_eq!(bench.driver.0.at(LB).unwrap().generation(), Some(1));
        spec["enabled"] = json!(true);
        bench.ensure(&spec).unwrap();
        assert_eq!(
            bench.look().listeners[LISTENER].counters.total_connections,
            1
        );
        assert_eq!(
            bench.driver.0.list().unwrap(),
            BTreeSet::from([LB.to_owned()])
        );
        for _twice in 0..2 {
            bench.driver.0.at(LB).unwrap().remove().unwrap();
            assert!(bench.processes().is_empty());
            assert!(bench.driver.0.list().unwrap().is_empty());
        }
        // One without listeners is there too, so that it is said when it goes.
        spec["listeners"] = json!([]);
        bench.ensure(&spec).unwrap();
        assert!(bench.processes().is_empty());
        assert_eq!(bench.driver.0.list().unwrap().len(), 1);
    });
}

#[test]
fn ids_that_are_none_touch_nothing() {
    let driver = Haproxy::new("/x", "nephos-");
    for id in ["", "../etc", "a/b", "a b"] {
        assert!(
            matches!(driver.0.at(id), Err(DriverError::Refused(_))),
            "{id}"
        );
    }
}
