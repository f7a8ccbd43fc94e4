//! An image as clients see it.

use std::collections::BTreeMap;

use nephos_types::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::model::image::{Image, ImageId};

/// An image.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImageView {
    /// Further properties, as whoever made the image gave them.
    #[serde(flatten)]
    properties: BTreeMap<String, String>,
    id: ImageId,
    name: Option<String>,
    status: &'static str,
    visibility: &'static str,
    owner: Option<String>,
    protected: bool,
    os_hidden: bool,
    container_format: Option<String>,
    disk_format: Option<String>,
    min_ram: i64,
    min_disk: i64,
    size: Option<i64>,
    virtual_size: Option<i64>,
    checksum: Option<String>,
    os_hash_algo: Option<String>,
    os_hash_value: Option<String>,
    tags: Vec<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(rename = "self")]
    link: String,
    file: String,
    schema: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    stores: Option<String>,
}

impl From<Image> for ImageView {
    fn from(image: Image) -> Self {
        let link = href(&image.id);
        Self {
            properties: image.properties,
            name: image.name,
            status: image.status.as_str(),
            visibility: image.visibility.as_str(),
            owner: image.owner,
            protected: image.protected,
            os_hidden: image.hidden,
            container_format: image.container_format,
            disk_format: image.disk_format,
            min_ram: image.min_ram,
            min_disk: image.min_disk,
            size: image.data.size,
            virtual_size: image.data.virtual_size,
            checksum: image.data.checksum,
            os_hash_algo: image.data.hash_algo,
            os_hash_value: image.data.hash_value,
            tags: image.tags.into_iter().collect(),
            created_at: image.created_at,
            updated_at: image.updated_at,
            file: format!("{link}/file"),
            link,
            schema: "/v2/schemas/image",
            stores: (!image.stores.is_empty()).then(|| image.stores.join(",")),
            id: image.id,
        }
    }
}

/// Glance's links have no host.
pub(crate) fn href(id: &ImageId) -> String {
    format!("/v2/images/{id}")
}
