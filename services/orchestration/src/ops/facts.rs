//! What is known of a stack: its template with values, and its resources with their attributes, nested stacks included.

use std::collections::HashMap;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use nephos_db::{Db, Error};
use serde_json::{Map, Value, json};

use super::offload::offload;
use super::resource::balancing;
use crate::model::environment::{Environment, is_file};
use crate::model::fact::Fact;
use crate::model::graph::{self, Needs};
use crate::model::kind::{self, How, Kind};
use crate::model::refusal::Refusal;
use crate::model::scene::{Names, Scene};
use crate::model::stack::{Action, Resource, Stack, StackId, Status, Wanted};
use crate::model::template::{Output, Template};
use crate::store::{resources, stacks};

/// A stack with everything about it.
pub(crate) struct View {
    pub scene: Scene,
    /// What each resource of the template needs.
    pub needs: Needs,
    /// Those that are superseded included.
    pub resources: Vec<Resource>,
    /// Where those that count stand among them.
    places: HashMap<String, usize>,
}

impl View {
    /// The resource of this name that counts.
    pub fn current(&self, name: &str) -> Option<&Resource> {
        self.resources.get(*self.places.get(name)?)
    }
}

/// Why a view cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ViewError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Db(#[from] Error),
}

/// The scene of what is wanted of a stack, without any resource.
pub(crate) fn scene_of(stack: &Stack, wanted: &Wanted) -> Result<Scene, Refusal> {
    let template = Template::parse(wanted.template.clone())?;
    let environment = Environment::recall(&wanted.environment)?;
    let names = Names {
        stack: stack.name.clone(),
        stack_id: stack.id.0.clone(),
        project: stack.project_id.clone(),
    };
    let mut scene = Scene::new(template, environment, wanted.files.clone(), names, false)?;
    scene.facade = stack.facade.clone();
    Ok(scene)
}

/// A stack as it is.
pub(crate) fn view<'a>(db: &'a Db, stack: &'a Stack) -> BoxFuture<'a, Result<View, ViewError>> {
    async move {
        let rows = resources::of_stack(db, &stack.id).await?;
        view_of(db, stack, rows).await
    }
    .boxed()
}

/// A stack as it is, with these resources.
pub(crate) fn view_of<'a>(
    db: &'a Db,
    stack: &'a Stack,
    rows: Vec<Resource>,
) -> BoxFuture<'a, Result<View, ViewError>> {
    async move {
        let own = stack.clone();
        let mut scene = offload(move || scene_of(&own, &own.wanted)).await?;
        // What the template does not have any more may still be there, but is no part of it.
        let counts = |row: &&Resource| !row.superseded && scene.has_resource(&row.name);
        let there: Vec<&Resource> = rows
            .iter()
            .filter(counts)
            .filter(|row| is_there(row))
            .collect();
        for row in there {
            let fact = fact(db, row).await?;
            scene.facts.insert(row.name.clone(), fact);
        }
        offload(move || {
            let needs = graph::needs(&scene)?;
            let count = rows.iter().enumerate().filter(|(_, row)| !row.superseded);
            // Of two, the first counts.
            let places = count
                .rev()
                .map(|(at, row)| (row.name.clone(), at))
                .collect();
            Ok(View {
                scene,
                needs,
                resources: rows,
                places,
            })
        })
        .await
    }
    .boxed()
}

/// An output with its value, or why it has none.
pub(crate) type Shown = (Output, Result<Value, String>);

/// The outputs of a stack, and the stack again.
pub(crate) async fn outputs(view: View) -> (View, Vec<Shown>) {
    offload(move || {
        let found = view.scene.outputs().into_iter();
        let found = found
            .map(|(output, value)| (output.clone(), value))
            .collect();
        (view, found)
    })
    .await
}

/// Whether a resource can be referred to.
fn is_there(row: &Resource) -> bool {
    let made = row.action != Action::Init
        && !(row.action == Action::Create && row.status != Status::Complete);
    made || (row.physical_id.is_some() && row.action == Action::Create)
}

