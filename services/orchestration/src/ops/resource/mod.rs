//! How each kind of resource is made, changed, looked at and removed. Every verb can be repeated: it looks first.

mod aggregate;
pub(crate) mod balancing;
mod bandwidth;
mod batches;
mod block;
mod block_admin;
mod compute;
pub(crate) mod container;
mod directory;
mod encryption;
mod grants;
pub(crate) mod health;
mod image;
pub(crate) mod keep;
mod local;
pub(crate) mod nested;
mod network;
mod quotas;
mod rbac;
mod rest;
mod routes;
pub(crate) mod server;
mod server_change;
mod server_nics;
pub(crate) mod server_ports;
pub(crate) mod server_view;
pub(crate) mod software;
mod trunk;

use std::time::Duration;

use nephos_ops::{OpCx, Operation, StepError};
use nephos_peer::PeerError;
use serde_json::{Map, Value, json};

use super::LOOK_AGAIN;
use super::facts::View;
use crate::Svc;
use crate::model::environment::is_file;
use crate::model::kind::{How, Kind};
use crate::model::stack::{Resource, Stack};
use crate::model::template::Definition;
use crate::peers::Ask;

/// A resource to be worked on, and everything around it.
#[derive(Clone, Copy)]
pub(crate) struct Work<'a> {
    pub cx: &'a OpCx<Svc>,
    pub op: &'a Operation,
    pub stack: &'a Stack,
    /// The trust by which siblings are asked.
    pub trust: Option<&'a str>,
    pub row: &'a Resource,
    pub kind: Option<&'static Kind>,
    /// As the template has it; nothing for what is on its way out.
    pub definition: Option<&'a Definition>,
    pub view: Option<&'a View>,
    /// Whether this is the first try: nothing of the resource can be there yet.
    pub fresh: bool,
}

/// What says that a thing was not found.
const MISSING: &str = "missing";

/// What a verb has seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub physical_id: Option<String>,
    pub observed: Option<Value>,
    /// Goes into what the service keeps of the resource.
    pub data: Map<String, Value>,
}

impl Seen {
    pub fn id(id: impl Into<String>) -> Self {
        Self {
            physical_id: Some(id.into()),
            ..Self::default()
        }
    }

    pub fn thing(id: impl Into<String>, observed: Value) -> Self {
        Self {
            physical_id: Some(id.into()),
            observed: Some(observed),
            data: Map::new(),
        }
    }

    /// What is looked at is not there any more.
    pub fn missing() -> Self {
        Self::default().with(MISSING, true)
    }

    pub fn is_missing(&self) -> bool {
        self.data.contains_key(MISSING)
    }

    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.data.insert(name.to_owned(), value.into());
        self
    }
}

/// How far a verb came.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Done(Seen),
    /// Look again after this long, or when there is news.
    Wait(Seen, Duration),
    Failed(Seen, String),
}

impl Outcome {
    pub fn done(id: impl Into<String>) -> Self {
        Self::Done(Seen::id(id))
    }
}

/// Why a verb did not come to an outcome.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Why {
    /// It will not work like this.
    #[error("{0}")]
    Refused(String),
    /// It may work later.
    #[error("{0}")]
    Later(String),
    #[error(transparent)]
    Step(#[from] StepError),
}

impl From<nephos_db::Error> for Why {
    fn from(error: nephos_db::Error) -> Self {
        Self::Step(error.into())
    }
}

impl From<PeerError> for Why {
    fn from(error: PeerError) -> Self {
        if error.is_transient() {
            return Self::Later(error.to_string());
        }
        let code = error.status.unwrap_or(0);
        Self::Refused(format!(
            "{} (HTTP {code} of the {} service)",
            error.message, error.service
        ))
    }
}

pub(crate) type Did = Result<Outcome, Why>;

