//! Lists as JSON, XML or plain text.

use http::{HeaderMap, StatusCode, header};
use nephos_api::{Fault, Params, Payload};
use nephos_types::Timestamp;
use serde_json::{Value, json};

use super::fault::precondition;
use super::reply::{self, Answer};
use crate::model::listing::{Entry, MAX_ENTRIES, Wish};
use crate::model::object::Kind;
use crate::store::listing::{ContainerLine, ObjectLine};

/// How a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Plain,
    Json,
    Xml,
}

/// What the client takes: by `format`, else by `Accept`.
///
/// # Errors
/// 406 when it takes nothing of what there is.
pub(crate) fn format(query: &Params, headers: &HeaderMap) -> Result<Format, Fault> {
    match query.get("format").map(str::to_ascii_lowercase).as_deref() {
        Some("json") => return Ok(Format::Json),
        Some("xml") => return Ok(Format::Xml),
        Some("plain") => return Ok(Format::Plain),
        Some(_) | None => {}
    }
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    let Some(accept) = accept.filter(|accept| !accept.trim().is_empty()) else {
        return Ok(Format::Plain);
    };
    let mut best: Option<(f32, Format)> = None;
    for item in accept.split(',') {
        let mut parts = item.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let quality = parts
            .find_map(|part| part.strip_prefix("q=")?.parse().ok())
            .unwrap_or(1.0);
        let format = match kind.as_str() {
            "*/*" | "text/*" | "text/plain" => Format::Plain,
            "application/json" | "application/*" => Format::Json,
            "application/xml" | "text/xml" => Format::Xml,
            _unknown => continue,
        };
        if quality > 0.0 && best.is_none_or(|(known, _)| quality > known) {
            best = Some((quality, format));
        }
    }
    let taken = best.map(|(_, format)| format);
    taken.ok_or_else(|| {
        Fault::not_acceptable(
            "The resource could not be generated in a form that the client takes.",
        )
    })
}

/// What of a list is asked for.
///
/// # Errors
/// 412 when more is asked for than one answer holds.
pub(crate) fn wish(query: &Params) -> Result<Wish, Fault> {
    let text = |name: &str| query.get(name).unwrap_or_default().to_owned();
    let limit = query
        .get("limit")
        .and_then(|limit| limit.parse::<usize>().ok());
    if limit.is_some_and(|limit| limit > MAX_ENTRIES) {
        return Err(precondition(format!("Maximum limit is {MAX_ENTRIES}")));
    }
    let yes = ["true", "1", "yes", "on", "t", "y"];
    let reverse = text("reverse").to_ascii_lowercase();
    let mut wish = Wish {
        prefix: text("prefix"),
        delimiter: text("delimiter"),
        marker: query.get("marker").map(str::to_owned),
        end_marker: query.get("end_marker").map(str::to_owned),
        limit: limit.unwrap_or(MAX_ENTRIES),
        reverse: yes.contains(&reverse.as_str()),
        flat: false,
    };
    if let Some(path) = query.get("path") {
        let folder = path.trim_end_matches('/');
        wish.prefix = if folder.is_empty() {
            String::new()
        } else {
            format!("{folder}/")
        };
        wish.delimiter = "/".to_owned();
        wish.flat = true;
    }
    Ok(wish)
}

/// A line of a list, written out.
pub(crate) trait Line {
    /// What XML calls it.
    const TAG: &'static str;
    /// Its name.
    fn name(&self) -> &str;
    /// Its keys in their order.
    fn view(&self) -> Vec<(&'static str, Value)>;
}

impl Line for ObjectLine {
    const TAG: &'static str = "object";

    fn name(&self) -> &str {
        &self.name
    }

    fn view(&self) -> Vec<(&'static str, Value)> {
        let mut view = vec![
            ("name", json!(self.name)),
            ("hash", json!(self.etag)),
            ("bytes", json!(self.size)),
            ("content_type", json!(self.content_type)),
            ("last_modified", json!(self.updated_at.iso_naive())),
        ];
        if self.kind == Kind::Static {
            view.push(("slo_etag", json!(format!("\"{}\"", self.etag))));
        }
        view
    }
}

impl Line for ContainerLine {
    const TAG: &'static str = "container";

    fn name(&self) -> &str {
        &self.name
    }

    fn view(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("name", json!(self.name)),
            ("count", json!(self.objects)),
            ("bytes", json!(self.bytes)),
            ("last_modified", json!(self.updated_at.iso_naive())),
        ]
    }
}

/// Writes a list; `root` is what XML calls the whole, and whose it is.
pub(crate) fn write<L: Line>(
    format: Format,
    (root, name): (&str, &str),
    entries: &[Entry<L>],
) -> Answer {
    match format {
        Format::Plain if entries.is_empty() => {
            with_type(StatusCode::NO_CONTENT, "text/plain; charset=utf-8", None)
        }
        Format::Plain => {
            let line = |entry: &Entry<L>| match entry {
                Entry::Item(line) => format!("{}\n", line.name()),
                Entry::Folder(name) => format!("{name}\n"),
            };
            let text = entries.iter().map(line).collect();
            with_type(StatusCode::OK, "text/plain; charset=utf-8", Some(text))
        }
        Format::Json => {
            let view = |entry: &Entry<L>| match entry {
                Entry::Item(line) => {
                    let keys = line
                        .view()
                        .into_iter()
                        .map(|(key, value)| (key.to_owned(), value));
                    Value::Object(keys.collect())
                }
                Entry::Folder(name) => json!({"subdir": name}),
            };
            let list: Vec<Value> = entries.iter().map(view).collect();
            let text = Value::Array(list).to_string();
            with_type(
                StatusCode::OK,
                "application/json; charset=utf-8",
                Some(text),
            )
        }
        Format::Xml => {
            let text = xml((root, name), entries);
            with_type(StatusCode::OK, "application/xml; charset=utf-8", Some(text))
        }
    }
}

fn with_type(status: StatusCode, content_type: &'static str, text: Option<String>) -> Answer {
    let mut answer = reply::text(status, content_type, String::new());
    answer.reply.body = text.map_or(Payload::Empty, |text| Payload::Bytes(text.into()));
    answer
}

fn xml<L: Line>((root, name): (&str, &str), entries: &[Entry<L>]) -> String {
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} name=\"{}\">",
        escaped(name)
    );
    for entry in entries {
        match entry {
            Entry::Item(line) => {
                text.push_str(&format!("<{}>", L::TAG));
                for (key, value) in line.view() {
                    let value = value.as_str().map_or_else(|| value.to_string(), escaped);
                    text.push_str(&format!("<{key}>{value}</{key}>"));
                }
                text.push_str(&format!("</{}>", L::TAG));
            }
            Entry::Folder(name) => {
                let name = escaped(name);
                text.push_str(&format!(
                    "<subdir name=\"{name}\"><name>{name}</name></subdir>"
                ));
            }
        }
    }
    text.push_str(&format!("</{root}>"));
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// Swift's form of a time in a list that is no listing.
pub(crate) fn list_time(at: Timestamp) -> String {
    at.iso_naive()
}
