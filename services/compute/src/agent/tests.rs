//! An agent on a simulated host, on the virtual clock: it converges, it survives being killed anywhere, and it
//! touches nothing that is not its own.

use std::collections::BTreeMap;

use nephos_runtime::crash;
use nephos_types::Timestamp;

use super::*;
use crate::driver::Found;
use crate::driver::fake::{HostSize, Latency, Verb, World};
use crate::model::spec::{
    Boot, ConfigDrive, ConsoleSpec, FileContent, GuestState, HashAlgo, ImageSpec, Labels, PortId,
    PortSpec, Progress, Reboot, RebootKind, Size, Want,
};

const HOST: &str = "one";

fn server(n: u32) -> ServerId {
    ServerId(format!("{n:08}-1111-4111-8111-111111111111"))
}

fn spec(n: u32, generation: i64, want: Want) -> ServerSpec {
    let port_id = PortId(format!("{n:08}-2222-4222-8222-222222222222"));
    let image = ImageSpec {
        id: "image".into(),
        hash: ImageHash {
            algo: HashAlgo::Sha512,
            value: "00".to_owned(),
        },
        size_bytes: 1,
        disk_format: "qcow2".to_owned(),
    };
    let drive = BTreeMap::from([("ec2/latest/user-data".to_owned(), FileContent(vec![1]))]);
    ServerSpec {
        server_id: server(n),
        generation,
        want,
        stop_timeout_secs: 60,
        reboot: None,
        size: Size {
            vcpus: 1,
            ram_mib: 128,
            disk_gib: 1,
        },
        boot: Boot {
            image: Some(image),
            kernel: None,
        },
        disk_epoch: 0,
        disk: crate::model::disk::DiskWish::default(),
        volumes: Vec::new(),
        ports: vec![PortSpec {
            tap: PortSpec::tap_name(&port_id),
            port_id,
            mac: format!("fa:16:3e:00:00:{n:02x}"),
            mtu: 1450,
        }],
        config_drive: Some(ConfigDrive { files: drive }),
        console: ConsoleSpec::default(),
        guest_agent: false,
        live: None,
        labels: Labels {
            name: format!("server-{n}"),
            ..Labels::default()
        },
    }
}

fn desired(revision: i64, specs: &[ServerSpec]) -> DesiredServers {
    let servers = specs
        .iter()
        .map(|spec| (spec.server_id.clone(), Arc::new(spec.clone())));
    DesiredServers {
        revision,
        word: Word::ControlPlane,
        servers: servers.collect(),
    }
}

/// A simulated host whose agent can be killed and started again.
struct Bench {
    clock: Clock,
    world: World,
    agent: Agent,
    running: nephos_runtime::Task,
}

impl Bench {
    fn new() -> Self {
        Self::of(Latency::default())
    }

    fn of(latency: Latency) -> Self {
        let clock = Clock::virtual_at(Timestamp(1_000_000_000_000_000));
        let world = World::new(clock.clone(), latency);
        let (agent, running) = Self::start(&world, &clock);
        Self {
            clock,
            world,
            agent,
            running,
        }
    }

    fn start(world: &World, clock: &Clock) -> (Agent, nephos_runtime::Task) {
        let driver = Arc::new(world.host(HOST, HostSize::default()));
        let agent = Agent::new(driver, clock.clone(), Settings::default());
        let runner = agent.clone();
        let running = nephos_runtime::spawn("agent", async move {
            let _ended = runner.run(Shutdown::new()).await;
        });
        (agent, running)
    }

    fn restart(&mut self) {
        self.running.abort();
        (self.agent, self.running) = Self::start(&self.world, &self.clock);
    }

    /// Lets everything happen that happens without time.
    async fn quiet(&self) {
        for _turn in 0..80 {
            tokio::task::yield_now().await;
        }
    }

