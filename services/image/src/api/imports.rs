//! Imports: staged, from the web, from store to store.

use http::StatusCode;
use nephos_api::{Accepted, Fault, Json, Loaded, Reply, Req, With, endpoint};
use nephos_db::Tx;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::fault::{changed_meanwhile, enqueue};
use super::images::{IMPORT_METHODS, ImagePath, load};
use crate::model::image::{BlobState, Image, STAGING, Status, TaskId};
use crate::ops::fetch;
use crate::ops::import::{self, Args, Source};
use crate::store::tasks::Task;
use crate::store::{blobs, images};
use crate::{Cx, rules};

/// What to import, and where to.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ImportBody {
    #[serde(default)]
    method: Option<MethodBody>,
    /// Into every store.
    #[serde(default)]
    all_stores: Option<bool>,
    /// Whether a store that fails makes the whole fail; it does unless this says no.
    #[serde(default)]
    all_stores_must_succeed: Option<bool>,
    /// Into these stores.
    #[serde(default)]
    stores: Option<Vec<String>>,
}

/// How to import.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct MethodBody {
    /// `glance-direct`, `web-download` or `copy-image`.
    #[serde(default)]
    name: Option<String>,
    /// Where `web-download` finds the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
}

endpoint! {
    /// Import an image's data.
    ImportImage: POST "/v2/images/{id}/import" => 202,
    policy: Loaded<rules::ModifyImage>,
    path: ImagePath,
    body: Json<ImportBody>,
    reply: With<Accepted>,
    handler: import_image,
}
async fn import_image(cx: Cx, req: Req<ImportImage>) -> Reply<ImportImage> {
    let id = req.path.id.as_str();
    let source = source(&cx, &req.body)?;
    let image = if source == Source::Copy {
        load(&cx, rules::CopyImage, id).await?.into_inner().image
    } else {
        load(&cx, rules::ModifyImage, id).await?.into_inner().image
    };
    check_image(&image, &source)?;
    if source == Source::Staged {
        check_staged(&cx, &image).await?;
    }
    let asked = stores(&cx, &req)?;
    let Some(stores) = missing_stores(&image, &source, asked, &req.body)? else {
        return Ok(With::new(Accepted));
    };
    let args = Args {
        task: TaskId::from(nephos_runtime::ids::uuid()),
        source,
        stores,
        all_must_succeed: req.body.all_stores_must_succeed.unwrap_or(true),
        owns_image: false,
    };
    let task = task(&cx, &image, &args, &req.body);
    let mut tx = cx.write().await?;
    begin(&mut tx, (&cx, &image), &task, &args).await?;
    tx.commit().await?;
    Ok(With::new(Accepted).status(StatusCode::ACCEPTED))
}

/// Moves the image and begins the import, together.
pub(crate) async fn begin(
    tx: &mut Tx,
    (cx, image): (&Cx, &Image),
    task: &Task,
    args: &Args,
) -> Result<(), Fault> {
    let id = image.id.as_str();
    let now = cx.now();
    let moved = match args.source {
        Source::Copy => images::touch_unchanged(tx, image, now).await?,
        Source::Staged => {
            let moves = (Status::Uploading, Status::Importing);
            images::move_status(tx, &image.id, moves, now).await?
        }
        Source::Web { .. } => {
            let moves = (Status::Queued, Status::Importing);
            images::move_status(tx, &image.id, moves, now).await?
        }
    };
    if !moved {
        return Err(changed_meanwhile(id));
    }
    import::request(tx, cx, task, args)
        .await
        .map_err(|why| enqueue(id, why))
}

fn source(cx: &Cx, body: &ImportBody) -> Result<Source, Fault> {
    let method = body
        .method
        .as_ref()
        .ok_or_else(|| Fault::bad_request("Import request requires a 'method' field."))?;
    let name = method
        .name
        .as_deref()
        .ok_or_else(|| Fault::bad_request("Import request requires a 'name' field."))?;
    match name {
        "glance-direct" => Ok(Source::Staged),
        "copy-image" => Ok(Source::Copy),
        "web-download" => {
            let uri = method.uri.clone().unwrap_or_default();
            fetch::check(cx.service(), &uri).map_err(Fault::bad_request)?;
            Ok(Source::Web { uri })
        }
        unknown => Err(Fault::bad_request(format!(
            "Unknown import method name '{unknown}'. Known are: {}.",
            IMPORT_METHODS.join(", ")
        ))),
    }
}

