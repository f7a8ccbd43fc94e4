//! Every endpoint, asked by every kind of caller.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use nephos_compute::Compute;
use nephos_db::args;
use nephos_testkit::{Persona, check_matrix, matrix};
use serde_json::{Value, json};

use crate::cloud::Cloud;

/// A volume that the server has.
const VOLUME: &str = "33333333-3333-4333-8333-333333333333";
const VOLUMES: &str = r#"[{"id": "place", "volume_id": "33333333-3333-4333-8333-333333333333", "device": "/dev/vdb"}]"#;

/// The things that calls are made on.
struct Things<'a> {
    cloud: &'a Cloud,
    server: String,
    port: String,
    group: String,
    floating: String,
    hypervisor: String,
    service: String,
    request: String,
    made: AtomicUsize,
}

impl Things<'_> {
    fn fresh(&self, what: &str) -> String {
        format!("{what}-{}", self.made.fetch_add(1, Ordering::Relaxed))
    }

    /// The server as it was: running, nothing under way, unlocked.
    async fn reset(&self, vm_state: &str) {
        let mut tx = self.cloud.db.write().await.unwrap();
        tx.exec(
            "UPDATE operations SET finished_at = 1 WHERE finished_at IS NULL",
            args![],
        )
        .await
        .unwrap();
        tx.exec(
            "UPDATE migrations SET ended_at = 1 WHERE ended_at IS NULL",
            args![],
        )
        .await
        .unwrap();
        tx.exec(
            "UPDATE servers SET vm_state = $1, task_state = NULL, locked_by = NULL, tags = '[\"t\"]', metadata = '{\"k\":\"v\"}', \
             volumes = $2 WHERE id = $3",
            args![vm_state, VOLUMES, self.server],
        )
        .await
        .unwrap();
        tx.commit().await.unwrap();
    }

    /// Only what a lost host had is evacuated.
    async fn lost_host(&self) {
        let mut tx = self.cloud.db.write().await.unwrap();
        let sql = "UPDATE hosts SET forced_down = $1";
        tx.exec(sql, args![true]).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// A server on its way while it runs.
    async fn moving(&self, more: &str, body: Value) -> Option<(String, Value)> {
        self.action("active", json!({})).await;
        let mut tx = self.cloud.db.write().await.unwrap();
        let sql = "UPDATE servers SET task_state = 'migrating' WHERE id = $1";
        tx.exec(sql, args![self.server]).await.unwrap();
        tx.commit().await.unwrap();
        let number = self.add_move("live-migration", "running").await;
        Some((
            format!(
                "/v2.1/servers/{}/migrations{}",
                self.server,
                more.replace('N', &number)
            ),
            body,
        ))
    }

    /// A resize that its owner has not decided about.
    async fn resized(&self, body: Value) -> Option<(String, Value)> {
        let asked = self.action("resized", body).await;
        self.add_move("resize", "finished").await;
        asked
    }

    /// Gives its number.
    async fn add_move(&self, kind: &str, status: &str) -> String {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let mut tx = self.cloud.db.write().await.unwrap();
        let sql = "INSERT INTO migrations SELECT $1, $2, id, project_id, user_id, $4, $5, 'begun', host, host, \
             NULL, flavor, flavor, disk_epoch, 'running', generation, 0, 0, NULL, 0, 0, NULL, '' FROM servers WHERE id = $3";
        let uuid = format!("move-{number}");
        let id = 1000 + i64::try_from(number).unwrap();
        tx.exec(sql, args![id, uuid, self.server, kind, status])
            .await
            .unwrap();
        tx.commit().await.unwrap();
        id.to_string()
    }

    /// Servers with volumes do not move.
    async fn without_volumes(&self, body: Value) -> Option<(String, Value)> {
        let asked = self.action("active", body).await;
        let mut tx = self.cloud.db.write().await.unwrap();
        let sql = "UPDATE servers SET volumes = '[]' WHERE id = $1";
        tx.exec(sql, args![self.server]).await.unwrap();
        tx.commit().await.unwrap();
        asked
    }

    async fn found_host(&self) {
        let mut tx = self.cloud.db.write().await.unwrap();
        let sql = "UPDATE hosts SET forced_down = $1";
        tx.exec(sql, args![false]).await.unwrap();
        tx.commit().await.unwrap();
    }

    fn set_groups(&self, groups: Value) {
        let mut network = self.cloud.network.state();
        network
            .rows
            .get_mut("ports")
            .unwrap()
            .get_mut(&self.port)
            .unwrap()["security_groups"] = groups;
    }

    async fn aggregate(&self) -> String {
        let body = json!({"aggregate": {"name": self.fresh("aggregate")}});
        let made = self.cloud.admin().post("/v2.1/os-aggregates", body).await;
        made.expect(200).json["aggregate"]["id"].to_string()
    }

    async fn server_group(&self) -> String {
        let body = json!({"server_group": {"name": "g", "policies": ["affinity"]}});
        let made = self
            .cloud
            .member()
            .post("/v2.1/os-server-groups", body)
            .await;
        let id = &made.expect(200).json["server_group"]["id"];
        id.as_str().unwrap().to_owned()
    }

    async fn flavor(&self, public: bool) -> String {
        let id = self.fresh("flavor");
        let body = json!({"flavor": {"id": id, "name": id, "vcpus": 1, "ram": 1, "disk": 1, "os-flavor-access:is_public": public}});
        self.cloud
            .admin()
            .post("/v2.1/flavors", body)
            .await
            .expect(200);
        let specs = json!({"extra_specs": {"k": "v"}});
        self.cloud
            .admin()
            .post(&format!("/v2.1/flavors/{id}/os-extra_specs"), specs)
            .await
            .expect(200);
        id
    }

    async fn action(&self, vm_state: &str, body: Value) -> Option<(String, Value)> {
        self.reset(vm_state).await;
        Some((format!("/v2.1/servers/{}/action", self.server), body))
    }

    async fn server(&self, rest: &str, body: Value) -> Option<(String, Value)> {
        self.reset("active").await;
        Some((format!("/v2.1/servers/{}{rest}", self.server), body))
    }

    async fn call(&self, name: &'static str) -> Option<(String, Value)> {
        let none = || Value::Null;
        let some = |target: &str, body: Value| Some((format!("/v2.1{target}"), body));
        let key =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEqnY4TdVKX2mYTZLqMeKJfBqnWzGdbTV2FMsFzU6VyW me";
        let project = Persona::Member.project();
        let servers = self.of_servers(name).await;
        if servers.is_some() {
            return servers;
        }
        match name {
            "ListVersions" => Some(("/".to_owned(), none())),
            "ShowVersion" => Some(("/v2.1".to_owned(), none())),
            "ShowOlderVersion" => Some(("/v2".to_owned(), none())),
            "ListExtensions" => some("/extensions", none()),
            "ListFlavors" => some("/flavors", none()),
            "ListFlavorsDetail" => some("/flavors/detail", none()),
            "CreateFlavor" => {
                let body =
                    json!({"flavor": {"name": self.fresh("new"), "vcpus": 1, "ram": 1, "disk": 1}});
                some("/flavors", body)
            }
            "ShowFlavor" => some("/flavors/small", none()),
            "UpdateFlavor" => some("/flavors/small", json!({"flavor": {"description": "x"}})),
            "DeleteFlavor" => some(&format!("/flavors/{}", self.flavor(true).await), none()),
            "ListAccess" => some(
                &format!("/flavors/{}/os-flavor-access", self.flavor(false).await),
                none(),
            ),
            "AddAccess" => {
                let body = json!({"addTenantAccess": {"tenant": "x"}});
                some(
                    &format!("/flavors/{}/action", self.flavor(false).await),
                    body,
                )
            }
            "RemoveAccess" => {
                let id = self.flavor(false).await;
                let add = json!({"addTenantAccess": {"tenant": "x"}});
                self.cloud
                    .admin()
                    .post(&format!("/v2.1/flavors/{id}/action"), add)
                    .await
                    .expect(200);
                some(
                    &format!("/flavors/{id}/action"),
                    json!({"removeTenantAccess": {"tenant": "x"}}),
                )
            }
            "ListExtraSpecs" => some(
                &format!("/flavors/{}/os-extra_specs", self.flavor(true).await),
                none(),
            ),
            "ShowExtraSpec" => some(
                &format!("/flavors/{}/os-extra_specs/k", self.flavor(true).await),
                none(),
            ),
            "CreateExtraSpecs" => some(
                "/flavors/small/os-extra_specs",
                json!({"extra_specs": {"a": "b"}}),
            ),
            "UpdateExtraSpec" => some(
                &format!("/flavors/{}/os-extra_specs/k", self.flavor(true).await),
                json!({"k": "w"}),
            ),
            "DeleteExtraSpec" => some(
                &format!("/flavors/{}/os-extra_specs/k", self.flavor(true).await),
                none(),
            ),
            "CreateKeyPair" | "CreateKeyPairOld" => some(
                "/os-keypairs",
                json!({"keypair": {"name": self.fresh("key"), "public_key": key}}),
            ),
            "ListKeyPairs" => some("/os-keypairs", none()),
            "ShowKeyPair" | "DeleteKeyPair" | "DeleteKeyPairOld" => {
                some("/os-keypairs/mine", none())
            }
            "ListHypervisors" => some("/os-hypervisors", none()),
            "ListHypervisorsDetail" => some("/os-hypervisors/detail", none()),
            "ShowHypervisor" => some("/os-hypervisors/1", none()),
            "ShowStatistics" => some("/os-hypervisors/statistics", none()),
            "ShowUptime" => some("/os-hypervisors/1/uptime", none()),
            "SearchHypervisors" => some(
                &format!("/os-hypervisors/{}/search", self.hypervisor),
                none(),
            ),
            "ListHypervisorServers" => some(
                &format!("/os-hypervisors/{}/servers", self.hypervisor),
                none(),
            ),
            "ListServices" => some("/os-services", none()),
            "UpdateService" => some(
                &format!("/os-services/{}", self.service),
                json!({"status": "enabled"}),
            ),
            "EnableService" => some(
                "/os-services/enable",
                json!({"host": "one", "binary": "nova-compute"}),
            ),
            "DisableService" => some(
                "/os-services/disable",
                json!({"host": "one", "binary": "nova-compute"}),
            ),
            "DisableServiceWhy" => some(
                "/os-services/disable-log-reason",
                json!({"host": "one", "binary": "nova-compute", "disabled_reason": "x"}),
            ),
            "ForceDownService" => some(
                "/os-services/force-down",
                json!({"host": "one", "binary": "nova-compute", "forced_down": false}),
            ),
            "ListMigrations" => some("/os-migrations", none()),
            "CarryDisk" => Some((format!("/host/v1/disks/{}", self.server), none())),
            "ListAggregates" => some("/os-aggregates", none()),
            "CreateAggregate" => some(
                "/os-aggregates",
                json!({"aggregate": {"name": self.fresh("set")}}),
            ),
            "ShowAggregate" | "DeleteAggregate" => some(
                &format!("/os-aggregates/{}", self.aggregate().await),
                none(),
            ),
            "UpdateAggregate" => some(
                &format!("/os-aggregates/{}", self.aggregate().await),
                json!({"aggregate": {"name": self.fresh("set")}}),
            ),
            "AddHost" => some(
                &format!("/os-aggregates/{}/action", self.aggregate().await),
                json!({"add_host": {"host": "one"}}),
            ),
            "RemoveHost" => {
                let target = format!("/v2.1/os-aggregates/{}/action", self.aggregate().await);
                let add = json!({"add_host": {"host": "one"}});
                self.cloud.admin().post(&target, add).await.expect(200);
                Some((target, json!({"remove_host": {"host": "one"}})))
            }
            "SetAggregateMetadata" => some(
                &format!("/os-aggregates/{}/action", self.aggregate().await),
                json!({"set_metadata": {"metadata": {"k": "v"}}}),
            ),
            "ListServerGroups" => some("/os-server-groups", none()),
            "CreateServerGroup" => some(
                "/os-server-groups",
                json!({"server_group": {"name": "g", "policies": ["affinity"]}}),
            ),
            "ShowServerGroup" | "DeleteServerGroup" => some(
                &format!("/os-server-groups/{}", self.server_group().await),
                none(),
            ),
            "ListZones" => some("/os-availability-zone", none()),
            "ListZonesDetail" => some("/os-availability-zone/detail", none()),
            "ShowLimits" => some("/limits", none()),
            "ShowQuotas" => some(&format!("/os-quota-sets/{project}"), none()),
            "ShowQuotaDetail" => some(&format!("/os-quota-sets/{project}/detail"), none()),
            "ShowDefaultQuotas" => some(&format!("/os-quota-sets/{project}/defaults"), none()),
            "UpdateQuotas" => some(
                &format!("/os-quota-sets/{project}"),
                json!({"quota_set": {"cores": -1, "instances": -1, "ram": -1, "server_groups": -1}}),
            ),
            "DeleteQuotas" => some("/os-quota-sets/nobody", none()),
            "ShowQuotaClass" => some("/os-quota-class-sets/default", none()),
            "UpdateQuotaClass" => some(
                "/os-quota-class-sets/other",
                json!({"quota_class_set": {"cores": 5}}),
            ),
            "ExternalEvents" => some(
                "/os-server-external-events",
                json!({"events": [{"name": "network-changed", "server_uuid": self.server}]}),
            ),
            "HostFeed" => Some(("/host/v1/feed?host=one&since=0&wait=0".to_owned(), none())),
            "OpenConsole" => Some(("/console?token=0".to_owned(), none())),
            "JoinConsole" => Some(("/host/v1/consoles/none".to_owned(), none())),
            "RefuseConsole" => Some(("/host/v1/consoles/none".to_owned(), json!({"error": "x"}))),
            "ImageIsBrought" => Some((
                format!("/host/v1/hosts/one/snapshots/{}", self.cloud.image_id),
                none(),
            )),
            "ImageIsWanted" => Some((
                format!("/host/v1/hosts/one/images/{}", self.cloud.image_id),
                none(),
            )),
            "HostObserved" => Some(("/host/v1/observed?host=one".to_owned(), json!([]))),
            "AnswerGuestRoot" => Some(("/metadata".to_owned(), none())),
            "AnswerGuest" => Some(("/metadata/openstack".to_owned(), none())),
            "KeepPassword" => Some(("/metadata/openstack/latest/password".to_owned(), json!("x"))),
            _other => self.of_siblings(name),
        }
    }

    async fn of_servers(&self, name: &'static str) -> Option<(String, Value)> {
        let none = || Value::Null;
        match name {
            "CreateServers" => {
                let body = json!({"server": {"name": "new", "imageRef": self.cloud.image_id, "flavorRef": "small"}});
                Some(("/v2.1/servers".to_owned(), body))
            }
            "ListServers" => Some(("/v2.1/servers".to_owned(), none())),
            "ListServersDetail" => Some(("/v2.1/servers/detail".to_owned(), none())),
            "ShowServer" => self.server("", none()).await,
            "UpdateServer" => {
                self.server("", json!({"server": {"name": "renamed"}}))
                    .await
            }
            "DeleteServer" => Some((
                format!("/v2.1/servers/{}", self.cloud.create(&json!({})).await),
                none(),
            )),
            "ForceDelete" => {
                let target = format!(
                    "/v2.1/servers/{}/action",
                    self.cloud.create(&json!({})).await
                );
                Some((target, json!({"forceDelete": null})))
            }
            "Start" => self.action("stopped", json!({"os-start": null})).await,
            "Stop" => self.action("active", json!({"os-stop": null})).await,
            "Reboot" => {
                self.action("active", json!({"reboot": {"type": "HARD"}}))
                    .await
            }
            "Restore" => self.action("active", json!({"restore": null})).await,
            "Rebuild" => {
                self.action(
                    "active",
                    json!({"rebuild": {"imageRef": self.cloud.image_id}}),
                )
                .await
            }
            "Resize" => {
                self.found_host().await;
                let larger = self.flavor(true).await;
                self.without_volumes(json!({"resize": {"flavorRef": larger}}))
                    .await
            }
            "CreateImage" | "CreateImageOld" => {
                self.without_volumes(json!({"createImage": {"name": "copy"}}))
                    .await
            }
            "Migrate" => {
                self.found_host().await;
                self.without_volumes(json!({"migrate": null})).await
            }
            "MigrateLive" => {
                self.found_host().await;
                let wish = json!({"host": null, "block_migration": "auto"});
                self.without_volumes(json!({ "os-migrateLive": wish }))
                    .await
            }
            "ListServerMigrations" => self.moving("", none()).await,
            "ShowServerMigration" | "AbortServerMigration" => self.moving("/N", none()).await,
            "ForceServerMigration" => {
                self.moving("/N/action", json!({"force_complete": null}))
                    .await
            }
            "ConfirmResize" => self.resized(json!({"confirmResize": null})).await,
            "RevertResize" => self.resized(json!({"revertResize": null})).await,
            "EvacuateOld" => {
                self.lost_host().await;
                self.action("active", json!({"evacuate": {"onSharedStorage": false}}))
                    .await
            }
            "Evacuate" => {
                self.lost_host().await;
                self.action("active", json!({"evacuate": {}})).await
            }
            "Pause" => self.action("active", json!({"pause": null})).await,
            "Unpause" => self.action("paused", json!({"unpause": null})).await,
            "Suspend" => self.action("active", json!({"suspend": null})).await,
            "Resume" => self.action("suspended", json!({"resume": null})).await,
            "Lock" => self.action("active", json!({"lock": null})).await,
            "Unlock" => self.action("active", json!({"unlock": null})).await,
            "ResetState" => {
                self.action("active", json!({"os-resetState": {"state": "active"}}))
                    .await
            }
            // One that is not ready: the answer comes at once.
            "ChangePassword" => {
                let wish = json!({"changePassword": {"adminPass": "x"}});
                self.action("building", wish).await
            }
            "HostVolumeKey" => Some(("/host/v1/servers/none/volumes/none/key".to_owned(), none())),
            "HostPassword" => Some(("/host/v1/passwords/none".to_owned(), none())),
            "ConsoleOutput" => {
                self.action("building", json!({"os-getConsoleOutput": {}}))
                    .await
            }
            "CreateConsole" => {
                let body = json!({"remote_console": {"protocol": "vnc", "type": "novnc"}});
                self.server("/remote-consoles", body).await
            }
            "VncConsole" => {
                self.action("active", json!({"os-getVNCConsole": {"type": "novnc"}}))
                    .await
            }
            "SerialConsole" => {
                self.action("active", json!({"os-getSerialConsole": {"type": "serial"}}))
                    .await
            }
            "AddSecurityGroup" => {
                self.set_groups(json!([]));
                self.action("active", json!({"addSecurityGroup": {"name": "web"}}))
                    .await
            }
            "RemoveSecurityGroup" => {
                self.set_groups(json!([self.group]));
                self.action("active", json!({"removeSecurityGroup": {"name": "web"}}))
                    .await
            }
            "AddFloatingIp" => {
                self.action(
                    "active",
                    json!({"addFloatingIp": {"address": "198.51.100.7"}}),
                )
                .await
            }
            "RemoveFloatingIp" => {
                self.action(
                    "active",
                    json!({"removeFloatingIp": {"address": "198.51.100.8"}}),
                )
                .await
            }
            "ListServerSecurityGroups" => self.server("/os-security-groups", none()).await,
            "ListAddresses" => self.server("/ips", none()).await,
            "ShowNetworkAddresses" => self.server("/ips/private", none()).await,
            "ListInterfaces" => self.server("/os-interface", none()).await,
            "ShowInterface" => {
                self.server(&format!("/os-interface/{}", self.port), none())
                    .await
            }
            "DetachInterface" => {
                self.server(&format!("/os-interface/{}", self.port), none())
                    .await
            }
            // Wrong in itself: the answer comes at once.
            "AttachInterface" => {
                self.server(
                    "/os-interface",
                    json!({"interfaceAttachment": {"net_id": "x", "port_id": "y"}}),
                )
                .await
            }
            "ListAttachments" => self.server("/os-volume_attachments", none()).await,
            "ShowAttachment" | "DetachVolume" => {
                self.server(&format!("/os-volume_attachments/{VOLUME}"), none())
                    .await
            }
            "UpdateAttachment" => {
                let body = json!({"volumeAttachment": {"volumeId": VOLUME}});
                self.server(&format!("/os-volume_attachments/{VOLUME}"), body)
                    .await
            }
            // Wrong in itself: the answer comes at once.
            "AttachVolume" => {
                let body = json!({"volumeAttachment": {"volumeId": "x"}});
                self.server("/os-volume_attachments", body).await
            }
            "ListActions" => self.server("/os-instance-actions", none()).await,
            "ShowAction" => {
                self.server(&format!("/os-instance-actions/{}", self.request), none())
                    .await
            }
            "ShowPassword" | "ClearPassword" => self.server("/os-server-password", none()).await,
            "ListMetadata" => self.server("/metadata", none()).await,
            "CreateMetadata" | "ReplaceMetadata" => {
                self.server("/metadata", json!({"metadata": {"a": "b"}}))
                    .await
            }
            "ShowMetadataItem" | "DeleteMetadataItem" => self.server("/metadata/k", none()).await,
            "UpdateMetadataItem" => {
                self.server("/metadata/k", json!({"meta": {"k": "w"}}))
                    .await
            }
            "ListTags" | "DeleteTags" => self.server("/tags", none()).await,
            "ReplaceTags" => self.server("/tags", json!({"tags": ["a"]})).await,
            "ShowTag" | "DeleteTag" => self.server("/tags/t", none()).await,
            "AddTag" => self.server("/tags/u", none()).await,
            _other => None,
        }
    }

    fn of_siblings(&self, name: &'static str) -> Option<(String, Value)> {
        let none = || Value::Null;
        let some = |target: String, body: Value| Some((format!("/v2.1{target}"), body));
        let group = json!({"security_group": {"name": "g", "description": "d"}});
        let image = &self.cloud.image_id;
        match name {
            "ListSecurityGroups" => some("/os-security-groups".to_owned(), none()),
            "CreateSecurityGroup" => some("/os-security-groups".to_owned(), group),
            "ShowSecurityGroup" => some(format!("/os-security-groups/{}", self.group), none()),
            "UpdateSecurityGroup" => some(format!("/os-security-groups/{}", self.group), group),
            "DeleteSecurityGroup" => some(
                format!(
                    "/os-security-groups/{}",
                    self.cloud.network.add("security-groups", json!({}))
                ),
                none(),
            ),
            "CreateGroupRule" => some(
                "/os-security-group-rules".to_owned(),
                json!({"security_group_rule":
                {"parent_group_id": self.group, "ip_protocol": "tcp", "from_port": 1, "to_port": 2}}),
            ),
            "DeleteGroupRule" => some(
                format!(
                    "/os-security-group-rules/{}",
                    self.cloud.network.add("security-group-rules", json!({}))
                ),
                none(),
            ),
            "ListFloatingIps" => some("/os-floating-ips".to_owned(), none()),
            "CreateFloatingIp" => some("/os-floating-ips".to_owned(), json!({"pool": "public"})),
            "ShowFloatingIp" => some(format!("/os-floating-ips/{}", self.floating), none()),
            "DeleteFloatingIp" => some(
                format!(
                    "/os-floating-ips/{}",
                    self.cloud.network.add("floatingips", json!({}))
                ),
                none(),
            ),
            "ListPools" => some("/os-floating-ip-pools".to_owned(), none()),
            "ListNetworks" => some("/os-networks".to_owned(), none()),
            "ShowNetwork" => some(format!("/os-networks/{}", self.cloud.network_id), none()),
            "ListTenantNetworks" => some("/os-tenant-networks".to_owned(), none()),
            "ShowTenantNetwork" => some(
                format!("/os-tenant-networks/{}", self.cloud.network_id),
                none(),
            ),
            "ListImages" => some("/images".to_owned(), none()),
            "ListImagesDetail" => some("/images/detail".to_owned(), none()),
            "ShowImage" => some(format!("/images/{image}"), none()),
            "DeleteImage" => some(
                format!("/images/{}", self.cloud.image.add_image(&json!({}))),
                none(),
            ),
            "ListImageMetadata" => some(format!("/images/{image}/metadata"), none()),
            "CreateImageMetadata" | "ReplaceImageMetadata" => some(
                format!("/images/{image}/metadata"),
                json!({"metadata": {"os_distro": "debian"}}),
            ),
            "ShowImageMetadataItem" => some(format!("/images/{image}/metadata/os_distro"), none()),
            "UpdateImageMetadataItem" => some(
                format!("/images/{image}/metadata/os_distro"),
                json!({"meta": {"os_distro": "debian"}}),
            ),
            "DeleteImageMetadataItem" => {
                let image = self.cloud.image.add_image(&json!({}));
                some(format!("/images/{image}/metadata/os_distro"), none())
            }
            _unknown => None,
        }
    }
}

