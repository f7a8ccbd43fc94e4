//! The policy rules: Heat's names and defaults (heat/policies).

const READER: &str = "role:reader and project_id:%(project_id)s";
const MEMBER: &str = "role:member and project_id:%(project_id)s";
const ADMIN: &str = "rule:context_is_admin";
const STACK_USER: &str = "(role:reader and project_id:%(project_id)s) or (role:heat_stack_user and project_id:%(project_id)s)";

nephos_auth::rules! {
    /// Who administers something.
    pub(crate) ProjectAdmin = "project_admin", "role:admin";
    /// Cancel an update and go back.
    pub(crate) CancelUpdate = "actions:cancel_update", MEMBER;
    /// End an action where it is.
    pub(crate) CancelWithoutRollback = "actions:cancel_without_rollback", MEMBER;
    /// Check whether a stack's resources are as they should be.
    pub(crate) CheckStack = "actions:check", READER;
    /// Resume a stack.
    pub(crate) ResumeStack = "actions:resume", MEMBER;
    /// Suspend a stack.
    pub(crate) SuspendStack = "actions:suspend", MEMBER;
    /// Show what this service is.
    pub(crate) BuildInfo = "build_info:build_info", READER;
    /// List events.
    pub(crate) EventsIndex = "events:index", READER;
    /// Show an event.
    pub(crate) EventsShow = "events:show", READER;
    /// List resources.
    pub(crate) ResourceIndex = "resource:index", READER;
    /// Say that a resource is not healthy.
    pub(crate) MarkUnhealthy = "resource:mark_unhealthy", MEMBER;
    /// Show a resource's metadata.
    pub(crate) ResourceMetadata = "resource:metadata", STACK_USER;
    /// Show a resource.
    pub(crate) ResourceShow = "resource:show", READER;
    /// Signal a resource.
    pub(crate) ResourceSignal = "resource:signal", STACK_USER;
    /// Associate QoS specs with volume types in a stack.
    pub(crate) QosAssociationType = "resource_types:OS::Cinder::QoSAssociation", "rule:project_admin";
    /// Make QoS specs in a stack.
    pub(crate) QosSpecsType = "resource_types:OS::Cinder::QoSSpecs", "rule:project_admin";
    /// Set quotas of block storage in a stack.
    pub(crate) VolumeQuotaType = "resource_types:OS::Cinder::Quota", "rule:project_admin";
    /// Have volumes of a type be encrypted in a stack.
    pub(crate) EncryptedTypeType = "resource_types:OS::Cinder::EncryptedVolumeType", "rule:project_admin";
    /// Make volume types in a stack.
    pub(crate) VolumeTypeType = "resource_types:OS::Cinder::VolumeType", "rule:project_admin";
    /// Make projects, users and all else that the identity service has in a stack.
    pub(crate) KeystoneTypes = "resource_types:OS::Keystone::*", "rule:project_admin";
    /// Make networks of physical ones in a stack.
    pub(crate) ProviderNetType = "resource_types:OS::Neutron::ProviderNet", "rule:project_admin";
    /// Set quotas of networks in a stack.
    pub(crate) NetworkQuotaType = "resource_types:OS::Neutron::Quota", "rule:project_admin";
    /// Set quotas of servers in a stack.
    pub(crate) ServerQuotaType = "resource_types:OS::Nova::Quota", "rule:project_admin";
    /// Set quotas of load balancers in a stack.
    pub(crate) BalancerQuotaType = "resource_types:OS::Octavia::Quota", "rule:project_admin";
    /// Make host aggregates in a stack.
    pub(crate) AggregateType = "resource_types:OS::Nova::HostAggregate", "rule:project_admin";
    /// Make flavors in a stack.
    pub(crate) FlavorType = "resource_types:OS::Nova::Flavor", "rule:project_admin";
    /// Create a software configuration.
    pub(crate) ConfigCreate = "software_configs:create", MEMBER;
    /// Delete a software configuration.
    pub(crate) ConfigDelete = "software_configs:delete", MEMBER;
    /// List software configurations.
    pub(crate) ConfigIndex = "software_configs:index", READER;
    /// Show a software configuration.
    pub(crate) ConfigShow = "software_configs:show", READER;
    /// Deploy a software configuration.
    pub(crate) DeploymentCreate = "software_deployments:create", MEMBER;
    /// Delete a deployment.
    pub(crate) DeploymentDelete = "software_deployments:delete", MEMBER;
    /// List deployments.
    pub(crate) DeploymentIndex = "software_deployments:index", READER;
    /// Show what is to be deployed to a server.
    pub(crate) DeploymentMetadata = "software_deployments:metadata", STACK_USER;
    /// Show a deployment.
    pub(crate) DeploymentShow = "software_deployments:show", READER;
    /// Change a deployment.
    pub(crate) DeploymentUpdate = "software_deployments:update", MEMBER;
    /// Create a stack.
    pub(crate) StackCreate = "stacks:create", MEMBER;
    /// Delete a stack.
    pub(crate) StackDelete = "stacks:delete", MEMBER;
    /// List stacks with details.
    pub(crate) StackDetail = "stacks:detail", READER;
    /// Show a stack's environment.
    pub(crate) StackEnvironment = "stacks:environment", READER;
    /// Show a stack's files.
    pub(crate) StackFiles = "stacks:files", READER;
    /// Make a template of a resource type.
    pub(crate) GenerateTemplate = "stacks:generate_template", MEMBER;
    /// List the stacks of all projects.
    pub(crate) GlobalIndex = "stacks:global_index", ADMIN;
    /// List stacks.
    pub(crate) StackIndex = "stacks:index", READER;
    /// List outputs.
    pub(crate) ListOutputs = "stacks:list_outputs", READER;
    /// List resource types.
    pub(crate) ListResourceTypes = "stacks:list_resource_types", READER;
    /// List the functions of a version of the template language.
    pub(crate) ListFunctions = "stacks:list_template_functions", READER;
    /// List the versions of the template language.
    pub(crate) ListVersions = "stacks:list_template_versions", READER;
    /// Find a stack by its name.
    pub(crate) StackLookup = "stacks:lookup", STACK_USER;
    /// See what a stack would be.
    pub(crate) StackPreview = "stacks:preview", READER;
    /// See what an update would do.
    pub(crate) PreviewUpdate = "stacks:preview_update", MEMBER;
    /// See what an update of some of it would do.
    pub(crate) PreviewUpdatePatch = "stacks:preview_update_patch", MEMBER;
    /// Show a resource type.
    pub(crate) ResourceSchema = "stacks:resource_schema", READER;
    /// Show a stack.
    pub(crate) StackShow = "stacks:show", READER;
    /// Show an output.
    pub(crate) ShowOutput = "stacks:show_output", READER;
    /// Show a stack's template.
    pub(crate) StackTemplate = "stacks:template", READER;
    /// Update a stack.
    pub(crate) StackUpdate = "stacks:update", MEMBER;
    /// Update some of a stack.
    pub(crate) StackUpdatePatch = "stacks:update_patch", MEMBER;
    /// Validate a template.
    pub(crate) ValidateTemplate = "stacks:validate_template", MEMBER;
}
