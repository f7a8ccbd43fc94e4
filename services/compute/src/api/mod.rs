//! HTTP: one file per resource, the route list below.

mod addresses;
mod aggregates;
mod console;
mod discovery;
mod disks;
mod fault;
mod flavor_extras;
mod flavors;
mod floating_ips;
mod guest_data;
mod host;
mod hypervisors;
mod images;
mod instance_actions;
mod interfaces;
mod keypairs;
mod limits;
mod migrations;
mod networks;
mod news;
mod quotas;
mod remote_consoles;
mod resource;
mod security_groups;
mod server_actions;
mod server_create;
mod server_devices;
mod server_evacuate;
mod server_fields;
mod server_groups;
mod server_image;
mod server_list;
mod server_live;
mod server_metadata;
mod server_migrations;
mod server_password;
mod server_rebuild;
mod server_references;
mod server_resize;
mod server_tags;
mod server_view;
mod servers;
mod services;
mod versions;
mod volume_attachments;
mod zones;

pub(crate) use fault::DIALECT;
use nephos_api::{Endpoints, Fault, Params, Version, routes};
use serde::Deserialize;

use crate::Svc;
use crate::model::server::Server;
use crate::model::spec::ServerId;
use crate::ops::Asked;

type Cx = nephos_api::Cx<Svc>;

/// `/servers/{id}/…`
#[derive(Debug, Deserialize)]
pub(crate) struct ServerPath {
    pub id: ServerId,
}

/// Lists of things are cut here, whatever is asked for (Nova's `max_limit`).
const MAX_PAGE: u32 = 1000;

/// How many things a list shows.
fn page_limit(asked: Option<&str>) -> Result<u32, Fault> {
    let Some(asked) = asked else {
        return Ok(MAX_PAGE);
    };
    let limit = nephos_types::count(asked).ok_or_else(|| {
        Fault::bad_request(format!(
            "limit must be a whole number and not negative, unlike '{asked}'."
        ))
    })?;
    Ok(limit.min(MAX_PAGE))
}

/// What clients write for yes and no.
fn truth(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "1" | "true" | "t" | "yes" | "on" | "y" => Some(true),
        "0" | "false" | "f" | "no" | "off" | "n" => Some(false),
        _other => None,
    }
}

/// Likewise in a body.
fn is_true(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Bool(truth) => *truth,
        serde_json::Value::String(word) => truth(word).unwrap_or(false),
        _other => false,
    }
}

/// From `since` on (2.75 for most) a query may hold nothing that the call does not know.
fn refuse_unknown(cx: &Cx, query: &Params, since: Version, known: &[&str]) -> Result<(), Fault> {
    let unknown = query
        .0
        .iter()
        .map(|(key, _)| key)
        .find(|key| !known.contains(&key.as_str()));
    match unknown.filter(|_| cx.version >= since) {
        None => Ok(()),
        Some(key) => Err(Fault::bad_request(format!(
            "Additional properties are not allowed ('{key}' was unexpected)"
        ))),
    }
}

fn asked(cx: &Cx) -> Asked<'_> {
    Asked {
        caller: &cx.caller,
        request_id: &cx.request_id,
        now: cx.now(),
    }
}

async fn server(cx: &Cx, id: &ServerId) -> Result<Option<Server>, Fault> {
    Ok(crate::store::servers::get(cx.db(), id.as_str()).await?)
}

/// Nova says "Instance <id> could not be found." whichever way it is not there.
fn name_it(id: &ServerId) -> impl Fn(Fault) -> Fault + '_ {
    |fault| {
        if fault.status.as_u16() == 404 {
            fault::no_server(id.as_str())
        } else {
            fault
        }
    }
}

