//! A spec as libvirt's domain XML, and what we read back from it. Pure.
//!
//! Everything that a guest could influence is fixed here: formats are stated, the backing chain ends where we say,
//! no path comes from a user.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use roxmltree::{Document, Node};

use super::volume_xml::{self, Volumes};
use crate::driver::{FoundPort, Mark, digest};
use crate::model::spec::{PortId, PortSpec, ServerId, ServerSpec, VncAddress};

/// The namespace of what the definition says about itself.
pub const SERVER_NS: &str = "urn:nephos:server:1";
/// The namespace of the agent's mark.
pub const MARK_NS: &str = "urn:nephos:mark:1";
/// The prefix libvirt is told for it.
pub const MARK_KEY: &str = "nephosmark";

/// Room for interfaces and volumes that come while the guest runs: q35 plugs only into free root ports.
const FREE_SLOTS: usize = 8;
/// QEMU's cache of translated code; its own default is far more than a small guest needs.
const TCG_CACHE_MIB: u32 = 64;

/// How guests run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VirtType {
    /// On the processor.
    Kvm,
    /// Translated by QEMU (TCG).
    Qemu,
}

impl VirtType {
    /// libvirt's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Qemu => "qemu",
        }
    }
}

/// What is the same for all servers of a host.
#[derive(Clone, Debug)]
pub struct Host {
    /// Whose servers these are.
    pub name: String,
    /// How they run.
    pub virt_type: VirtType,
    /// Where graphical consoles listen.
    pub vnc_listen: String,
    /// `user:group` that QEMU runs as; `None`: what libvirt is configured to.
    pub run_as: Option<String>,
}

/// The files of one server.
#[derive(Clone, Debug)]
pub struct Paths {
    /// The root disk (qcow2).
    pub disk: PathBuf,
    /// The image under it, and its format (`qcow2`, `raw`); none: the root disk is a volume.
    pub base: Option<(PathBuf, &'static str)>,
    /// Whether the root disk stands on no image: it came from another host.
    pub stands_alone: bool,
    /// The config drive.
    pub config_drive: PathBuf,
    /// The console log.
    pub console: PathBuf,
    /// A kernel and a ramdisk beside the disk.
    pub kernel: Option<(PathBuf, Option<PathBuf>)>,
}

/// The name of a server's domain.
#[must_use]
pub fn domain_name(server: &ServerId) -> String {
    crate::model::spec::guest_name(server)
}

/// The fingerprint of a definition: of everything in it but mark and generation.
#[must_use]
pub fn fingerprint(spec: &ServerSpec, host: &Host, paths: &Paths) -> String {
    digest(domain_xml(spec, host, paths, "", "").as_bytes())
}

/// The whole definition, with the mark it carries over.
#[must_use]
pub fn definition(spec: &ServerSpec, host: &Host, paths: &Paths, mark: &str) -> String {
    domain_xml(spec, host, paths, &fingerprint(spec, host, paths), mark)
}

fn domain_xml(
    spec: &ServerSpec,
    host: &Host,
    paths: &Paths,
    fingerprint: &str,
    mark: &str,
) -> String {
    let mut xml = Xml::default();
    xml.line(&format!("<domain type='{}'>", host.virt_type.word()));
    xml.line(&format!("<uuid>{}</uuid>", escape(spec.server_id.as_str())));
    xml.line(&format!(
        "<name>{}</name>",
        escape(&domain_name(&spec.server_id))
    ));
    xml.metadata(spec, host, fingerprint, mark);
    xml.line(&format!(
        "<memory unit='MiB'>{}</memory>",
        spec.size.ram_mib
    ));
    xml.line(&format!("<vcpu>{}</vcpu>", spec.size.vcpus));
    xml.machine(spec, host, paths);
    if let Some(label) = &host.run_as {
        xml.line("<seclabel type='static' model='dac' relabel='yes'>");
        xml.line(&format!("<label>{}</label>", escape(label)));
        xml.line("</seclabel>");
    }
    xml.line("<devices>");
    xml.disks(spec, paths);
    for port in &spec.ports {
        xml.line(&interface(port));
    }
    xml.consoles(spec, host, paths);
    if spec.guest_agent {
        // The name that qemu-guest-agent looks for; libvirt makes the socket and the controller.
        xml.line(
            "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>",
        );
    }
    let agent = usize::from(spec.guest_agent);
    let slots = spec.ports.len() + spec.volumes.len() + agent + FREE_SLOTS;
    xml.line("<controller type='usb' model='none'/>");
    xml.line("<controller type='pci' model='pcie-root'/>");
    for _slot in 0..slots {
        xml.line("<controller type='pci' model='pcie-root-port'/>");
    }
    xml.line("<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>");
    xml.line("<memballoon model='virtio'/>");
    xml.line("</devices>");
    xml.line("</domain>");
    xml.0
}

/// One interface: the tap is the network agent's, libvirt only opens it.
#[must_use]
pub fn interface(port: &PortSpec) -> String {
    format!(
        "<interface type='ethernet'><mac address='{}'/><target dev='{}' managed='no'/>\
         <model type='virtio'/><mtu size='{}'/></interface>",
        escape(&port.mac),
        escape(&port.tap),
        port.mtu
    )
}

/// What identifies an interface that is to go.
#[must_use]
pub fn found_interface(port: &FoundPort) -> String {
    format!(
        "<interface type='ethernet'><mac address='{}'/><target dev='{}' managed='no'/>\
         <model type='virtio'/></interface>",
        escape(&port.mac),
        escape(&port.tap)
    )
}

#[derive(Default)]
struct Xml(String);

impl Xml {
    fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }

