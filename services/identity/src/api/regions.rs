//! Regions.

use nephos_api::{Empty, Fault, Json, Loaded, Params, Reply, Req, With, endpoint};
use nephos_auth::{Rule, Target};
use nephos_db::Tx;
use nephos_runtime::ids;
use serde::Deserialize;
use utoipa::ToSchema;

use super::fault::{not_found, require, taken};
use super::list;
use super::shape::{Keyed, Many, Named, One, Under};
use super::users::clean;
use crate::model::catalog::Region;
use crate::model::extra::Extra;
use crate::{Cx, Svc, rules, store};

impl Named for Region {
    const ONE: &'static str = "region";
    const MANY: &'static str = "regions";
    const PATH: &'static str = "/v3/regions";
    fn id(&self) -> &str {
        &self.id
    }
    fn path(&self) -> String {
        format!("/v3/regions/{}", list::encode(&self.id))
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct RegionPath {
    region_id: String,
}

/// A region to be.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct RegionBody {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default, deserialize_with = "nephos_api::given::deserialize")]
    parent_region_id: Option<Option<String>>,
    #[serde(flatten)]
    extra: Extra,
}

impl Keyed for RegionBody {
    const KEY: &'static str = "region";
}

endpoint! {
    /// Create a region.
    CreateRegion: POST "/v3/regions" => 201,
    policy: Loaded<rules::CreateRegion>,
    body: Json<Under<RegionBody>>,
    reply: Json<One<Region>>,
    handler: create_region,
}
async fn create_region(cx: Cx, req: Req<CreateRegion>) -> Reply<CreateRegion> {
    let Json(Under(body)) = req.body;
    let id = body.id.clone().filter(|id| !id.is_empty());
    Ok(create(&cx, id.unwrap_or_else(ids::hex), body).await?.reply)
}

endpoint! {
    /// Create a region with the id of the path.
    PutRegion: PUT "/v3/regions/{region_id}" => 201,
    policy: Loaded<rules::CreateRegion>,
    path: RegionPath,
    body: Json<Under<RegionBody>>,
    reply: With<Json<One<Region>>>,
    handler: put_region,
}
async fn put_region(cx: Cx, req: Req<PutRegion>) -> Reply<PutRegion> {
    let Json(Under(body)) = req.body;
    if body.id.as_ref().is_some_and(|id| *id != req.path.region_id) {
        return Err(Fault::bad_request(
            "Conflicting region IDs specified: the one in the body differs from the one in the path.",
        ));
    }
    create(&cx, req.path.region_id, body).await
}

async fn create(cx: &Cx, id: String, body: RegionBody) -> Result<With<Json<One<Region>>>, Fault> {
    require(cx, rules::CreateRegion, &Target::new())?;
    check_region_id(&id)?;
    let mut region = Region {
        id,
        description: String::new(),
        parent_region_id: None,
        extra: Extra::default(),
    };
    change(&mut region, body)?;
    let mut tx = cx.write().await?;
    check_parents(&mut tx, &region).await?;
    let inserted = store::catalog::insert_region(&mut tx, &region).await;
    inserted.map_err(|error| taken(error, "region", format!("ID {}", region.id)))?;
    cx.commit_snapshot(tx).await?;
    Ok(With::new(Json(One::new(cx, region))))
}

/// A region is called by whatever a path can hold, and not at any length.
pub(super) fn check_region_id(id: &str) -> Result<(), Fault> {
    if (1..=255).contains(&id.chars().count()) {
        return Ok(());
    }
    Err(Fault::bad_request(
        "The id of a region has 1 to 255 characters.",
    ))
}

/// Takes over what the body says.
fn change(region: &mut Region, mut body: RegionBody) -> Result<(), Fault> {
    clean(&mut body.extra, &["links"], Some(&region.id))?;
    region.description = body
        .description
        .unwrap_or_else(|| region.description.clone());
    if let Some(parent) = body.parent_region_id {
        region.parent_region_id = parent;
    }
    region.extra.merge(body.extra);
    Ok(())
}

/// Every region above it is there, and it is not among them.
async fn check_parents(tx: &mut Tx, region: &Region) -> Result<(), Fault> {
    if region.parent_region_id.is_none() {
        return Ok(());
    }
    let regions = store::catalog::regions_in(tx).await?;
    let mut at = region.parent_region_id.as_deref();
    for _region in 0..=regions.len() {
        let Some(id) = at else { break };
        if id == region.id {
            return Err(Fault::bad_request(
                "The specified parent region would create a circular region hierarchy.",
            ));
        }
        let parent = regions.iter().find(|other| other.id == id);
        at = parent
            .ok_or_else(|| not_found("region", id))?
            .parent_region_id
            .as_deref();
    }
    Ok(())
}

endpoint! {
    /// List regions.
    ListRegions: GET "/v3/regions" => 200,
    policy: Loaded<rules::ListRegions>,
    query: Params,
    reply: Json<Many<Region>>,
    handler: list_regions,
}
async fn list_regions(cx: Cx, req: Req<ListRegions>) -> Reply<ListRegions> {
    require(&cx, rules::ListRegions, &Target::new())?;
    let regions = store::catalog::regions(cx.db()).await?;
    list::reply(
        &cx,
        ("/v3/regions", &req.query),
        &["parent_region_id"],
        regions,
    )
}

async fn load<R: Rule>(cx: &Cx, rule: R, id: &str) -> Result<Region, Fault> {
    require(cx, rule, &Target::new())?;
    let mut regions = store::catalog::regions(cx.db()).await?.into_iter();
    regions
        .find(|region| region.id == id)
        .ok_or_else(|| not_found("region", id))
}

endpoint! {
    /// Show a region.
    ShowRegion: GET "/v3/regions/{region_id}" => 200,
    policy: Loaded<rules::GetRegion>,
    path: RegionPath,
    reply: Json<One<Region>>,
    handler: show_region,
}
async fn show_region(cx: Cx, req: Req<ShowRegion>) -> Reply<ShowRegion> {
    Ok(Json(One::new(
        &cx,
        load(&cx, rules::GetRegion, &req.path.region_id).await?,
    )))
}

endpoint! {
    /// Change a region.
    UpdateRegion: PATCH "/v3/regions/{region_id}" => 200,
    policy: Loaded<rules::UpdateRegion>,
    path: RegionPath,
    body: Json<Under<RegionBody>>,
    reply: Json<One<Region>>,
    handler: update_region,
}
async fn update_region(cx: Cx, req: Req<UpdateRegion>) -> Reply<UpdateRegion> {
    let before = load(&cx, rules::UpdateRegion, &req.path.region_id).await?;
    let mut region = before.clone();
    let Json(Under(body)) = req.body;
    if body.id.as_ref().is_some_and(|id| *id != region.id) {
        return Err(Fault::bad_request("The id of a region cannot be changed."));
    }
    change(&mut region, body)?;
    let mut tx = cx.write().await?;
    check_parents(&mut tx, &region).await?;
    store::catalog::update_region(&mut tx, &before, &region).await?;
    cx.commit_snapshot(tx).await?;
    Ok(Json(One::new(&cx, region)))
}

endpoint! {
    /// Remove a region on which nothing hangs.
    DeleteRegion: DELETE "/v3/regions/{region_id}" => 204,
    policy: Loaded<rules::DeleteRegion>,
    path: RegionPath,
    reply: Empty,
    handler: delete_region,
}
async fn delete_region(cx: Cx, req: Req<DeleteRegion>) -> Reply<DeleteRegion> {
    let region = load(&cx, rules::DeleteRegion, &req.path.region_id).await?;
    let mut tx = cx.write().await?;
    if store::catalog::count_in_region(&mut tx, &region.id).await? > 0 {
        return Err(Fault::forbidden(format!(
            "Unable to delete region {} because it or its child regions have associated endpoints.",
            region.id
        )));
    }
    store::catalog::remove_region(&mut tx, &region.id).await?;
    cx.commit_snapshot(tx).await?;
    Ok(Empty)
}

/// The rows of this file.
pub(super) fn endpoints() -> nephos_api::Endpoints<Svc> {
    nephos_api::routes![
        CreateRegion,
        PutRegion,
        ListRegions,
        ShowRegion,
        UpdateRegion,
        DeleteRegion,
    ]
}