    /// Lets time pass, in small steps at first.
    async fn pass(&self, secs: u64) {
        let small = secs.min(5) * 4;
        let steps = (0..small).map(|_| 250).chain((5..secs).map(|_| 1000));
        for millis in steps {
            self.clock.advance(Duration::from_millis(millis));
            self.quiet().await;
        }
    }

    fn found(&self, n: u32) -> Found {
        self.world
            .snapshot(HOST)
            .remove(&server(n))
            .unwrap_or_else(Found::nothing)
    }

    #[track_caller]
    fn check(&self, n: u32, state: GuestState, progress: &Progress) {
        let seen = self
            .agent
            .reports()
            .latest(&server(n))
            .expect("an observation");
        assert_eq!((seen.state, &seen.progress), (state, progress));
    }
}

#[tokio::test]
async fn a_server_comes_stops_runs_reboots_and_goes() {
    let bench = Bench::new();
    bench.agent.apply(desired(1, &[spec(1, 1, Want::Running)]));
    bench.quiet().await;
    bench.check(1, GuestState::Running, &Progress::Settled);
    let text = bench.agent.console_output(&server(1), 7).await.unwrap();
    assert_eq!(text, b"login: ");

    bench.agent.apply(desired(2, &[spec(1, 2, Want::Stopped)]));
    bench.quiet().await;
    bench.pass(1).await;
    bench.check(1, GuestState::Stopped, &Progress::Settled);

    let mut reboot = spec(1, 3, Want::Running);
    bench.agent.apply(desired(3, &[reboot.clone()]));
    bench.quiet().await;
    reboot.generation = 4;
    reboot.reboot = Some(Reboot {
        sequence: 9,
        how: RebootKind::Hard,
    });
    let starts = bench.world.calls(HOST, Verb::Run);
    bench.agent.apply(desired(4, &[reboot]));
    bench.quiet().await;
    bench.pass(70).await;
    bench.check(1, GuestState::Running, &Progress::Settled);
    assert_eq!(bench.world.calls(HOST, Verb::Run), starts + 1);
    assert_eq!(
        bench.agent.reports().latest(&server(1)).unwrap().rebooted,
        Some(9)
    );

    bench.agent.apply(desired(5, &[spec(1, 5, Want::Absent)]));
    bench.quiet().await;
    bench.check(1, GuestState::Absent, &Progress::Settled);
    assert!(bench.world.snapshot(HOST).is_empty());
}

#[tokio::test]
async fn a_guest_that_ignores_the_stop_is_switched_off_at_the_deadline() {
    let bench = Bench::new();
    bench.agent.apply(desired(1, &[spec(1, 1, Want::Running)]));
    bench.quiet().await;
    bench.world.set_deaf(HOST, &server(1), true);
    bench.agent.apply(desired(2, &[spec(1, 2, Want::Stopped)]));
    bench.quiet().await;
    bench.pass(50).await;
    assert_eq!(bench.found(1).state, GuestState::Running);
    assert!(
        bench.world.calls(HOST, Verb::Stop) > 5,
        "asked again and again"
    );
    bench.pass(15).await;
    bench.check(1, GuestState::Stopped, &Progress::Settled);
}

#[tokio::test]
async fn a_guest_that_switches_itself_off_is_reported_and_left_alone() {
    let bench = Bench::new();
    bench.agent.apply(desired(1, &[spec(1, 1, Want::Running)]));
    bench.quiet().await;
    bench.world.guest_shuts_down(HOST, &server(1));
    bench.pass(130).await;
    bench.check(1, GuestState::Stopped, &Progress::Settled);
    bench.world.restart_host(HOST);
    bench.quiet().await;
    bench.check(1, GuestState::Running, &Progress::Settled);
}

