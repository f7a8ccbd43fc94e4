//! A page's calls of the services: handed on with the user's token, and with nothing else of the browser's.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use nephos_api::{Fault, Request, Response, shell};
use nephos_types::RequestId;

use super::{fault, guard, signed};
use crate::Dashboard;

/// The services that pages may call.
const SERVICES: [&str; 9] = [
    "block",
    "compute",
    "identity",
    "image",
    "load-balancer",
    "network",
    "object",
    "orchestration",
    "placement",
];

/// What a page says of its project.
const PROJECT: &str = "x-nephos-project";
/// What goes on to a service.
const PASSED: [&str; 14] = [
    "accept",
    "content-disposition",
    "content-length",
    "content-type",
    "etag",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-unmodified-since",
    "openstack-api-version",
    "range",
    "transfer-encoding",
    "x-copy-from",
    "x-openstack-request-id",
];
/// The same for headers that begin so.
const PASSED_PREFIXES: [&str; 4] = ["x-account-", "x-container-", "x-object-", "x-openstack-"];
/// What never comes back: tokens, cookies, and what would make the browser ask for a password.
const KEPT_BACK: [HeaderName; 4] = [
    HeaderName::from_static("x-subject-token"),
    HeaderName::from_static("x-auth-token"),
    header::SET_COOKIE,
    header::WWW_AUTHENTICATE,
];
/// What a service sends is never a page of this origin, whatever its type says.
const NO_PAGE: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";

/// Hands on a request whose path begins with `/api`; `rest` is what comes after it: `/compute/v2.1/servers`.
pub(crate) async fn hand_on(
    service: &Dashboard,
    mut request: Request,
    rest: &str,
    request_id: &RequestId,
) -> Result<Response, Fault> {
    guard::from_own_page(&request.headers, &request.base_url)?;
    let signed = signed::find(service, &request.headers, &request.base_url).await?;
    let (name, path) = target(rest)?;
    let project = request.headers.get(PROJECT).cloned();
    let token = match project.as_ref().map(HeaderValue::to_str) {
        Some(Ok(project)) if !project.is_empty() => {
            signed.token(service, project, request_id).await?
        }
        _no_project => signed.unscoped().to_owned(),
    };
    request.path = path;
    ask(service, request, (name, token), request_id).await
}

/// Hands out an object as a file: `rest` is the project and the object's path. A link cannot send headers of its own,
/// so this is for reading alone, and what comes is saved and never shown as a page.
pub(crate) async fn download(
    service: &Dashboard,
    mut request: Request,
    rest: &str,
    request_id: &RequestId,
) -> Result<Response, Fault> {
    guard::from_own_origin(&request.headers, &request.base_url)?;
    let signed = signed::find(service, &request.headers, &request.base_url).await?;
    let wrong = || Fault::not_found("There is no such file.");
    let (project, path) = rest
        .strip_prefix('/')
        .and_then(|rest| rest.split_once('/'))
        .ok_or_else(wrong)?;
    let (name, path) = target(&format!("/object/{path}"))?;
    let token = signed.token(service, project, request_id).await?;
    request.path = path;
    request.query = String::new();
    let mut response = ask(service, request, (name, token), request_id).await?;
    if response.status.is_success() {
        let save = HeaderValue::from_static("attachment");
        response.headers.insert(header::CONTENT_DISPOSITION, save);
    }
    Ok(response)
}

/// Asks a service with a token, and keeps back what a browser should not get.
async fn ask(
    service: &Dashboard,
    mut request: Request,
    (name, token): (&'static str, String),
    request_id: &RequestId,
) -> Result<Response, Fault> {
    request.headers = passed(&request.headers);
    let mut token = HeaderValue::from_str(&token).map_err(|_| fault::not_signed_in())?;
    token.set_sensitive(true);
    request.headers.insert("x-auth-token", token);
    let id = HeaderValue::from_str(request_id.as_str());
    let id = id.map_err(|_| Fault::internal("The request has no id."))?;
    request.headers.insert("x-openstack-request-id", id);
    let answered = service.peers.hand_on(name, request).await;
    let mut response = answered.map_err(|error| fault::peer(&error))?;
    for name in &KEPT_BACK {
        response.headers.remove(name);
    }
    let headers = &mut response.headers;
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(NO_PAGE),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// `/compute/v2.1/servers` → the service and the path below its prefix.
fn target(rest: &str) -> Result<(&'static str, String), Fault> {
    let rest = rest.strip_prefix('/').unwrap_or(rest);
    let (first, path) = match rest.split_once('/') {
        Some((first, path)) => (first, format!("/{path}")),
        None => (rest, "/".to_owned()),
    };
    let found = SERVICES.iter().find(|name| **name == first);
    let name = found.ok_or_else(|| Fault::not_found("There is no such service."))?;
    if nephos_peer::strays(&path) {
        return Err(Fault::bad_request(
            "A path has no '.' or '..' between slashes, however they are written, and no '\\'.",
        ));
    }
    if shell::is_own(&path) {
        return Err(Fault::not_found("This is for the cloud's own processes."));
    }
    Ok((name, path))
}

fn passed(headers: &HeaderMap) -> HeaderMap {
    let passes = |name: &HeaderName| {
        let name = name.as_str();
        PASSED.contains(&name)
            || PASSED_PREFIXES
                .iter()
                .any(|prefix| name.starts_with(prefix))
    };
    let mut passed = HeaderMap::new();
    for (name, value) in headers.iter().filter(|(name, _)| passes(name)) {
        passed.append(name.clone(), value.clone());
    }
    passed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_services_of_the_cloud_are_reached() {
        let reached = target("/compute/v2.1/servers/a%2Fb").unwrap();
        assert_eq!(reached, ("compute", "/v2.1/servers/a%2Fb".to_owned()));
        assert_eq!(target("/image").unwrap(), ("image", "/".to_owned()));
        for other in [
            "/",
            "",
            "/evil.test/x",
            "/http://evil.test",
            "/dashboard/v1",
            "/image/../x",
            "/compute/%2e%2e/metrics",
            "/compute/.%2E/compute/journal/v1/entries",
            "/compute/..\\metrics",
            "/compute/host/v1/feed",
            "/identity/%74rust/v1/bundle",
            "/compute/journal/v1/entries",
        ] {
            assert!(target(other).is_err(), "{other}");
        }
    }

    #[test]
    fn nothing_of_the_browser_goes_on() {
        let mut headers = HeaderMap::new();
        for name in [
            "cookie",
            "origin",
            "x-auth-token",
            "x-subject-token",
            "authorization",
            "accept",
            "x-object-meta-a",
        ] {
            headers.insert(name, HeaderValue::from_static("x"));
        }
        let passed = passed(&headers);
        let names: Vec<_> = passed.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["accept", "x-object-meta-a"]);
    }
}
