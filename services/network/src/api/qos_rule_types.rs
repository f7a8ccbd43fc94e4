//! Which rules policies can have.

use nephos_api::{Fault, Json, Params, Reply, Req, endpoint};
use nephos_auth::Target;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::Cx;
use crate::model::qos::{BANDWIDTH_LIMIT, MOST};
use crate::model::refusal::{Class, Refusal};
use crate::rules;

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleTypes {
    rule_types: Vec<RuleType>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleType {
    r#type: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OneRuleType {
    rule_type: RuleTypeDetails,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleTypeDetails {
    r#type: String,
    drivers: Vec<DriverOfRules>,
}

#[derive(Debug, Serialize, ToSchema)]
struct DriverOfRules {
    name: &'static str,
    supported_parameters: Vec<ParameterOfRules>,
}

#[derive(Debug, Serialize, ToSchema)]
struct ParameterOfRules {
    parameter_name: &'static str,
    parameter_type: &'static str,
    parameter_values: Value,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ByType {
    name: String,
}

endpoint! {
    /// List the types of QoS rules.
    ListQosRuleTypes: GET "/v2.0/qos/rule-types" => 200,
    policy: rules::GetRuleType,
    query: Params,
    reply: Json<RuleTypes>,
    handler: list_types,
}
async fn list_types(_cx: Cx, req: Req<ListQosRuleTypes>) -> Reply<ListQosRuleTypes> {
    let wanted = |known: &&str| {
        let mut asked = req.query.all("type").peekable();
        asked.peek().is_none() || asked.any(|asked| asked == *known)
    };
    let types = [BANDWIDTH_LIMIT].into_iter().filter(wanted);
    Ok(Json(RuleTypes {
        rule_types: types.map(|r#type| RuleType { r#type }).collect(),
    }))
}

endpoint! {
    /// Show a type of QoS rules with what it can say; for operators.
    ShowQosRuleType: GET "/v2.0/qos/rule-types/{name}" => 200,
    policy: rules::GetRuleType,
    path: ByType,
    reply: Json<OneRuleType>,
    handler: show_type,
}
async fn show_type(cx: Cx, req: Req<ShowQosRuleType>) -> Reply<ShowQosRuleType> {
    check_operator(&cx)?;
    let range = |parameter_name| ParameterOfRules {
        parameter_name,
        parameter_type: "range",
        parameter_values: json!({"start": 0, "end": MOST}),
    };
    let direction = ParameterOfRules {
        parameter_name: "direction",
        parameter_type: "choices",
        parameter_values: json!(["ingress", "egress"]),
    };
    let driver = || DriverOfRules {
        name: "nephos",
        supported_parameters: vec![range("max_kbps"), range("max_burst_kbps"), direction],
    };
    let known = req.path.name == BANDWIDTH_LIMIT;
    Ok(Json(OneRuleType {
        rule_type: RuleTypeDetails {
            r#type: req.path.name,
            drivers: known.then(driver).into_iter().collect(),
        },
    }))
}

/// Beyond the rule, Neutron asks for an operator here (`get_rule_type` of its plugin).
fn check_operator(cx: &Cx) -> Result<(), Fault> {
    cx.require(rules::GetRuleType, &Target::new())?;
    match cx.caller.is_admin() {
        true => Ok(()),
        false => Err(Refusal::new(Class::Denied, "NotAuthorized", "Not authorized.").into()),
    }
}
