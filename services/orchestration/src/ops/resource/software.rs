//! Software configurations, which are documents here, and their deployments, which wait for a signal of the server.

use std::time::Duration;

use base64::Engine as _;
use nephos_runtime::crash_point;
use nephos_types::Timestamp;
use serde_json::{Map, Value, json};

use super::local::endpoint;
use super::{Did, Outcome, Seen, Why, Work};
use crate::model::function::{call_of, check_depth, shown};
use crate::model::kind::{How, Kind};
use crate::store::software::{self, Config, Deployment};

/// Makes the document; it has the resource's own id, so that it is made once.
pub(super) async fn config(work: &Work<'_>, kind: &Kind) -> Did {
    let text = match kind.how {
        How::CloudConfig => {
            let document = work
                .prop("cloud_config")
                .cloned()
                .unwrap_or_else(|| json!({}));
            // JSON is YAML, and cloud-init reads YAML.
            json!(format!("#cloud-config\n{document}\n"))
        }
        How::MultipartMime => json!(mime(work).await?),
        How::SoftwareComponent => {
            one_config_each(work)?;
            json!({"configs": work.prop("configs")})
        }
        _config => work.prop("config").cloned().unwrap_or_else(|| json!("")),
    };
    let id = work.row.id.0.clone();
    let group = match kind.how {
        How::CloudConfig => "Heat::Ungrouped",
        How::SoftwareComponent => COMPONENT,
        _config => work.text("group").unwrap_or("Heat::Ungrouped"),
    };
    let list = |name: &str| work.prop(name).cloned().unwrap_or_else(|| json!([]));
    let made = Config {
        id: id.clone(),
        project_id: work.stack.project_id.clone(),
        name: work.thing_name(),
        group: group.to_owned(),
        body: json!({
            "config": text, "inputs": list("inputs"), "outputs": list("outputs"),
            "options": work.prop("options").cloned().unwrap_or_else(|| json!({})),
        }),
        created_at: work.cx.now(),
    };
    let mut tx = work.cx.write("config").await?;
    software::insert_config(&mut tx, &made).await?;
    tx.commit().await?;
    Ok(Outcome::Done(Seen::id(id).with("config", text)))
}

/// The group of configurations that are several, each for some actions.
const COMPONENT: &str = "component";

/// An action has one of the configurations of a component only.
fn one_config_each(work: &Work<'_>) -> Result<(), Why> {
    let configs = work.prop("configs").and_then(Value::as_array);
    let mut seen: Vec<&Value> = Vec::new();
    for action in configs.into_iter().flatten().flat_map(actions_of) {
        if seen.contains(&action) {
            return Err(Why::Refused(format!(
                "Defining more than one configuration for the same action in SoftwareComponent \"{}\" is not allowed.",
                work.row.name
            )));
        }
        seen.push(action);
    }
    Ok(())
}

fn actions_of(config: &Value) -> impl Iterator<Item = &Value> {
    let actions = config.get("actions").and_then(Value::as_array);
    actions.into_iter().flatten()
}

/// Whether something is to be deployed upon an action: a component says so itself, else the deployment does.
async fn is_wanted(work: &Work<'_>, action: &str) -> Result<bool, Why> {
    let config = work.text("config").unwrap_or_default();
    let found = software::find_config(work.cx.db(), &work.stack.project_id, config).await?;
    let is = |wanted: &Value| wanted.as_str() == Some(action);
    if let Some(component) = found.filter(|found| found.group == COMPONENT) {
        let configs = component.body.pointer("/config/configs");
        let configs = configs.and_then(Value::as_array);
        let mut actions = configs.into_iter().flatten().flat_map(actions_of);
        return Ok(actions.any(is));
    }
    let actions = work.prop("actions").and_then(Value::as_array);
    Ok(actions.into_iter().flatten().any(is))
}

/// The text of a part: what a configuration of this id says, or the text itself.
async fn resolved(work: &Work<'_>, given: &str) -> Result<String, Why> {
    let found = software::find_config(work.cx.db(), &work.stack.project_id, given).await?;
    let of = |config: Config| config.body.get("config").map(shown).unwrap_or_default();
    Ok(found.map_or_else(|| given.to_owned(), of))
}