#[tokio::test]
async fn a_late_tap_delays_and_a_missing_one_fails_with_its_reason() {
    let bench = Bench::new();
    bench.world.withhold_taps(HOST, true);
    bench.agent.apply(desired(1, &[spec(1, 1, Want::Running)]));
    // What only waits for a moment is no news.
    bench.pass(2).await;
    let reason = "network interface tap00000001-22 is not ready".to_owned();
    bench.check(
        1,
        GuestState::Stopped,
        &Progress::Waiting {
            reason: reason.clone(),
        },
    );
    bench.world.withhold_taps(HOST, false);
    bench.pass(1).await;
    bench.check(1, GuestState::Running, &Progress::Settled);

    bench.world.withhold_tap(HOST, "tap00000002-22", true);
    bench.agent.apply(desired(
        2,
        &[spec(1, 1, Want::Running), spec(2, 1, Want::Running)],
    ));
    bench.pass(70).await;
    let reason = reason.replace('1', "2");
    bench.check(2, GuestState::Stopped, &Progress::Failed { reason });
}

#[tokio::test]
async fn failures_are_tried_again_refusals_are_not_and_a_dead_hypervisor_is_waited_for() {
    let bench = Bench::new();
    for _attempt in 0..2 {
        bench
            .world
            .fail_next(HOST, Verb::Run, DriverError::Failed("no luck".to_owned()));
    }
    bench.agent.apply(desired(1, &[spec(1, 1, Want::Running)]));
    bench.pass(5).await;
    bench.check(1, GuestState::Running, &Progress::Settled);

    let refusal = DriverError::Refused("the image has a backing file".to_owned());
    bench.world.fail_next(HOST, Verb::Image, refusal);
    bench.agent.apply(desired(
        2,
        &[spec(1, 1, Want::Running), spec(2, 1, Want::Running)],
    ));
    bench.pass(200).await;
    let reason = "the image has a backing file".to_owned();
    bench.check(2, GuestState::Absent, &Progress::Failed { reason });

    bench.world.take_down(HOST, "libvirtd does not answer");
    bench.agent.apply(desired(
        3,
        &[spec(1, 2, Want::Stopped), spec(2, 1, Want::Running)],
    ));
    bench.pass(100).await;
    let seen = bench.agent.reports().latest(&server(1)).unwrap();
    assert_eq!(
        seen.progress,
        Progress::Waiting {
            reason: "libvirtd does not answer".to_owned()
        }
    );
    bench.world.bring_up(HOST);
    bench.pass(40).await;
    bench.check(1, GuestState::Stopped, &Progress::Settled);
}

#[tokio::test]
async fn what_is_wanted_nowhere_goes_only_after_a_newer_word_of_the_control_plane() {
    let mut bench = Bench::new();
    let both = [spec(1, 1, Want::Running), spec(2, 1, Want::Running)];
    bench.agent.apply(desired(7, &both));
    bench.quiet().await;

    bench.restart();
    let copy = DesiredServers {
        word: Word::Kept,
        ..desired(7, &both)
    };
    bench.agent.apply(copy);
    bench.agent.apply(desired(3, &[])); // a control plane that lost its memory
    bench.pass(200).await;
    assert_eq!(bench.world.snapshot(HOST).len(), 2);

    bench.agent.apply(desired(7, &both[..1])); // the file was behind
    bench.pass(50).await;
    assert_eq!(bench.world.snapshot(HOST).len(), 2, "the grace period");
    bench.pass(130).await;
    assert_eq!(
        bench.world.snapshot(HOST).into_keys().collect::<Vec<_>>(),
        [server(1)]
    );
    assert_eq!(bench.found(1).state, GuestState::Running);
}

#[tokio::test]
async fn what_only_a_file_says_is_wanted_is_not_made() {
    let bench = Bench::new();
    let wanted = desired(7, &[spec(1, 1, Want::Running)]);
    bench.agent.apply(DesiredServers {
        word: Word::Kept,
        ..wanted.clone()
    });
    bench.pass(20).await;
    assert!(bench.world.snapshot(HOST).is_empty(), "it may be deleted");
    bench.agent.apply(wanted);
    bench.pass(2).await;
    assert_eq!(bench.found(1).state, GuestState::Running);
}

