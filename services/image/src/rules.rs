//! The policy rules: Glance's names and defaults (glance/policies).
//!
//! Three widenings: the `service` role reads every image, and uploads the data of one that its owner had made, because block
//! storage does so after the owner's token; and it deletes one without data, because compute does so with what was to be made
//! of a server and came to nothing. The agents of hosts have no rule: they read the images of the servers that are wanted on their host,
//! and bring the data of those that are being made of servers there, whatever the rules say.

const ADMIN: &str = "rule:context_is_admin";
const MEMBER: &str = "rule:context_is_admin or (role:member and project_id:%(project_id)s)";
const MEMBER_OR_SERVICE: &str = "rule:context_is_admin or rule:service_api or \
     (role:member and project_id:%(project_id)s)";
const READER: &str = "rule:context_is_admin or (role:reader and project_id:%(project_id)s)";
const ADD_IMAGE: &str = "rule:context_is_admin or \
     (role:member and project_id:%(project_id)s and project_id:%(owner)s)";
const GET_IMAGE: &str = "rule:context_is_admin or rule:service_api or \
     (role:reader and (project_id:%(project_id)s or project_id:%(member_id)s \
     or 'community':%(visibility)s or 'public':%(visibility)s or 'shared':%(visibility)s))";
const DOWNLOAD_IMAGE: &str = "rule:context_is_admin or rule:service_api or \
     (role:member and (project_id:%(project_id)s or project_id:%(member_id)s \
     or 'community':%(visibility)s or 'public':%(visibility)s or 'shared':%(visibility)s))";
const READER_OR_SHARED_MEMBER: &str = "rule:context_is_admin or \
     role:reader and (project_id:%(project_id)s or project_id:%(member_id)s)";
const SHARED_MEMBER: &str = "rule:context_is_admin or (role:member and project_id:%(member_id)s)";
const ADMIN_OR_SERVICE: &str = "rule:context_is_admin or rule:service_api";

const METADEF_ADMIN: &str = "rule:metadef_admin";
const GET_NAMESPACE: &str = "rule:context_is_admin or \
     (role:reader and (project_id:%(project_id)s or 'public':%(visibility)s))";