impl Work<'_> {
    /// Asks a sibling in the name of whoever asked for the stack.
    pub async fn ask(&self, ask: &Ask<'_>) -> Result<Value, PeerError> {
        self.cx.siblings.ask(self.trust_for(ask)?, ask).await
    }

    /// The same, for the headers of the answer.
    pub async fn ask_headers(&self, ask: &Ask<'_>) -> Result<Map<String, Value>, PeerError> {
        self.cx.siblings.headers(self.trust_for(ask)?, ask).await
    }

    fn trust_for(&self, ask: &Ask<'_>) -> Result<&str, PeerError> {
        self.trust.ok_or_else(|| PeerError {
            service: ask.service,
            status: Some(403),
            kind: String::new(),
            message: "The stack has no trust of a user to act by. Update the stack, and it acts for whoever does.".to_owned(),
        })
    }

    /// A property of the resource as it is to be.
    pub fn prop(&self, name: &str) -> Option<&Value> {
        let props = self
            .row
            .changing_to
            .as_ref()
            .unwrap_or(&self.row.properties);
        props.get(name).filter(|value| !value.is_null())
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.prop(name).and_then(Value::as_str)
    }

    /// The physical id, once there is one.
    pub fn physical(&self) -> Option<&str> {
        self.row.physical_id.as_deref()
    }

    /// The name for the thing: the template's, or one of its own.
    pub fn thing_name(&self) -> String {
        let given = self.text("name").map(str::to_owned);
        given.unwrap_or_else(|| {
            crate::model::stack::physical_name(&self.stack.name, &self.row.name, &self.row.id)
        })
    }

    /// What marks a thing as this resource's.
    pub fn mark(&self) -> String {
        format!("stack resource {}", self.row.id)
    }
}

/// Whether somebody is told a URL by which to signal it.
pub(crate) const fn is_signalled(kind: &Kind) -> bool {
    matches!(
        kind.how,
        How::WaitHandle | How::ScalingPolicy | How::Deployment
    )
}

pub(crate) use local::new_key;

/// Makes the resource, or goes on with it.
pub(crate) async fn ensure(work: &Work<'_>) -> Did {
    if work.row.external {
        return rest::look_external(work).await;
    }
    if is_file(&work.row.target) {
        return Box::pin(nested::ensure(work)).await;
    }
    let Some(kind) = work.kind else {
        return Err(Why::Refused(format!(
            "The Resource Type ({}) could not be found.",
            work.row.target
        )));
    };
    match kind.how {
        How::Nothing | How::AccessPolicy => Ok(Outcome::done(work.thing_name())),
        How::Value => local::value(work),
        How::RandomString => local::random_string(work),
        How::Test => local::test(work, "create"),
        How::Delay => Ok(local::delay(work, "CREATE")),
        How::WaitHandle => Ok(local::handle(work)),
        How::WaitCondition => local::wait(work).await,
        How::ScalingPolicy => Ok(local::policy(work)),
        How::SoftwareConfig | How::SoftwareComponent | How::CloudConfig | How::MultipartMime => {
            software::config(work, kind).await
        }
        How::Deployment => software::deploy(work, "CREATE").await,
        How::DeployedServer => Ok(local::deployed_server(work)),
        How::Stack | How::ResourceGroup | How::Chain | How::ScalingGroup | How::Deployments => {
            Box::pin(nested::ensure(work)).await
        }
        How::Rest(rest) => rest::ensure(work, rest).await,
        How::SecurityGroup => network::security_group(work).await,
        How::RbacPolicy => rbac::ensure(work).await,
        How::BandwidthRule => bandwidth::ensure(work).await,
        How::Trunk => trunk::ensure(work).await,
        How::Balancing(kind) => balancing::ensure(work, kind).await,
        How::RouterInterface => network::interface(work).await,
        How::RouterGateway => network::gateway(work).await,
        How::ExtraRoutes => routes::ensure(work).await,
        How::FloatingIpAssociation => network::associate(work).await,
        How::Server => server::ensure(work).await,
        How::KeyPair => compute::key_pair(work).await,
        How::Flavor => compute::flavor(work).await,
        How::Volume => block::volume(work).await,
        How::VolumeAttachment => block::attachment(work).await,
        How::VolumeType => block_admin::volume_type(work).await,
        How::VolumeEncryption => encryption::ensure(work).await,
        How::QosSpecs => block_admin::qos_specs(work).await,
        How::QosAssociation => block_admin::association(work).await,
        How::VolumeQuota => block_admin::quota(work).await,
        How::Quota(limits) => quotas::ensure(work, limits).await,
        How::ServerGroup => compute::server_group(work).await,
        How::HostAggregate => aggregate::ensure(work).await,
        How::WebImage => image::ensure(work).await,
        How::Container => container::ensure(work).await,
        How::Directory(collection) => directory::ensure(work, collection).await,
        How::RoleAssignment(prop, many) => grants::ensure(work, (prop, many)).await,
    }
}

