//! What the service offers: import methods and stores.

use nephos_api::{Authenticated, Json, Reply, Req, endpoint};
use serde::Serialize;
use utoipa::ToSchema;

use super::images::IMPORT_METHODS;
use crate::{Cx, rules};

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImportInfoView {
    #[serde(rename = "import-methods")]
    methods: MethodsView,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MethodsView {
    description: &'static str,
    r#type: &'static str,
    value: Vec<&'static str>,
}

endpoint! {
    /// Say how images can be imported.
    ShowImportInfo: GET "/v2/info/import" => 200,
    policy: Authenticated,
    reply: Json<ImportInfoView>,
    handler: show_import_info,
}
async fn show_import_info(_cx: Cx, _req: Req<ShowImportInfo>) -> Reply<ShowImportInfo> {
    Ok(Json(ImportInfoView {
        methods: MethodsView {
            description: "Import methods available.",
            r#type: "array",
            value: IMPORT_METHODS.to_vec(),
        },
    }))
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StoresView {
    stores: Vec<StoreView>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StoreView {
    id: String,
    /// `"true"` for the store of what names none; Glance writes it as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    properties: Option<StoreProperties>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StoreProperties {
    data_dir: String,
}

fn stores(cx: &Cx, detail: bool) -> StoresView {
    let view = |name: &String| StoreView {
        id: name.clone(),
        default: (name == cx.default_store()).then_some("true"),
        r#type: detail.then_some("file"),
        weight: detail.then_some(0),
        properties: cx
            .store(name)
            .filter(|_| detail)
            .map(|store| StoreProperties {
                data_dir: store.location(),
            }),
    };
    StoresView {
        stores: cx.config.stores.iter().map(view).collect(),
    }
}

endpoint! {
    /// List the stores.
    ShowStores: GET "/v2/info/stores" => 200,
    policy: Authenticated,
    reply: Json<StoresView>,
    handler: show_stores,
}
async fn show_stores(cx: Cx, _req: Req<ShowStores>) -> Reply<ShowStores> {
    Ok(Json(stores(&cx, false)))
}

endpoint! {
    /// List the stores with how they are made.
    ShowStoresDetail: GET "/v2/info/stores/detail" => 200,
    policy: rules::StoresInfoDetail,
    reply: Json<StoresView>,
    handler: show_stores_detail,
}
async fn show_stores_detail(cx: Cx, _req: Req<ShowStoresDetail>) -> Reply<ShowStoresDetail> {
    Ok(Json(stores(&cx, true)))
}
