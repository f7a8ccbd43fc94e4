//! Whole spec × whole reality → steps, one line a case.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::*;
use crate::driver::{Found, FoundPort, FoundVolume, Mark};
use crate::model::disk::{Carried, DiskFrom, DiskWish, Export};
use crate::model::spec::{
    Boot, ConsoleSpec, HashAlgo, ImageHash, ImageSpec, Labels, PortId, Reboot, Size,
};
use crate::model::volume::{Connection, Way};

fn spec(want: Want) -> ServerSpec {
    ServerSpec {
        server_id: "11111111-1111-4111-8111-111111111111".into(),
        generation: 7,
        want,
        stop_timeout_secs: 60,
        reboot: None,
        size: Size {
            vcpus: 1,
            ram_mib: 128,
            disk_gib: 1,
        },
        boot: Boot {
            image: Some(ImageSpec {
                id: "image".into(),
                hash: ImageHash {
                    algo: HashAlgo::Sha512,
                    value: "00".to_owned(),
                },
                size_bytes: 1,
                disk_format: "qcow2".to_owned(),
            }),
            kernel: None,
        },
        disk_epoch: 0,
        disk: crate::model::disk::DiskWish::default(),
        volumes: Vec::new(),
        ports: vec![port("tapa")],
        config_drive: None,
        console: ConsoleSpec::default(),
        guest_agent: false,
        live: None,
        labels: Labels::default(),
    }
}

fn port(tap: &str) -> PortSpec {
    PortSpec {
        port_id: PortId(format!("port of {tap}")),
        mac: "fa:16:3e:00:00:01".to_owned(),
        tap: tap.to_owned(),
        mtu: 1450,
    }
}

fn found_port(tap: &str) -> FoundPort {
    FoundPort {
        port_id: None,
        tap: tap.to_owned(),
        mac: "fa:16:3e:00:00:01".to_owned(),
    }
}

/// A server as generation 7 leaves it, in this state.
fn found(state: GuestState) -> Found {
    Found {
        state,
        defined: Some("now".to_owned()),
        disks: BTreeSet::from([0]),
        config_drive: None,
        files: true,
        ports: BTreeMap::from([("tapa".to_owned(), found_port("tapa"))]),
        volumes: BTreeMap::new(),
        mark: Mark {
            started: Some(7),
            rebooted: None,
        },
        vnc: None,
        export: None,
        live: None,
    }
}

fn started(generation: i64) -> Mark {
    Mark {
        started: Some(generation),
        rebooted: None,
    }
}

#[track_caller]
fn check(spec: &ServerSpec, found: &Found, expect: &[Step]) {
    check_with(spec, found, &[], &Memory::default(), (expect, None));
}

#[track_caller]
fn check_with(
    spec: &ServerSpec,
    found: &Found,
    missing: &[&str],
    memory: &Memory,
    expect: (&[Step], Option<Wait>),
) {
    let missing_taps: Vec<String> = missing.iter().map(|&tap| tap.to_owned()).collect();
    let wanted = Wanted {
        spec,
        fingerprint: "now".to_owned(),
        config_drive: spec.config_drive.as_ref().map(|_| "drive".to_owned()),
        missing_taps: &missing_taps,
        memory,
    };
    assert_eq!(
        plan(&wanted, found),
        Plan {
            steps: expect.0.to_vec(),
            waits: expect.1
        }
    );
}

#[test]
fn a_server_that_is_as_wanted_needs_nothing() {
    check(&spec(Want::Running), &found(GuestState::Running), &[]);
    let mut off = found(GuestState::Stopped);
    off.mark = Mark::default();
    check(&spec(Want::Stopped), &off, &[]);
    check(&spec(Want::Paused), &found(GuestState::Paused), &[]);
    check(&spec(Want::Suspended), &found(GuestState::Suspended), &[]);
    check(&spec(Want::Absent), &Found::nothing(), &[]);
}

