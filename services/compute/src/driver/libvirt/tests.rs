//! The driver and the agent with a real libvirtd and real QEMU guests.

mod bench;

use std::time::Duration;

use self::bench::{Host, Shelf, Tap, blank, config_drive, guest_image, sh, spec};
use super::*;
use crate::driver::Driver as _;
use crate::model::spec::{Progress, Reboot, RebootKind, Want};

#[tokio::test]
async fn a_server_goes_through_every_state_and_leaves_nothing() {
    let mut shelf = Shelf::default();
    let image = blank(&mut shelf);
    let mut host = Host::start(shelf).await;
    let tap = Tap::make(Tap::spec());
    let mut spec = spec(&image, std::slice::from_ref(&tap.0));
    spec.config_drive = config_drive(&[("openstack/latest/meta_data.json", "{}")]);
    let server = spec.server_id.clone();

    let seen = host.make(&spec, GuestState::Running).await;
    assert_eq!(seen.ports, std::slice::from_ref(&tap.0.port_id));
    let vnc = seen.vnc.expect("a VNC address");
    assert_eq!(vnc.host, "127.0.0.1");
    std::net::TcpStream::connect((vnc.host.as_str(), vnc.port)).expect("VNC answers");
    let xml = host.libvirt.virsh(&format!("dumpxml {server}"));
    assert!(xml.contains("<domain type='qemu'"), "{xml}");
    assert!(xml.contains(&format!("<uuid>{server}</uuid>")), "{xml}");

    spec.generation = 2;
    spec.want = Want::Paused;
    host.make(&spec, GuestState::Paused).await;
    assert!(
        host.libvirt
            .virsh(&format!("domstate {server}"))
            .starts_with("paused")
    );
    spec.generation = 3;
    spec.want = Want::Running;
    host.make(&spec, GuestState::Running).await;

    let before = host.pid(&server);
    spec.generation = 4;
    spec.want = Want::Suspended;
    host.make(&spec, GuestState::Suspended).await;
    assert!(host.libvirt.guests().is_empty());
    spec.generation = 5;
    spec.want = Want::Running;
    host.make(&spec, GuestState::Running).await;
    let after = host.pid(&server);
    assert_ne!(before, after);

    spec.generation = 6;
    spec.reboot = Some(Reboot {
        sequence: 1,
        how: RebootKind::Hard,
    });
    let seen = host.make(&spec, GuestState::Running).await;
    assert_eq!(seen.rebooted, Some(1));
    assert_ne!(after, host.pid(&server));

    spec.generation = 7;
    spec.want = Want::Stopped;
    spec.stop_timeout_secs = 0;
    let seen = host.make(&spec, GuestState::Stopped).await;
    assert_eq!(seen.vnc, None);

    spec.generation = 8;
    spec.want = Want::Absent;
    host.make(&spec, GuestState::Absent).await;
    assert!(host.look(&server).await.is_nothing());
    assert_eq!(host.libvirt.virsh("list --all --name").trim(), "");
    assert!(!host.state.join("servers").join(server.as_str()).exists());
    assert_eq!(host.driver().list().await.unwrap(), BTreeSet::new());
}