/// What is known of a resource.
pub(crate) async fn fact(db: &Db, row: &Resource) -> Result<Fact, ViewError> {
    let found = kind::find(&row.target);
    let nested = is_file(&row.target) || found.is_some_and(Kind::nested);
    if !nested {
        return Ok(plain(row, found));
    }
    let id = StackId(row.physical_id.clone().unwrap_or_default());
    let reference = json!(id);
    let Some(child) = stacks::find(db, &id).await? else {
        return Ok(Fact::Plain {
            reference,
            attributes: Map::new(),
        });
    };
    // A nested template that does not hold any more shows nothing; its own stack says why.
    let Ok(view) = view(db, &child).await else {
        return Ok(Fact::Plain {
            reference,
            attributes: Map::new(),
        });
    };
    let (view, shown) = outputs(view).await;
    let outputs: Vec<(String, Result<Value, String>)> = shown
        .into_iter()
        .map(|(output, value)| (output.name, value))
        .collect();
    let mut members: Vec<(String, Fact)> = view.scene.facts.into_iter().collect();
    members.sort_by(|(left, _), (right, _)| (left.len(), left).cmp(&(right.len(), right)));
    Ok(match found.map(|kind| kind.how) {
        Some(how @ (How::ResourceGroup | How::Chain | How::ScalingGroup | How::Deployments)) => {
            Fact::Group {
                reference,
                how,
                members,
                removed: super::resource::nested::removed(row),
            }
        }
        _stack => Fact::Stack {
            reference: own_reference(row, &outputs).unwrap_or(reference),
            name: child.name,
            outputs,
            members,
        },
    })
}

/// What a template that is a resource says that it is referred to by: its output `OS::stack_id`.
fn own_reference(row: &Resource, outputs: &[(String, Result<Value, String>)]) -> Option<Value> {
    let named = |(name, _): &&(String, Result<Value, String>)| name == "OS::stack_id";
    let (_, value) = outputs.iter().find(named)?;
    let value = value.clone().ok()?;
    (is_file(&row.target) && !value.is_null()).then_some(value)
}

fn plain(row: &Resource, kind: Option<&Kind>) -> Fact {
    let physical = json!(row.physical_id);
    let data = |name: &str| row.data.get(name).cloned().unwrap_or_default();
    let one = |name: &str, value: Value| {
        [(name.to_owned(), value)]
            .into_iter()
            .collect::<Map<_, _>>()
    };
    let (reference, mut attributes) = match kind.map(|kind| kind.how) {
        Some(How::Test) => (
            physical,
            one(
                "output",
                row.properties.get("value").cloned().unwrap_or_default(),
            ),
        ),
        Some(How::Value) => (physical, one("value", data("value"))),
        Some(How::RandomString) => (data("value"), one("value", data("value"))),
        Some(How::SoftwareConfig | How::CloudConfig | How::MultipartMime) => {
            (physical, one("config", data("config")))
        }
        Some(How::SoftwareComponent) => (
            physical,
            one(
                "configs",
                row.properties.get("configs").cloned().unwrap_or_default(),
            ),
        ),
        Some(How::WaitHandle) => {
            let transport = row.properties.get("signal_transport");
            // One that has no property for it has no other way.
            let by_url = transport.is_none_or(|way| way.as_str() == Some("CFN_SIGNAL"));
            let reference = if by_url { data("endpoint") } else { physical };
            (
                reference,
                ["endpoint", "curl_cli", "signal", "token"]
                    .into_iter()
                    .map(|name| (name.to_owned(), data(name)))
                    .collect(),
            )
        }
        Some(How::WaitCondition) => (physical, one("data", data("data"))),
        Some(How::ScalingPolicy) => (
            physical,
            ["signal_url", "alarm_url"]
                .into_iter()
                .map(|name| (name.to_owned(), data("endpoint")))
                .collect(),
        ),
        Some(How::KeyPair) => (
            physical,
            ["public_key", "private_key"]
                .into_iter()
                .map(|name| (name.to_owned(), data(name)))
                .collect(),
        ),
        Some(How::Container) => (physical, super::resource::container::attributes(row)),
        Some(How::Server) => (
            physical,
            super::resource::server_view::attributes(&row.observed),
        ),
        Some(How::Balancing(kind)) => (physical, balancing::attributes(row, kind)),
        _other => (
            physical,
            row.observed.as_object().cloned().unwrap_or_default(),
        ),
    };
    if row.external {
        attributes.extend(row.observed.as_object().cloned().unwrap_or_default());
    }
    let show = if row.observed.is_object() {
        row.observed.clone()
    } else {
        Value::Null
    };
    attributes.entry("show").or_insert(show);
    Fact::Plain {
        reference,
        attributes,
    }
}