nephos_auth::rules! {
    /// What stands for no check at all.
    pub(crate) DefaultRule = "default", "";
    /// Another service of the cloud.
    pub(crate) ServiceApi = "service_api", "role:service or role:admin";
    /// Create an image.
    pub(crate) AddImage = "add_image", ADD_IMAGE;
    /// Delete an image.
    pub(crate) DeleteImage = "delete_image", MEMBER_OR_SERVICE;
    /// Show an image.
    pub(crate) GetImage = "get_image", GET_IMAGE;
    /// List images.
    pub(crate) GetImages = "get_images", READER;
    /// Change an image, its tags, or stage and import its data.
    pub(crate) ModifyImage = "modify_image", MEMBER;
    /// Make an image public.
    pub(crate) PublicizeImage = "publicize_image", ADMIN;
    /// Make a community image.
    pub(crate) CommunitizeImage = "communitize_image", MEMBER;
    /// Download an image's data.
    pub(crate) DownloadImage = "download_image", DOWNLOAD_IMAGE;
    /// Download an image's data from a store of one's choice.
    pub(crate) DownloadFromStore = "download_from_store", DOWNLOAD_IMAGE;
    /// Upload an image's data.
    pub(crate) UploadImage = "upload_image", MEMBER_OR_SERVICE;
    /// Remove an image's data from one store.
    pub(crate) DeleteImageLocation = "delete_image_location", ADMIN;
    /// Know in which stores an image's data is.
    pub(crate) GetImageLocation = "get_image_location", READER;
    /// Share an image.
    pub(crate) AddMember = "add_member", MEMBER;
    /// No longer share an image.
    pub(crate) DeleteMember = "delete_member", MEMBER;
    /// Show a member of an image.
    pub(crate) GetMember = "get_member", READER_OR_SHARED_MEMBER;
    /// List the members of an image.
    pub(crate) GetMembers = "get_members", READER_OR_SHARED_MEMBER;
    /// Accept or reject a shared image.
    pub(crate) ModifyMember = "modify_member", SHARED_MEMBER;
    /// Make an image's data unavailable.
    pub(crate) Deactivate = "deactivate", MEMBER;
    /// Make an image's data available again.
    pub(crate) Reactivate = "reactivate", MEMBER;
    /// Copy an image's data to other stores.
    pub(crate) CopyImage = "copy_image", ADMIN;
    /// Use the tasks API.
    pub(crate) TasksApiAccess = "tasks_api_access", ADMIN;
    /// See how the stores are made.
    pub(crate) StoresInfoDetail = "stores_info_detail", ADMIN_OR_SERVICE;
    /// What stands for no check at all on metadata definitions.
    pub(crate) MetadefDefault = "metadef_default", "";
    /// Who keeps metadata definitions.
    pub(crate) MetadefAdmin = "metadef_admin", ADMIN;
    /// List namespaces.
    pub(crate) GetMetadefNamespaces = "get_metadef_namespaces", READER;
    /// Show a namespace.
    pub(crate) GetMetadefNamespace = "get_metadef_namespace", GET_NAMESPACE;
    /// Show an object of a namespace.
    pub(crate) GetMetadefObject = "get_metadef_object", GET_NAMESPACE;
    /// List the objects of a namespace.
    pub(crate) GetMetadefObjects = "get_metadef_objects", GET_NAMESPACE;
    /// List resource types.
    pub(crate) ListMetadefResourceTypes = "list_metadef_resource_types", GET_NAMESPACE;
    /// List the resource types of a namespace.
    pub(crate) GetMetadefResourceType = "get_metadef_resource_type", GET_NAMESPACE;
    /// Show a property of a namespace.
    pub(crate) GetMetadefProperty = "get_metadef_property", GET_NAMESPACE;
    /// List the properties of a namespace.
    pub(crate) GetMetadefProperties = "get_metadef_properties", GET_NAMESPACE;
    /// Show a tag of a namespace.
    pub(crate) GetMetadefTag = "get_metadef_tag", GET_NAMESPACE;
    /// List the tags of a namespace.
    pub(crate) GetMetadefTags = "get_metadef_tags", GET_NAMESPACE;
    /// Create a namespace.
    pub(crate) AddMetadefNamespace = "add_metadef_namespace", METADEF_ADMIN;
    /// Change a namespace.
    pub(crate) ModifyMetadefNamespace = "modify_metadef_namespace", METADEF_ADMIN;
    /// Delete a namespace, or all of one kind in it.
    pub(crate) DeleteMetadefNamespace = "delete_metadef_namespace", METADEF_ADMIN;
    /// Create an object of a namespace.
    pub(crate) AddMetadefObject = "add_metadef_object", METADEF_ADMIN;
    /// Change an object of a namespace.
    pub(crate) ModifyMetadefObject = "modify_metadef_object", METADEF_ADMIN;
    /// Delete an object of a namespace.
    pub(crate) DeleteMetadefObject = "delete_metadef_object", METADEF_ADMIN;
    /// Associate a resource type with a namespace.
    pub(crate) AddMetadefAssociation = "add_metadef_resource_type_association", METADEF_ADMIN;
    /// End the association of a resource type with a namespace.
    pub(crate) RemoveMetadefAssociation = "remove_metadef_resource_type_association", METADEF_ADMIN;
    /// Create a property of a namespace.
    pub(crate) AddMetadefProperty = "add_metadef_property", METADEF_ADMIN;
    /// Change a property of a namespace.
    pub(crate) ModifyMetadefProperty = "modify_metadef_property", METADEF_ADMIN;
    /// Delete a property of a namespace.
    pub(crate) RemoveMetadefProperty = "remove_metadef_property", METADEF_ADMIN;
    /// Create a tag of a namespace.
    pub(crate) AddMetadefTag = "add_metadef_tag", METADEF_ADMIN;
    /// Create several tags of a namespace.
    pub(crate) AddMetadefTags = "add_metadef_tags", METADEF_ADMIN;
    /// Change a tag of a namespace.
    pub(crate) ModifyMetadefTag = "modify_metadef_tag", METADEF_ADMIN;
    /// Delete a tag of a namespace.
    pub(crate) DeleteMetadefTag = "delete_metadef_tag", METADEF_ADMIN;
    /// Delete the tags of a namespace.
    pub(crate) DeleteMetadefTags = "delete_metadef_tags", METADEF_ADMIN;
}
