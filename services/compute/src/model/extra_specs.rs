//! Which extra specs of a flavor mean something, and what their values look like: Nova's validators
//! (`nova/api/validation/extra_specs`), by which 2.86 refuses what nobody would understand.

use std::sync::LazyLock;

use nephos_types::standard;
use regex::Regex;

/// What a value looks like.
enum Form {
    Any,
    Flag,
    /// A whole number between these, or unbounded.
    Whole(Option<i128>, Option<i128>),
    One(&'static [&'static str]),
    Like(&'static LazyLock<Regex>),
}

use Form::{Any, Flag, Like, One, Whole};

const COUNT: Form = Whole(Some(0), None);
const SOME: Form = Whole(Some(1), None);
const NUMBER: Form = Whole(None, None);
const NEED: Form = One(&["required", "forbidden"]);

macro_rules! pattern {
    ($name:ident, $text:literal) => {
        static $name: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(concat!("^(?:", $text, ")$")).unwrap());
    };
}

pattern!(CPUS, r"\^?\d+((-\d+)?(,\^?\d+(-\d+)?)?)*");
pattern!(PAGE, r"(large|small|any|\d+([kKMGT]i?)?(b|bit|B)?)");
pattern!(PMEM, r"([a-zA-Z0-9_]+,?)+");
pattern!(ALIASES, r"[^:]+:\d+(?:\s*,\s*[^:]+:\d+)*");
pattern!(GROUP, r"[a-zA-Z0-9_-]{0,64}");
pattern!(FILTER, r"(:\w+)*");

static MASK: Form = Like(&CPUS);

/// Those with one name.
static PLAIN: &[(&str, Form)] = &[
    ("accel:device_profile", Any),
    ("group_policy", One(&["isolate", "none"])),
    ("hide_hypervisor_id", Flag),
    ("hw:boot_menu", Flag),
    ("hw:cpu_cores", SOME),
    ("hw:cpu_dedicated_mask", Like(&CPUS)),
    ("hw:cpu_max_cores", SOME),
    ("hw:cpu_max_sockets", SOME),
    ("hw:cpu_max_threads", SOME),
    ("hw:cpu_policy", One(&["dedicated", "shared", "mixed"])),
    ("hw:cpu_realtime", Flag),
    ("hw:cpu_realtime_mask", Like(&CPUS)),
    ("hw:cpu_sockets", SOME),
    (
        "hw:cpu_thread_policy",
        One(&["prefer", "isolate", "require"]),
    ),
    ("hw:cpu_threads", SOME),
    ("hw:emulator_threads_policy", One(&["isolate", "share"])),
    ("hw:ephemeral_encryption", Flag),
    (
        "hw:ephemeral_encryption_format",
        One(&["plain", "luks", "luksv2"]),
    ),
    ("hw:hide_hypervisor_id", Flag),
    ("hw:locked_memory", Flag),
    ("hw:mem_encryption", Flag),
    (
        "hw:mem_encryption_model",
        One(&["amd-sev", "amd-sev-es", "amd-sev-snp"]),
    ),
    ("hw:mem_page_size", Like(&PAGE)),
    ("hw:numa_nodes", SOME),
    (
        "hw:pci_numa_affinity_policy",
        One(&["required", "preferred", "legacy", "socket"]),
    ),
    ("hw:pmem", Like(&PMEM)),
    ("hw:pmu", Flag),
    ("hw:redirected_usb_ports", Whole(Some(0), Some(15))),
    ("hw:serial_port_count", COUNT),
    (
        "hw:sound_model",
        One(&[
            "sb16", "es1370", "pcspk", "ac97", "ich6", "ich9", "usb", "virtio",
        ]),
    ),
    ("hw:tpm_model", One(&["tpm-tis", "tpm-crb"])),
    (
        "hw:tpm_secret_security",
        One(&["user", "host", "deployment"]),
    ),
    ("hw:tpm_version", One(&["1.2", "2.0"])),
    ("hw:usb_model", One(&["none", "nec-xhci", "qemu-xhci"])),
    ("hw:vif_multiqueue_enabled", Flag),
    (
        "hw:viommu_model",
        One(&["intel", "smmuv3", "virtio", "auto"]),
    ),
    ("hw:virtio_packed_ring", Flag),
    (
        "hw:watchdog_action",
        One(&["none", "pause", "poweroff", "reset", "disabled"]),
    ),
    ("hw_rng:allowed", Flag),
    ("hw_rng:rate_bytes", COUNT),
    ("hw_rng:rate_period", COUNT),
    ("hw_video:ram_max_mb", COUNT),
    ("os:secure_boot", One(&["disabled", "required"])),
    ("pci_passthrough:alias", Like(&ALIASES)),
    ("quota:cpu_period", COUNT),
    ("quota:cpu_quota", NUMBER),
    ("quota:cpu_shares", COUNT),
    ("vmware:hw_version", Any),
    ("vmware:storage_policy", Any),
];