#[tokio::test]
async fn every_endpoint_answers_every_caller_as_written_down() {
    let mut cloud = Cloud::new().await;
    let server = cloud.running().await;
    let limits = json!({"quota_set": {"cores": -1, "instances": -1, "ram": -1}});
    for persona in [Persona::Member, Persona::Admin, Persona::OtherProject] {
        cloud
            .admin()
            .put(
                &format!("/v2.1/os-quota-sets/{}", persona.project()),
                limits.clone(),
            )
            .await
            .expect(200);
    }
    let external = cloud.network.add(
        "networks",
        json!({"name": "public", "router:external": true, "subnets": [], "project_id": ""}),
    );
    let floating = cloud.network.add(
        "floatingips",
        json!({"floating_ip_address": "198.51.100.7", "floating_network_id": external}),
    );
    cloud.network.add(
        "floatingips",
        json!({"floating_ip_address": "198.51.100.8", "floating_network_id": external}),
    );
    let group = cloud.network.add(
        "security-groups",
        json!({"name": "web", "description": "", "project_id": Persona::Member.project(),
        "tenant_id": Persona::Member.project()}),
    );
    let port = cloud.network.ports()[0]["id"].as_str().unwrap().to_owned();
    let admin = cloud.admin();
    let services = admin
        .at("compute 2.53")
        .get("/v2.1/os-services")
        .await
        .expect(200)
        .json;
    let hypervisors = admin.get("/v2.1/os-hypervisors").await.expect(200).json;
    let actions = admin
        .get(&format!("/v2.1/servers/{server}/os-instance-actions"))
        .await
        .expect(200)
        .json;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let things = Things {
        cloud: &cloud,
        server,
        port,
        group,
        floating,
        hypervisor: text(&hypervisors["hypervisors"][0]["hypervisor_hostname"]),
        service: text(&services["services"][0]["id"]),
        request: text(&actions["instanceActions"][0]["request_id"]),
        made: AtomicUsize::new(0),
    };
    let table = matrix::<Compute, _, _>(&cloud.ask, |name| things.call(name)).await;
    check_matrix(
        &table,
        Path::new(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/golden/matrix.txt"
        )),
    );
}
