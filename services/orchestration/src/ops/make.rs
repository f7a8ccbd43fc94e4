//! Makes one resource of a template, changes it, or has another one take its place.

use std::time::Duration;

use nephos_ops::StepError;
use nephos_runtime::crash_point;
use serde_json::{Map, Value, json};

use super::ground::{Ground, When, apply};
use super::judge::{self, Target};
use super::resource::keep::SNAPSHOT;
use super::resource::{self, Outcome, Why, health, nested};
use super::{back, refuse, request};
use crate::model::earlier::{GONE, has_let_go};
use crate::model::environment::Hook;
use crate::model::fitting;
use crate::model::kind;
use crate::model::plan::{Fate, external, fate};
use crate::model::stack::{Action, Resource, Status};
use crate::model::template::{Definition, Deletion};
use crate::store::resources;

/// A resource that is held looks again this soon without any word.
pub(super) const HELD: Duration = Duration::from_secs(60);

/// Works on a resource that the template has.
pub(super) async fn make(ground: &Ground<'_>, definition: &Definition) -> Result<When, StepError> {
    let Some(row) = ground.view.current(&definition.name) else {
        let row = ground.planned(definition);
        let mut tx = ground.cx.write("plan").await?;
        resources::insert(&mut tx, &row).await?;
        tx.commit().await?;
        return Ok(When::Now);
    };
    if let Some(old) = back::found(ground, row, definition).await? {
        return back::restore(ground, row, old).await;
    }
    match (row.action, row.status) {
        (Action::Create, Status::InProgress) => {
            let did = resource::ensure(&ground.work(row, Some(definition), false)).await;
            apply(ground, row, did).await
        }
        (Action::Update, Status::InProgress) => {
            let did = resource::change(&ground.work(row, Some(definition), false)).await;
            apply(ground, row, did).await
        }
        (Action::Delete, _) => match back::revived(ground, row).await? {
            Some(row) => judge_again(ground, &row, definition).await,
            None => replace(ground, row, definition).await,
        },
        (Action::Init, _) => begin(ground, row, definition).await,
        (Action::Create, Status::Failed) if !row.begun() => begin(ground, row, definition).await,
        _there => judge_again(ground, row, definition).await,
    }
}

/// What the template says of a resource now.
pub(super) struct Said {
    pub target: String,
    pub properties: Map<String, Value>,
    pub metadata: Value,
    pub external: Option<String>,
}

pub(super) fn said(ground: &Ground<'_>, definition: &Definition) -> Result<Said, String> {
    let scene = &ground.view.scene;
    let words = |why: crate::model::refusal::Refusal| why.message;
    let target = judge::target(scene, definition).map_err(words)?;
    let (given, _) = scene.properties(definition).map_err(judge::in_words)?;
    let properties = match &target {
        Target::Kind(kind) => fitting::properties(kind, &given, &[]).map_err(|why| {
            format!(
                "Property error: resources.{}.properties: {why}",
                definition.name
            )
        })?,
        Target::File(_) => given
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .collect(),
    };
    let (metadata, _) = scene
        .work_out(&definition.metadata)
        .map_err(judge::in_words)?;
    let external = match &definition.external_id {
        Some(id) => Some(crate::model::function::shown(
            &scene.work_out(id).map_err(judge::in_words)?.0,
        )),
        None => None,
    };
    Ok(Said {
        target: target.name().to_owned(),
        properties,
        metadata,
        external,
    })
}

/// Notes on the row what the template says besides properties.
fn describe(row: &mut Resource, ground: &Ground<'_>, definition: &Definition, said: &Said) {
    row.kind.clone_from(&definition.kind);
    row.description.clone_from(&definition.description);
    row.metadata = said.metadata.clone();
    // It was judged when it was asked for, and parameters have stayed the same since.
    if let Ok(policy) = ground.view.scene.deletion(definition) {
        row.retain = policy == Deletion::Retain;
        row.data.remove(SNAPSHOT);
        if policy == Deletion::Snapshot {
            row.data.insert(SNAPSHOT.to_owned(), json!(true));
        }
    }
    row.requires = ground.requires(definition);
}

/// Begins to make a resource: its row says so before anything of it is there.
async fn begin(
    ground: &Ground<'_>,
    row: &Resource,
    definition: &Definition,
) -> Result<When, StepError> {
    if ground.held(row, Hook::PreCreate).await? {
        return Ok(When::After(HELD));
    }
    let mut row = row.clone();
    row.action = Action::Create;
    row.generation = ground.stack.generation;
    row.held = None;
    let said = match said(ground, definition) {
        Ok(said) => said,
        Err(why) => {
            (row.status, row.reason) = (Status::Failed, why);
            ground.save("begin", &row, true).await?;
            return Ok(When::Now);
        }
    };
    (row.status, row.reason) = (Status::InProgress, "state changed".to_owned());
    describe(&mut row, ground, definition, &said);
    row.target = said.target;
    row.properties = said.properties;
    row.data.remove("tries");
    row.finished();
    row.data.insert("begun".to_owned(), json!(true));
    if let Some(id) = said.external {
        row.external = true;
        row.data.insert("external_id".to_owned(), json!(id));
    }
    // Who is told where to signal may do so before this process has noted what it made.
    if kind::find(&row.target).is_some_and(resource::is_signalled) {
        let key = row.data.entry("signal_key");
        key.or_insert_with(|| json!(resource::new_key()));
    }
    crash_point!("stack.begin");
    ground.save("begin", &row, true).await?;
    crash_point!("stack.begun");
    let did = resource::ensure(&ground.work(&row, Some(definition), true)).await;
    apply(ground, &row, did).await
}

