//! Where the devices of a running guest sit. A guest that comes from another host must find them there again, and a
//! definition of its own does not say: what was plugged in while it ran sits elsewhere than in one that is made anew.
//!
//! The other host's definition is believed in nothing else. What is taken over are addresses, controllers, the machine's
//! and the processor's model, each part of it a word of letters, digits and little else; files, sockets and everything
//! else that this host opens for the guest stand in this host's own definition.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::ops::Range;

use roxmltree::{Document, Node};

/// No word of an address or a model is longer.
const WORD: usize = 64;
/// No guest has more controllers.
const CONTROLLERS: usize = 64;
/// No processor has more features.
const FEATURES: usize = 1024;

/// This host's definition with the devices where they are in the other host's.
///
/// # Errors
/// What does not fit, for people.
pub fn adopt(own: &str, other: &str) -> Result<String, String> {
    let parsed = |xml| Document::parse(xml).map_err(|why| format!("a definition is no XML: {why}"));
    let (own_doc, other_doc) = (parsed(own)?, parsed(other)?);
    let (own_devices, other_devices) = (devices(&own_doc)?, devices(&other_doc)?);
    check_same(own_devices, other_devices)?;
    let mut changes: Vec<(Range<usize>, String)> = Vec::new();
    let mut places = BTreeMap::new();
    for node in other_devices.children().filter(Node::is_element) {
        if let (Some(key), Some(address)) = (key(node), child(node, "address")) {
            places.insert(key, element(address, ADDRESS)?);
        }
    }
    let mut last = None;
    for node in own_devices.children().filter(Node::is_element) {
        if node.has_tag_name("controller") {
            changes.push((node.range(), String::new()));
        } else if let Some(place) = key(node).and_then(|key| places.get(&key)) {
            changes.push((node.range(), with(own, node, place)?));
        }
        last = Some(node.range().end);
    }
    let end = last.ok_or("a definition without devices")?;
    changes.push((end..end, controllers(other_devices)?));
    changes.extend(machine(&own_doc, &other_doc)?);
    changes.extend(processor(&own_doc, &other_doc)?);
    changes.sort_by_key(|(range, _)| std::cmp::Reverse((range.start, range.end)));
    let mut text = own.to_owned();
    for (range, new) in changes {
        text.replace_range(range, &new);
    }
    Ok(text)
}

/// The size in bytes of each disk that is to come, as the source's libvirtd noted it.
#[must_use]
pub fn capacities(note: &str) -> BTreeMap<String, u64> {
    let Ok(document) = Document::parse(note.trim_end_matches('\0')) else {
        return BTreeMap::new();
    };
    let disks = document
        .descendants()
        .filter(|node| node.has_tag_name("disk"));
    disks
        .filter_map(|disk| {
            let bytes = disk.attribute("capacity")?.parse().ok()?;
            Some((disk.attribute("target")?.to_owned(), bytes))
        })
        .collect()
}

fn devices<'a, 'b>(document: &'a Document<'b>) -> Result<Node<'a, 'b>, String> {
    child(document.root_element(), "devices")
        .ok_or_else(|| "a definition without devices".to_owned())
}

fn child<'a, 'b>(node: Node<'a, 'b>, name: &str) -> Option<Node<'a, 'b>> {
    node.children().find(|child| child.has_tag_name(name))
}

/// What a device is called on both hosts.
fn key(node: Node<'_, '_>) -> Option<String> {
    let name = node.tag_name().name();
    let of = |part: &str, attribute: &str| {
        let value = child(node, part)?.attribute(attribute)?;
        Some(format!("{name} {value}"))
    };
    match name {
        "disk" => of("target", "dev"),
        "interface" => of("mac", "address"),
        "channel" => of("target", "name"),
        "video" | "rng" | "memballoon" => Some(name.to_owned()),
        _no_place_of_its_own => None,
    }
}

/// A guest that has other disks or interfaces than it should would not survive the way.
fn check_same(own: Node<'_, '_>, other: Node<'_, '_>) -> Result<(), String> {
    let all = |devices: Node<'_, '_>| -> BTreeSet<String> {
        let devices = devices.children().filter(Node::is_element);
        devices.filter_map(key).collect()
    };
    let (own, other) = (all(own), all(other));
    match own.symmetric_difference(&other).next() {
        None => Ok(()),
        Some(odd) if own.contains(odd) => Err(format!("the guest has no {odd}, and should")),
        Some(odd) => Err(format!("the guest has a {odd} that it should not have")),
    }
}