/// What a host tells of itself, as `capabilities:…` compares it.
const CAPABILITIES: &[&str] = &[
    "aggregates",
    "cell_uuid",
    "cpu_allocation_ratio",
    "current_workload",
    "disk_allocation_ratio",
    "disk_available_least",
    "disk_mb_used",
    "failed_builds",
    "free_disk_gb",
    "free_disk_mb",
    "free_ram_mb",
    "host",
    "host_ip",
    "hypervisor_hostname",
    "hypervisor_type",
    "hypervisor_version",
    "id",
    "local_gb",
    "local_gb_used",
    "mapped",
    "memory_mb",
    "memory_mb_used",
    "num_instances",
    "num_io_ops",
    "ram_allocation_ratio",
    "running_vms",
    "service_id",
    "total_usable_disk_gb",
    "total_usable_ram_mb",
    "updated",
    "uuid",
    "vcpus",
    "vcpus_total",
    "vcpus_used",
];
/// Likewise, with keys below them.
const CAPABILITIES_WITH_KEYS: &[&str] = &[
    "cpu_info",
    "instances",
    "limits",
    "metrics",
    "nodename",
    "numa_topology",
    "pci_device_pools",
    "pci_stats",
    "stats",
    "supported_hv_specs",
    "supported_instances",
];

/// 400 in Nova's words for a spec that it would refuse; what is in no namespace of Nova's is the operator's own.
pub(crate) fn check(name: &str, value: &str) -> Result<(), String> {
    match form_of(name) {
        Some(form) => form.check(value),
        None if is_of_nova(name) => Err(format!(
            "Validation failed; extra spec '{name}' does not appear to be a valid extra spec."
        )),
        None => Ok(()),
    }
}

fn form_of(name: &str) -> Option<&'static Form> {
    if let Some((_, form)) = PLAIN.iter().find(|(plain, _)| *plain == name) {
        return Some(form);
    }
    let (space, rest) = name.split_once(':')?;
    let known = match space {
        "aggregate_instance_extra_specs" => (!rest.is_empty()).then_some(&Any),
        "capabilities" => is_capability(rest).then_some(&Any),
        "hw" => numa(rest),
        "quota" => quota(rest),
        _other => None,
    };
    known.or_else(|| of_group(space, rest))
}

fn is_capability(rest: &str) -> bool {
    let with_keys = |known: &&str| {
        rest.strip_prefix(*known)
            .is_some_and(|keys| FILTER.is_match(keys))
    };
    CAPABILITIES.contains(&rest) || CAPABILITIES_WITH_KEYS.iter().any(with_keys)
}

fn numa(rest: &str) -> Option<&'static Form> {
    let numbered = |kind: &str| {
        rest.strip_prefix(kind).is_some_and(|number| {
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    match () {
        () if numbered("numa_cpus.") => Some(&MASK),
        () if numbered("numa_mem.") => Some(&SOME),
        () => None,
    }
}

fn quota(rest: &str) -> Option<&'static Form> {
    for kind in ["cpu", "memory", "disk_io", "vif"] {
        match rest.strip_prefix(kind) {
            Some("_limit" | "_shares_share") => return Some(&COUNT),
            Some("_reservation") => return Some(&NUMBER),
            Some("_shares_level") => return Some(&One(&["custom", "high", "normal", "low"])),
            _other => {}
        }
    }
    let of = |ways: &[&str], measures: &[&str]| {
        let mut all = ways
            .iter()
            .flat_map(|way| measures.iter().map(move |of| format!("{way}_{of}")));
        all.any(|name| name == rest)
    };
    let known = of(
        &["disk_read", "disk_write", "disk_total"],
        &["bytes_sec", "iops_sec"],
    ) || of(
        &["vif_inbound", "vif_outbound"],
        &["average", "peak", "burst"],
    );
    known.then_some(&COUNT)
}

/// `resources:…` and `trait:…`, also of a group: `resources1:VCPU`.
fn of_group(space: &str, rest: &str) -> Option<&'static Form> {
    let is_group = |group: &str| GROUP.is_match(group);
    if space.strip_prefix("resources").is_some_and(is_group)
        && (standard::is_class(rest) || standard::is_custom(rest))
    {
        return Some(&NUMBER);
    }
    if space.strip_prefix("trait").is_some_and(is_group)
        && (standard::is_trait(rest) || standard::is_custom(rest))
    {
        return Some(&NEED);
    }
    None
}

