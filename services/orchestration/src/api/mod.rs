//! HTTP: one file per resource.

mod actions;
mod body;
mod events;
pub(crate) mod fault;
mod outputs;
mod resource_types;
mod resources;
mod signals;
mod software_configs;
mod software_deployments;
mod stack_list;
mod stack_update;
mod stacks;
mod templates;
mod versions;
mod view;
mod zones;

use nephos_api::{Endpoints, routes};

use crate::Svc;

pub(crate) fn endpoints() -> Endpoints<Svc> {
    routes![
        actions::ActOnStack,
        events::ListResourceEvents,
        events::ListStackEvents,
        events::ShowEvent,
        outputs::ListOutputs,
        outputs::ShowOutput,
        resource_types::ListResourceTypes,
        resource_types::MakeTemplate,
        resource_types::ShowResourceType,
        resources::ListResources,
        resources::MarkUnhealthy,
        resources::ShowMetadata,
        resources::ShowResource,
        signals::PutSignal,
        signals::SignalResource,
        software_configs::CreateConfig,
        software_configs::DeleteConfig,
        software_configs::ListConfigs,
        software_configs::ShowConfig,
        software_deployments::CreateDeployment,
        software_deployments::DeleteDeployment,
        software_deployments::ListDeployments,
        software_deployments::ShowDeployment,
        software_deployments::ShowServerMetadata,
        software_deployments::UpdateDeployment,
        stack_list::ListStackDetails,
        stack_list::ListStacks,
        stack_update::PatchStack,
        stack_update::PreviewPatch,
        stack_update::PreviewUpdate,
        stack_update::UpdateStack,
        stacks::CreateStack,
        stacks::DeleteStack,
        stacks::FindStack,
        stacks::FindStackActions,
        stacks::FindStackEnvironment,
        stacks::FindStackEvents,
        stacks::FindStackFiles,
        stacks::FindStackResources,
        stacks::FindStackTemplate,
        stacks::FindStackToDelete,
        stacks::FindStackToPatch,
        stacks::FindStackToUpdate,
        stacks::PreviewStack,
        stacks::ShowEnvironment,
        stacks::ShowFiles,
        stacks::ShowStack,
        stacks::ShowTemplate,
        templates::ListTemplateFunctions,
        templates::ListTemplateVersions,
        templates::ValidateTemplate,
        versions::ListVersions,
        versions::ShowBuildInfo,
    ]
}