/// Changes the resource to `changing_to`, or goes on with it.
pub(crate) async fn change(work: &Work<'_>) -> Did {
    if is_file(&work.row.target) {
        return Box::pin(nested::ensure(work)).await;
    }
    let Some(kind) = work.kind else {
        return Err(Why::Refused(format!(
            "The Resource Type ({}) could not be found.",
            work.row.target
        )));
    };
    match kind.how {
        How::Test => local::test(work, "update"),
        // A change takes no time.
        How::Delay => Ok(Outcome::done(work.thing_name())),
        How::Rest(rest) => rest::change(work, rest).await,
        How::Balancing(kind) => balancing::change(work, kind).await,
        How::Server => server_change::change(work).await,
        How::Deployment => software::deploy(work, "UPDATE").await,
        _repeats => ensure(work).await,
    }
}

/// Removes the resource; done when nothing of it is left.
pub(crate) async fn remove(work: &Work<'_>) -> Did {
    let gone = Ok(Outcome::Done(Seen::default()));
    if work.row.external || work.row.retain {
        return gone;
    }
    if is_file(&work.row.target) {
        return Box::pin(nested::remove(work)).await;
    }
    let Some(kind) = work.kind else {
        return gone;
    };
    match kind.how {
        How::Test => local::test(work, "delete"),
        How::Delay => Ok(local::delay(work, "DELETE")),
        How::SoftwareConfig | How::SoftwareComponent | How::CloudConfig | How::MultipartMime => {
            software::remove_config(work).await
        }
        How::Deployment => software::remove_deployment(work).await,
        How::Stack | How::ResourceGroup | How::Chain | How::ScalingGroup | How::Deployments => {
            Box::pin(nested::remove(work)).await
        }
        How::Rest(rest) => rest::remove(work, rest).await,
        How::SecurityGroup => network::remove_group(work).await,
        How::RbacPolicy => rbac::remove(work).await,
        How::BandwidthRule => bandwidth::remove(work).await,
        How::Trunk => trunk::remove(work).await,
        How::Balancing(kind) => balancing::remove(work, kind).await,
        How::RouterInterface => network::remove_interface(work).await,
        How::RouterGateway => network::remove_gateway(work).await,
        How::ExtraRoutes => routes::remove(work).await,
        How::FloatingIpAssociation => network::dissociate(work).await,
        How::Server => server::remove(work).await,
        How::KeyPair => compute::remove_key_pair(work).await,
        How::Flavor => compute::remove_flavor(work).await,
        How::Volume => block::remove_volume(work).await,
        How::VolumeAttachment => block::remove_attachment(work).await,
        How::VolumeType => block_admin::remove_type(work).await,
        How::VolumeEncryption => encryption::remove(work).await,
        How::QosSpecs => block_admin::remove_qos(work).await,
        How::QosAssociation => block_admin::remove_association(work).await,
        How::VolumeQuota => block_admin::remove_quota(work).await,
        How::Quota(limits) => quotas::remove(work, limits).await,
        How::ServerGroup => compute::remove_server_group(work).await,
        How::HostAggregate => aggregate::remove(work).await,
        How::WebImage => image::remove(work).await,
        How::Container => container::remove(work).await,
        How::Directory(collection) => directory::remove(work, collection).await,
        How::RoleAssignment(..) => grants::remove(work).await,
        How::Nothing
        | How::DeployedServer
        | How::AccessPolicy
        | How::Value
        | How::RandomString
        | How::WaitHandle
        | How::WaitCondition
        | How::ScalingPolicy => gone,
    }
}