    fn metadata(&mut self, spec: &ServerSpec, host: &Host, fingerprint: &str, mark: &str) {
        let labels = &spec.labels;
        if !labels.name.is_empty() {
            let title: String = labels.name.chars().filter(|c| !c.is_control()).collect();
            self.line(&format!("<title>{}</title>", escape(&title)));
        }
        self.line("<metadata>");
        self.line(&format!(
            "<nephos:server xmlns:nephos='{SERVER_NS}' host='{}' fingerprint='{}' \
             project='{}' user='{}' flavor='{}'>",
            escape(&host.name),
            escape(fingerprint),
            escape(&labels.project_id),
            escape(&labels.user_id),
            escape(&labels.flavor),
        ));
        for port in &spec.ports {
            let (tap, id) = (escape(&port.tap), escape(port.port_id.as_str()));
            self.line(&format!("<nephos:port tap='{tap}' id='{id}'/>"));
        }
        self.line("</nephos:server>");
        if !mark.is_empty() {
            self.line(mark);
        }
        self.line("</metadata>");
    }

    fn machine(&mut self, spec: &ServerSpec, host: &Host, paths: &Paths) {
        self.line("<os>");
        self.line("<type arch='x86_64' machine='q35'>hvm</type>");
        match (&spec.boot.kernel, &paths.kernel) {
            (Some(kernel), Some((image, ramdisk))) => {
                self.line(&format!("<kernel>{}</kernel>", path(image)));
                if let Some(ramdisk) = ramdisk {
                    self.line(&format!("<initrd>{}</initrd>", path(ramdisk)));
                }
                // Nova's default command line; `no_timer_check`: a starved TCG guest fails the kernel's timer test.
                let text = match kernel.command_line.as_str() {
                    "" => "root=/dev/vda console=tty0 console=ttyS0 no_timer_check",
                    text => text,
                };
                self.line(&format!("<cmdline>{}</cmdline>", escape(text)));
            }
            _disk => self.line("<boot dev='hd'/>"),
        }
        self.line("</os>");
        let tcg = match host.virt_type {
            VirtType::Kvm => String::new(),
            VirtType::Qemu => {
                format!("<tcg><tb-cache unit='MiB'>{TCG_CACHE_MIB}</tb-cache></tcg>")
            }
        };
        self.line(&format!("<features><acpi/><apic/>{tcg}</features>"));
        let cpu = match host.virt_type {
            VirtType::Kvm => "host-model",
            VirtType::Qemu => "maximum",
        };
        self.line(&format!("<cpu mode='{cpu}'/>"));
        self.line("<clock offset='utc'/>");
        self.line("<on_poweroff>destroy</on_poweroff>");
        self.line("<on_reboot>restart</on_reboot>");
        self.line("<on_crash>destroy</on_crash>");
    }

    fn disks(&mut self, spec: &ServerSpec, paths: &Paths) {
        if let Some((base, format)) = &paths.base {
            self.line("<disk type='file' device='disk'>");
            self.line("<driver name='qemu' type='qcow2' cache='writeback' discard='unmap'/>");
            self.line(&format!("<source file='{}'/>", path(&paths.disk)));
            if paths.stands_alone {
                self.line("<backingStore/>");
            } else {
                self.line("<backingStore type='file'>");
                self.line(&format!("<format type='{format}'/>"));
                self.line(&format!("<source file='{}'/><backingStore/>", path(base)));
                self.line("</backingStore>");
            }
            self.line("<target dev='vda' bus='virtio'/>");
            self.line("</disk>");
        }
        for volume in &spec.volumes {
            self.line(&volume_xml::disk(&spec.server_id, volume));
        }
        if spec.config_drive.is_some() {
            // Not a CD-ROM: Debian's cloud kernel has no driver for q35's own (AHCI).
            self.line("<disk type='file' device='disk'>");
            self.line("<driver name='qemu' type='raw'/>");
            self.line(&format!("<source file='{}'/>", path(&paths.config_drive)));
            self.line("<target dev='vdz' bus='virtio'/>");
            self.line("<readonly/>");
            self.line("</disk>");
        }
    }