fn check_image(image: &Image, source: &Source) -> Result<(), Fault> {
    let status = image.status;
    let wrong = match source {
        Source::Copy if status != Status::Active => {
            Some("Only images with status active can be targeted for copying")
        }
        Source::Copy => None,
        _import if status == Status::Active => {
            Some("Image with status active cannot be target for import")
        }
        _import if status == Status::Importing => Some(
            "New operation on the image is not permitted as prior operation is still in progress",
        ),
        Source::Web { .. } if status != Status::Queued => {
            Some("Image needs to be in 'queued' state to use 'web-download' method")
        }
        Source::Staged if status != Status::Uploading => {
            Some("Image needs to be staged before 'glance-direct' method can be used")
        }
        Source::Web { .. } | Source::Staged => None,
    };
    let missing = [
        (
            &image.container_format,
            "'container_format' needs to be set before import",
        ),
        (
            &image.disk_format,
            "'disk_format' needs to be set before import",
        ),
    ]
    .into_iter()
    .find(|(format, _)| format.is_none())
    .map(|(_, why)| why);
    match wrong.or(missing) {
        Some(why) => Err(Fault::conflict(why)),
        None => Ok(()),
    }
}

/// An image is `uploading` from the first staged byte on; it can be imported after the last one.
async fn check_staged(cx: &Cx, image: &Image) -> Result<(), Fault> {
    let blobs = blobs::of_image(cx.db(), &image.id).await?;
    let staged = |blob: &blobs::Blob| blob.store == STAGING && blob.state == BlobState::Kept;
    if blobs.iter().any(staged) {
        return Ok(());
    }
    Err(Fault::conflict(
        "Image needs to be staged before 'glance-direct' method can be used: it is still being staged",
    ))
}

/// The stores that the request names.
fn stores(cx: &Cx, req: &Req<ImportImage>) -> Result<Vec<String>, Fault> {
    let header = req.header("x-image-meta-store");
    let all = req.body.all_stores.unwrap_or(false);
    let mut stores = match (&req.body.stores, header) {
        (Some(_), _) | (_, Some(_)) if all => {
            return Err(Fault::bad_request(
                "All_stores parameter can't be used with x-image-meta-store header or stores parameter",
            ));
        }
        (Some(_), Some(_)) => {
            return Err(Fault::bad_request(
                "Stores parameter and x-image-meta-store header can't be both specified",
            ));
        }
        _all if all => cx.config.stores.clone(),
        (Some(stores), None) if stores.is_empty() => {
            return Err(Fault::bad_request("The 'stores' parameter names no store."));
        }
        (Some(stores), None) => stores.clone(),
        (None, Some(store)) => vec![store.to_owned()],
        (None, None) => vec![cx.default_store().to_owned()],
    };
    stores.sort();
    stores.dedup();
    match stores.iter().find(|name| !cx.config.stores.contains(name)) {
        Some(unknown) => Err(Fault::conflict(format!(
            "Unknown scheme '{unknown}' found in URI: there is no such store."
        ))),
        None => Ok(stores),
    }
}

/// A copy goes where the data is not; none when it is everywhere already.
fn missing_stores(
    image: &Image,
    source: &Source,
    asked: Vec<String>,
    body: &ImportBody,
) -> Result<Option<Vec<String>>, Fault> {
    if *source != Source::Copy {
        return Ok(Some(asked));
    }
    let there = asked.iter().find(|store| image.stores.contains(store));
    if let Some(store) = there.filter(|_| !body.all_stores.unwrap_or(false)) {
        return Err(Fault::bad_request(format!(
            "Image is already present at store '{store}'"
        )));
    }
    let missing: Vec<String> = asked
        .into_iter()
        .filter(|store| !image.stores.contains(store))
        .collect();
    Ok((!missing.is_empty()).then_some(missing))
}

fn task(cx: &Cx, image: &Image, args: &Args, body: &ImportBody) -> Task {
    let now = cx.now();
    Task {
        id: args.task.clone(),
        kind: "api_image_import".to_owned(),
        status: "pending".to_owned(),
        owner: cx
            .caller
            .project_id()
            .map(|project| project.0.clone())
            .unwrap_or_default(),
        image_id: image.id.clone(),
        user_id: cx.caller.user_id.0.clone(),
        request_id: cx.request_id.clone(),
        input: json!({
            "image_id": image.id,
            "import_req": {
                "method": body.method,
                "all_stores": body.all_stores.unwrap_or(false),
                "all_stores_must_succeed": args.all_must_succeed,
            },
            "backend": args.stores,
        }),
        result: None,
        message: String::new(),
        expires_at: None,
        created_at: now,
        updated_at: now,
    }
}