/// A resource that is there: does the template still say the same of it?
async fn judge_again(
    ground: &Ground<'_>,
    row: &Resource,
    definition: &Definition,
) -> Result<When, StepError> {
    let updating = ground.stack.action == Action::Update;
    if updating && ground.held(row, Hook::PreUpdate).await? {
        return Ok(When::After(HELD));
    }
    let mut row = row.clone();
    row.held = None;
    let said = match said(ground, definition) {
        Ok(said) => said,
        Err(why) => {
            (row.action, row.status, row.reason) = (Action::Update, Status::Failed, why);
            row.generation = ground.stack.generation;
            ground.save("judge", &row, true).await?;
            return Ok(When::Now);
        }
    };
    let found = kind::find(&said.target);
    let mut fate = match external(&row, &definition.kind, said.external.as_deref()) {
        Ok(None) => fate(&row, found, &said.target, &said.properties, &[]),
        Ok(Some(fate)) => fate,
        Err(why) => return refuse::refuse(ground, row, why).await,
    };
    let inside = !row.external && nested::is_nested(&row.target, found);
    if fate == Fate::Unchanged && inside && request::converges(ground.op) {
        fate = Fate::InPlace(Vec::new());
    }
    if fate == Fate::Unchanged && inside {
        let mut after = row.clone();
        after.changing_to = Some(said.properties.clone());
        match nested::differs(&ground.work(&after, Some(definition), false)).await {
            Ok(true) => fate = Fate::InPlace(Vec::new()),
            Ok(false) => {}
            Err(Why::Step(why)) => return Err(why),
            Err(_refused_when_it_is_made) => fate = Fate::InPlace(Vec::new()),
        }
    }
    if health::is_condemned(ground.cx.db(), &row).await? && !matches!(fate, Fate::Replaced(..)) {
        let why = format!("it is not healthy: {}", row.reason);
        fate = Fate::Replaced(Vec::new(), why);
    }
    // A server that has let go of its ports has to have them again.
    if fate == Fate::Unchanged && has_let_go(&row) {
        fate = Fate::InPlace(Vec::new());
    }
    let gone = gone_since(ground, &row, definition, &fate).await?;
    if gone && found.is_some_and(kind::Kind::mends) {
        if fate == Fate::Unchanged {
            fate = Fate::InPlace(Vec::new());
        }
    } else if gone {
        fate = Fate::Replaced(Vec::new(), "it is not there any more".to_owned());
        row.data.insert(GONE.to_owned(), json!(true));
    }
    let restricts = |action: &str| ground.view.scene.environment.restricts(&row.name, action);
    let restricted = match &fate {
        Fate::InPlace(_) if restricts("update") => Some("update"),
        Fate::Replaced(..) if restricts("replace") => Some("replace"),
        _allowed => None,
    };
    if let Some(action) = restricted {
        let why = format!("{action} is restricted for resource.");
        return refuse::refuse(ground, row, why).await;
    }
    match fate {
        Fate::Unchanged => {
            describe(&mut row, ground, definition, &said);
            row.generation = ground.stack.generation;
            row.cleared = None;
            ground.save("settle", &row, false).await?;
            Ok(When::Now)
        }
        Fate::InPlace(_) => {
            describe(&mut row, ground, definition, &said);
            let retry = row.status == Status::Failed;
            (row.action, row.status, row.reason) = (
                Action::Update,
                Status::InProgress,
                "state changed".to_owned(),
            );
            // A wait condition waits anew.
            row.data.remove("until");
            // Who asks for another size gets it, whatever policies made of it.
            let size = "desired_capacity";
            if said.properties.get(size) != row.properties.get(size) {
                row.data.remove("size");
            }
            row.changing_to = Some(said.properties);
            row.generation = ground.stack.generation;
            row.data.remove("tries");
            row.finished();
            crash_point!("stack.change");
            ground.save("change", &row, true).await?;
            crash_point!("stack.changing");
            let did = resource::change(&ground.work(&row, Some(definition), !retry)).await;
            apply(ground, &row, did).await
        }
        Fate::Replaced(..) => replace(ground, &row, definition).await,
    }
}

/// Whether a thing turns out to be gone: that of a change that failed before, or any if whoever asked wants to know.
async fn gone_since(
    ground: &Ground<'_>,
    row: &Resource,
    definition: &Definition,
    fate: &Fate,
) -> Result<bool, StepError> {
    let failed = row.status == Status::Failed
        && row.action == Action::Update
        && matches!(fate, Fate::InPlace(_));
    let asked = request::converges(ground.op) && !matches!(fate, Fate::Replaced(..));
    let nested = nested::is_nested(&row.target, kind::find(&row.target));
    if !(failed || asked) || nested || row.external {
        return Ok(false);
    }
    match resource::check(&ground.work(row, Some(definition), false)).await {
        // What is there and not well was not asked for.
        Ok(Outcome::Failed(seen, _)) => Ok(failed || seen.is_missing()),
        Err(Why::Refused(_)) => Ok(failed),
        Err(Why::Step(why)) => Err(why),
        Ok(Outcome::Done(_) | Outcome::Wait(..)) | Err(Why::Later(_)) => Ok(false),
    }
}

/// Another one takes the place of a resource; the old one goes when all is made.
async fn replace(
    ground: &Ground<'_>,
    row: &Resource,
    definition: &Definition,
) -> Result<When, StepError> {
    let mut old = row.clone();
    old.superseded = true;
    let mut new = ground.planned(definition);
    // A hook that was cleared for the old one counts.
    new.cleared.clone_from(&row.cleared);
    crash_point!("stack.replace");
    let mut tx = ground.cx.write("replace").await?;
    resources::update(&mut tx, &old, ground.cx.now()).await?;
    resources::insert(&mut tx, &new).await?;
    tx.commit().await?;
    crash_point!("stack.replaced");
    Ok(When::Now)
}
