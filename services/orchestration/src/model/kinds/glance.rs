//! Types of the image service.

use crate::model::kind::{How, Kind};
use crate::model::property::{Prop, Rule, boolean, integer, list, map, text};

const WEB_IMAGE: &[Prop] = &[
    text("name", "Name for the image. The name of an image is not unique to a Image Service node."),
    text("id", "The image ID. Glance will generate a UUID if not specified."),
    integer("min_disk", "Amount of disk space (in GB) required to boot image. Default value is 0 if not specified and means no limit on the disk size.")
        .default("0")
        .rule(Rule::Range(0, i32::MAX as i64)),
    integer("min_ram", "Amount of ram (in MB) required to boot image. Default value is 0 if not specified and means no limit on the ram size.")
        .default("0")
        .rule(Rule::Range(0, i32::MAX as i64)),
    boolean("protected", "Whether the image can be deleted. If the value is True, the image is protected and cannot be deleted.")
        .in_place()
        .default("false"),
    text("disk_format", "Disk format of image.").required().rule(Rule::Allowed(&[
        "ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop",
    ])),
    text("container_format", "Container format of image.")
        .required()
        .rule(Rule::Allowed(&["ami", "ari", "aki", "bare", "ovf", "ova", "docker"])),
    text("location", "URL where the data for this image already resides; the image service says from which hosts it fetches.").required(),
    list("tags", "List of image tags.").in_place(),
    text("architecture", "Operating system architecture.").in_place(),
    text("kernel_id", "ID of image stored in Glance that should be used as the kernel when booting an AMI-style image.").in_place(),
    text("os_distro", "The common name of the operating system distribution in lowercase.").in_place(),
    text("os_version", "Operating system version as specified by the distributor.").in_place(),
    text("owner", "Owner of the image.").in_place(),
    map("extra_properties", "Arbitrary properties to associate with the image.").in_place().default("{}"),
    text("visibility", "Scope of image accessibility.")
        .in_place()
        .default("\"private\"")
        .rule(Rule::Allowed(&["public", "private", "community", "shared"])),
    text("ramdisk_id", "ID of image stored in Glance that should be used as the ramdisk when booting an AMI-style image.").in_place(),
    boolean("active", "Activate or deactivate the image. Requires Admin Access.").in_place().default("true"),
    list("members", "List of additional members that are permitted to read the image: IDs of projects.").in_place(),
];

pub(in crate::model) const KINDS: &[Kind] = &[Kind {
    name: "OS::Glance::WebImage",
    doc: "A resource managing images in Glance using web-download import.",
    props: WEB_IMAGE,
    attrs: &[],
    how: How::WebImage,
}];
