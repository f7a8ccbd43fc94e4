//! What an update would do to each resource of a stack, without doing it.

use std::collections::BTreeMap;

use nephos_db::Db;

use super::facts::{self, View, ViewError};
use super::judge::{self, Target};
use super::resource::nested::{Members, removed};
use crate::model::earlier::{Wish, closer, stands};
use crate::model::function::shown;
use crate::model::graph;
use crate::model::group::{self, Present};
use crate::model::kind;
use crate::model::plan::{Change, Fate, What, external, fate};
use crate::model::reach::reachable;
use crate::model::refusal::Refusal;
use crate::model::scene::Scene;
use crate::model::stack::{Resource, StackId, Wanted};
use crate::store::stacks;

/// The changes that lead from what is there to what `scene` has, in the order of the template.
pub(crate) async fn changes(
    db: &Db,
    now: &View,
    mut scene: Scene,
) -> Result<Vec<Change>, ViewError> {
    scene.ahead = true;
    let needs = graph::needs(&scene)?;
    let mut fates: BTreeMap<String, Change> = BTreeMap::new();
    for name in graph::order(&needs)? {
        let Some(definition) = scene.template.resource(&name).cloned() else {
            continue;
        };
        let target = judge::target(&scene, &definition)?;
        let (given, later) = scene
            .properties(&definition)
            .map_err(|why| Refusal::invalid(why.to_string()))?;
        let properties = match &target {
            Target::Kind(kind) => judge::properties(kind, &given, &later)
                .map_err(|why| why.at(&format!("resources.{name}.properties")))?,
            Target::File(_) => given
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .collect(),
        };
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
        let what = match back.or(current) {
            None => What::Added,
            Some(row) => {
                let said = match &definition.external_id {
                    Some(id) => {
                        let worked_out = scene.work_out(id);
                        Some(shown(
                            &worked_out
                                .map_err(|why| Refusal::invalid(why.to_string()))?
                                .0,
                        ))
                    }
                    None => None,
                };
                let external = external(row, &definition.kind, said.as_deref());
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
                if found == Fate::Unchanged
                    && !row.external
                    && inside_differs(db, &scene, (&name, &target), row, &properties).await?
                {
                    found = Fate::InPlace(Vec::new());
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
        });
    }
    Ok(out)
}

/// Whether a nested stack would be made of something else.
async fn inside_differs(
    db: &Db,
    scene: &Scene,
    target: (&str, &Target),
    row: &Resource,
    properties: &serde_json::Map<String, serde_json::Value>,
) -> Result<bool, ViewError> {
    let Some(id) = row.nested_id() else {
        return Ok(false);
    };
    let Some(child) = stacks::find(db, &StackId(id.0)).await? else {
        return Ok(true);
    };
    let members = Members::of(db, Some(&child), properties).await?;
    let size = row.data.get("size").and_then(serde_json::Value::as_i64);
    let before = removed(row);
    let mut present = Present {
        members: &members.names,
        references: &members.references,
        removed: &before,
        size,
    };
    let removed = group::removed(properties, present);
    present.removed = &removed;
    let Some(nested) = judge::nested(scene, target, properties, present)? else {
        return Ok(false);
    };
    let wanted = Wanted {
        files: reachable(&nested.template, &nested.environment, &scene.files),
        environment: nested.environment.kept(),
        template: nested.template,
    };
    Ok(wanted != child.wanted)
}
