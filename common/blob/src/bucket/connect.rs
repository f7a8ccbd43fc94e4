//! How a bucket is reached: with bounds on every wait and every try.

use std::time::Duration;

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Builder, Credentials, Region, RequestChecksumCalculation,
    ResponseChecksumValidation, SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;

use super::BucketSettings;
use crate::Error;

/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(3);
/// Until a request that was sent whole, or sends its 8 MiB, is answered.
const ATTEMPT: Duration = Duration::from_secs(30);
/// That with all its repetitions and the pauses between them.
const OPERATION: Duration = Duration::from_secs(45);
/// Until many parts have become one object.
pub(super) const COMPLETION: Duration = Duration::from_secs(90);
/// How often a request is sent before it counts as failed.
const ATTEMPTS: u32 = 4;
/// How long nothing may move in a body.
const STALL: Duration = Duration::from_secs(20);

/// Whether settings can be right.
pub(super) fn check(settings: &BucketSettings) -> Result<(), Error> {
    let wrong = |key, why| Err(Error::Settings { key, why });
    if let Some(endpoint) = &settings.endpoint {
        let rest = endpoint
            .strip_prefix("http://")
            .or_else(|| endpoint.strip_prefix("https://"));
        let host = rest.map(|rest| rest.trim_end_matches('/'));
        let plain = |host: &str| {
            !host.is_empty()
                && !host.contains(['/', '@', '?', '#'])
                && !host.contains(char::is_whitespace)
        };
        if !host.is_some_and(plain) {
            return wrong("endpoint", "is to be http://HOST:PORT or https://HOST:PORT");
        }
    }
    let named = |name: &str| {
        let of_a_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        (3..=255).contains(&name.len()) && name.bytes().all(of_a_name)
    };
    if !named(&settings.bucket) {
        return wrong(
            "bucket",
            "is to be a bucket's name: at least three of a-z, 0-9, dots and hyphens",
        );
    }
    if settings.region.is_empty() {
        return wrong("region", "is empty");
    }
    if settings.access_key.is_empty() {
        return wrong("access_key", "is empty");
    }
    if settings.secret_key.is_empty() {
        return wrong("secret_key", "is empty");
    }
    Ok(())
}

/// The SDK's client over hyper, which the services' own calls use too. TLS is rustls's with the machine's authorities; without
/// TLS nothing of it is read.
pub(super) fn http(https: bool) -> SharedHttpClient {
    let builder = aws_smithy_http_client::Builder::new();
    if https {
        builder
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https()
    } else {
        builder.build_http()
    }
}

pub(super) fn config(settings: &BucketSettings, http: SharedHttpClient) -> Builder {
    let (access, secret) = (&settings.access_key, &settings.secret_key);
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(ATTEMPT)
        .operation_timeout(OPERATION);
    let mut config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(Credentials::new(access, secret, None, None, "nephos.toml"))
        .region(Region::new(settings.region.clone()))
        .force_path_style(settings.path_style)
        .http_client(http)
        .timeout_config(timeouts.build())
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .stalled_stream_protection(
            StalledStreamProtectionConfig::enabled()
                .grace_period(STALL)
                .build(),
        )
        // Every body is signed with its SHA-256, which all of them check; the newer checksums are not known everywhere.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    if let Some(endpoint) = &settings.endpoint {
        config = config.endpoint_url(endpoint.trim_end_matches('/'));
    }
    config
}

#[cfg(test)]
mod tests {
    use super::super::tests::settings;
    use super::*;

    #[test]
    fn settings_that_cannot_be_right_are_named() {
        assert!(check(&settings()).is_ok());
        let wrong = |change: fn(&mut BucketSettings)| {
            let mut settings = settings();
            change(&mut settings);
            check(&settings).unwrap_err().to_string()
        };
        for endpoint in [
            "s3.example",
            "ftp://s3.example",
            "http://",
            "http://a/b",
            "http://u:p@a",
        ] {
            let mut settings = settings();
            settings.endpoint = Some(endpoint.to_owned());
            let why = check(&settings).unwrap_err().to_string();
            assert!(why.contains("endpoint") && !why.contains("u:p"), "{why}");
        }
        assert!(wrong(|it| it.bucket = "a b c".to_owned()).contains("bucket"));
        assert!(wrong(|it| it.bucket = "ab".to_owned()).contains("bucket"));
        assert!(wrong(|it| it.region.clear()).contains("region"));
        assert!(wrong(|it| it.access_key.clear()).contains("access_key"));
        assert!(wrong(|it| it.secret_key.clear()).contains("secret_key"));
    }

    #[test]
    fn settings_do_not_show_their_keys() {
        let shown = format!("{:?}", settings());
        assert!(
            !shown.contains("access") && !shown.contains("secret"),
            "{shown}"
        );
    }
}