/// User data that may be the id of a configuration.
pub(super) async fn user_data(work: &Work<'_>, given: &str) -> Result<String, Why> {
    if uuid::Uuid::try_parse(given).is_err() {
        return Ok(given.to_owned());
    }
    resolved(work, given).await
}

async fn mime(work: &Work<'_>) -> Result<String, Why> {
    let boundary = format!("==============={}==", work.row.id.0.replace('-', ""));
    let mut out =
        format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"\nMIME-Version: 1.0\n");
    for part in work
        .prop("parts")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let field = |name: &str| part.get(name).and_then(Value::as_str).unwrap_or_default();
        let text = resolved(work, field("config")).await?;
        if field("type") == "multipart" {
            // The parts of a message that is one already stand beside ours.
            let inside = text
                .split_once("boundary=\"")
                .and_then(|(_, rest)| rest.split_once('"'));
            if let Some((inside, rest)) = inside {
                let mark = format!("--{inside}");
                for piece in rest
                    .split(mark.as_str())
                    .skip(1)
                    .filter(|piece| !piece.starts_with("--"))
                {
                    out.push_str(&format!("\n--{boundary}{}", piece.trim_end()));
                }
                continue;
            }
        }
        let subtype = match field("subtype") {
            "" => guessed(&text),
            given => given,
        };
        let encoded = base64::engine::general_purpose::STANDARD.encode(&text);
        let disposition = match field("filename") {
            "" => String::new(),
            name => format!(
                "Content-Disposition: attachment; filename=\"{}\"\n",
                name.replace(['"', '\n', '\r'], "_")
            ),
        };
        out.push_str(&format!("\n--{boundary}\nContent-Type: text/{subtype}; charset=\"utf-8\"\nMIME-Version: 1.0\nContent-Transfer-Encoding: base64\n{disposition}\n{encoded}"));
    }
    out.push_str(&format!("\n--{boundary}--\n"));
    Ok(out)
}

/// What cloud-init would take a text for.
fn guessed(text: &str) -> &'static str {
    let starts = [
        ("#cloud-config", "cloud-config"),
        ("#!", "x-shellscript"),
        ("#include", "x-include-url"),
        ("#cloud-boothook", "cloud-boothook"),
        ("#part-handler", "part-handler"),
    ];
    starts
        .iter()
        .find(|(start, _)| text.starts_with(start))
        .map_or("plain", |(_, subtype)| subtype)
}

pub(super) async fn remove_config(work: &Work<'_>) -> Did {
    let mut tx = work.cx.write("config").await?;
    let removed = software::remove_config(&mut tx, work.row.id.as_str()).await?;
    tx.commit().await?;
    let left =
        software::find_config(work.cx.db(), &work.stack.project_id, work.row.id.as_str()).await?;
    if removed || left.is_none() {
        return Ok(Outcome::Done(Seen::default()));
    }
    // A deployment outside of the stack uses it: the document stays, the resource goes.
    Ok(Outcome::Done(Seen::default()))
}

/// The id of the document that a deployment is made of. It is one of what was begun: an update that comes while it is
/// under way deploys another one afterwards.
fn derived_id(work: &Work<'_>, action: &str) -> String {
    let namespace = uuid::Uuid::try_parse(work.row.id.as_str()).unwrap_or_default();
    let begun = work.row.generation;
    let name = match action {
        "CREATE" | "UPDATE" => format!("config {begun}"),
        _other => format!("config {begun} {action} {}", work.op.id),
    };
    nephos_runtime::ids::derived(&namespace, &name).to_string()
}

