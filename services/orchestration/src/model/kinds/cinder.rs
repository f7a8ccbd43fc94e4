//! Types of the block storage service.

use crate::model::kind::{How, Kind};
use crate::model::property::{Prop, Rule, integer, map, text};

const VOLUME: &[Prop] = &[
    text("name", "A name used to distinguish the volume.").in_place(),
    text("description", "A description of the volume.").in_place(),
    integer(
        "size",
        "The size of the volume in GB. On update only increase in size is supported. This property is required unless the volume is made of an image, a snapshot or another volume.",
    )
    .in_place()
    .rule(Rule::Range(1, 1 << 31)),
    text(
        "availability_zone",
        "The availability zone in which the volume will be created.",
    ),
    text(
        "snapshot_id",
        "If specified, the snapshot to create the volume from.",
    ),
    text(
        "source_volid",
        "If specified, the volume to use as source.",
    ),
    text(
        "image",
        "If specified, the name or ID of the image to create the volume from.",
    ),
    text(
        "volume_type",
        "If specified, the type of volume to use, mapping to a specific backend.",
    ),
    map(
        "metadata",
        "Key/value pairs to associate with the volume.",
    )
    .in_place(),
];

const ATTACHMENT: &[Prop] = &[
    text(
        "instance_uuid",
        "The ID of the server to which the volume attaches.",
    )
    .required()
    .in_place(),
    text("volume_id", "The ID of the volume to be attached.")
        .required()
        .in_place(),
    text(
        "mountpoint",
        "The location where the volume is exposed on the instance. This assignment may not be honored and it is advised that the path /dev/disk/by-id/virtio-<VolumeId> be used instead.",
    )
    .in_place(),
];

pub(in crate::model) const KINDS: &[Kind] = &[
    Kind {
        name: "OS::Cinder::Volume",
        doc: "A resource that implements Cinder volumes. A change of its name, description, metadata or to a larger size is made in place; any other replaces it.",
        props: VOLUME,
        attrs: &[
            (
                "availability_zone",
                "The availability zone in which the volume is located.",
            ),
            ("size", "The size of the volume in GB."),
            (
                "snapshot_id",
                "The snapshot the volume was created from, if any.",
            ),
            ("display_name", "Name of the volume."),
            ("display_description", "Description of the volume."),
            (
                "volume_type",
                "The type of the volume mapping to a backend, if any.",
            ),
            (
                "metadata_values",
                "Key/value pairs associated with the volume.",
            ),
            ("source_volid", "The volume used as source, if any."),
            ("status", "The current status of the volume."),
            ("created_at", "The timestamp indicating volume creation."),
            (
                "bootable",
                "Boolean indicating if the volume can be booted or not.",
            ),
            (
                "encrypted",
                "Boolean indicating if the volume is encrypted or not.",
            ),
            ("attachments_list", "The list of attachments of the volume."),
            (
                "multiattach",
                "Boolean indicating whether allow the volume to be attached more than once.",
            ),
        ],
        how: How::Volume,
    },
    Kind {
        name: "OS::Cinder::VolumeAttachment",
        doc: "Resource for associating volume to instance. A change takes the volume out and plugs in what is wanted now.",
        props: ATTACHMENT,
        attrs: &[],
        how: How::VolumeAttachment,
    },
];
