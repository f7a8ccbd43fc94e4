//! Types of the block storage service.

use crate::model::kind::{How, Kind};
use crate::model::property::{Prop, Rule, boolean, integer, list, map, text};

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
        "imageRef",
        "The ID of the image to create the volume from; image is the newer property.",
    ),
    boolean(
        "multiattach",
        "Whether to allow the volume to be attached more than once. Types of volumes say so here: true is refused with that hint.",
    )
    .default("false"),
    text(
        "volume_type",
        "If specified, the type of volume to use, mapping to a specific backend. A volume that is there is given the other type, and keeps its data.",
    )
    .in_place(),
    text(
        "backup_id",
        "If specified, the backup to create the volume from.",
    ),
    boolean(
        "read_only",
        "Enables or disables read-only access mode of volume.",
    )
    .in_place(),
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

const TYPE: &[Prop] = &[
    text("name", "Name of the volume type.")
        .required()
        .in_place(),
    map(
        "metadata",
        "The extra specs key and value pairs of the volume type.",
    )
    .in_place(),
    boolean(
        "is_public",
        "Whether the volume type is accessible to the public.",
    )
    .in_place()
    .default("true"),
    text("description", "Description of the volume type.").in_place(),
    list(
        "projects",
        "Projects to add volume type access to, by name or ID.",
    )
    .in_place()
    .default("[]"),
];

const ENCRYPTION: &[Prop] = &[
    text(
        "provider",
        "The class that provides encryption support. For example, nova.volume.encryptors.luks.LuksEncryptor.",
    )
    .required()
    .in_place(),
    text(
        "control_location",
        "Notional service where encryption is performed. For example, front-end for Nova.",
    )
    .in_place()
    .default("\"front-end\"")
    .rule(Rule::Allowed(&["front-end", "back-end"])),
    text(
        "cipher",
        "The encryption algorithm or mode. For example, aes-xts-plain64.",
    )
    .in_place()
    .rule(Rule::Allowed(&["aes-xts-plain64", "aes-cbc-essiv"])),
    integer(
        "key_size",
        "Size of encryption key, in bits. For example, 128 or 256.",
    )
    .in_place(),
    text(
        "volume_type",
        "Name or id of volume type (OS::Cinder::VolumeType).",
    )
    .required(),
];

const QOS: &[Prop] = &[
    text("name", "Name of the QoS."),
    map(
        "specs",
        "The specs key and value pairs of the QoS; `consumer` says who keeps to them.",
    )
    .required()
    .in_place(),
];

const ASSOCIATION: &[Prop] = &[
    text("qos_specs", "ID or Name of the QoS specs.")
        .required()
        .in_place(),
    list(
        "volume_types",
        "List of volume type IDs or Names to be attached to QoS specs.",
    )
    .required()
    .in_place(),
];

const fn limit(name: &'static str, doc: &'static str) -> Prop {
    integer(name, doc)
        .in_place()
        .rule(Rule::Range(-1, i32::MAX as i64))
}

const QUOTA: &[Prop] = &[
    text("project", "OpenStack Keystone Project, by name or ID.").required(),
    limit(
        "gigabytes",
        "Quota for the amount of disk space (in Gigabytes). Setting the value to -1 removes the limit.",
    ),
    limit(
        "volumes",
        "Quota for the number of volumes. Setting the value to -1 removes the limit.",
    ),
    limit(
        "backups",
        "Quota for the number of backups. Setting the value to -1 removes the limit.",
    ),
    limit(
        "backup_gigabytes",
        "Quota for the amount of backups disk space (in Gigabytes). Setting the value to -1 removes the limit.",
    ),
    limit(
        "snapshots",
        "Quota for the number of snapshots. Setting the value to -1 removes the limit.",
    ),
];

pub(in crate::model) const KINDS: &[Kind] = &[
    Kind {
        name: "OS::Cinder::VolumeType",
        doc: "A resource for creating cinder volume types, for administrators.",
        props: TYPE,
        attrs: &[],
        how: How::VolumeType,
    },
    Kind {
        name: "OS::Cinder::EncryptedVolumeType",
        doc: "A resource for encrypting a cinder volume type, for administrators.",
        props: ENCRYPTION,
        attrs: &[],
        how: How::VolumeEncryption,
    },
    Kind {
        name: "OS::Cinder::QoSSpecs",
        doc: "A resource for creating cinder QoS specs, for administrators. When it goes, types that have the specs lose them.",
        props: QOS,
        attrs: &[],
        how: How::QosSpecs,
    },
    Kind {
        name: "OS::Cinder::QoSAssociation",
        doc: "A resource to associate cinder QoS specs with volume types, for administrators.",
        props: ASSOCIATION,
        attrs: &[],
        how: How::QosAssociation,
    },
    Kind {
        name: "OS::Cinder::Quota",
        doc: "A resource for managing cinder quotas, for administrators. When it goes, the project has the default quotas.",
        props: QUOTA,
        attrs: &[],
        how: How::VolumeQuota,
    },
    Kind {
        name: "OS::Cinder::Volume",
        doc: "A resource that implements Cinder volumes. A change of its name, description, metadata, type, access mode or to a larger size is made in place; any other replaces it.",
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
            ("metadata", "Key/value pairs associated with the volume."),
            ("attachments", "What the volume is attached to."),
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