type Names = &'static [&'static str];
const ADDRESS: Names = &[
    "type",
    "domain",
    "bus",
    "slot",
    "function",
    "multifunction",
    "controller",
    "target",
    "unit",
    "port",
];
const CONTROLLER: Names = &["type", "index", "model", "ports", "vectors"];

fn word<'a>(node: Node<'a, '_>, text: &'a str) -> Result<&'a str, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+');
    if !text.is_empty() && text.len() <= WORD && text.chars().all(plain) {
        return Ok(text);
    }
    Err(format!(
        "the other host says what cannot be of a {}",
        node.tag_name().name()
    ))
}

/// An element with those of its attributes that are known, and nothing in it.
fn element(node: Node<'_, '_>, known: Names) -> Result<String, String> {
    Ok(format!(
        "<{}{}/>",
        node.tag_name().name(),
        attributes(node, known)?
    ))
}

fn attributes(node: Node<'_, '_>, known: Names) -> Result<String, String> {
    let mut text = String::new();
    for name in known {
        if let Some(value) = node.attribute(*name) {
            let _infallible = write!(text, " {name}='{}'", word(node, value)?);
        }
    }
    Ok(text)
}

/// A device's text with its place.
fn with(own: &str, node: Node<'_, '_>, place: &str) -> Result<String, String> {
    let text = own.get(node.range()).unwrap_or_default();
    let name = node.tag_name().name();
    if let Some(open) = text.strip_suffix("/>") {
        return Ok(format!("{open}>{place}</{name}>"));
    }
    let end = format!("</{name}>");
    let open = text.strip_suffix(end.as_str());
    let open = open.ok_or_else(|| format!("a {name} without an end"))?;
    Ok(format!("{open}{place}{end}"))
}

fn controllers(other: Node<'_, '_>) -> Result<String, String> {
    let all: Vec<_> = other
        .children()
        .filter(|node| node.has_tag_name("controller"))
        .collect();
    if all.len() > CONTROLLERS {
        return Err("the other host says of more controllers than a guest has".to_owned());
    }
    let mut text = String::new();
    for node in all {
        let kind = node.attribute("type").unwrap_or_default();
        if !["pci", "sata", "usb", "virtio-serial"].contains(&kind) {
            return Err(format!(
                "the guest has a controller of type {kind:?}, which none here has"
            ));
        }
        let _infallible = write!(text, "<controller{}>", attributes(node, CONTROLLER)?);
        for (part, known) in [
            ("model", &["name"] as Names),
            (
                "target",
                &["chassisNr", "chassis", "port", "busNr"] as Names,
            ),
            ("address", ADDRESS),
        ] {
            if let Some(part) = child(node, part) {
                text.push_str(&element(part, known)?);
            }
        }
        text.push_str("</controller>");
    }
    Ok(text)
}

/// `q35` of one release of QEMU is not that of another.
fn machine(
    own: &Document<'_>,
    other: &Document<'_>,
) -> Result<Option<(Range<usize>, String)>, String> {
    let kind = |document: &Document<'_>| -> Option<(Range<usize>, String)> {
        let os = child(document.root_element(), "os")?;
        let machine = child(os, "type")?.attribute_node("machine")?;
        Some((machine.range_value(), machine.value().to_owned()))
    };
    let (Some((place, _)), Some((_, model))) = (kind(own), kind(other)) else {
        return Ok(None);
    };
    let model = word(other.root_element(), &model)?.to_owned();
    if !model.starts_with("pc-q35-") {
        return Err(format!("the guest is a machine of type {model}"));
    }
    Ok(Some((place, model)))
}

