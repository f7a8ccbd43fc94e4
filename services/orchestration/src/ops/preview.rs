//! What an update would do to each resource of a stack, without doing it.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use nephos_db::Db;
use serde_json::{Map, Value};

use super::facts::{self, View, ViewError};
use super::judge::{self, Target};
use super::offload::offload;
use super::resource::nested::{Members, removed};
use crate::model::change::{Change, What};
use crate::model::earlier::{Wish, closer, stands};
use crate::model::fitting;
use crate::model::function::{Trouble, shown};
use crate::model::graph;
use crate::model::group::{self, Present};
use crate::model::kind;
use crate::model::plan::{Fate, external, fate};
use crate::model::reach::reachable;
use crate::model::refusal::Refusal;
use crate::model::scene::Scene;
use crate::model::stack::{Resource, Stack, StackId, Wanted};
use crate::model::template::Definition;
use crate::store::stacks;

/// A nested stack that stays, and what becomes of its resources.
pub(crate) struct Inner {
    pub stack: Stack,
    pub view: View,
    pub changes: Vec<Change>,
}

/// What an update would do: to a stack's own resources, and to those of all stacks in it.
pub(crate) struct Preview {
    pub changes: Vec<Change>,
    pub nested: Vec<Inner>,
}

/// The changes that lead from what is there to what `scene` has, in the order of the template. They show no hidden value.
pub(crate) fn changes<'a>(
    db: &'a Db,
    now: &'a View,
    scene: Scene,
) -> BoxFuture<'a, Result<Preview, ViewError>> {
    changes_of(db, now, scene).boxed()
}

async fn changes_of(db: &Db, now: &View, scene: Scene) -> Result<Preview, ViewError> {
    let mut nested = Vec::new();
    let (mut scene, needs, order) = offload(move || -> Result<_, Refusal> {
        let mut scene = scene;
        scene.ahead = true;
        let needs = graph::needs(&scene)?;
        let order = graph::order(&needs)?;
        Ok((scene, needs, order))
    })
    .await?;
    let mut fates: BTreeMap<String, Change> = BTreeMap::new();
    for name in order {
        let Some(definition) = scene.template.resource(&name).cloned() else {
            continue;
        };
        let said;
        (scene, said) = said_of(scene, definition.clone()).await?;
        let Said {
            target,
            properties,
            later,
            external_id,
        } = said;
        let wish = Wish {
            kind: kind::find(target.name()),
            target: target.name(),
            properties: &properties,
            later: &later,
        };
        let replaced = |row: &&Resource| row.superseded && row.name == name && stands(row);
        let replaced = now.resources.iter().filter(replaced);
        let current = now.current(&name);
        let back = current.and_then(|row| closer(row, replaced, &wish));
        let mut own = Vec::new();
        let what = match back.or(current) {
            None => What::Added,
            Some(row) => {
                let external = external(row, &definition.kind, external_id.as_deref());
                let found = external.map_err(|why| Refusal::of("NotSupported", why))?;
                let mut found = found.unwrap_or_else(|| {
                    fate(
                        row,
                        kind::find(target.name()),
                        target.name(),
                        &properties,
                        &later,
                    )
                });
                let stays = matches!(found, Fate::Unchanged | Fate::InPlace(_));
                if stays && !row.external {
                    let asked = (definition.clone(), target.clone());
                    let before = nested.len();
                    let known = later.is_empty();
                    let inside;
                    (scene, inside) = self::inside(db, scene, asked, row, &properties).await?;
                    if let Some((stack, inner, differs)) = inside {
                        let below = below(db, &stack, inner.filter(|_| known)).await?;
                        if let Some((view, below)) = below {
                            own.clone_from(&below.changes);
                            let changes = below.changes;
                            nested.push(Inner {
                                stack,
                                view,
                                changes,
                            });
                            nested.extend(below.nested);
                        }
                        let changes = own.iter().any(|inner: &Change| inner.list() != "unchanged");
                        if found == Fate::Unchanged && (differs || changes) {
                            found = Fate::InPlace(Vec::new());
                        }
                    }
                    if !scene.hidden(&name).is_empty() {
                        own.iter_mut().for_each(Change::hide_all);
                        let nested = nested
                            .iter_mut()
                            .skip(before)
                            .flat_map(|inner: &mut Inner| &mut inner.changes);
                        nested.for_each(Change::hide_all);
                    }
                }
                What::Kept(found)
            }
        };
        // What stays is known to those that refer to it.
        if matches!(what, What::Kept(Fate::Unchanged | Fate::InPlace(_))) {
            let known = match back {
                Some(row) => Some(facts::fact(db, row).await?),
                None => now.scene.facts.get(&name).cloned(),
            };
            scene.facts.extend(known.map(|fact| (name.clone(), fact)));
        }
        fates.insert(
            name.clone(),
            Change {
                name,
                kind: definition.kind.clone(),
                what,
                inside: own,
            },
        );
    }
    let mut out: Vec<Change> = scene
        .template
        .resources
        .iter()
        .filter_map(|definition| fates.remove(&definition.name))
        .collect();
    for row in now
        .resources
        .iter()
        .filter(|row| !row.superseded && !needs.contains_key(&row.name))
    {
        let why = if scene.has_resource(&row.name) {
            "its condition does not hold any more"
        } else {
            "the template does not have it any more"
        };
        out.push(Change {
            name: row.name.clone(),
            kind: row.kind.clone(),
            what: What::Deleted(why.to_owned()),
            inside: Vec::new(),
        });
    }
    for change in &mut out {
        change.hide(&(&now.scene.hidden(&change.name) | &scene.hidden(&change.name)));
    }
    Ok(Preview {
        changes: out,
        nested,
    })
}