/// Looks whether the resource is still there and well; fails when not.
pub(crate) async fn check(work: &Work<'_>) -> Did {
    let here = || Ok(Outcome::Done(Seen::default()));
    if work.row.external {
        return rest::look_external(work).await;
    }
    if work.row.nested_id().is_some() {
        return Box::pin(nested::sweep(work)).await;
    }
    match work.kind.map(|kind| kind.how) {
        Some(How::Rest(rest)) => rest::look(work, rest).await,
        Some(How::SecurityGroup) => rest::look(work, &network::GROUPS).await,
        Some(How::BandwidthRule) => bandwidth::look(work).await,
        Some(How::Trunk) => rest::look(work, &trunk::TRUNKS).await,
        Some(How::Balancing(kind)) => balancing::look(work, kind).await,
        Some(How::RbacPolicy) => rbac::look(work, work.physical().unwrap_or_default()).await,
        Some(How::ExtraRoutes) => routes::look(work).await,
        Some(How::Server) => server::look(work).await,
        Some(How::Volume) => block::look(work).await,
        Some(How::VolumeType) => block_admin::look(work, "types", "volume_type").await,
        Some(How::VolumeEncryption) => encryption::look(work).await,
        Some(How::QosSpecs) => block_admin::look(work, "qos-specs", "qos_specs").await,
        Some(How::ServerGroup) => compute::look_at_group(work).await,
        Some(How::HostAggregate) => aggregate::look(work).await,
        Some(How::WebImage) => image::look(work).await,
        Some(How::Container) => container::ensure(work).await,
        Some(How::Directory(collection)) => directory::look(work, collection).await,
        Some(How::RoleAssignment(..)) => grants::look(work).await,
        _local => here(),
    }
}

/// Suspends or resumes the resource, if it is something that can be.
pub(crate) async fn pause(work: &Work<'_>, suspend: bool) -> Did {
    if work.row.nested_id().is_some() {
        return Box::pin(nested::sweep(work)).await;
    }
    match work.kind.map(|kind| kind.how) {
        Some(How::Server) if !work.row.external => server::pause(work, suspend).await,
        Some(How::Deployment) => {
            let action = if suspend { "SUSPEND" } else { "RESUME" };
            software::deploy(work, action).await
        }
        Some(How::Delay) => {
            let action = if suspend { "SUSPEND" } else { "RESUME" };
            Ok(local::delay(work, action))
        }
        _other => Ok(Outcome::Done(Seen::default())),
    }
}

/// A thing that is gone is as good as removed.
fn gone(sent: Result<Value, PeerError>) -> Did {
    match sent {
        Ok(_) => Ok(Outcome::Done(Seen::default())),
        Err(why) if why.is_not_found() => Ok(Outcome::Done(Seen::default())),
        // Something still hangs on it that is on its way out, too.
        Err(why) if why.is_conflict() => Ok(Outcome::Wait(
            Seen::default().with("blocked", why.message),
            LOOK_AGAIN,
        )),
        Err(why) => Err(why.into()),
    }
}

/// The thing inside a body.
fn inner(body: &Value, key: &str) -> Value {
    body.get(key).cloned().unwrap_or_else(|| json!({}))
}