#[tokio::test]
async fn a_guest_boots_says_what_its_user_data_says_and_shuts_down_when_asked() {
    let mut shelf = Shelf::default();
    let image = guest_image(&mut shelf);
    let mut host = Host::start(shelf).await;
    let (first, second) = (Tap::make(Tap::spec()), Tap::spec());
    let mut spec = spec(&image, std::slice::from_ref(&first.0));
    let server = spec.server_id.clone();
    spec.config_drive = config_drive(&[
        (
            "openstack/latest/meta_data.json",
            &format!(r#"{{"uuid": "{server}", "hostname": "web-1.novalocal"}}"#),
        ),
        (
            "openstack/latest/user_data",
            "#!/bin/sh\necho \"this is $(hostname), sum $((40 + 2))\"\n",
        ),
    ]);
    host.make(&spec, GuestState::Running).await;
    let text = host.console(&server, "web-1 login:", 1).await;
    assert!(text.contains("metadata from config-drive"), "{text}");
    host.console(&server, "this is web-1, sum 42", 1).await;
    let grown = text.split("root file system has ").nth(1).unwrap();
    let mib: u32 = grown.split(' ').next().unwrap().parse().unwrap();
    assert!(mib > 900, "the root file system did not grow: {mib} MiB");

    // An interface that is plugged in waits for its tap, and goes when the guest lets it go.
    spec.generation = 2;
    spec.ports.push(second.clone());
    host.want(&[&spec]);
    host.seen(&server, "waiting for its tap", |seen| {
        matches!(&seen.progress, Progress::Waiting { reason } if reason.contains(&second.tap))
    })
    .await;
    let second = Tap::make(second);
    let seen = host.make(&spec, GuestState::Running).await;
    assert_eq!(seen.ports.len(), 2);
    spec.generation = 3;
    spec.ports.remove(0);
    let seen = host.make(&spec, GuestState::Running).await;
    assert_eq!(seen.ports, std::slice::from_ref(&second.0.port_id));

    spec.generation = 4;
    spec.reboot = Some(Reboot {
        sequence: 1,
        how: RebootKind::Soft,
    });
    let before = host.pid(&server);
    let seen = host.make(&spec, GuestState::Running).await;
    assert_eq!(seen.rebooted, Some(1));
    assert_ne!(host.pid(&server), before);
    let text = host.console(&server, "web-1 login:", 2).await;
    assert_eq!(text.matches("this is web-1, sum 42").count(), 1, "{text}");

    // Switched off from within: seen at once by its event, not by the next look at everything.
    spec.generation = 5;
    spec.want = Want::Stopped;
    host.make(&spec, GuestState::Stopped).await;
    assert!(host.libvirt.guests().is_empty());
}

#[tokio::test]
async fn guests_outlive_the_agent_and_libvirtd() {
    let mut shelf = Shelf::default();
    let image = blank(&mut shelf);
    let mut host = Host::start(shelf).await;
    let spec = spec(&image, &[]);
    let server = spec.server_id.clone();
    host.make(&spec, GuestState::Running).await;
    let pid = host.pid(&server);

    host.start_agent().await;
    host.make(&spec, GuestState::Running).await;
    assert_eq!(host.pid(&server), pid);

    host.libvirt.kill();
    let error = host.driver().look(&server).await.unwrap_err();
    assert!(matches!(error, DriverError::Unavailable(_)), "{error}");
    let mut other = bench::spec(&image, &[]);
    host.want(&[&spec, &other]);
    host.seen(
        &other.server_id,
        "waiting for libvirt",
        |seen| matches!(&seen.progress, Progress::Waiting { reason } if reason.contains("libvirt")),
    )
    .await;
    assert!(Path::new(&format!("/proc/{pid}")).exists());

    host.libvirt.start_again();
    host.settled(&other, GuestState::Running).await;
    host.settled(&spec, GuestState::Running).await;
    assert_eq!(host.pid(&server), pid);

    // What is wanted nowhere goes after the grace period, with the other left alone.
    host.want(&[&spec]);
    other.generation = 0;
    host.seen(&other.server_id, "gone", |seen| {
        seen.state == GuestState::Absent
    })
    .await;
    assert_eq!(host.libvirt.guests().len(), 1);
    host.settled(&spec, GuestState::Running).await;
    assert_eq!(host.pid(&server), pid);
}

#[tokio::test]
async fn a_guest_that_ends_by_itself_is_seen_at_once_and_not_started_again() {
    let mut shelf = Shelf::default();
    let image = blank(&mut shelf);
    let mut host = Host::start(shelf).await;
    let mut spec = spec(&image, &[]);
    let server = spec.server_id.clone();
    host.make(&spec, GuestState::Running).await;
    let began = host.clock.monotonic();
    sh(&format!("kill -9 {}", host.pid(&server)));
    host.settled(&spec, GuestState::Crashed).await;
    let took = host.clock.monotonic() - began;
    assert!(
        took < Duration::from_secs(4),
        "events do not arrive: {took:?}"
    );
    assert!(host.libvirt.guests().is_empty());
    spec.generation = 2;
    host.make(&spec, GuestState::Running).await;
}

#[tokio::test]
async fn what_is_not_ours_is_neither_seen_nor_touched() {
    let mut shelf = Shelf::default();
    let image = blank(&mut shelf);
    let mut host = Host::start(shelf).await;
    let spec = spec(&image, &[]);
    let xml = format!(
        "<domain type='qemu'><name>theirs</name><uuid>{}</uuid><memory unit='MiB'>16</memory>\
         <os><type arch='x86_64'>hvm</type></os></domain>",
        spec.server_id
    );
    let file = host.libvirt.dir.join("theirs.xml");
    std::fs::write(&file, xml).unwrap();
    host.libvirt.virsh(&format!("define {}", file.display()));
    assert_eq!(host.driver().list().await.unwrap(), BTreeSet::new());
    host.want(&[&spec]);
    host.seen(
        &spec.server_id,
        "refused",
        |seen| matches!(&seen.progress, Progress::Failed { reason } if reason.contains("not ours")),
    )
    .await;
    assert_eq!(host.libvirt.virsh("list --all --name").trim(), "theirs");
}

#[tokio::test]
async fn a_full_disk_is_said_clearly_and_costs_nothing_else() {
    let mut shelf = Shelf::default();
    let small = blank(&mut shelf);
    let large = shelf.put("raw", vec![7; 12 << 20]);
    let dir = bench::Libvirt::place();
    let state = dir.join("state");
    sh(&format!(
        "mkdir -p {0} && mount -t tmpfs -o size=8m,mode=755 tmpfs {0}",
        state.display()
    ));
    let unmount = Unmount(state);
    let mut host = Host::start_in(dir, shelf).await;
    let fits = spec(&small, &[]);
    host.make(&fits, GuestState::Running).await;
    let too_large = spec(&large, &[]);
    host.want(&[&fits, &too_large]);
    host.seen(&too_large.server_id, "refused", |seen| {
        matches!(&seen.progress, Progress::Failed { reason } if reason.contains("disk is full"))
    })
    .await;
    let parts = std::fs::read_dir(host.state.join("images")).unwrap();
    assert_eq!(parts.count(), 1, "only the image that fits is left");
    host.settled(&fits, GuestState::Running).await;
    drop(unmount);
}

/// Unmounts when the test ends, however it does.
struct Unmount(PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let _unmounted = std::process::Command::new("umount")
            .arg("-l")
            .arg(&self.0)
            .output();
    }
}

