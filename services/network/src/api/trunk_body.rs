//! Bodies of trunks, and how they are shown.

use nephos_api::{Fault, quoted, shown};
use nephos_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::api::envelope::Kind;
use crate::api::input::{Flag, Name};
use crate::model::refusal::Refusal;
use crate::model::trunk::{INHERIT, SubPort, Trunk};

pub(crate) struct TrunkKind;

impl Kind for TrunkKind {
    const ONE: &'static str = "trunk";
    const MANY: &'static str = "trunks";
    type View = TrunkView;
    type New = NewTrunk;
    type Change = TrunkChange;
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTrunk {
    #[serde(deserialize_with = "crate::api::input::uuid")]
    pub port_id: String,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub name: Option<Name>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub description: Option<Name>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub admin_state_up: Option<Flag>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    #[schema(value_type = Option<Vec<SubPort>>)]
    pub sub_ports: Option<Value>,
    pub project_id: Option<String>,
    pub tenant_id: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrunkChange {
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub name: Option<Name>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub description: Option<Name>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    pub admin_state_up: Option<Flag>,
}

/// Subports that come or go; of those that go the ports alone are enough.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SubPortsBody {
    #[schema(value_type = Vec<SubPort>)]
    pub sub_ports: Value,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SubPortsView {
    pub sub_ports: Vec<SubPort>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrunkView {
    id: String,
    name: String,
    description: String,
    tenant_id: String,
    project_id: String,
    port_id: String,
    admin_state_up: bool,
    status: String,
    sub_ports: Vec<SubPort>,
    tags: Vec<String>,
    revision_number: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

pub(super) fn view(trunk: &Trunk) -> TrunkView {
    TrunkView {
        id: trunk.id.clone(),
        name: trunk.name.clone(),
        description: trunk.description.clone(),
        tenant_id: trunk.project_id.clone(),
        project_id: trunk.project_id.clone(),
        port_id: trunk.port_id.clone(),
        admin_state_up: trunk.admin_state_up,
        status: trunk.status.clone(),
        sub_ports: trunk.sub_ports.clone(),
        tags: trunk.tags.clone(),
        revision_number: trunk.revision,
        created_at: trunk.created_at,
        updated_at: trunk.updated_at,
    }
}

/// A subport as it is asked for: its port, and the rest as somebody wrote it.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub port_id: String,
    pub segmentation_type: Option<String>,
    pub segmentation_id: Option<Value>,
    written: String,
}

/// Reads subports, and refuses with why they cannot be (neutron_lib/api/validators, `validate_subports`).
pub(super) fn read(given: &Value) -> Result<Vec<Wish>, String> {
    let Value::Array(many) = given else {
        return Err(format!(
            "Invalid data format for subports: '{}' is not a list",
            shown(given)
        ));
    };
    let mut wishes: Vec<Wish> = Vec::new();
    for one in many {
        let Value::Object(fields) = one else {
            return Err(format!(
                "Invalid data format for subport: '{}' is not a dict",
                shown(one)
            ));
        };
        let wish = wish(one, fields)?;
        if wishes.iter().any(|other| other.port_id == wish.port_id) {
            return Err(format!("Non unique UUID for subport: '{}'", wish.port_id));
        }
        let same = |other: &&Wish| {
            other.segmentation_type == wish.segmentation_type
                && other.segmentation_id == wish.segmentation_id
        };
        if let Some(tag) = &wish.segmentation_id
            && wish.segmentation_type.as_deref() != Some(INHERIT)
            && wishes.iter().any(|other| same(&other))
        {
            return Err(format!(
                "Segmentation ID '{}' for '{}' is not unique",
                shown(tag),
                wish.port_id
            ));
        }
        wishes.push(wish);
    }
    Ok(wishes)
}

fn wish(one: &Value, fields: &Map<String, Value>) -> Result<Wish, String> {
    let port = fields
        .get("port_id")
        .ok_or("A valid port UUID must be specified")?;
    let id = port
        .as_str()
        .filter(|text| uuid::Uuid::parse_str(text).is_ok());
    let id = id.ok_or_else(|| format!("Invalid UUID for subport: '{}'", shown(port)))?;
    let given = |name: &str| fields.get(name).filter(|value| !value.is_null());
    let kind = given("segmentation_type").map(|kind| match kind {
        Value::String(text) => text.clone(),
        other => shown(other),
    });
    let wish = Wish {
        port_id: id.to_owned(),
        segmentation_type: kind.filter(|kind| !kind.is_empty()),
        segmentation_id: given("segmentation_id").cloned(),
        written: quoted(one),
    };
    let whole = wish.segmentation_type.is_some() && wish.segmentation_id.is_some();
    if !whole && wish.segmentation_type.as_deref() != Some(INHERIT) && fields.len() > 1 {
        return Err(wish.lacks());
    }
    Ok(wish)
}

impl Wish {
    fn lacks(&self) -> String {
        format!(
            "Invalid subport details '{}': missing segmentation information. Must specify both segmentation_id and segmentation_type",
            self.written
        )
    }

    /// The way in which its frames are told apart, and the tag.
    pub fn segmentation(&self) -> Result<(&str, i64), Fault> {
        let (Some(kind), Some(tag)) = (&self.segmentation_type, &self.segmentation_id) else {
            return Err(Refusal::input(self.lacks()).into());
        };
        let number = match tag {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.parse().ok(),
            _other => None,
        };
        let number = number.ok_or_else(|| {
            Refusal::input(format!(
                "Invalid subport details: segmentation_id '{}' is not an integer",
                shown(tag)
            ))
        })?;
        Ok((kind, number))
    }
}