#[test]
fn a_new_server_is_made_from_nothing() {
    let made = [Step::Images, Step::Disk, Step::Define];
    let run = [&made[..], &[Step::Run]].concat();
    check(&spec(Want::Running), &Found::nothing(), &run);
    check(&spec(Want::Paused), &Found::nothing(), &run);
    check(&spec(Want::Stopped), &Found::nothing(), &made);
}

#[test]
fn a_killed_boot_goes_on_where_the_world_is() {
    let mut half = Found {
        disks: BTreeSet::from([0]),
        files: true,
        ..Found::nothing()
    };
    check(&spec(Want::Running), &half, &[Step::Define, Step::Run]);
    half.defined = Some("now".to_owned());
    half.state = GuestState::Stopped;
    check(&spec(Want::Running), &half, &[Step::Run]);
    half.state = GuestState::Running;
    half.ports = found(GuestState::Running).ports;
    check(&spec(Want::Running), &half, &[Step::Mark(started(7))]);
}

#[test]
fn a_server_waits_for_its_taps_with_everything_else_done() {
    let made = [Step::Images, Step::Disk, Step::Define];
    let wait = Wait::Taps(vec!["tapa".to_owned()]);
    let (memory, waits) = (Memory::default(), Some(wait));
    check_with(
        &spec(Want::Running),
        &Found::nothing(),
        &["tapa"],
        &memory,
        (&made, waits),
    );
}

#[test]
fn a_guest_that_switched_itself_off_stays_off_until_a_newer_generation() {
    check(&spec(Want::Running), &found(GuestState::Stopped), &[]);
    check(&spec(Want::Running), &found(GuestState::Crashed), &[]);
    let mut newer = spec(Want::Running);
    newer.generation = 8;
    let forget = Step::Mark(Mark::default());
    check(&newer, &found(GuestState::Stopped), &[forget, Step::Run]);
    // After a power cut the driver no longer counts it as started.
    let mut cut = found(GuestState::Stopped);
    cut.mark = Mark::default();
    check(&spec(Want::Running), &cut, &[Step::Run]);
}

fn volume(id: &str, size_gib: u64) -> VolumeSpec {
    VolumeSpec {
        volume_id: id.to_owned(),
        device: "vdb".to_owned(),
        size_gib,
        shared: false,
        connection: Connection {
            host: "one".to_owned(),
            path: Way::Local {
                path: format!("/{id}"),
                format: "raw".to_owned(),
            },
            read_only: false,
            limits: std::collections::BTreeMap::new(),
            encrypted: false,
        },
    }
}

fn found_volume(size_bytes: Option<u64>) -> FoundVolume {
    FoundVolume {
        device: "vdb".to_owned(),
        size_bytes,
    }
}

#[test]
fn volumes_of_a_guest_that_is_on_come_grow_and_go() {
    for (want, state) in [
        (Want::Running, GuestState::Running),
        (Want::Paused, GuestState::Paused),
    ] {
        let mut on = found(state);
        let mut with = spec(want);
        with.volumes = vec![volume("v", 2)];
        check(&with, &on, &[Step::PlugVolume(volume("v", 2))]);
        on.volumes
            .insert("v".to_owned(), found_volume(Some(2 << 30)));
        check(&with, &on, &[]);
        on.volumes
            .insert("v".to_owned(), found_volume(Some(1 << 30)));
        check(&with, &on, &[Step::ResizeVolume(volume("v", 2))]);
        on.volumes.insert("v".to_owned(), found_volume(None));
        check(&with, &on, &[]);
        check(&spec(want), &on, &[Step::AskToUnplugVolume("v".to_owned())]);
        let asked = |secs| Memory {
            asked_to_unplug: BTreeMap::from([("v".to_owned(), Duration::from_secs(secs))]),
            ..Memory::default()
        };
        let waits = (&[][..], Some(Wait::UnplugVolume));
        check_with(&spec(want), &on, &[], &asked(2), waits);
        let again = (&[Step::AskToUnplugVolume("v".to_owned())][..], None);
        check_with(&spec(want), &on, &[], &asked(6), again);
    }
}

