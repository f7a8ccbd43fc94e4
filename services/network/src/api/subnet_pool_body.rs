//! Bodies and views of subnet pools.

use ipnet::IpNet;
use nephos_types::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::Cx;
use crate::api::envelope::Kind;
use crate::api::input::{Flag, Int, Name};
use crate::api::resource;
use crate::model::port::parse_range;
use crate::model::subnet_pool::SubnetPool;

pub(crate) struct PoolKind;

impl Kind for PoolKind {
    const ONE: &'static str = "subnetpool";
    const MANY: &'static str = "subnetpools";
    type View = PoolView;
    type New = NewPool;
    type Change = PoolChange;
}

/// One prefix or several.
#[derive(Clone, Debug, ToSchema)]
#[schema(value_type = Vec<String>)]
pub(crate) struct Prefixes(pub Vec<IpNet>);

impl<'de> Deserialize<'de> for Prefixes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            One(String),
            Many(Vec<String>),
        }
        let texts = match Form::deserialize(deserializer)? {
            Form::One(text) => vec![text],
            Form::Many(texts) => texts,
        };
        let read = |text: &String| {
            parse_range(text).map(|range| range.trunc()).ok_or_else(|| {
                serde::de::Error::custom(format!("'{text}' is not a valid IP subnet"))
            })
        };
        texts.iter().map(read).collect::<Result<_, _>>().map(Self)
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPool {
    pub name: Name,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub description: Option<Name>,
    pub prefixes: Prefixes,
    pub default_prefixlen: Option<Int>,
    pub min_prefixlen: Option<Int>,
    pub max_prefixlen: Option<Int>,
    pub default_quota: Option<Int>,
    #[serde(default, deserialize_with = "crate::api::input::uuid_or_none")]
    pub address_scope_id: Option<String>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub shared: Option<Flag>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub is_default: Option<Flag>,
    pub tags: Option<Vec<String>>,
    pub project_id: Option<String>,
    pub tenant_id: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PoolChange {
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub name: Option<Name>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub description: Option<Name>,
    pub prefixes: Option<Prefixes>,
    pub default_prefixlen: Option<Int>,
    pub min_prefixlen: Option<Int>,
    pub max_prefixlen: Option<Int>,
    #[serde(default, deserialize_with = "nephos_api::given::deserialize")]
    pub default_quota: Option<Option<Int>>,
    #[serde(default, deserialize_with = "nephos_api::given::deserialize")]
    pub address_scope_id: Option<Option<String>>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub is_default: Option<Flag>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PoolView {
    id: String,
    name: String,
    description: String,
    tenant_id: String,
    project_id: String,
    ip_version: u8,
    #[schema(value_type = Vec<String>)]
    prefixes: Vec<IpNet>,
    default_prefixlen: u8,
    min_prefixlen: u8,
    max_prefixlen: u8,
    default_quota: Option<i64>,
    address_scope_id: Option<String>,
    shared: bool,
    is_default: bool,
    tags: Vec<String>,
    revision_number: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

pub(super) fn view(cx: &Cx, pool: &SubnetPool) -> PoolView {
    PoolView {
        id: pool.id.clone(),
        name: pool.name.clone(),
        description: pool.description.clone(),
        tenant_id: pool.project_id.clone(),
        project_id: pool.project_id.clone(),
        ip_version: pool.ip_version,
        prefixes: pool.prefixes.clone(),
        default_prefixlen: pool.default_prefixlen,
        min_prefixlen: pool.min_prefixlen,
        max_prefixlen: pool.max_prefixlen,
        default_quota: pool.default_quota,
        address_scope_id: pool.address_scope_id.clone(),
        shared: pool.grants.shared_with(resource::own(&cx.caller)),
        is_default: pool.is_default,
        tags: pool.tags.clone(),
        revision_number: pool.revision,
        created_at: pool.created_at,
        updated_at: pool.updated_at,
    }
}