/// A processor that the guest has seen stays the one that it is, as far as it is described.
fn processor(
    own: &Document<'_>,
    other: &Document<'_>,
) -> Result<Option<(Range<usize>, String)>, String> {
    let own = child(own.root_element(), "cpu");
    let other =
        child(other.root_element(), "cpu").filter(|cpu| cpu.attribute("mode") == Some("custom"));
    let (Some(own), Some(other)) = (own, other) else {
        return Ok(None);
    };
    let mut text = format!("<cpu{}>", attributes(other, &["mode", "match", "check"])?);
    for part in other.children().filter(Node::is_element) {
        match part.tag_name().name() {
            "model" => {
                let model = word(part, part.text().unwrap_or_default())?;
                let more = attributes(part, &["fallback"])?;
                let _infallible = write!(text, "<model{more}>{model}</model>");
            }
            "vendor" => {
                let vendor = word(part, part.text().unwrap_or_default())?;
                let _infallible = write!(text, "<vendor>{vendor}</vendor>");
            }
            "feature" => text.push_str(&element(part, &["policy", "name"])?),
            _other => {}
        }
    }
    if other.children().count() > FEATURES {
        return Err("the other host says of more features than a processor has".to_owned());
    }
    text.push_str("</cpu>");
    Ok(Some((own.range(), text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "<domain type='kvm'><os><type arch='x86_64' machine='q35'>hvm</type></os><cpu mode='host-model'/>\
        <devices><disk type='file' device='disk'><source file='/here/disk'/><target dev='vda' bus='virtio'/></disk>\
        <interface type='ethernet'><mac address='fa:16:3e:00:00:01'/></interface>\
        <controller type='pci' model='pcie-root'/><memballoon model='virtio'/></devices></domain>";

    fn other(disk: &str, more: &str) -> String {
        format!(
            "<domain type='kvm'><os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>\
             <cpu mode='custom' match='exact'><model fallback='forbid'>Skylake-Server</model>\
             <feature policy='require' name='vmx'/></cpu>\
             <devices><emulator>/evil</emulator>{disk}\
             <interface type='bridge'><mac address='fa:16:3e:00:00:01'/><source bridge='evil'/>\
             <address type='pci' domain='0x0000' bus='0x05' slot='0x00' function='0x0'/></interface>\
             <controller type='pci' index='0' model='pcie-root'/>\
             <controller type='pci' index='1' model='pcie-root-port'><model name='pcie-root-port'/>\
             <target chassis='1' port='0x10'/><address type='pci' bus='0x00' slot='0x02' function='0x0'/></controller>\
             <memballoon model='virtio'><address type='pci' bus='0x04' slot='0x00' function='0x0'/></memballoon>{more}\
             </devices></domain>"
        )
    }

    const DISK: &str = "<disk type='file'><source file='/etc/shadow'/><target dev='vda'/>\
        <address type='pci' bus='0x03' slot='0x00' function='0x0'/></disk>";

    #[test]
    fn places_are_taken_over_and_files_are_not() {
        let adopted = adopt(OWN, &other(DISK, "")).unwrap();
        assert!(
            !adopted.contains("evil") && !adopted.contains("shadow"),
            "{adopted}"
        );
        for part in [
            "<source file='/here/disk'/><target dev='vda' bus='virtio'/><address type='pci' bus='0x03'",
            "<mac address='fa:16:3e:00:00:01'/><address type='pci' domain='0x0000' bus='0x05'",
            "machine='pc-q35-7.2'",
            "<model fallback='forbid'>Skylake-Server</model><feature policy='require' name='vmx'/></cpu>",
            "<memballoon model='virtio'><address type='pci' bus='0x04'",
            "<target chassis='1' port='0x10'/>",
        ] {
            assert!(adopted.contains(part), "{part} in {adopted}");
        }
        assert_eq!(adopted.matches("<controller").count(), 2);
        Document::parse(&adopted).unwrap();
    }

    #[test]
    fn a_guest_of_other_devices_and_a_word_that_is_none_are_refused() {
        let more = "<interface type='ethernet'><mac address='fa:16:3e:00:00:02'/></interface>";
        let odd = adopt(OWN, &other(DISK, more)).unwrap_err();
        assert!(
            odd.contains("fa:16:3e:00:00:02 that it should not have"),
            "{odd}"
        );
        let odd = adopt(OWN, &other("", "")).unwrap_err();
        assert_eq!(odd, "the guest has no disk vda, and should");
        let evil = DISK.replace("0x03", "&apos;/&gt;&lt;disk&gt;");
        assert!(adopt(OWN, &other(&evil, "")).is_err());
        let evil = "<controller type='scsi' index='0'/>";
        assert!(adopt(OWN, &other(DISK, evil)).is_err());
    }

    #[test]
    fn sizes_of_disks_are_read_from_the_note() {
        let note = "<qemu-migration><nbd><disk target='vda' capacity='1073741824'/>\
                    <disk target='vdz' capacity='x'/></nbd></qemu-migration>\0";
        assert_eq!(
            capacities(note),
            BTreeMap::from([("vda".to_owned(), 1 << 30)])
        );
        assert_eq!(capacities("no"), BTreeMap::new());
    }
}
