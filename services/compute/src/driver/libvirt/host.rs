//! What the host is: read from libvirt, /proc and the file system.

use std::path::Path;

use nix::sys::statvfs::statvfs;
use roxmltree::{Document, Node};
use virt::connect::Connect;

use crate::driver::DriverError;
use crate::model::spec::CpuInfo;

/// Seconds since the host started.
#[must_use]
pub fn uptime_secs() -> u64 {
    let text = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let whole = text.split('.').next().unwrap_or_default();
    whole.parse().unwrap_or(0)
}

/// Whether there is a network device of this name.
#[must_use]
pub fn has_device(name: &str) -> bool {
    let is_plain = !name.is_empty() && name.len() < 16 && !name.contains('/') && name != "..";
    is_plain && Path::new("/sys/class/net").join(name).exists()
}

/// Size and free space of the file system, in GiB.
///
/// # Errors
/// When it cannot be asked.
pub fn disk_gib(path: &Path) -> Result<(u64, u64), DriverError> {
    let stat = statvfs(path).map_err(|cause| {
        DriverError::Failed(format!(
            "cannot ask the file system of {}: {cause}",
            path.display()
        ))
    })?;
    let gib = |blocks: u64| blocks.saturating_mul(stat.fragment_size()) >> 30;
    Ok((gib(stat.blocks()), gib(stat.blocks_available())))
}

/// What libvirt knows of the host.
pub struct Seen {
    /// Its own name of the machine.
    pub hostname: String,
    /// QEMU's version, as libvirt counts.
    pub version: u32,
    /// Memory.
    pub ram_mib: u64,
    /// Of it, free.
    pub ram_free_mib: u64,
    /// Logical processors.
    pub vcpus: u32,
}

/// Asks libvirt.
///
/// # Errors
/// When it does not answer.
pub fn see(connect: &Connect) -> Result<Seen, virt::error::Error> {
    let node = connect.get_node_info()?;
    Ok(Seen {
        hostname: connect.get_hostname()?,
        version: connect.get_hyp_version()?,
        ram_mib: node.memory >> 10,
        ram_free_mib: connect.get_free_memory()? >> 20,
        vcpus: node.cpus,
    })
}

/// The processor, from libvirt's capabilities. What is not told is empty.
#[must_use]
pub fn cpu(capabilities: &str) -> CpuInfo {
    let Ok(document) = Document::parse(capabilities) else {
        return CpuInfo::default();
    };
    let host = child(document.root_element(), "host");
    let Some(cpu) = host.and_then(|host| child(host, "cpu")) else {
        return CpuInfo::default();
    };
    let text = |name| {
        child(cpu, name)
            .and_then(|node| node.text())
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let topology = |name| {
        let value = child(cpu, "topology").and_then(|node| node.attribute(name));
        value.and_then(|value| value.parse().ok()).unwrap_or(1)
    };
    let features = cpu.children().filter(|node| node.has_tag_name("feature"));
    CpuInfo {
        arch: text("arch"),
        model: text("model"),
        vendor: text("vendor"),
        features: features
            .filter_map(|node| node.attribute("name"))
            .map(str::to_owned)
            .collect(),
        sockets: topology("sockets"),
        cores: topology("cores"),
        threads: topology("threads"),
    }
}

fn child<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.children().find(|child| child.has_tag_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_read_from_capabilities() {
        let xml = "<capabilities><host><cpu><arch>x86_64</arch><model>EPYC</model><vendor>AMD</vendor>\
                   <topology sockets='2' dies='1' cores='8' threads='2'/><feature name='avx2'/>\
                   <feature name='sha-ni'/></cpu></host></capabilities>";
        let seen = cpu(xml);
        assert_eq!(
            (seen.arch.as_str(), seen.model.as_str()),
            ("x86_64", "EPYC")
        );
        assert_eq!((seen.sockets, seen.cores, seen.threads), (2, 8, 2));
        assert_eq!(seen.features, ["avx2", "sha-ni"]);
        assert_eq!(cpu("no xml"), CpuInfo::default());
    }

    #[test]
    fn devices_are_looked_up_by_plain_names_only() {
        assert!(has_device("lo"));
        for name in [
            "",
            "..",
            "a/b",
            "lo/../lo",
            "a-name-that-is-too-long",
            "tapnotthere",
        ] {
            assert!(!has_device(name), "{name}");
        }
    }
}