#[test]
fn a_server_that_boots_from_a_volume_has_no_disk_of_its_host() {
    let mut spec = spec(Want::Running);
    spec.boot.image = None;
    spec.volumes = vec![volume("root", 1)];
    let steps = [Step::Define, Step::Run];
    check(&spec, &Found::nothing(), &steps);
}

#[test]
fn a_stop_asks_waits_asks_again_and_then_switches_off() {
    let on = found(GuestState::Running);
    let stop = spec(Want::Stopped);
    check(&stop, &on, &[Step::AskToShutDown]);
    let asked = |first: u64, last: u64| Memory {
        asked_to_shut_down: Some((Duration::from_secs(first), Duration::from_secs(last))),
        ..Memory::default()
    };
    check_with(&stop, &on, &[], &asked(1, 1), (&[], Some(Wait::Shutdown)));
    check_with(
        &stop,
        &on,
        &[],
        &asked(30, 6),
        (&[Step::AskToShutDown], None),
    );
    check_with(&stop, &on, &[], &asked(60, 2), (&[Step::SwitchOff], None));
    let mut hard = spec(Want::Stopped);
    hard.stop_timeout_secs = 0;
    check(&hard, &on, &[Step::SwitchOff]);
    check(&stop, &found(GuestState::Paused), &[Step::SwitchOff]);
    check(
        &stop,
        &found(GuestState::Stopped),
        &[Step::Mark(Mark::default())],
    );
}

#[test]
fn a_reboot_happens_once() {
    let mut hard = spec(Want::Running);
    hard.generation = 8;
    hard.reboot = Some(Reboot {
        sequence: 3,
        how: RebootKind::Hard,
    });
    check(&hard, &found(GuestState::Running), &[Step::SwitchOff]);
    let off = found(GuestState::Stopped);
    let noted = Mark {
        started: None,
        rebooted: Some(3),
    };
    check(&hard, &off, &[Step::Mark(noted.clone()), Step::Run]);
    // Killed between start and mark: it is not rebooted once more.
    let mut up = found(GuestState::Running);
    up.mark = noted;
    let done = Mark {
        started: Some(8),
        rebooted: Some(3),
    };
    check(&hard, &up, &[Step::Mark(done.clone())]);
    up.mark = done;
    check(&hard, &up, &[]);
    let mut soft = hard.clone();
    soft.reboot = Some(Reboot {
        sequence: 4,
        how: RebootKind::Soft,
    });
    check(&soft, &up, &[Step::AskToShutDown]);
}

#[test]
fn a_rebuild_throws_the_disk_away() {
    let mut rebuild = spec(Want::Running);
    rebuild.generation = 8;
    rebuild.disk_epoch = 1;
    check(&rebuild, &found(GuestState::Running), &[Step::SwitchOff]);
    let mut off = found(GuestState::Stopped);
    off.defined = Some("before".to_owned());
    let forget = Step::Mark(Mark::default());
    let steps = [
        Step::Images,
        Step::Disk,
        Step::Define,
        Step::RemoveOldDisks,
        forget,
        Step::Run,
    ];
    check(&rebuild, &off, &steps);
}

#[test]
fn interfaces_come_and_go_while_the_guest_runs() {
    let mut two = spec(Want::Running);
    two.ports.push(port("tapb"));
    let mut on = found(GuestState::Running);
    on.defined = Some("before".to_owned());
    check(&two, &on, &[Step::Plug(port("tapb")), Step::Define]);
    let wait = Some(Wait::Taps(vec!["tapb".to_owned()]));
    check_with(
        &two,
        &on,
        &["tapb"],
        &Memory::default(),
        (&[Step::Define], wait),
    );

    let mut none = spec(Want::Running);
    none.ports.clear();
    let ask = Step::AskToUnplug(found_port("tapa"));
    check(
        &none,
        &found(GuestState::Running),
        std::slice::from_ref(&ask),
    );
    let asked = |secs: u64| Memory {
        asked_to_unplug: BTreeMap::from([("tapa".to_owned(), Duration::from_secs(secs))]),
        ..Memory::default()
    };
    check_with(
        &none,
        &found(GuestState::Running),
        &[],
        &asked(1),
        (&[], Some(Wait::Unplug)),
    );
    check_with(
        &none,
        &found(GuestState::Running),
        &[],
        &asked(5),
        (&[ask], None),
    );
}

