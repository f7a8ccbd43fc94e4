//! Allocation candidates.

use std::sync::{Arc, LazyLock};

use nephos_api::version::{Version, hide, v};
use nephos_api::{Fault, Json, Params, Reply, Req, Shape, With, endpoint};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use utoipa::openapi::{ObjectBuilder, RefOr, schema};
use utoipa::{PartialSchema, ToSchema};

use super::form::{Reads, check_query};
use super::query;
use super::schema::{Object, Pattern, Schema, Text};
use super::{all_providers, dated, versions};
use crate::model::candidates::{self, Candidate, Found};
use crate::model::provider::Stocked;
use crate::model::providers::Providers;
use crate::model::request::Request;
use crate::{Cx, rules};

endpoint! {
    /// List ways to satisfy a request for resources.
    ListCandidates: GET "/allocation_candidates" => 200,
    versions: 1.10..,
    policy: rules::ListCandidates,
    query: Params,
    body: Reads,
    reply: With<Json<CandidatesView>> as Shape::one("", versions::CANDIDATES),
    handler: list_candidates,
}

async fn list_candidates(cx: Cx, req: Req<ListCandidates>) -> Reply<ListCandidates> {
    check_query(&req.query, query_schema(cx.version))?;
    let request = query::request(&req.query, cx.version)?;
    let providers = all_providers(&cx).await?;
    check_names(&request, &providers)?;
    let most = cx.config.max_allocation_candidates;
    let [first, second, ..] = nephos_runtime::ids::uuid().into_bytes();
    let start = usize::from(u16::from_be_bytes([first, second]));
    let found = candidates::find(&providers, &request, most, start);
    let view = CandidatesView::new(providers, request, found);
    Ok(dated(&cx, Json(view), cx.now()))
}

/// 400 for classes and traits that there are not.
pub(crate) fn check_names(request: &Request, providers: &Providers) -> Result<(), Fault> {
    let mut classes = request.classes().into_iter();
    if let Some(class) = classes.find(|class| !providers.has_class(class)) {
        return Err(query::no_class(class));
    }
    let mut traits = request.traits();
    match traits.find(|name| !providers.has_trait(name)) {
        None => Ok(()),
        Some(name) => Err(Fault::bad_request(format!("No such trait(s): {name}."))),
    }
}

macro_rules! keyed {
    ($($constant:ident = $text:literal, $prefix:literal, $version:expr;)+) => {$(
        const $constant: Pattern = Pattern {
            text: $text,
            matches: |key| key.starts_with($prefix) && query::suffix_of(key, $version).is_some(),
        };
    )+};
}

const NUMBERED: Version = v(1, 25);
const WORDY: Version = v(1, 33);

keyed! {
    RESOURCES_N = "^resources([1-9][0-9]*)?$", "resources", NUMBERED;
    REQUIRED_N = "^required([1-9][0-9]*)?$", "required", NUMBERED;
    MEMBER_OF_N = "^member_of([1-9][0-9]*)?$", "member_of", NUMBERED;
    IN_TREE_N = "^in_tree([1-9][0-9]*)?$", "in_tree", NUMBERED;
    RESOURCES = "^resources([a-zA-Z0-9_-]{1,64})?$", "resources", WORDY;
    REQUIRED = "^required([a-zA-Z0-9_-]{1,64})?$", "required", WORDY;
    MEMBER_OF = "^member_of([a-zA-Z0-9_-]{1,64})?$", "member_of", WORDY;
    IN_TREE = "^in_tree([a-zA-Z0-9_-]{1,64})?$", "in_tree", WORDY;
}

/// The query of a version.
pub(crate) fn query_schema(version: Version) -> &'static Schema {
    static SCHEMAS: LazyLock<Vec<(Version, Schema)>> = LazyLock::new(|| {
        let steps = [36, 35, 33, 31, 25, 21, 17, 16, 10];
        let at = |minor| (v(1, minor), Schema::Object(query_object(v(1, minor))));
        steps.into_iter().map(at).collect()
    });
    static NOTHING: Schema = Schema::OneOf(&[]);
    let mut schemas = SCHEMAS.iter();
    let found = schemas.find(|(since, _)| *since <= version);
    found.map_or(&NOTHING, |(_, schema)| schema)
}

fn query_object(version: Version) -> Object {
    let text = || Schema::Text(Text::default());
    let limit = Schema::Text(Text {
        min: 1,
        pattern: Some(Pattern {
            text: "^[1-9][0-9]*$",
            matches: |text| {
                let digits = text.bytes().all(|byte| byte.is_ascii_digit());
                digits && !text.is_empty() && !text.starts_with('0')
            },
        }),
        ..Text::default()
    });
    let policy = Schema::OneOf(&["none", "isolate"]);
    let grouped = version >= NUMBERED;
    let keys = [
        (v(1, 16), "limit", limit),
        (v(1, 17), "required", text()),
        (v(1, 21), "member_of", text()),
        (NUMBERED, "group_policy", policy),
        (v(1, 35), "root_required", text()),
        (v(1, 36), "same_subtree", text()),
    ];
    let known = keys.into_iter().filter(|(since, key, _)| {
        *since <= version && !(grouped && matches!(*key, "required" | "member_of"))
    });
    let known = known.map(|(_, key, schema)| (key, schema)).collect();
    if !grouped {
        return Object::of(vec![("resources", text())]).optional(known);
    }
    let mut patterns = if version < WORDY {
        vec![RESOURCES_N, REQUIRED_N, MEMBER_OF_N, IN_TREE_N]
    } else {
        vec![RESOURCES, REQUIRED, MEMBER_OF, IN_TREE]
    };
    // 1.31: in_tree.
    if version < v(1, 31) {
        patterns.pop();
    }
    let patterns = patterns.into_iter().map(|pattern| (pattern, text()));
    Object {
        patterns: patterns.collect(),
        ..Object::default().optional(known)
    }
}

