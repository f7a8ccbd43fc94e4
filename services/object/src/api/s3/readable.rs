//! Answers in XML that every client can read: without characters that XML has not, and with words for each error.

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// Stands for a character that XML has not. Whoever needs the name itself lists with `encoding-type=url`.
const NO_CHARACTER: char = char::REPLACEMENT_CHARACTER;

/// The body of an answer that is s3s's own, and no object's.
pub(super) fn readable(headers: &HeaderMap, body: Bytes) -> Bytes {
    let kind = headers.get(CONTENT_TYPE);
    if kind.is_none_or(|kind| !kind.as_bytes().starts_with(b"application/xml")) {
        return body;
    }
    let Ok(text) = std::str::from_utf8(&body) else {
        return body;
    };
    let silent = text.contains("<Error>") && !text.contains("<Message>");
    if !silent && text.chars().all(is_xml) {
        return body;
    }
    let mut text: String = text
        .chars()
        .map(|one| if is_xml(one) { one } else { NO_CHARACTER })
        .collect();
    if silent {
        let code = text.split_once("<Code>").map(|(_, rest)| rest);
        let code = code.and_then(|rest| rest.split('<').next());
        let message = words(code.unwrap_or_default());
        text = text.replacen(
            "</Code>",
            &format!("</Code><Message>{message}</Message>"),
            1,
        );
    }
    text.into()
}

/// What XML 1.0 can carry (production 2).
const fn is_xml(one: char) -> bool {
    matches!(one, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

/// What an error says that s3s gives a code only.
fn words(code: &str) -> &'static str {
    match code {
        "InvalidRange" => "The requested range is not satisfiable: the object is shorter.",
        "KeyTooLongError" => "Your key is too long: it may have 1024 bytes.",
        "MalformedXML" => "The XML of the request is broken, or not what this call takes.",
        "SignatureDoesNotMatch" => {
            "The request signature does not match: check your secret key, and that nothing on the way changes the request."
        }
        _other => "The request was refused.",
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(kind: &'static str, body: &'static str, wanted: &str) {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        assert_eq!(
            readable(&headers, Bytes::from_static(body.as_bytes())),
            wanted
        );
    }

    #[test]
    fn what_xml_cannot_carry_is_replaced_and_errors_have_words() {
        check(
            "application/xml",
            "<Key>a\u{1}b\u{fffe}\tc</Key>",
            "<Key>a\u{fffd}b\u{fffd}\tc</Key>",
        );
        check("text/plain", "a\u{1}b", "a\u{1}b");
        check(
            "application/xml",
            "<Error><Code>InvalidRange</Code></Error>",
            "<Error><Code>InvalidRange</Code><Message>The requested range is not satisfiable: the object is shorter.\
             </Message></Error>",
        );
        let said = "<Error><Code>X</Code><Message>y</Message></Error>";
        check("application/xml", said, said);
    }
}