/// Puts the configuration before the server, and waits for its signal.
pub(super) async fn deploy(work: &Work<'_>, action: &str) -> Did {
    let db = work.cx.db();
    let id = work.row.id.0.clone();
    if !is_wanted(work, action).await? {
        return Ok(Outcome::Done(Seen::id(id)));
    }
    let derived = derived_id(work, action);
    let found = software::find_deployment(db, &id).await?;
    if let Some(found) = found.as_ref().filter(|found| found.config_id == derived) {
        return Ok(came_to(found));
    }
    let (url, key) = endpoint(work);
    let config = derived_config(work, derived.clone(), action, &url).await?;
    let waits = work.text("signal_transport") != Some("NO_SIGNAL");
    let now = work.cx.now();
    let deployment = Deployment {
        id: id.clone(),
        project_id: work.stack.project_id.clone(),
        server_id: work.text("server").unwrap_or_default().to_owned(),
        config_id: derived,
        input_values: work
            .prop("input_values")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default(),
        output_values: Map::new(),
        action: action.to_owned(),
        status: if waits { "IN_PROGRESS" } else { "COMPLETE" }.to_owned(),
        status_reason: if waits {
            "Deploy data available"
        } else {
            "Not waiting for outputs signal"
        }
        .to_owned(),
        created_at: now,
        updated_at: None,
    };
    let mut tx = work.cx.write("deploy").await?;
    software::insert_config(&mut tx, &config).await?;
    software::insert_deployment(&mut tx, &deployment).await?;
    software::update_deployment(&mut tx, &deployment, now).await?;
    // What was deployed before is nobody's any more.
    if let Some(found) = found {
        software::remove_config(&mut tx, &found.config_id).await?;
    }
    tx.commit().await?;
    crash_point!("stack.deployed");
    let seen = Seen::id(id).with("signal_key", key).with("endpoint", url);
    if waits {
        Ok(Outcome::Wait(seen, Duration::from_secs(60)))
    } else {
        Ok(Outcome::Done(seen))
    }
}

fn came_to(found: &Deployment) -> Outcome {
    let seen = Seen::thing(found.id.clone(), Value::Object(found.output_values.clone()));
    match found.status.as_str() {
        "COMPLETE" => Outcome::Done(seen),
        "FAILED" => Outcome::Failed(
            seen,
            format!("Deployment to server failed: {}", found.status_reason),
        ),
        _waits => Outcome::Wait(Seen::default(), Duration::from_secs(60)),
    }
}

/// The configuration with its inputs filled in, and those by which the server signals.
async fn derived_config(
    work: &Work<'_>,
    id: String,
    action: &str,
    url: &str,
) -> Result<Config, Why> {
    let source = work.text("config").unwrap_or_default();
    let found = software::find_config(work.cx.db(), &work.stack.project_id, source).await?;
    let mut config = match found {
        Some(found) => found,
        None if source.is_empty() => Config {
            id: String::new(),
            project_id: work.stack.project_id.clone(),
            name: String::new(),
            group: "Heat::Ungrouped".to_owned(),
            body: json!({"config": "", "inputs": [], "outputs": [], "options": {}}),
            created_at: Timestamp(0),
        },
        None => {
            return Err(Why::Refused(format!(
                "The Software Config ({source}) could not be found."
            )));
        }
    };
    let values = work
        .prop("input_values")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    let mut inputs: Vec<Value> = Vec::new();
    for input in config
        .body
        .get("inputs")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let mut input = input.clone();
        let name = input.get("name").map(shown).unwrap_or_default();
        let value = values
            .get(&name)
            .or_else(|| input.get("default"))
            .cloned()
            .unwrap_or_default();
        if let Some(map) = input.as_object_mut() {
            map.insert("value".to_owned(), value);
        }
        inputs.push(input);
    }
    let declared = |name: &String| {
        inputs
            .iter()
            .any(|input| input.get("name").and_then(Value::as_str) == Some(name))
    };
    let strangers: Vec<Value> = values
        .iter()
        .filter(|(name, _)| !declared(name))
        .map(|(name, value)| json!({"name": name, "type": "String", "value": value}))
        .collect();
    inputs.extend(strangers);
    let more = [
        (
            "deploy_server_id",
            "ID of the server being deployed to",
            json!(work.text("server")),
        ),
        (
            "deploy_action",
            "Name of the current action being deployed",
            json!(action),
        ),
        (
            "deploy_stack_id",
            "ID of the stack this deployment belongs to",
            json!(format!("{}/{}", work.stack.name, work.stack.id)),
        ),
        (
            "deploy_resource_name",
            "Name of this deployment resource in the stack",
            json!(work.row.name),
        ),
        (
            "deploy_signal_transport",
            "How the server should signal to heat with the deployment output values.",
            json!(work.text("signal_transport")),
        ),
        (
            "deploy_signal_id",
            "ID of signal to use for signaling output values",
            json!(url),
        ),
        (
            "deploy_signal_verb",
            "HTTP verb to use for signaling output values",
            json!(match work.text("signal_transport") {
                Some("TEMP_URL_SIGNAL") => "PUT",
                _posted => "POST",
            }),
        ),
    ];
    inputs.extend(more.into_iter().map(|(name, doc, value)| json!({"name": name, "description": doc, "type": "String", "value": value})));
    if let Some(body) = config.body.as_object_mut() {
        body.insert("inputs".to_owned(), Value::Array(inputs));
    }
    if let Some(key) = work.text("input_key") {
        let strict = work.text("input_values_validate") == Some("STRICT");
        let inputs = config.body.get("inputs").and_then(Value::as_array);
        let taken = Taken {
            key,
            strict,
            inputs: inputs.cloned().unwrap_or_default(),
        };
        let filled = taken.fill(&config.body.get("config").cloned().unwrap_or_default())?;
        check_depth(&filled).map_err(|why| Why::Refused(why.to_string()))?;
        if let Some(body) = config.body.as_object_mut() {
            body.insert("config".to_owned(), filled);
        }
    }
    Ok(Config {
        id,
        name: work
            .text("name")
            .map_or_else(|| work.thing_name(), str::to_owned),
        created_at: work.cx.now(),
        ..config
    })
}