pub(crate) fn endpoints() -> Endpoints<Svc> {
    let mut all = routes![
        addresses::ListAddresses,
        addresses::ShowNetworkAddresses,
        aggregates::AddHost,
        aggregates::CreateAggregate,
        aggregates::DeleteAggregate,
        aggregates::ListAggregates,
        aggregates::RemoveHost,
        aggregates::SetAggregateMetadata,
        aggregates::ShowAggregate,
        aggregates::UpdateAggregate,
        console::ConsoleOutput,
        discovery::ListVersions,
        discovery::ShowOlderVersion,
        discovery::ShowVersion,
        discovery::ListExtensions,
        disks::CarryDisk,
        flavors::CreateFlavor,
        flavors::DeleteFlavor,
        flavors::ListFlavors,
        flavors::ListFlavorsDetail,
        flavors::ShowFlavor,
        flavors::UpdateFlavor,
        flavor_extras::AddAccess,
        flavor_extras::CreateExtraSpecs,
        flavor_extras::DeleteExtraSpec,
        flavor_extras::ListAccess,
        flavor_extras::ListExtraSpecs,
        flavor_extras::RemoveAccess,
        flavor_extras::ShowExtraSpec,
        flavor_extras::UpdateExtraSpec,
        guest_data::AnswerGuest,
        guest_data::AnswerGuestRoot,
        guest_data::KeepPassword,
        host::ExternalEvents,
        host::HostFeed,
        host::HostObserved,
        host::HostVolumeKey,
        host::ImageIsBrought,
        host::ImageIsWanted,
        hypervisors::ListHypervisors,
        hypervisors::ListHypervisorsDetail,
        hypervisors::ListHypervisorServers,
        hypervisors::SearchHypervisors,
        hypervisors::ShowHypervisor,
        hypervisors::ShowStatistics,
        hypervisors::ShowUptime,
        instance_actions::ListActions,
        instance_actions::ShowAction,
        interfaces::AttachInterface,
        interfaces::DetachInterface,
        interfaces::ListInterfaces,
        interfaces::ShowInterface,
        keypairs::CreateKeyPair,
        keypairs::CreateKeyPairOld,
        keypairs::DeleteKeyPair,
        keypairs::DeleteKeyPairOld,
        keypairs::ListKeyPairs,
        keypairs::ShowKeyPair,
        limits::ShowLimits,
        migrations::ListMigrations,
        quotas::DeleteQuotas,
        quotas::ShowDefaultQuotas,
        quotas::ShowQuotaClass,
        quotas::ShowQuotaDetail,
        quotas::ShowQuotas,
        quotas::UpdateQuotaClass,
        quotas::UpdateQuotas,
        remote_consoles::CreateConsole,
        remote_consoles::JoinConsole,
        remote_consoles::OpenConsole,
        remote_consoles::RefuseConsole,
        remote_consoles::SerialConsole,
        remote_consoles::VncConsole,
    ];
    all.extend(routes![
        server_actions::AddSecurityGroup,
        server_actions::ForceDelete,
        server_actions::Lock,
        server_actions::Pause,
        server_actions::Reboot,
        server_actions::RemoveSecurityGroup,
        server_actions::ResetState,
        server_actions::Restore,
        server_actions::Resume,
        server_actions::Start,
        server_actions::Stop,
        server_actions::Suspend,
        server_actions::Unlock,
        server_actions::Unpause,
        server_create::CreateServers,
        server_evacuate::Evacuate,
        server_evacuate::EvacuateOld,
        server_groups::CreateServerGroup,
        server_groups::DeleteServerGroup,
        server_groups::ListServerGroups,
        server_groups::ShowServerGroup,
        server_image::CreateImage,
        server_image::CreateImageOld,
        server_metadata::CreateMetadata,
        server_metadata::DeleteMetadataItem,
        server_metadata::ListMetadata,
        server_metadata::ReplaceMetadata,
        server_metadata::ShowMetadataItem,
        server_metadata::UpdateMetadataItem,
        server_password::ChangePassword,
        server_password::ClearPassword,
        server_password::HostPassword,
        server_password::ShowPassword,
        server_rebuild::Rebuild,
        server_live::MigrateLive,
        server_migrations::AbortServerMigration,
        server_migrations::ForceServerMigration,
        server_migrations::ListServerMigrations,
        server_migrations::ShowServerMigration,
        server_resize::ConfirmResize,
        server_resize::Migrate,
        server_resize::Resize,
        server_resize::RevertResize,
        server_tags::AddTag,
        server_tags::DeleteTag,
        server_tags::DeleteTags,
        server_tags::ListTags,
        server_tags::ReplaceTags,
        server_tags::ShowTag,
        servers::DeleteServer,
        server_list::ListServers,
        server_list::ListServersDetail,
        servers::ShowServer,
        servers::UpdateServer,
        services::DisableService,
        services::DisableServiceWhy,
        services::EnableService,
        services::ForceDownService,
        services::ListServices,
        services::UpdateService,
        volume_attachments::AttachVolume,
        volume_attachments::DetachVolume,
        volume_attachments::ListAttachments,
        volume_attachments::ShowAttachment,
        volume_attachments::UpdateAttachment,
        zones::ListZones,
        zones::ListZonesDetail,
    ]);
    all.extend(routes![
        floating_ips::AddFloatingIp,
        floating_ips::CreateFloatingIp,
        floating_ips::DeleteFloatingIp,
        floating_ips::ListFloatingIps,
        floating_ips::ListPools,
        floating_ips::RemoveFloatingIp,
        floating_ips::ShowFloatingIp,
        images::CreateImageMetadata,
        images::DeleteImage,
        images::DeleteImageMetadataItem,
        images::ListImageMetadata,
        images::ListImages,
        images::ListImagesDetail,
        images::ReplaceImageMetadata,
        images::ShowImage,
        images::ShowImageMetadataItem,
        images::UpdateImageMetadataItem,
        networks::ListNetworks,
        networks::ListTenantNetworks,
        networks::ShowNetwork,
        networks::ShowTenantNetwork,
        security_groups::CreateGroupRule,
        security_groups::CreateSecurityGroup,
        security_groups::DeleteGroupRule,
        security_groups::DeleteSecurityGroup,
        security_groups::ListSecurityGroups,
        security_groups::ListServerSecurityGroups,
        security_groups::ShowSecurityGroup,
        security_groups::UpdateSecurityGroup,
    ]);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_page_is_larger_than_the_largest() {
        assert_eq!(page_limit(None).unwrap(), MAX_PAGE);
        assert_eq!(page_limit(Some("7")).unwrap(), 7);
        assert_eq!(page_limit(Some("5000")).unwrap(), MAX_PAGE);
        assert_eq!(page_limit(Some("99999999999")).unwrap(), MAX_PAGE);
        assert!(page_limit(Some("-1")).is_err());
    }
}