/// Written straight from the providers in memory: a thousand providers with dozens of traits are not copied first.
#[derive(Debug, Serialize)]
pub(crate) struct CandidatesView {
    allocation_requests: RequestsView,
    provider_summaries: SummariesView,
    /// Older versions show no other classes.
    #[serde(rename = "_requested", skip_serializing_if = "hide")]
    requested: Vec<String>,
}

#[derive(Debug)]
struct RequestsView(Arc<Answer>);
#[derive(Debug)]
struct SummariesView(Arc<Answer>);

#[derive(Debug)]
struct Answer {
    providers: Arc<Providers>,
    request: Request,
    found: Found,
}

impl CandidatesView {
    fn new(providers: Arc<Providers>, request: Request, found: Found) -> Self {
        let classes = request.classes().into_iter();
        let requested = classes.map(ToString::to_string).collect();
        let answer = Arc::new(Answer {
            providers,
            request,
            found,
        });
        Self {
            allocation_requests: RequestsView(Arc::clone(&answer)),
            provider_summaries: SummariesView(answer),
            requested,
        }
    }
}

impl PartialSchema for CandidatesView {
    fn schema() -> RefOr<schema::Schema> {
        let object = ObjectBuilder::new()
            .property("allocation_requests", schema::Array::default())
            .property("provider_summaries", schema::Object::default());
        object.into()
    }
}
impl ToSchema for CandidatesView {}

impl Serialize for RequestsView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let answer = &*self.0;
        let classes = answer.request.classes();
        let classes: Vec<&str> = classes.into_iter().map(|class| class.as_str()).collect();
        let candidates = &answer.found.candidates;
        let mut list = serializer.serialize_seq(Some(candidates.len()))?;
        for candidate in candidates {
            list.serialize_element(&OneRequest {
                answer,
                candidate,
                classes: &classes,
            })?;
        }
        list.end()
    }
}

struct OneRequest<'a> {
    answer: &'a Answer,
    candidate: &'a Candidate,
    classes: &'a [&'a str],
}

impl Answer {
    fn id(&self, at: usize) -> &str {
        let stocked = self.providers.at(at);
        stocked.map_or("", |stocked| stocked.provider.id.as_str())
    }
}

impl Serialize for OneRequest<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(2))?;
        object.serialize_entry("allocations", &OneAllocations(self))?;
        object.serialize_entry("mappings", &OneMappings(self))?;
        object.end()
    }
}

struct OneAllocations<'a>(&'a OneRequest<'a>);
struct OneMappings<'a>(&'a OneRequest<'a>);
struct OneShare<'a>(&'a OneRequest<'a>, usize);
struct ShareResources<'a>(&'a OneRequest<'a>, usize);

impl Serialize for OneAllocations<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        let mut last = None;
        // Shares are sorted by provider.
        for share in &self.0.candidate.shares {
            if last != Some(share.provider) {
                let id = self.0.answer.id(share.provider);
                object.serialize_entry(id, &OneShare(self.0, share.provider))?;
                last = Some(share.provider);
            }
        }
        object.end()
    }
}

impl Serialize for OneShare<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(1))?;
        object.serialize_entry("resources", &ShareResources(self.0, self.1))?;
        object.end()
    }
}

impl Serialize for ShareResources<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        let shares = self.0.candidate.shares.iter();
        for share in shares.filter(|share| share.provider == self.1) {
            let class = self.0.classes.get(share.class).copied().unwrap_or_default();
            object.serialize_entry(class, &share.amount)?;
        }
        object.end()
    }
}

impl Serialize for OneMappings<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        let groups = self.0.answer.request.groups.iter();
        for (group, members) in groups.zip(&self.0.candidate.mappings) {
            let ids: Vec<&str> = members.iter().map(|at| self.0.answer.id(*at)).collect();
            object.serialize_entry(&group.suffix, &ids)?;
        }
        object.end()
    }
}

impl Serialize for SummariesView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let answer = &*self.0;
        let shown = &answer.found.shown;
        let mut object = serializer.serialize_map(Some(shown.len()))?;
        for stocked in shown.iter().filter_map(|at| answer.providers.at(*at)) {
            object.serialize_entry(stocked.provider.id.as_str(), &Summary(stocked))?;
        }
        object.end()
    }
}

struct Summary<'a>(&'a Stocked);
struct SummaryResources<'a>(&'a Stocked);
struct SummaryTraits<'a>(&'a Stocked);

impl Serialize for SummaryTraits<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.listed_traits())
    }
}

#[derive(Serialize)]
struct SummaryResource {
    capacity: i64,
    used: i64,
}

impl Serialize for Summary<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let provider = &self.0.provider;
        let mut object = serializer.serialize_map(Some(4))?;
        object.serialize_entry("resources", &SummaryResources(self.0))?;
        object.serialize_entry("traits", &SummaryTraits(self.0))?;
        object.serialize_entry("parent_provider_uuid", &provider.parent)?;
        object.serialize_entry("root_provider_uuid", &provider.root)?;
        object.end()
    }
}

impl Serialize for SummaryResources<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let stock = &self.0.inventories;
        let mut object = serializer.serialize_map(Some(stock.len()))?;
        for (class, dated) in stock {
            let resource = SummaryResource {
                capacity: dated.inventory.capacity(),
                used: dated.inventory.used,
            };
            object.serialize_entry(class.as_str(), &resource)?;
        }
        object.end()
    }
}
