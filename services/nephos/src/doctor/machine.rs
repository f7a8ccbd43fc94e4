//! What a machine is and has.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::Finding;
use crate::settings::Settings;

/// Below this share of free space the state directory's disk is worth a word.
const SCARCE: f64 = 0.1;

/// The programs that agents run, and the packages that have them.
const PROGRAMS: [(&str, &str); 6] = [
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("qemu-img", "qemu-utils"),
    ("libvirtd", "libvirt-daemon-system"),
    ("virsh", "libvirt-clients"),
    ("nft", "nftables"),
    ("ip", "iproute2"),
];

/// Where programs are.
const FOLDERS: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// The state directory: room, and who can read its secrets.
pub(super) fn state_folder(settings: &Settings) -> Vec<Finding> {
    let folder = &settings.state_dir;
    if !folder.exists() {
        let what = format!("{} is not there yet", folder.display());
        return vec![Finding::warning(
            what,
            "`nephos up`, `nephos bootstrap` or `nephos join` makes it.",
        )];
    }
    let mut found = Vec::new();
    if let Ok(disk) = nix::sys::statvfs::statvfs(folder) {
        let (free, all) = (disk.blocks_available(), disk.blocks().max(1));
        let share = free as f64 / all as f64;
        let what = format!(
            "{} has {:.0} % of its disk free",
            folder.display(),
            share * 100.0
        );
        found.push(if share < SCARCE {
            Finding::warning(
                what,
                "Images, guests' disks and databases stand there: give it more, or delete some.",
            )
        } else {
            Finding::good(what)
        });
    }
    for name in ["secrets.toml", "host.toml", "clouds.yaml"] {
        let path = folder.join(name);
        let Ok(file) = path.metadata() else { continue };
        let what = format!("{} is readable by its owner alone", path.display());
        found.push(if file.mode() & 0o077 == 0 {
            Finding::good(what)
        } else {
            let open = format!("{} can be read by others", path.display());
            Finding::bad(open, format!("chmod 600 {}", path.display()))
        });
    }
    found
}

/// What a machine needs to be a host.
pub(super) fn host(settings: &Settings) -> Vec<Finding> {
    let mut found = Vec::new();
    if !nix::unistd::Uid::effective().is_root() {
        let hint = "Run it as root; `nephos up --simulate 3` needs none of it.";
        found.push(Finding::bad(
            "agents make networks, which only root may",
            hint,
        ));
    }
    let missing: Vec<_> = PROGRAMS
        .iter()
        .filter(|(name, _)| !is_there(name))
        .collect();
    if missing.is_empty() {
        found.push(Finding::good("the programs of a host are installed"));
    }
    for (name, package) in missing {
        let hint = format!("apt-get install {package}");
        found.push(Finding::bad(format!("{name} is missing"), hint));
    }
    found.push(kvm(&settings.state("host")));
    found.push(conntrack());
    found.push(balancing(&is_there));
    found
}

/// Whether a program is installed.
fn is_there(name: &str) -> bool {
    let mut folders = FOLDERS.iter();
    folders.any(|folder| Path::new(folder).join(name).exists())
}

/// A host without haproxy has servers all the same.
fn balancing(is_there: &dyn Fn(&str) -> bool) -> Finding {
    if is_there("haproxy") {
        return Finding::good("haproxy is installed: load balancers can run here");
    }
    Finding::warning(
        "haproxy is missing: no load balancer runs on this host",
        "apt-get install haproxy",
    )
}

/// Guests run by KVM, or slowly.
fn kvm(folder: &Path) -> Finding {
    if !Path::new("/dev/kvm").exists() {
        return Finding::warning(
            "there is no /dev/kvm: guests are emulated, about ten times slower",
            "Switch virtualization on in the firmware, and load kvm_intel or kvm_amd.",
        );
    }
    let tried = std::fs::read_to_string(folder.join("kvm.json")).unwrap_or_default();
    if tried.contains("false") {
        return Finding::warning(
            "/dev/kvm is there and runs no guests: they are emulated, about ten times slower",
            "This machine is a guest itself, of a hypervisor that does not nest. host/kvm.json keeps the verdict; without it, \
             the next start tries again.",
        );
    }
    Finding::good("/dev/kvm is there")
}

/// Security groups need the kernel to track what passes bridges.
fn conntrack() -> Finding {
    if Path::new("/proc/sys/net/bridge/bridge-nf-call-iptables").exists() {
        return Finding::good("the kernel tracks connections on bridges");
    }
    Finding::bad(
        "the kernel does not track connections on bridges: security groups would let nothing through",
        "modprobe br_netfilter && echo br_netfilter >/etc/modules-load.d/nephos.conf",
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::State;
    use super::*;

    #[test]
    fn secrets_that_others_can_read_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            state_dir: folder.path().to_owned(),
            ..Settings::default()
        };
        let file = folder.path().join("secrets.toml");
        std::fs::write(&file, "").unwrap();
        let bad = |mode: u32| {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            let found = state_folder(&settings);
            found.into_iter().find(|one| one.state == State::Bad)
        };
        assert_eq!(bad(0o600), None);
        let found = bad(0o644).unwrap();
        assert!(found.hint.starts_with("chmod 600 "), "{found:?}");
    }

    #[test]
    fn a_host_without_haproxy_is_told_what_it_cannot_do_and_what_helps() {
        let found = balancing(&|_| false);
        assert_eq!(found.state, State::Warning);
        assert_eq!(found.hint, "apt-get install haproxy");
        assert_eq!(balancing(&|name| name == "haproxy").state, State::Good);
    }

    #[test]
    fn a_verdict_about_kvm_is_told() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("kvm.json"), "{\"works\": false}").unwrap();
        assert_eq!(kvm(folder.path()).state, State::Warning);
    }
}