    fn consoles(&mut self, spec: &ServerSpec, host: &Host, paths: &Paths) {
        if spec.console.serial {
            self.line("<serial type='pty'>");
            self.line(&format!(
                "<log file='{}' append='on'/>",
                path(&paths.console)
            ));
            self.line("<target type='isa-serial' port='0'/>");
            self.line("</serial>");
        }
        if spec.console.vnc {
            let listen = escape(&host.vnc_listen);
            self.line(&format!(
                "<graphics type='vnc' autoport='yes' listen='{listen}'/>"
            ));
            self.line("<video><model type='vga'/></video>");
        }
    }
}

fn path(path: &Path) -> String {
    escape(&path.to_string_lossy())
}

/// Text for an XML attribute or element. Characters that XML 1.0 cannot hold are dropped.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\'' => out.push_str("&apos;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => {
                let _infallible = write!(out, "&#{};", u32::from(c));
            }
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}

/// The mark as an element of a definition's metadata.
#[must_use]
pub fn mark_in_definition(mark: &Mark, boot_id: &str) -> String {
    let attributes = mark_attributes(mark, boot_id);
    format!("<{MARK_KEY}:mark xmlns:{MARK_KEY}='{MARK_NS}'{attributes}/>")
}

/// The mark as `virDomainSetMetadata` wants it, which declares the namespace itself and fails on one that is declared.
#[must_use]
pub fn mark_alone(mark: &Mark, boot_id: &str) -> String {
    format!("<mark{}/>", mark_attributes(mark, boot_id))
}

/// What was started counts only within one boot of the host.
fn mark_attributes(mark: &Mark, boot_id: &str) -> String {
    let mut attributes = String::new();
    if let Some(started) = mark.started {
        let boot = escape(boot_id);
        let _infallible = write!(attributes, " started='{started}' boot='{boot}'");
    }
    if let Some(rebooted) = mark.rebooted {
        let _infallible = write!(attributes, " rebooted='{rebooted}'");
    }
    attributes
}

/// What a definition says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Whose server it is; `None`: not one of Nephos.
    pub host: Option<String>,
    /// What it was made from.
    pub fingerprint: String,
    /// Which port a tap was made for.
    pub port_of_tap: BTreeMap<String, PortId>,
    /// What the agent wrote down.
    pub mark: Mark,
    /// The interfaces.
    pub interfaces: BTreeMap<String, FoundPort>,
    /// The volumes.
    pub volumes: Volumes,
    /// Where the graphical console listens.
    pub vnc: Option<VncAddress>,
}

/// Reads a definition as libvirt gives it back. `None`: it is not XML.
#[must_use]
pub fn read(xml: &str, boot_id: &str) -> Option<Said> {
    let document = Document::parse(xml).ok()?;
    let root = document.root_element();
    let mut said = Said::default();
    for node in root.children().filter(|node| node.has_tag_name("metadata")) {
        for meta in node.children().filter(Node::is_element) {
            match meta.tag_name().namespace() {
                Some(SERVER_NS) => read_server(meta, &mut said),
                Some(MARK_NS) => said.mark = read_mark(meta, boot_id),
                _someone_elses => {}
            }
        }
    }
    let devices = root.children().find(|node| node.has_tag_name("devices"));
    for device in devices.iter().flat_map(Node::children) {
        match device.tag_name().name() {
            "interface" => {
                if let Some(port) = read_interface(device, &said.port_of_tap) {
                    said.interfaces.insert(port.tap.clone(), port);
                }
            }
            "disk" => volume_xml::read(device, &mut said.volumes),
            "graphics" if device.attribute("type") == Some("vnc") => said.vnc = read_vnc(device),
            _other => {}
        }
    }
    Some(said)
}

fn read_server(node: Node<'_, '_>, said: &mut Said) {
    said.host = node.attribute("host").map(str::to_owned);
    said.fingerprint = node.attribute("fingerprint").unwrap_or_default().to_owned();
    for port in node.children() {
        if let (Some(tap), Some(id)) = (port.attribute("tap"), port.attribute("id")) {
            said.port_of_tap.insert(tap.to_owned(), PortId::from(id));
        }
    }
}

fn read_mark(node: Node<'_, '_>, boot_id: &str) -> Mark {
    let number = |name| node.attribute(name).and_then(|text| text.parse().ok());
    let this_boot = node.attribute("boot") == Some(boot_id);
    Mark {
        started: number("started").filter(|_| this_boot),
        rebooted: number("rebooted"),
    }
}

fn read_interface(node: Node<'_, '_>, port_of_tap: &BTreeMap<String, PortId>) -> Option<FoundPort> {
    let child = |name| node.children().find(|child| child.has_tag_name(name));
    let tap = child("target")?.attribute("dev")?.to_owned();
    let mac = child("mac")?.attribute("address")?.to_owned();
    Some(FoundPort {
        port_id: port_of_tap.get(&tap).cloned(),
        tap,
        mac,
    })
}

fn read_vnc(node: Node<'_, '_>) -> Option<VncAddress> {
    let port = node.attribute("port")?.parse::<u16>().ok()?; // -1 while the guest is off
    Some(VncAddress {
        host: node.attribute("listen")?.to_owned(),
        port,
    })
}

#[cfg(test)]
mod tests;
