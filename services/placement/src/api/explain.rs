//! Why a request has the candidates it has. Not in upstream: it stands beside the versioned API, and takes the query of
//! `GET /allocation_candidates` at the newest version.

use std::collections::BTreeMap;

use nephos_api::{Json, Params, Reply, Req, endpoint};
use nephos_auth::Target;
use serde::Serialize;
use utoipa::ToSchema;

use super::candidates::{check_names, query_schema};
use super::fault::MAX;
use super::form::{Reads, check_query};
use super::{all_providers, query};
use crate::model::explain::{Constraint, Step, explain, largest_free};
use crate::model::providers::Providers;
use crate::model::{ClassName, ProviderId};
use crate::{Cx, rules};

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExplanationView {
    /// How many trees there are.
    total: usize,
    /// How many have a candidate.
    left: usize,
    /// The constraints in the order in which they were applied; each sees what those before it left.
    constraints: Vec<ConstraintView>,
    /// Of each class asked for, the largest portion that any provider could give now.
    largest_free: BTreeMap<ClassName, i64>,
    /// Who was removed by what; only for the operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    admin: Option<Vec<RemovedView>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConstraintView {
    /// The parameter of the query: `resources`, `required`, `forbidden`, `member_of`, `in_tree`, `root_required`, `groups`.
    constraint: &'static str,
    /// The suffix of its group.
    group: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_class: Option<ClassName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<i64>,
    /// Traits, aggregates or the tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    /// How many trees it removed.
    removed: usize,
    /// How many are left.
    left: usize,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RemovedView {
    uuid: ProviderId,
    name: String,
    /// The position of the constraint in the list.
    removed_by: usize,
}

endpoint! {
    /// Explain how a request comes to its allocation candidates.
    ExplainCandidates: GET "/nephos/v1/explain" => 200,
    policy: rules::Explain,
    query: Params,
    body: Reads,
    reply: Json<ExplanationView>,
    handler: explain_candidates,
}

async fn explain_candidates(cx: Cx, req: Req<ExplainCandidates>) -> Reply<ExplainCandidates> {
    check_query(&req.query, query_schema(MAX))?;
    let request = query::request(&req.query, MAX)?;
    let providers = all_providers(&cx).await?;
    check_names(&request, &providers)?;
    let steps = explain(&providers, &request);
    let classes = request.classes().into_iter();
    let largest_free = classes.map(|class| (class.clone(), largest_free(&providers, class)));
    let admin = cx.may(rules::ExplainProviders, &Target::new());
    let total = providers.roots().count();
    let view = ExplanationView {
        total,
        left: steps.last().map_or(total, |step| step.left),
        largest_free: largest_free.collect(),
        admin: admin.then(|| removed(&providers, &steps)),
        constraints: steps.into_iter().map(ConstraintView::from).collect(),
    };
    Ok(Json(view))
}

fn removed(providers: &Providers, steps: &[Step]) -> Vec<RemovedView> {
    let removed = steps.iter().enumerate().flat_map(|(removed_by, step)| {
        let roots = step.removed.iter().filter_map(|at| providers.at(*at));
        roots.map(move |stocked| RemovedView {
            uuid: stocked.provider.id.clone(),
            name: stocked.provider.name.clone(),
            removed_by,
        })
    });
    removed.collect()
}

impl From<Step> for ConstraintView {
    fn from(step: Step) -> Self {
        let mut view = Self {
            constraint: "groups",
            group: String::new(),
            resource_class: None,
            amount: None,
            value: None,
            removed: step.removed.len(),
            left: step.left,
        };
        let mut named = |name, suffix, text| {
            view.constraint = name;
            view.group = suffix;
            view.value = Some(text);
        };
        match step.constraint {
            Constraint::Resources {
                suffix,
                class,
                amount,
            } => {
                view.constraint = "resources";
                view.group = suffix;
                view.resource_class = Some(class);
                view.amount = Some(amount);
            }
            Constraint::Required { suffix, text } => named("required", suffix, text),
            Constraint::Forbidden { suffix, text } => named("forbidden", suffix, text),
            Constraint::MemberOf { suffix, text } => named("member_of", suffix, text),
            Constraint::InTree { suffix, text } => named("in_tree", suffix, text),
            Constraint::RootRequired { text } => named("root_required", String::new(), text),
            Constraint::Groups => {}
        }
        view
    }
}
