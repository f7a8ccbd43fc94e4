//! HTTP: one file per resource.

mod actions;
mod data;
pub(crate) mod fault;
mod images;
mod info;
mod members;
mod patch;
mod tags;
mod versions;
mod view;

use nephos_api::{Endpoints, routes};

use crate::Svc;

pub(crate) fn endpoints() -> Endpoints<Svc> {
    routes![
        actions::DeactivateImage,
        actions::ReactivateImage,
        data::DownloadImage,
        data::StageImage,
        data::UploadImage,
        images::CreateImage,
        images::DeleteImage,
        images::ListImages,
        images::ShowImage,
        info::ShowImportInfo,
        info::ShowStores,
        info::ShowStoresDetail,
        members::CreateMember,
        members::DeleteMember,
        members::ListMembers,
        members::ShowMember,
        members::UpdateMember,
        patch::UpdateImage,
        tags::AddTag,
        tags::DeleteTag,
        versions::ListVersions,
        versions::ListVersionsExplicitly,
        versions::ShowV2,
    ]
}
