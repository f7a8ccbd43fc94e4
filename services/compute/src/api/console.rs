//! The console log: the host is asked through its feed and answers with its next report.

use std::time::Duration;

use nephos_api::{Fault, Json, Loaded, Reply, Req, endpoint};
use nephos_ops::feed;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::flavors::Number;
use super::{Cx, ServerPath, fault, name_it, news, server};
use crate::model::server::{Server, VmState};
use crate::model::spec::{ConsoleTail, ConsoleWish, KIND_CONSOLE};
use crate::{ops, rules};

/// A host that has not answered by then is not waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Nova's MAX_CONSOLE_BYTES.
const MAX_BYTES: u64 = 100 * 1024;

#[derive(Deserialize, ToSchema)]
pub(crate) struct ConsoleBody {
    #[serde(rename = "os-getConsoleOutput")]
    ask: Option<ConsoleAsk>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ConsoleAsk {
    #[serde(default)]
    length: Option<Number>,
}

endpoint! {
    /// Show the end of a server's console log.
    ConsoleOutput: POST "/v2.1/servers/{id}/action" ["os-getConsoleOutput"] => 200,
    policy: Loaded<rules::ConsoleOutput>,
    path: ServerPath,
    body: Json<ConsoleBody>,
    reply: Json<Value>,
    handler: console_output,
}

async fn console_output(cx: Cx, req: Req<ConsoleOutput>) -> Reply<ConsoleOutput> {
    let id = &req.path.id;
    let server = cx
        .allow(rules::ConsoleOutput, server(&cx, id).await?)
        .map_err(name_it(id))?;
    let lines = match req.body.0.ask.and_then(|ask| ask.length) {
        None => None,
        Some(Number::Number(-1.0)) => None,
        Some(Number::Text(text)) if text == "-1" => None,
        Some(number) => Some(number.whole("length", 0, i64::MAX)?),
    };
    if server.vm_state == VmState::Building || server.host.is_none() {
        return Err(Fault::conflict(format!("Instance {id} is not ready")));
    }
    let text = ask_host(&cx, &server).await?;
    let lines = lines.map(|lines| usize::try_from(lines).unwrap_or(usize::MAX));
    Ok(Json(json!({ "output": tail(&text, lines) })))
}

async fn ask_host(cx: &Cx, server: &Server) -> Result<String, Fault> {
    let host = server.host.as_deref().unwrap_or_default();
    let mut answers = cx.bus.subscribe_to(ops::CONSOLES, [server.id.to_string()]);
    let place = feed::Place {
        topic: ops::FEED,
        host,
        kind: KIND_CONSOLE,
        id: server.id.as_str(),
    };
    let mut tx = cx.write().await?;
    let wish = ConsoleWish {
        max_bytes: MAX_BYTES,
    };
    let generation = feed::publish_anew(&mut tx, cx.now(), place, &wish).await?;
    tx.commit().await?;
    let answered = || async {
        let seen = feed::observed(cx.db(), KIND_CONSOLE, server.id.as_str()).await?;
        let newest = seen
            .into_iter()
            .find(|seen| seen.host == host && seen.observed.generation_seen >= generation);
        Ok(newest.map(|seen| seen.observed.detail))
    };
    let detail = news::found(&cx.core.clock, &mut answers, ANSWER_WITHIN, answered).await?;
    let detail = detail.ok_or_else(|| {
        Fault::not_found(format!(
            "The console log of instance {} cannot be read now: its host does not answer. Try again later.",
            server.id
        ))
    })?;
    match serde_json::from_value::<ConsoleTail>(detail) {
        Ok(ConsoleTail {
            error: Some(why), ..
        }) => Err(fault::host_refused(&why)),
        Ok(tail) => Ok(tail.text),
        Err(why) => Err(fault::host_refused(&why.to_string())),
    }
}

/// The last lines; all when no number is given.
fn tail(text: &str, lines: Option<usize>) -> &str {
    let Some(lines) = lines else { return text };
    let body = text.strip_suffix('\n').unwrap_or(text);
    if lines == 0 {
        return "";
    }
    let start = body
        .rmatch_indices('\n')
        .nth(lines - 1)
        .map_or(0, |(at, _)| at + 1);
    text.get(start..).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::tail;

    #[test]
    fn the_last_lines_are_cut_at_line_ends() {
        assert_eq!(tail("a\nb\nc\n", Some(2)), "b\nc\n");
        assert_eq!(tail("a\nb\nc", Some(1)), "c");
        assert_eq!(tail("a\nb", Some(9)), "a\nb");
        assert_eq!(tail("a\nb", Some(0)), "");
        assert_eq!(tail("a\nb", None), "a\nb");
    }
}