/// What becomes of the resources of a nested stack, if that can be known.
async fn below(
    db: &Db,
    stack: &Stack,
    scene: Option<Scene>,
) -> Result<Option<(View, Preview)>, ViewError> {
    let (Some(scene), Ok(view)) = (scene, facts::view(db, stack).await) else {
        return Ok(None);
    };
    let below = changes(db, &view, scene).await?;
    Ok(Some((view, below)))
}

/// What a template says of a resource.
struct Said {
    target: Target,
    properties: Map<String, Value>,
    /// The names of those that are not known yet.
    later: Vec<String>,
    external_id: Option<String>,
}

/// Works out what a scene says of a resource, and gives the scene back.
async fn said_of(scene: Scene, definition: Definition) -> Result<(Scene, Said), Refusal> {
    offload(move || {
        let invalid = |why: Trouble| Refusal::invalid(why.to_string());
        let target = judge::target(&scene, &definition)?;
        let (given, later) = scene.properties(&definition).map_err(invalid)?;
        let properties = match &target {
            Target::Kind(kind) => fitting::properties(kind, &given, &later)
                .map_err(|why| why.at(&format!("resources.{}.properties", definition.name)))?,
            Target::File(_) => given
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .collect(),
        };
        let external_id = match &definition.external_id {
            Some(id) => Some(shown(&scene.work_out(id).map_err(invalid)?.0)),
            None => None,
        };
        let said = Said {
            target,
            properties,
            later,
            external_id,
        };
        Ok((scene, said))
    })
    .await
}

/// A nested stack, the scene that it would have, and whether it is to be made of something else than it is.
type Inside = Option<(Stack, Option<Scene>, bool)>;

/// The nested stack of a resource that is there; the scene around it is given back.
async fn inside(
    db: &Db,
    scene: Scene,
    (definition, target): (Definition, Target),
    row: &Resource,
    properties: &Map<String, Value>,
) -> Result<(Scene, Inside), ViewError> {
    let Some(id) = row.nested_id() else {
        return Ok((scene, None));
    };
    let Some(child) = stacks::find(db, &StackId(id.0)).await? else {
        return Ok((scene, None));
    };
    let members = Members::of(db, Some(&child), properties).await?;
    let size = row.data.get("size").and_then(Value::as_i64);
    let (before, properties) = (removed(row), properties.clone());
    let found = offload(move || -> Result<_, Refusal> {
        let mut present = Present {
            members: &members.names,
            references: &members.references,
            removed: &before,
            size,
        };
        let removed = group::removed(&properties, present);
        present.removed = &removed;
        let named = (definition.name.as_str(), &target);
        let Some(nested) = judge::nested(&scene, named, &properties, present)? else {
            return Ok((scene, None));
        };
        let wanted = Wanted {
            files: reachable(&nested.template, &nested.environment, &scene.files),
            environment: nested.environment.kept(),
            template: nested.template,
        };
        let differs = wanted != child.wanted;
        let mut next = child.clone();
        next.wanted = wanted;
        next.facade = judge::facade(&scene, &definition);
        // What is wrong with it is said where it is judged.
        let inner = facts::scene_of(&next, &next.wanted).ok();
        Ok((scene, Some((child, inner, differs))))
    });
    Ok(found.await?)
}
