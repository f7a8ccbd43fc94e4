//! Finds the endpoint of a request: by path, method, action key and version.

use std::collections::HashMap;

use http::Method;
use percent_encoding::percent_decode_str;

use crate::endpoint::EndpointInfo;
use crate::{Fault, Version};

/// A tree over path segments. Literal segments win over names, names over tails.
#[derive(Debug, Default)]
pub(crate) struct Router {
    root: Node,
}

#[derive(Debug, Default)]
struct Node {
    literal: HashMap<&'static str, Node>,
    name: Option<Box<Node>>,
    tail: Vec<usize>,
    here: Vec<usize>,
}

/// What stands at a path: endpoints by index, and the decoded values of the path's names in order.
#[derive(Debug)]
pub(crate) struct Found<'a> {
    pub endpoints: &'a [usize],
    pub values: Vec<String>,
}

impl Router {
    /// Builds the tree, refusing rows that could not be told apart.
    ///
    /// # Errors
    /// Names both rows.
    pub fn build(infos: &[&'static EndpointInfo]) -> Result<Self, String> {
        let mut router = Self::default();
        for (index, info) in infos.iter().enumerate() {
            let mut node = &mut router.root;
            let mut tail = false;
            for segment in segments(info.path) {
                tail = segment.ends_with("*}");
                if tail {
                    break;
                }
                node = if segment.starts_with('{') {
                    node.name.get_or_insert_default()
                } else {
                    node.literal.entry(segment).or_default()
                };
            }
            let list = if tail { &mut node.tail } else { &mut node.here };
            for other in list.iter().filter_map(|at| infos.get(*at)) {
                if overlap(info, other) {
                    return Err(format!(
                        "{} and {} answer the same calls",
                        info.name, other.name
                    ));
                }
            }
            list.push(index);
        }
        Ok(router)
    }

    /// The endpoints at `path`.
    pub fn find(&self, path: &str) -> Option<Found<'_>> {
        let parts: Vec<&str> = segments(path).collect();
        let mut values = Vec::new();
        let endpoints = walk(&self.root, &parts, &mut values)?;
        Some(Found { endpoints, values })
    }

    /// Whether `path` ends in the place of a name with nothing in it.
    pub fn lacks_name(&self, path: &str) -> bool {
        path.ends_with('/') && lacks_name(&self.root, &segments(path).collect::<Vec<_>>())
    }
}

fn lacks_name(node: &Node, parts: &[&str]) -> bool {
    let Some((first, rest)) = parts.split_first() else {
        return node.name.as_ref().is_some_and(|name| !name.here.is_empty());
    };
    let literal = node.literal.get(*first);
    literal.is_some_and(|next| lacks_name(next, rest))
        || node
            .name
            .as_ref()
            .is_some_and(|next| lacks_name(next, rest))
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    let trimmed = path.strip_prefix('/').unwrap_or(path);
    let trimmed = trimmed.strip_suffix('/').unwrap_or(trimmed);
    trimmed.split('/').filter(move |_| !trimmed.is_empty())
}

fn walk<'a>(node: &'a Node, parts: &[&str], values: &mut Vec<String>) -> Option<&'a [usize]> {
    let Some((first, rest)) = parts.split_first() else {
        return (!node.here.is_empty()).then_some(node.here.as_slice());
    };
    if let Some(found) = node
        .literal
        .get(*first)
        .and_then(|next| walk(next, rest, values))
    {
        return Some(found);
    }
    if let Some(next) = &node.name
        && !first.is_empty()
    {
        let mark = values.len();
        values.push(percent_decode_str(first).decode_utf8_lossy().into_owned());
        if let Some(found) = walk(next, rest, values) {
            return Some(found);
        }
        values.truncate(mark);
    }
    if node.tail.is_empty() {
        return None;
    }
    values.push(
        percent_decode_str(&parts.join("/"))
            .decode_utf8_lossy()
            .into_owned(),
    );
    Some(&node.tail)
}

fn overlap(a: &EndpointInfo, b: &EndpointInfo) -> bool {
    a.method == b.method && a.action == b.action && a.since <= b.until && b.since <= a.until
}

/// The names of a path in order: `/servers/{id}/ips/{network}` → `id`, `network`.
pub(crate) fn names(path: &'static str) -> impl Iterator<Item = &'static str> {
    path.split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| name.trim_end_matches('*'))
}

/// Chooses among the endpoints of one path.
#[derive(Debug)]
pub(crate) struct Choice<'a> {
    pub method: &'a Method,
    pub version: Version,
    pub hides_methods: bool,
}

impl Choice<'_> {
    /// The index of the endpoint, given the action key of the body when one of the candidates wants it.
    pub fn pick(
        &self,
        infos: &[&'static EndpointInfo],
        found: &Found<'_>,
        action: impl FnOnce() -> Option<String>,
    ) -> Result<usize, Fault> {
        let rows = || {
            found
                .endpoints
                .iter()
                .filter_map(|at| Some((*at, *infos.get(*at)?)))
        };
        let wanted = self.effective_method(rows().map(|(_, info)| info));
        let by_method: Vec<_> = rows().filter(|(_, info)| info.method == wanted).collect();
        if by_method.is_empty() {
            return Err(self.wrong_method(rows().map(|(_, info)| info)));
        }
        let asks_action = by_method.iter().any(|(_, info)| info.action.is_some());
        let action = if asks_action { action() } else { None };
        let fits = |info: &EndpointInfo| {
            info.action
                .is_none_or(|wanted| action.as_deref() == Some(wanted))
                && (info.since..=info.until).contains(&self.version)
        };
        match by_method.iter().find(|(_, info)| fits(info)) {
            Some((at, _)) => Ok(*at),
            // An action of other versions is one that is not there, as in Nova.
            None if action.is_some()
                && by_method
                    .iter()
                    .any(|(_, info)| info.action == action.as_deref()) =>
            {
                Err(no_such_path().kind("VersionNotFoundForAPIMethod"))
            }
            None if asks_action => Err(match action {
                Some(action) => Fault::bad_request(format!("There is no such action: {action}")),
                None => Fault::bad_request("The body must be an object with one key, the action."),
            }),
            None => Err(no_such_path().kind("VersionNotFoundForAPIMethod")),
        }
    }

    /// HEAD is GET without the body wherever no row says otherwise.
    fn effective_method<'i>(&self, mut rows: impl Iterator<Item = &'i EndpointInfo>) -> Method {
        if *self.method == Method::HEAD && !rows.any(|info| info.method == Method::HEAD) {
            return Method::GET;
        }
        self.method.clone()
    }

    fn wrong_method<'i>(&self, rows: impl Iterator<Item = &'i EndpointInfo>) -> Fault {
        if self.hides_methods {
            return no_such_path();
        }
        let mut allowed: Vec<&str> = rows.map(|info| info.method.as_str()).collect();
        allowed.sort_unstable();
        allowed.dedup();
        let allowed = allowed.join(", ");
        Fault::method_not_allowed(format!(
            "The method {} is not allowed for this resource. It takes {allowed}.",
            self.method
        ))
        .header(http::header::ALLOW, &allowed)
    }
}

/// 404 for a path that no endpoint has.
pub(crate) fn no_such_path() -> Fault {
    Fault::not_found("The resource could not be found.")
}
