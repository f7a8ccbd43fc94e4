//! The built interface, embedded in the binary: compressed files go out as they are.

use http::{HeaderMap, HeaderValue, StatusCode, header};
use nephos_api::{Payload, Response};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "assets/"]
#[allow_missing = true]
struct Assets;

/// The page from which everything else is loaded.
const INDEX: &str = "index.html";
/// What is said instead when the interface was not there when this was compiled.
const NONE: &str = "<!DOCTYPE html>\n<html lang=\"en\"><head><title>Nephos</title></head>\n\
    <body><h1>This build has no dashboard</h1>\n<p><code>make up</code> builds it (it needs Node.js 20.19 or newer), \
    or <code>deploy/build-dashboard</code> and then <code>cargo build</code>.</p>\n\
    <p>The APIs are there all the same.</p></body></html>\n";

/// Compressions that files come in, best first: the name in HTTP and the ending of the file.
const CODINGS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];

/// The page of a console. A terminal writes styles into its page, so this one may; and the dashboard frames it.
const CONSOLE: &str = "console.html";
const CONSOLE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'self'";

/// The file at `path`; every path that is no file is the one page, which knows its own paths.
pub(crate) fn find(path: &str, headers: &HeaderMap) -> Response {
    let name = path.trim_start_matches('/');
    if name.starts_with("assets/") {
        let found = file(name, headers);
        return found.unwrap_or_else(|| plain(StatusCode::NOT_FOUND, "There is no such file.\n"));
    }
    let known = !name.is_empty() && !name.contains('/') && !name.starts_with('.');
    if let Some(mut found) = known.then(|| file(name, headers)).flatten() {
        if name == CONSOLE {
            let policy = HeaderValue::from_static(CONSOLE_POLICY);
            let name = header::CONTENT_SECURITY_POLICY;
            found.headers.insert(name, policy);
        }
        return found;
    }
    match file(INDEX, headers) {
        Some(page) => page,
        None => answer(StatusCode::OK, "text/html; charset=utf-8", NONE.into()),
    }
}

fn file(name: &str, headers: &HeaderMap) -> Option<Response> {
    let accepted = headers.get(header::ACCEPT_ENCODING);
    let accepted = accepted.and_then(|value| value.to_str().ok());
    let accepted = accepted.unwrap_or_default();
    let mut packed = false;
    for (coding, ending) in CODINGS {
        let Some(found) = Assets::get(&format!("{name}{ending}")) else {
            continue;
        };
        packed = true;
        if accepts(accepted, coding) {
            let mut response = answer(StatusCode::OK, media_type(name), found.data.into_owned());
            cached(name, &mut response);
            let coding = HeaderValue::from_static(coding);
            response.headers.insert(header::CONTENT_ENCODING, coding);
            return Some(response);
        }
    }
    if let Some(found) = Assets::get(name) {
        let mut response = answer(StatusCode::OK, media_type(name), found.data.into_owned());
        cached(name, &mut response);
        return Some(response);
    }
    packed.then(|| {
        let why = "This file is only there compressed: ask for it with Accept-Encoding: gzip.\n";
        plain(StatusCode::NOT_ACCEPTABLE, why)
    })
}

fn accepts(header: &str, coding: &str) -> bool {
    header.split(',').any(|item| {
        let (name, quality) = item.split_once(';').unwrap_or((item, ""));
        name.trim() == coding && quality.trim() != "q=0"
    })
}

/// Files below `assets/` have their content in their name; the rest is asked for again each time.
fn cached(name: &str, response: &mut Response) {
    let how = if name.starts_with("assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let headers = &mut response.headers;
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(how));
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        Some("json") => "application/json",
        Some("txt") => "text/plain; charset=utf-8",
        _other => "application/octet-stream",
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    answer(status, "text/plain; charset=utf-8", text.into())
}

fn answer(status: StatusCode, media_type: &'static str, bytes: Vec<u8>) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    Response {
        status,
        headers,
        body: Payload::Bytes(bytes.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_shows_a_page_with_or_without_a_built_interface() {
        for path in ["/", "/p/1/instances"] {
            let page = find(path, &HeaderMap::new());
            assert_eq!(page.status, StatusCode::OK);
            let kind = &page.headers[header::CONTENT_TYPE];
            assert_eq!(kind, "text/html; charset=utf-8");
        }
        let none = find("/assets/none.js", &HeaderMap::new());
        assert_eq!(none.status, StatusCode::NOT_FOUND);
    }

    #[test]
    fn a_coding_that_is_refused_is_not_used() {
        assert!(accepts("gzip, deflate, br", "br"));
        assert!(!accepts("gzip, br;q=0", "br"));
        assert!(!accepts("brotli", "br"));
    }
}