/// Whether a name is in a namespace that Nova keeps for itself.
fn is_of_nova(name: &str) -> bool {
    let Some((space, _)) = name.split_once(':') else {
        return false;
    };
    let grouped = |kind: &str| {
        space
            .strip_prefix(kind)
            .is_some_and(|group| GROUP.is_match(group))
    };
    let plain = |(known, _): &(&str, Form)| {
        known
            .split_once(':')
            .is_some_and(|(known, _)| known == space)
    };
    matches!(space, "aggregate_instance_extra_specs" | "capabilities")
        || PLAIN.iter().any(plain)
        || grouped("resources")
        || grouped("trait")
}

impl Form {
    fn check(&self, value: &str) -> Result<(), String> {
        match self {
            Self::Any => Ok(()),
            Self::Flag => match value.trim().to_ascii_lowercase().as_str() {
                "1" | "t" | "true" | "on" | "y" | "yes" => Ok(()),
                "0" | "f" | "false" | "off" | "n" | "no" => Ok(()),
                _other => Err(format!(
                    "Validation failed; '{value}' is not a valid boolean-like value."
                )),
            },
            Self::Whole(least, most) => {
                let number: i128 = value.trim().parse().map_err(|_| {
                    format!("Validation failed; '{value}' is not a valid integer value.")
                })?;
                match (least, most) {
                    (_, Some(most)) if number > *most => Err(format!(
                        "Validation failed; '{value}' is greater than the max value of '{most}'."
                    )),
                    (Some(least), _) if number < *least => Err(format!(
                        "Validation failed; '{value}' is less than the min value of '{least}'."
                    )),
                    _between => Ok(()),
                }
            }
            Self::One(of) if of.contains(&value) => Ok(()),
            Self::One(of) => Err(format!(
                "Validation failed; '{value}' is not one of: {}.",
                of.join(", ")
            )),
            Self::Like(pattern) if pattern.is_match(value) => Ok(()),
            Self::Like(pattern) => Err(format!(
                "Validation failed; '{value}' is not of the format '{}'.",
                pattern.as_str()
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nova_takes_is_taken() {
        for (name, value) in [
            ("hw:cpu_policy", "mixed"),
            ("hw:numa_nodes", "2"),
            ("hw:numa_cpus.0", "0-3,^2"),
            ("hw:numa_mem.1", "1024"),
            ("hw:mem_page_size", "2MB"),
            ("hw:mem_page_size", "any"),
            ("hw:pmem", "4GB,SMALL"),
            ("hw:watchdog_action", "reset"),
            ("hw_rng:allowed", "True"),
            ("quota:cpu_quota", "-1"),
            ("quota:disk_read_iops_sec", "100"),
            ("quota:vif_outbound_burst", "0"),
            ("quota:memory_shares_level", "high"),
            ("resources:VCPU", "2"),
            ("resources_GPU:CUSTOM_A_1", "1"),
            ("trait:HW_CPU_X86_AVX2", "required"),
            ("trait1:CUSTOM_X", "forbidden"),
            ("capabilities:cpu_info:features", "<in> avx"),
            ("capabilities:free_ram_mb", ">= 1"),
            ("aggregate_instance_extra_specs:ssd", "true"),
            ("pci_passthrough:alias", "a:1, b:2"),
            ("group_policy", "none"),
            ("own", "anything"),
            ("mine:own", "anything"),
        ] {
            assert_eq!(check(name, value), Ok(()), "{name}={value}");
        }
    }

    #[test]
    fn what_nova_refuses_is_refused() {
        for (name, value) in [
            ("hw:cpu_policy", "nope"),
            ("hw:numa_nodes", "x"),
            ("hw:numa_nodes", "0"),
            ("hw:nope", "1"),
            ("hw:numa_cpus.x", "1"),
            ("hw:redirected_usb_ports", "16"),
            ("hw_rng:allowed", "maybe"),
            ("quota:cpu_shares", "x"),
            ("quota:nope_limit", "1"),
            ("resources:VCPU", "x"),
            ("resources:NOPE", "1"),
            ("trait:CUSTOM_X", "maybe"),
            ("trait:NOPE", "required"),
            ("capabilities:nope", "1"),
            ("pci_passthrough:alias", "a"),
            ("os:secure_boot", "optional"),
        ] {
            assert!(check(name, value).is_err(), "{name}={value}");
        }
    }
}
