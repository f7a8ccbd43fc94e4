//! From the log's lines to the journal: beside the layer that writes them, behind the same filter.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::{Entry, FIELDS, Level, MESSAGE, beginning, journal};
use crate::{Clock, request};

/// Spans that say everything of what happens in them.
const WHOLE: [&str; 2] = ["request", "operation"];

/// What hosts and processes ask all day long, so that it would push out everything else.
const POLLS: [&str; 2] = ["/host/v1/feed", "/trust/v1/bundle"];

/// Notes every line of the log in the journal of this process.
pub struct Layer {
    clock: Clock,
}

impl Layer {
    pub fn new() -> Self {
        Self {
            clock: Clock::system(),
        }
    }
}

/// What a span says of whatever happens in it.
#[derive(Debug, Default)]
struct Marks {
    message: Option<Box<str>>,
    request_id: Option<Box<str>>,
    service: Option<Box<str>>,
    host: Option<Box<str>>,
    event: Option<Box<str>>,
    fields: Vec<(Cow<'static, str>, Box<str>)>,
}

impl Marks {
    fn put(&mut self, field: &Field, value: Box<str>) {
        let place = match field.name() {
            "message" => &mut self.message,
            "request_id" => &mut self.request_id,
            "service" => &mut self.service,
            "host" => &mut self.host,
            "event" => &mut self.event,
            name => {
                if self.fields.len() < FIELDS {
                    self.fields.push((Cow::Borrowed(name), value));
                }
                return;
            }
        };
        if field.name() == "message" && place.is_some() {
            // What a refusal says stands beside that there is one.
            self.fields.push((Cow::Borrowed("why"), value));
        } else {
            *place = Some(value);
        }
    }

    /// Whether a poll was answered as it should be.
    fn is_poll(&self) -> bool {
        let is = |name: &str, values: &[&str]| {
            let mut fields = self.fields.iter();
            fields.any(|(own, value)| own == name && values.contains(&&**value))
        };
        self.message.as_deref() == Some("answered") && is("path", &POLLS) && is("status", &["200"])
    }

    /// What is not said yet, an outer span says.
    fn fill(&mut self, outer: &Self) {
        let or = |own: &mut Option<Box<str>>, outer: &Option<Box<str>>| {
            if own.is_none() {
                own.clone_from(outer);
            }
        };
        or(&mut self.request_id, &outer.request_id);
        or(&mut self.service, &outer.service);
        or(&mut self.host, &outer.host);
        for (name, value) in &outer.fields {
            let known = self.fields.iter().any(|(own, _)| own == name);
            if !known && self.fields.len() < FIELDS {
                self.fields.push((name.clone(), value.clone()));
            }
        }
    }
}

impl Visit for Marks {
    fn record_str(&mut self, field: &Field, value: &str) {
        let mut text = Short::default();
        // Cut short it is an error of the writer, which is meant.
        let _whole_or_cut = text.write_str(value);
        self.put(field, text.0.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = Short::default();
        let _whole_or_cut = write!(text, "{value:?}");
        self.put(field, text.0.into());
    }
}

/// Takes what an entry may hold, and so much more that it is seen to be cut.
#[derive(Default)]
struct Short(String);

impl fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = (MESSAGE + char::MAX_LEN_UTF8).saturating_sub(self.0.len());
        if text.len() <= room {
            self.0.push_str(text);
            return Ok(());
        }
        self.0.push_str(beginning(text, room));
        Err(fmt::Error)
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for Layer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.fields().is_empty() {
            return;
        }
        let mut marks = Marks::default();
        attributes.record(&mut marks);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(marks);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut marks = Marks::default();
        event.record(&mut marks);
        if marks.is_poll() {
            return;
        }
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(outer) = span.extensions().get::<Marks>() {
                marks.fill(outer);
            }
            // Who asked, in the same process, is somebody else.
            if WHOLE.contains(&span.name()) {
                break;
            }
        }
        let metadata = event.metadata();
        let behalf = || Some(request::current()?.0.into());
        journal().note(Entry {
            seq: 0,
            at: self.clock.now().0,
            level: match *metadata.level() {
                tracing::Level::ERROR => Level::Error,
                tracing::Level::WARN => Level::Warning,
                tracing::Level::INFO => Level::Info,
                _finer => Level::Debug,
            },
            request_id: marks.request_id.or_else(behalf),
            service: marks.service.or_else(|| of_crate(metadata.target())),
            host: marks.host,
            event: marks.event,
            message: marks.message.unwrap_or_default(),
            fields: marks.fields,
        });
    }
}

/// The service whose code says it; none for what all of them stand on.
fn of_crate(target: &str) -> Option<Box<str>> {
    const COMMON: [&str; 9] = [
        "types", "runtime", "db", "bus", "auth", "api", "ops", "peer", "blob",
    ];
    let name = target.split("::").next()?.strip_prefix("nephos_")?;
    (!COMMON.contains(&name)).then(|| name.into())
}