#[tokio::test]
async fn after_a_start_of_the_machine_nothing_runs_before_the_control_plane_has_said_what_is_still_wanted()
 {
    let mut bench = Bench::new();
    let both = [spec(1, 1, Want::Running), spec(2, 1, Want::Suspended)];
    bench.agent.apply(desired(7, &both));
    bench.pass(2).await;
    let off = bench.found(2).state;
    assert_eq!(
        (bench.found(1).state, off),
        (GuestState::Running, GuestState::Suspended)
    );

    bench.running.abort();
    bench.quiet().await;
    bench.world.restart_host(HOST);
    bench.restart();
    let starts = bench.world.calls(HOST, Verb::Run);
    let mut both = both;
    both[1].want = Want::Running; // noted, and not heard by a guest that was saved
    both[1].generation = 2;
    bench.agent.apply(DesiredServers {
        word: Word::BeforeBoot,
        ..desired(8, &both)
    });
    bench.pass(600).await;
    assert_eq!(bench.world.calls(HOST, Verb::Run), starts);
    assert_eq!(bench.found(2).state, GuestState::Suspended);
    let reason = "the control plane has not yet said that it is still wanted here".to_owned();
    bench.check(1, GuestState::Stopped, &Progress::Waiting { reason });

    // The first was made anew elsewhere meanwhile.
    bench.agent.apply(desired(9, &both[1..]));
    bench.pass(130).await;
    assert_eq!(bench.world.calls(HOST, Verb::Run), starts + 1);
    assert_eq!(bench.found(2).state, GuestState::Running);
    assert_eq!(bench.found(1), Found::nothing());
}

#[tokio::test]
async fn an_agent_that_starts_again_goes_on_by_what_it_kept() {
    let mut bench = Bench::new();
    bench.agent.apply(desired(7, &[spec(1, 1, Want::Stopped)]));
    bench.pass(2).await;
    bench.restart();
    bench.agent.apply(DesiredServers {
        word: Word::Kept,
        ..desired(8, &[spec(1, 2, Want::Running)])
    });
    bench.pass(2).await;
    bench.check(1, GuestState::Running, &Progress::Settled);
}

#[tokio::test]
async fn interfaces_are_plugged_and_unplugged_while_the_guest_runs() {
    let bench = Bench::new();
    bench.agent.apply(desired(1, &[spec(1, 1, Want::Running)]));
    bench.quiet().await;
    let mut two = spec(1, 2, Want::Running);
    two.ports.extend(spec(2, 1, Want::Running).ports);
    bench.agent.apply(desired(2, &[two]));
    bench.quiet().await;
    assert_eq!(
        bench
            .agent
            .reports()
            .latest(&server(1))
            .unwrap()
            .ports
            .len(),
        2
    );
    bench.world.set_deaf(HOST, &server(1), true);
    bench.agent.apply(desired(3, &[spec(1, 3, Want::Running)]));
    bench.pass(3).await;
    let reason = "the guest has not released an interface".to_owned();
    bench.check(1, GuestState::Running, &Progress::Waiting { reason });
    bench.world.set_deaf(HOST, &server(1), false);
    bench.pass(7).await;
    bench.check(1, GuestState::Running, &Progress::Settled);
    assert_eq!(bench.found(1).ports.len(), 1);
    assert_eq!(bench.world.calls(HOST, Verb::Run), 1);
}

#[tokio::test]
async fn while_a_guest_does_not_let_go_other_wishes_are_heard() {
    // libvirt waits so long for a guest's answer.
    let change = Duration::from_secs(5);
    let bench = Bench::of(Latency {
        change,
        ..Latency::default()
    });
    let mut two = spec(1, 1, Want::Running);
    two.ports.extend(spec(2, 1, Want::Running).ports);
    bench.agent.apply(desired(1, &[two]));
    bench.pass(40).await;
    bench.check(1, GuestState::Running, &Progress::Settled);
    bench.world.set_deaf(HOST, &server(1), true);
    bench.agent.apply(desired(2, &[spec(1, 2, Want::Running)]));
    bench.pass(7).await;
    bench.agent.apply(desired(3, &[spec(1, 3, Want::Absent)]));
    bench.pass(25).await;
    assert!(!bench.world.snapshot(HOST).contains_key(&server(1)));
}

