//! Definitions against golden files (`UPDATE_GOLDEN=1` writes them), and what is read back from them.

use super::*;
use crate::model::spec::{
    Boot, ConfigDrive, ConsoleSpec, HashAlgo, ImageHash, ImageSpec, KernelSpec, Labels, Size, Want,
};

const BOOT: &str = "boot-1";

fn image(id: &str) -> ImageSpec {
    ImageSpec {
        id: id.into(),
        hash: ImageHash {
            algo: HashAlgo::Sha512,
            value: "0a".to_owned(),
        },
        size_bytes: 1,
        disk_format: "qcow2".to_owned(),
    }
}

fn port(n: u32) -> PortSpec {
    PortSpec {
        port_id: format!("0000000{n}-2222-4222-8222-222222222222").into(),
        mac: format!("fa:16:3e:00:00:0{n}"),
        tap: format!("tap0000000{n}-22"),
        mtu: 1450,
    }
}

/// The fewest devices.
fn small() -> ServerSpec {
    ServerSpec {
        server_id: "9f0f1d9c-0d1c-4d3c-8f6e-1a2b3c4d5e6f".into(),
        generation: 1,
        want: Want::Running,
        stop_timeout_secs: 60,
        reboot: None,
        size: Size {
            vcpus: 1,
            ram_mib: 128,
            disk_gib: 1,
        },
        boot: Boot {
            image: Some(image("image")),
            kernel: None,
        },
        disk_epoch: 0,
        disk: crate::model::disk::DiskWish::default(),
        volumes: Vec::new(),
        ports: Vec::new(),
        config_drive: None,
        console: ConsoleSpec {
            vnc: false,
            serial: false,
        },
        guest_agent: false,
        live: None,
        labels: Labels::default(),
    }
}

/// One of everything, with names that want to break out.
fn full() -> ServerSpec {
    ServerSpec {
        ports: vec![port(1), port(2)],
        config_drive: no_files(),
        console: ConsoleSpec::default(),
        guest_agent: true,
        labels: Labels {
            name: "</title><devices/>&\u{7}\n\"'".to_owned(),
            project_id: "p'/><evil x='".to_owned(),
            user_id: "u".to_owned(),
            flavor: "m1.<tiny>".to_owned(),
        },
        boot: Boot {
            image: Some(image("image")),
            kernel: Some(KernelSpec {
                image: image("kernel"),
                ramdisk: Some(image("ramdisk")),
                command_line: "root=/dev/vda quiet \"<x>\"".to_owned(),
            }),
        },
        ..small()
    }
}

fn no_files() -> Option<ConfigDrive> {
    Some(ConfigDrive {
        files: BTreeMap::new(),
    })
}

fn host(virt_type: VirtType) -> Host {
    Host {
        name: "host-1".to_owned(),
        virt_type,
        vnc_listen: "192.0.2.1".to_owned(),
        run_as: None,
    }
}

fn paths(spec: &ServerSpec) -> Paths {
    let kernel = spec.boot.kernel.as_ref().map(|_| {
        (
            PathBuf::from("/images/kernel"),
            Some(PathBuf::from("/images/ramdisk")),
        )
    });
    Paths {
        disk: "/servers/s & t/disk-0.qcow2".into(),
        base: Some(("/images/sha512-0a".into(), "qcow2")),
        stands_alone: false,
        config_drive: "/servers/s/config.img".into(),
        console: "/servers/s/console.log".into(),
        kernel,
    }
}

#[track_caller]
fn check(name: &str, spec: &ServerSpec, host: &Host) {
    let mark = Mark {
        started: Some(7),
        rebooted: None,
    };
    let xml = definition(spec, host, &paths(spec), &mark_in_definition(&mark, BOOT));
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/driver/libvirt/domain_xml/golden")
        .join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, &xml).unwrap();
    }
    let golden = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(xml, golden, "{}", file.display());
    let said = read(&xml, BOOT).expect("XML");
    assert_eq!(said.host.as_deref(), Some("host-1"));
    assert_eq!(said.fingerprint, fingerprint(spec, host, &paths(spec)));
    assert_eq!(said.mark, mark);
    let ports: BTreeMap<String, FoundPort> = spec
        .ports
        .iter()
        .map(|port| {
            let found = FoundPort {
                port_id: Some(port.port_id.clone()),
                tap: port.tap.clone(),
                mac: port.mac.clone(),
            };
            (port.tap.clone(), found)
        })
        .collect();
    assert_eq!(said.interfaces, ports);
}

#[test]
fn definitions_are_as_recorded() {
    check("small-tcg.xml", &small(), &host(VirtType::Qemu));
    check("small-kvm.xml", &small(), &host(VirtType::Kvm));
    let as_root = Host {
        run_as: Some("+0:+0".to_owned()),
        ..host(VirtType::Qemu)
    };
    check("full-tcg.xml", &full(), &as_root);
}

#[test]
fn nothing_a_user_writes_becomes_an_element() {
    let spec = full();
    let xml = definition(&spec, &host(VirtType::Qemu), &paths(&spec), "");
    let document = Document::parse(&xml).unwrap();
    let devices = document
        .descendants()
        .filter(|node| node.has_tag_name("devices"));
    assert_eq!(devices.count(), 1);
    assert!(!document.descendants().any(|node| node.has_tag_name("evil")));
    let title = document
        .descendants()
        .find(|node| node.has_tag_name("title"));
    assert_eq!(title.unwrap().text(), Some("</title><devices/>&\"'"));
}

#[test]
fn what_decides_nothing_does_not_change_the_fingerprint() {
    let of = |spec: &ServerSpec| fingerprint(spec, &host(VirtType::Qemu), &paths(spec));
    let before = of(&small());
    let told_more = ServerSpec {
        generation: 9,
        want: Want::Stopped,
        stop_timeout_secs: 1,
        ..small()
    };
    assert_eq!(of(&told_more), before);
    let larger = Size {
        ram_mib: 256,
        ..small().size
    };
    let changed = [
        ServerSpec {
            size: larger,
            ..small()
        },
        ServerSpec {
            ports: vec![port(1)],
            ..small()
        },
        ServerSpec {
            config_drive: no_files(),
            ..small()
        },
    ];
    for spec in changed {
        assert_ne!(of(&spec), before, "{spec:?}");
    }
}

#[test]
fn a_mark_of_another_boot_forgets_what_was_started_but_not_what_was_rebooted() {
    let mark = Mark {
        started: Some(3),
        rebooted: Some(2),
    };
    let xml = format!(
        "<domain><metadata>{}</metadata></domain>",
        mark_in_definition(&mark, "boot-0")
    );
    assert_eq!(read(&xml, "boot-0").unwrap().mark, mark);
    let after = Mark {
        started: None,
        ..mark
    };
    assert_eq!(read(&xml, BOOT).unwrap().mark, after);
}

#[test]
fn a_guest_that_is_off_has_no_console_address() {
    let xml = |port| {
        format!(
            "<domain><devices><graphics type='vnc' port='{port}' listen='192.0.2.1'/></devices></domain>"
        )
    };
    assert_eq!(read(&xml("-1"), BOOT).unwrap().vnc, None);
    let vnc = read(&xml("5901"), BOOT).unwrap().vnc.unwrap();
    assert_eq!((vnc.host.as_str(), vnc.port), ("192.0.2.1", 5901));
    assert_eq!(read("no xml", BOOT), None);
}
