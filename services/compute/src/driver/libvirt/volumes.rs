//! Volumes of guests that are on, and what opens them: libvirt keeps that as secrets, which it shows to nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use virt::connect::Connect;
use virt::domain::Domain;
use virt::error::{Error, ErrorNumber};
use virt::secret::Secret;
use virt_sys as sys;

use super::link::{find, unless_late};
use super::{Shared, domain_xml, volume_xml};
use crate::driver::DriverError;
use crate::model::spec::{ServerId, ServerSpec};
use crate::model::volume::{VolumeKey, VolumeSpec, Way};

/// What decrypts volumes of a server, by volume.
pub(super) type Keys = Vec<(String, VolumeKey)>;

/// Does something for which libvirt opens encrypted volumes. It has their keys only meanwhile, and in memory; QEMU has them
/// then as long as it has the volumes.
pub(super) fn with_keys<T>(
    connect: &Connect,
    server: &ServerId,
    keys: &Keys,
    job: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    let given = keys.iter().try_for_each(|(volume, key)| {
        let secret = Secret::define_xml(connect, &volume_xml::key(server, volume), 0)?;
        secret.set_value(key.key.0.as_bytes(), 0)
    });
    let done = given.and_then(|()| job());
    for (volume, _) in keys {
        if let Err(why) = remove_secret(connect, &volume_xml::key_id(server, volume)) {
            let why = why.message();
            tracing::warn!(%server, volume, why, "libvirt keeps the key of a volume in memory a while longer");
        }
    }
    done
}

impl Shared {
    /// The volumes for which keys are needed to start a guest; none when it is on.
    pub(super) fn locked_volumes(&self, server: &ServerId) -> Result<Vec<String>, DriverError> {
        self.link.with("look at a server", |connect| {
            let Some(domain) = find(connect, server.as_str())? else {
                return Ok(Vec::new());
            };
            if domain.is_active()? {
                return Ok(Vec::new());
            }
            let definition = domain.get_xml_desc(sys::VIR_DOMAIN_XML_INACTIVE)?;
            Ok(volume_xml::encrypted(&definition))
        })
    }

    /// Plugs a volume into a guest that is on.
    pub(super) fn plug_volume(
        &self,
        server: &ServerId,
        (volume, keys): (&VolumeSpec, &Keys),
    ) -> Result<(), DriverError> {
        let xml = volume_xml::disk(server, volume);
        let plugged = self.link.with("plug a volume", |connect| {
            let Some(domain) = find(connect, server.as_str())? else {
                return Ok(None);
            };
            ensure_secret(connect, server, volume)?;
            let flags = sys::VIR_DOMAIN_AFFECT_LIVE;
            let plug = || domain.attach_device_flags(&xml, flags);
            with_keys(connect, server, keys, plug).map(Some)
        })?;
        plugged.map(|_flags| ()).ok_or_else(|| {
            DriverError::Failed("cannot plug a volume: it is not defined".to_owned())
        })
    }
}

/// How large a guest sees its volumes, by device.
pub(super) fn sizes(domain: &Domain, xml: &str) -> BTreeMap<String, u64> {
    let said = domain_xml::read(xml, "").unwrap_or_default();
    let devices = said.volumes.all.into_values().map(|volume| volume.device);
    devices
        .filter_map(|device| {
            let info = domain.get_block_info(&device, 0).ok()?;
            Some((device, info.capacity))
        })
        .collect()
}

/// Asks a guest that is on to let go of a volume.
pub(super) fn ask_to_unplug(domain: &Domain, volume: &str) -> Result<(), Error> {
    let Some(disk) = volume_xml::of_guest(&domain.get_xml_desc(0)?, volume) else {
        return Ok(());
    };
    match domain.detach_device_flags(&disk, sys::VIR_DOMAIN_AFFECT_LIVE) {
        Err(error) if error.message().contains("already in the process of unplug") => Ok(()),
        Err(error) if error.code() == ErrorNumber::DeviceMissing => Ok(()),
        done => unless_late(done),
    }
}

/// Gives libvirt what opens a volume, before anything names it.
pub(super) fn ensure_secret(
    connect: &Connect,
    server: &ServerId,
    volume: &VolumeSpec,
) -> Result<(), Error> {
    let Way::Iscsi { password, .. } = &volume.connection.path else {
        return Ok(());
    };
    let xml = volume_xml::secret(server, &volume.volume_id);
    let secret = Secret::define_xml(connect, &xml, 0)?;
    secret.set_value(password.0.as_bytes(), 0)
}

/// Removes those of `secrets` that the spec does not need.
pub(super) fn remove_secrets(
    connect: &Connect,
    secrets: &[String],
    spec: &ServerSpec,
) -> Result<(), Error> {
    let needed: Vec<String> = spec
        .volumes
        .iter()
        .map(|volume| volume_xml::secret_id(&spec.server_id, &volume.volume_id))
        .collect();
    let mut unneeded = secrets.iter().filter(|id| !needed.contains(*id));
    unneeded.try_for_each(|id| remove_secret(connect, id))
}

/// Removes one; that it is not there is no error.
pub(super) fn remove_secret(connect: &Connect, id: &str) -> Result<(), Error> {
    match Secret::lookup_by_uuid_string(connect, id) {
        Ok(secret) => secret.undefine(),
        Err(error) if error.code() == ErrorNumber::NoSecret => Ok(()),
        Err(error) => Err(error),
    }
}

/// Secrets that no definition names, at the last look: what was killed between the two leaves one.
#[derive(Debug, Default)]
pub(super) struct Unnamed(Mutex<BTreeSet<String>>);

impl Unnamed {
    /// Removes those that were not named at the last look either. One that was just made is about to be.
    pub(super) fn sweep(&self, connect: &Connect) -> Result<(), Error> {
        let mut unnamed = BTreeSet::new();
        let mut keys = BTreeSet::new();
        for secret in connect.list_all_secrets(0)? {
            // One that goes while we list is not there.
            let definition = secret.get_xml_desc(0).unwrap_or_default();
            unnamed.extend(volume_xml::our_secret(&definition));
            keys.extend(volume_xml::our_key(&definition));
        }
        if !unnamed.is_empty() {
            for domain in connect.list_all_domains(0)? {
                for flags in [0, sys::VIR_DOMAIN_XML_INACTIVE] {
                    let definition = domain.get_xml_desc(flags).unwrap_or_default();
                    unnamed.retain(|id| !definition.contains(id.as_str()));
                }
            }
        }
        // A key is needed for a moment, whatever names it.
        unnamed.append(&mut keys);
        let mut before = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for id in unnamed.intersection(&before) {
            remove_secret(connect, id)?;
        }
        *before = unnamed;
        Ok(())
    }
}
