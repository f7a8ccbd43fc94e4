//! The region of a signature: clients that name an impossible one are told the right one, and sign again.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use nephos_api::Response;

use super::buckets::REGION;
use super::errors::malformed;

/// The answer to a request that names a region which can be none, as `US`, with which `s3cmd` begins.
pub(super) fn refusal(headers: &HeaderMap) -> Option<Response> {
    let said = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (_, scope) = said.split_once("Credential=")?;
    // access key / day / region / service / aws4_request
    let region = scope.split(',').next()?.split('/').nth(2)?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !region.is_empty() && region.bytes().all(plain) {
        return None;
    }
    Some(malformed(
        "AuthorizationHeaderMalformed",
        &format!(
            "<Message>The authorization header is malformed; the region is wrong; expecting '{REGION}'</Message>\
             <Region>{REGION}</Region>"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_regions_that_can_be_are_looked_at() {
        for (region, fine) in [
            ("us-east-1", true),
            ("default", true),
            ("US", false),
            ("", false),
        ] {
            let said = format!(
                "AWS4-HMAC-SHA256 Credential=key/20260101/{region}/s3/aws4_request, SignedHeaders=host, Signature=0"
            );
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_str(&said).unwrap());
            assert_eq!(refusal(&headers).is_none(), fine, "{region}");
        }
        assert!(refusal(&HeaderMap::new()).is_none());
    }
}
