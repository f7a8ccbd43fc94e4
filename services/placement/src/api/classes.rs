//! Resource classes.

use std::sync::LazyLock;

use http::{StatusCode, header};
use nephos_api::version::Version;
use nephos_api::{Empty, Fault, Json, Reply, Req, With, endpoint};
use nephos_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::form::{Bodiless, Checked, Form, Reads};
use super::providers::LinkView;
use super::schema::{self, Object, Schema, Text};
use super::{ClassPath, all_providers, dated, link, write};
use crate::model::providers::Providers;
use crate::model::{ClassName, names};
use crate::store::{self, Writing};
use crate::{Cx, rules};

static NAME: LazyLock<Schema> = LazyLock::new(name_schema);

fn name_schema() -> Schema {
    Schema::Text(Text {
        min: 1,
        max: Some(names::LONGEST),
        pattern: Some(schema::CUSTOM),
        uuid: false,
    })
}

#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ClassBody {
    name: ClassName,
}

impl Checked for ClassBody {
    fn schema(_version: Version) -> &'static Schema {
        static SCHEMA: LazyLock<Schema> =
            LazyLock::new(|| Schema::Object(Object::of(vec![("name", name_schema())])));
        &SCHEMA
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClassView {
    name: ClassName,
    links: Vec<LinkView>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClassesView {
    resource_classes: Vec<ClassView>,
}

fn view(cx: &Cx, name: ClassName) -> ClassView {
    let href = link(cx, &format!("/resource_classes/{name}"));
    let own = LinkView { rel: "self", href };
    ClassView {
        name,
        links: vec![own],
    }
}

/// When a custom class was made; a standard one has no such time.
fn made_at(providers: &Providers, name: &ClassName) -> Option<Timestamp> {
    let mut custom = providers.names.classes.iter();
    let custom = custom.find(|custom| custom.name == name.as_str())?;
    Some(custom.created_at)
}

endpoint! {
    /// List resource classes.
    ListClasses: GET "/resource_classes" => 200,
    versions: 1.2..,
    policy: rules::ListClasses,
    body: Reads,
    reply: With<Json<ClassesView>>,
    handler: list_classes,
}

async fn list_classes(cx: Cx, _req: Req<ListClasses>) -> Reply<ListClasses> {
    let providers = all_providers(&cx).await?;
    let standard = names::STANDARD_CLASSES.iter().map(|name| (*name).into());
    let custom = providers.names.classes.iter();
    let custom = custom.map(|custom| ClassName(custom.name.clone()));
    let all = standard.chain(custom).map(|name| view(&cx, name));
    let view = ClassesView {
        resource_classes: all.collect(),
    };
    Ok(dated(&cx, Json(view), cx.now()))
}

endpoint! {
    /// Show a resource class.
    ShowClass: GET "/resource_classes/{name}" => 200,
    versions: 1.2..,
    policy: rules::ShowClass,
    path: ClassPath,
    body: Reads,
    reply: With<Json<ClassView>>,
    handler: show_class,
}

async fn show_class(cx: Cx, req: Req<ShowClass>) -> Reply<ShowClass> {
    let providers = all_providers(&cx).await?;
    let name = req.path.name;
    if !providers.has_class(&name) {
        return Err(no_class(&name));
    }
    let at = made_at(&providers, &name).unwrap_or_else(|| cx.now());
    Ok(dated(&cx, Json(view(&cx, name)), at))
}

endpoint! {
    /// Create a custom resource class.
    CreateClass: POST "/resource_classes" => 201,
    versions: 1.2..,
    policy: rules::CreateClass,
    body: Form<ClassBody>,
    reply: With<Empty>,
    handler: create_class,
}

async fn create_class(cx: Cx, req: Req<CreateClass>) -> Reply<CreateClass> {
    let name = req.body.read()?.name;
    let mut w = write(&cx).await?;
    if !store::names::insert_class(&mut w, &name).await? {
        return Err(Fault::conflict(format!(
            "Conflicting resource class already exists: {name}"
        )));
    }
    w.commit().await?;
    let location = cx.url(&format!("/resource_classes/{name}"));
    Ok(With::new(Empty).header(header::LOCATION, &location))
}

endpoint! {
    /// Give a custom resource class another name.
    RenameClass: PUT "/resource_classes/{name}" => 200,
    versions: 1.2..=1.6,
    policy: rules::UpdateClass,
    path: ClassPath,
    body: Form<ClassBody>,
    reply: With<Json<ClassView>>,
    handler: rename_class,
}

async fn rename_class(cx: Cx, req: Req<RenameClass>) -> Reply<RenameClass> {
    let new = req.body.read()?.name;
    let old = req.path.name;
    let mut w = write(&cx).await?;
    check_custom(&mut w, &old, "Cannot update standard resource class").await?;
    if new != old && store::names::has_class(&mut w, &new).await? {
        return Err(Fault::conflict(format!(
            "Resource class already exists: {new}"
        )));
    }
    store::names::rename_class(&mut w, &old, &new).await?;
    w.commit().await?;
    Ok(With::new(Json(view(&cx, new))))
}

endpoint! {
    /// Create a custom resource class, unless it is there.
    EnsureClass: PUT "/resource_classes/{name}" => 201,
    versions: 1.7..,
    policy: rules::UpdateClass,
    path: ClassPath,
    body: Bodiless,
    reply: With<Empty>,
    handler: ensure_class,
}

async fn ensure_class(cx: Cx, req: Req<EnsureClass>) -> Reply<EnsureClass> {
    let name = req.path.name;
    NAME.check(&Value::String(name.to_string()))
        .map_err(|why| Fault::bad_request(format!("JSON does not validate: {why}")))?;
    let known = all_providers(&cx).await?.has_class(&name);
    let made = if known {
        false
    } else {
        let mut w = write(&cx).await?;
        let made = store::names::insert_class(&mut w, &name).await?;
        w.commit().await?;
        made
    };
    let status = if made {
        StatusCode::CREATED
    } else {
        StatusCode::NO_CONTENT
    };
    let location = cx.url(&format!("/resource_classes/{name}"));
    let reply = With::new(Empty).status(status);
    Ok(reply.header(header::LOCATION, &location))
}

endpoint! {
    /// Delete a custom resource class.
    DeleteClass: DELETE "/resource_classes/{name}" => 204,
    versions: 1.2..,
    policy: rules::DeleteClass,
    path: ClassPath,
    body: Bodiless,
    reply: Empty,
    handler: delete_class,
}

async fn delete_class(cx: Cx, req: Req<DeleteClass>) -> Reply<DeleteClass> {
    let name = req.path.name;
    let mut w = write(&cx).await?;
    let refused = "Error in delete resource class: Cannot delete standard resource class";
    check_custom(&mut w, &name, refused).await?;
    if store::names::class_users(&mut w, &name).await? > 0 {
        return Err(Fault::conflict(format!(
            "Error in delete resource class: Cannot delete resource class {name}. Class is in use in inventory."
        )));
    }
    store::names::remove_class(&mut w, &name).await?;
    w.commit().await?;
    Ok(Empty)
}

async fn check_custom(w: &mut Writing, name: &ClassName, refused: &str) -> Result<(), Fault> {
    if names::is_standard_class(name.as_str()) {
        return Err(Fault::bad_request(format!("{refused} {name}.")));
    }
    if store::names::has_class(w, name).await? {
        Ok(())
    } else {
        Err(no_class(name))
    }
}

fn no_class(name: &ClassName) -> Fault {
    Fault::not_found(format!("No such resource class {name}."))
}