#[tokio::test]
async fn the_inventory_tells_what_the_host_is() {
    let mut shelf = Shelf::default();
    let image = blank(&mut shelf);
    let mut host = Host::start(shelf).await;
    host.make(&spec(&image, &[]), GuestState::Running).await;
    let seen = host.agent().inventory().await.unwrap();
    assert_eq!(
        (seen.host.as_str(), seen.hypervisor_type.as_str()),
        ("here", "QEMU")
    );
    assert_eq!(seen.virt_type, "qemu");
    assert!(
        seen.hypervisor_version >= 7_000_000,
        "{}",
        seen.hypervisor_version
    );
    assert!(
        seen.vcpus > 0 && seen.ram_mib > 256 && seen.disk_gib > 0,
        "{seen:?}"
    );
    assert!(seen.ram_free_mib <= seen.ram_mib && seen.disk_free_gib <= seen.disk_gib);
    assert_eq!(
        (seen.running_servers, seen.cpu.arch.as_str()),
        (1, "x86_64")
    );
}

#[tokio::test]
async fn only_one_agent_works_in_a_directory() {
    let host = Host::start(Shelf::default()).await;
    let error = host.open().await.map(|_driver| ()).unwrap_err();
    assert!(matches!(&error, DriverError::Refused(why) if why.contains("another agent")));
}

#[tokio::test]
async fn guests_that_do_not_answer_hold_up_no_other_call() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        uri: "test:///default".to_owned(),
        host: "here".to_owned(),
        state_dir: dir.path().to_owned(),
        virt_type: Some(VirtType::Qemu),
        probe: (PathBuf::from("/bin/false"), Vec::new()),
        console_address: "127.0.0.1".to_owned(),
        guests_address: std::net::Ipv4Addr::LOCALHOST.into(),
        run_as: None,
        lanes: 1,
    };
    let source: Arc<dyn ImageSource> = Arc::new(Shelf::default());
    let driver = LibvirtDriver::open(settings, source, Clock::system());
    let driver = driver.await.unwrap();
    let (server, long) = (ServerId::from("deaf"), Duration::from_secs(60));
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let mut asked = driver
        .guests
        .call("deaf", "ask", long, move || {
            let _released = wait.recv();
            Ok(())
        })
        .boxed();
    assert_eq!((&mut asked).now_or_never(), None);
    // The one lane of everything else is free, for this guest's own server, too.
    let look = driver.call(server.as_str(), "look", long, |_shared| Ok(5));
    assert_eq!(look.await, Ok(5));
    // A password goes the way of those who wait for guests.
    let password = crate::model::guest_password::GuestPassword {
        account: "root".to_owned(),
        password: "x".to_owned(),
    };
    let refused = driver.set_password(&server, &password).await;
    assert!(matches!(refused, Err(DriverError::Unavailable(why)) if why.contains("asked already")));
    assert!(!driver.is_worn_out());
    drop(release);
    assert_eq!(asked.await, Ok(()));
}