/// What a life of two servers goes through; each entry is applied when the one before has settled.
fn life() -> Vec<Vec<ServerSpec>> {
    let mut rebooted = spec(1, 3, Want::Running);
    rebooted.reboot = Some(Reboot {
        sequence: 1,
        how: RebootKind::Soft,
    });
    let mut rebuilt = spec(1, 4, Want::Running);
    rebuilt.reboot = rebooted.reboot;
    rebuilt.disk_epoch = 1;
    let mut plugged = rebuilt.clone();
    plugged.generation = 5;
    plugged.ports.extend(spec(9, 1, Want::Running).ports);
    let mut unplugged = rebuilt.clone();
    unplugged.generation = 6;
    vec![
        vec![spec(1, 1, Want::Running), spec(2, 1, Want::Running)],
        vec![spec(1, 2, Want::Paused), spec(2, 2, Want::Stopped)],
        vec![rebooted, spec(2, 3, Want::Absent)],
        vec![rebuilt],
        vec![plugged],
        vec![unplugged],
    ]
}

/// Lives that life, restarting the agent when it was killed, and tells where it ends.
async fn live(crash: crash::Mode) -> (BTreeMap<ServerId, Found>, bool) {
    let mut bench = Bench::new();
    crash::set(crash);
    let mut crashed = false;
    for (revision, specs) in (1..).zip(life()) {
        let wanted = desired(revision, &specs);
        bench.agent.apply(wanted.clone());
        bench.quiet().await;
        bench.pass(3).await;
        if bench.running.is_finished() {
            crashed = true;
            bench.restart();
            bench.agent.apply(wanted);
            bench.quiet().await;
            bench.pass(3).await;
        }
    }
    bench.pass(70).await;
    (bench.world.snapshot(HOST), crashed)
}

// One test, because crash points are armed for the whole process.
#[tokio::test]
async fn killed_at_every_crash_point_an_agent_ends_where_it_would_have_ended() {
    let (expected, _) = live(crash::Mode::Record).await;
    let points = crash::recorded();
    assert_eq!(expected.len(), 1, "server 2 is gone");
    assert_eq!(expected.get(&server(1)).unwrap().state, GuestState::Running);
    let mut hits: BTreeMap<&str, u32> = BTreeMap::new();
    for point in points {
        *hits.entry(point).or_default() += 1;
    }
    assert!(hits.len() >= 16, "{hits:?}");
    for (name, count) in hits {
        for nth in 1..=count {
            let (end, crashed) = live(crash::Mode::Unwind {
                name: name.to_owned(),
                nth,
            })
            .await;
            assert!(crashed, "{name} {nth} was not reached");
            assert_eq!(end, expected, "killed at {name}, hit {nth}");
        }
    }
    crash::set(crash::Mode::Off);
}

#[tokio::test]
async fn a_burst_on_many_hosts_settles() {
    let clock = Clock::system();
    let world = World::new(clock.clone(), Latency::default());
    let mut agents = Vec::new();
    for host in 0..20u32 {
        let driver = Arc::new(world.host(&format!("host-{host}"), HostSize::default()));
        let agent = Agent::new(driver, clock.clone(), Settings::default());
        let runner = agent.clone();
        nephos_runtime::spawn("agent", async move {
            let _ended = runner.run(Shutdown::new()).await;
        });
        let specs: Vec<_> = (0..50)
            .map(|n| spec(host * 50 + n, 1, Want::Running))
            .collect();
        agent.apply(desired(1, &specs));
        agents.push(agent);
    }
    for agent in agents {
        while agent
            .reports()
            .all()
            .iter()
            .filter(|seen| seen.progress == Progress::Settled)
            .count()
            < 50
        {
            agent.reports().news().await;
            let _told = agent.reports().take(1000);
        }
    }
}
