//! The dashboard's own calls, and the site that stands in front of them.

mod assets;
mod events;
pub(crate) mod fault;
mod fit;
mod guard;
mod proxy;
mod sessions;
mod signed;
pub(crate) mod site;

use nephos_api::{Endpoints, routes};

use crate::Svc;

pub(crate) fn endpoints() -> Endpoints<Svc> {
    routes![
        sessions::CreateSession,
        sessions::DeleteSession,
        sessions::ShowSession,
        sessions::ShowProject,
        events::ShowEvents,
        fit::ShowFit,
    ]
}