#[test]
fn a_change_of_a_running_server_holds_from_its_next_start_on() {
    let mut on = found(GuestState::Running);
    on.defined = Some("before".to_owned());
    check(&spec(Want::Running), &on, &[Step::Define]);
}

#[test]
fn pause_suspend_and_back() {
    check(
        &spec(Want::Paused),
        &found(GuestState::Running),
        &[Step::Pause],
    );
    check(
        &spec(Want::Suspended),
        &found(GuestState::Running),
        &[Step::Suspend],
    );
    check(
        &spec(Want::Suspended),
        &found(GuestState::Paused),
        &[Step::Suspend],
    );
    check(
        &spec(Want::Running),
        &found(GuestState::Paused),
        &[Step::Run],
    );
    check(
        &spec(Want::Running),
        &found(GuestState::Suspended),
        &[Step::Run],
    );
    check(
        &spec(Want::Paused),
        &found(GuestState::Suspended),
        &[Step::Run],
    );
    check(
        &spec(Want::Stopped),
        &found(GuestState::Suspended),
        &[Step::SwitchOff],
    );
}

#[test]
fn removal_takes_what_is_there_in_order() {
    let all = [Step::SwitchOff, Step::Undefine, Step::RemoveFiles];
    check(&spec(Want::Absent), &found(GuestState::Running), &all);
    assert_eq!(plan_removal(&found(GuestState::Running)).steps, all);
    check(&spec(Want::Absent), &found(GuestState::Stopped), &all[1..]);
    let files = Found {
        files: true,
        ..Found::nothing()
    };
    check(&spec(Want::Absent), &files, &[Step::RemoveFiles]);
}

fn from(epoch: i64, host: Option<&str>) -> DiskWish {
    let carried = host.map(|host| Carried {
        host: host.to_owned(),
        size_bytes: 1,
        sha256: "00".to_owned(),
    });
    DiskWish {
        from: Some(DiskFrom { epoch, carried }),
        export: false,
    }
}

fn ready(epoch: i64) -> Option<Export> {
    Some(Export {
        epoch,
        size_bytes: 1,
        sha256: "00".to_owned(),
    })
}

#[test]
fn a_disk_that_is_made_of_another_needs_no_image_and_leaves_the_other_there() {
    let mut off = found(GuestState::Stopped);
    off.mark.started = None;
    let mut wanted = spec(Want::Stopped);
    (wanted.disk_epoch, wanted.disk) = (1, from(0, None));
    check(&wanted, &off, &[Step::Disk]);
    off.disks = BTreeSet::from([0, 1]);
    check(&wanted, &off, &[]);
    // Confirmed, or taken back: one of the two goes, even beside a guest that runs.
    wanted.disk = DiskWish::default();
    check(&wanted, &off, &[Step::RemoveOldDisks]);
    let mut on = found(GuestState::Running);
    on.disks = BTreeSet::from([0, 1]);
    let mut confirmed = spec(Want::Running);
    confirmed.disk_epoch = 1;
    check(&confirmed, &on, &[Step::RemoveOldDisks]);
    // One that comes from elsewhere leaves nothing here.
    wanted.disk = from(0, Some("elsewhere"));
    check(&wanted, &off, &[Step::RemoveOldDisks]);
}

#[test]
fn a_disk_is_made_ready_to_be_carried_once_its_guest_is_off() {
    let mut wanted = spec(Want::Stopped);
    wanted.disk.export = true;
    check(&wanted, &found(GuestState::Running), &[Step::AskToShutDown]);
    let mut off = found(GuestState::Stopped);
    off.mark.started = None;
    check(&wanted, &off, &[Step::Export]);
    off.export = ready(0);
    check(&wanted, &off, &[]);
    check(&spec(Want::Stopped), &off, &[Step::RemoveExport]);
}