/// The inputs of a structured configuration, and by what key their places are recognised.
struct Taken<'a> {
    key: &'a str,
    strict: bool,
    inputs: Vec<Value>,
}

impl Taken<'_> {
    /// The configuration with values in the places of inputs: `{get_input: name}`.
    fn fill(&self, config: &Value) -> Result<Value, Why> {
        if let Some((key, Value::String(name))) = call_of(config)
            && key == self.key
        {
            let named = |input: &&Value| input.get("name").and_then(Value::as_str) == Some(name);
            let found = self.inputs.iter().find(named);
            let value = found.and_then(|input| input.get("value")).cloned();
            let value = value.unwrap_or_default();
            if self.strict && value.is_null() {
                return Err(Why::Refused(format!(
                    "The Parameter ({name}) was not provided."
                )));
            }
            return Ok(value);
        }
        match config {
            Value::Array(items) => items.iter().map(|item| self.fill(item)).collect(),
            Value::Object(map) => {
                let entry = |(key, value): (&String, &Value)| Ok((key.clone(), self.fill(value)?));
                map.iter()
                    .map(entry)
                    .collect::<Result<Map<String, Value>, Why>>()
                    .map(Value::Object)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                Ok(config.clone())
            }
        }
    }
}

/// Has the server do what it is to do in the end, and waits for its signal, before nothing of the deployment is left.
pub(super) async fn remove_deployment(work: &Work<'_>) -> Did {
    let found = software::find_deployment(work.cx.db(), work.row.id.as_str()).await?;
    if found.is_some() {
        match deploy(work, "DELETE").await? {
            Outcome::Done(_) => {}
            other => return Ok(other),
        }
    }
    let found = software::find_deployment(work.cx.db(), work.row.id.as_str()).await?;
    let mut tx = work.cx.write("deployment").await?;
    software::remove_deployment(&mut tx, work.row.id.as_str()).await?;
    if let Some(found) = found {
        software::remove_config(&mut tx, &found.config_id).await?;
    }
    tx.commit().await?;
    Ok(Outcome::Done(Seen::default()))
}

/// What a server is to do, as its metadata lists it.
pub(crate) async fn metadata(
    db: &nephos_db::Db,
    project: &str,
    server: &str,
) -> Result<Vec<Value>, nephos_db::Error> {
    let mut out = Vec::new();
    for deployment in software::deployments(db, project, Some(server)).await? {
        let Some(config) = software::find_config(db, project, &deployment.config_id).await? else {
            continue;
        };
        let field = |name: &str| config.body.get(name).cloned().unwrap_or_default();
        out.push(json!({
            "id": config.id, "name": config.name, "group": config.group, "config": field("config"),
            "inputs": field("inputs"), "outputs": field("outputs"), "options": field("options"),
            "creation_time": config.created_at,
        }));
    }
    Ok(out)
}
