//! HTTP: one file per resource.

mod access;
mod accounts;
mod bulk;
mod containers;
mod copy;
pub(crate) mod fault;
mod headers;
mod info;
mod listing;
mod manifests;
mod objects;
mod ranges;
mod read;
mod reply;
pub(crate) mod s3;
mod temp_url;
mod write;

use nephos_api::{Endpoints, routes};

use crate::Svc;

pub(crate) fn endpoints() -> Endpoints<Svc> {
    routes![
        accounts::HeadAccount,
        accounts::ListContainers,
        accounts::UpdateAccount,
        accounts::DeleteManyObjects,
        containers::CreateContainer,
        containers::DeleteContainer,
        containers::HeadContainer,
        containers::ListObjects,
        containers::UpdateContainer,
        info::ShowInfo,
        objects::DeleteObject,
        objects::UpdateObject,
        read::GetObject,
        read::HeadObject,
        write::PutObject,
    ]
}
