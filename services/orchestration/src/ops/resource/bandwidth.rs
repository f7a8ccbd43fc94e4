//! Rules of QoS policies. A rule has no name: it is known by its policy and its direction, of which there is one each.

use std::time::Duration;

use nephos_runtime::crash_point;
use serde_json::{Map, Value, json};

use super::rest::id_of;
use super::{Did, Outcome, Seen, Why, Work, gone, inner};
use crate::peers::{Ask, encoded};

const ONE: &str = "bandwidth_limit_rule";

/// Makes the rule, unless its policy has one of the direction, or has it say something else.
pub(super) async fn ensure(work: &Work<'_>) -> Did {
    if let Some(id) = work.physical() {
        if work.row.changing_to.is_some() {
            let target = format!("{}/{}", rules(noted(work)), encoded(id));
            let body = json!({ ONE: fields(work) });
            work.ask(&Ask::put("network", target, &body)).await?;
        }
        return look(work).await;
    }
    let policy = noted(work);
    if policy.is_empty() {
        let policy = id_of(
            work,
            "qos/policies",
            work.text("policy").unwrap_or_default(),
        )
        .await?;
        if let Some(id) = same(work, &policy).await? {
            return Err(Why::Refused(format!(
                "QoS policy {policy} has a rule of this direction: {id}."
            )));
        }
        // Noted before it is made: what is of this direction from now on is ours.
        let seen = Seen::default().with("policy", policy);
        return Ok(Outcome::Wait(seen, Duration::ZERO));
    }
    if let Some(id) = same(work, policy).await? {
        return Ok(Outcome::done(id));
    }
    let body = json!({ ONE: fields(work) });
    crash_point!("bandwidth.create");
    let made = work
        .ask(&Ask::post("network", rules(policy), &body))
        .await?;
    crash_point!("bandwidth.created");
    let made = inner(&made, ONE);
    let id = made.get("id").and_then(Value::as_str).unwrap_or_default();
    Ok(Outcome::Done(Seen::thing(id, made.clone())))
}

/// The policy that was found.
fn noted<'a>(work: &'a Work<'_>) -> &'a str {
    let policy = work.row.data.get("policy").and_then(Value::as_str);
    policy.unwrap_or_default()
}

fn rules(policy: &str) -> String {
    format!("/v2.0/qos/policies/{}/{ONE}s", encoded(policy))
}

fn fields(work: &Work<'_>) -> Map<String, Value> {
    let names = ["max_kbps", "max_burst_kbps", "direction"];
    let given = names.into_iter().filter_map(|name| {
        let value = work.prop(name)?;
        Some((name.to_owned(), value.clone()))
    });
    given.collect()
}

/// The rule of the policy that is of this one's direction.
async fn same(work: &Work<'_>, policy: &str) -> Result<Option<String>, Why> {
    let direction = work.text("direction").unwrap_or("egress");
    let target = format!("{}?direction={}", rules(policy), encoded(direction));
    let list = work.ask(&Ask::get("network", target)).await?;
    let id = list.pointer("/bandwidth_limit_rules/0/id");
    Ok(id.and_then(Value::as_str).map(str::to_owned))
}

/// What the rule says now.
pub(super) async fn look(work: &Work<'_>) -> Did {
    let id = work.physical().unwrap_or_default();
    let target = format!("{}/{}", rules(noted(work)), encoded(id));
    match work.ask(&Ask::get("network", target)).await {
        Ok(body) => Ok(Outcome::Done(Seen::thing(id, inner(&body, ONE)))),
        Err(why) if why.is_not_found() => Ok(Outcome::Failed(
            Seen::missing(),
            format!("QoS rule {id} is not there any more"),
        )),
        Err(why) => Err(why.into()),
    }
}

pub(super) async fn remove(work: &Work<'_>) -> Did {
    let policy = noted(work);
    let id = match work.physical() {
        Some(id) => Some(id.to_owned()),
        None if policy.is_empty() => None,
        None => match same(work, policy).await {
            // It went with its policy.
            Err(Why::Refused(_)) => None,
            other => other?,
        },
    };
    let Some(id) = id else {
        return Ok(Outcome::Done(Seen::default()));
    };
    crash_point!("bandwidth.remove");
    let target = format!("{}/{}", rules(policy), encoded(&id));
    gone(work.ask(&Ask::delete("network", target)).await)
}
