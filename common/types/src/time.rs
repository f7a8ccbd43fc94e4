//! Points in time: microseconds since 1970 in UTC, the one form in which they are stored and compared.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A length of time in microseconds.
pub type Micros = i64;

/// A point in time, microseconds since 1970-01-01T00:00:00Z.
///
/// JSON shows it as `2026-01-02T03:04:05Z`, the form of most OpenStack services; the others ask for theirs by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// `2026-01-02T03:04:05Z`: Nova, Glance, Neutron (which writes it like this for its own attributes).
    #[must_use]
    pub fn iso(self) -> String {
        self.format("%Y-%m-%dT%H:%M:%SZ")
    }

    /// `2026-01-02T03:04:05.000000Z`: Keystone.
    #[must_use]
    pub fn iso_micros(self) -> String {
        self.format("%Y-%m-%dT%H:%M:%S%.6fZ")
    }

    /// `2026-01-02T03:04:05.000000`, without a zone: Nova's older views and Cinder.
    #[must_use]
    pub fn iso_naive(self) -> String {
        self.format("%Y-%m-%dT%H:%M:%S%.6f")
    }

    /// Any `strftime` pattern, in UTC.
    #[must_use]
    pub fn format(self, pattern: &str) -> String {
        jiff::Timestamp::from_microsecond(self.0)
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
            .strftime(pattern)
            .to_string()
    }

    /// `Fri, 02 Jan 2026 03:04:05 GMT`: HTTP's own form, in whole seconds.
    #[must_use]
    pub fn http(self) -> String {
        self.format("%a, %d %b %Y %H:%M:%S GMT")
    }

    /// Reads HTTP's own form.
    #[must_use]
    pub fn parse_http(text: &str) -> Option<Self> {
        let civil = jiff::civil::DateTime::strptime("%a, %d %b %Y %H:%M:%S GMT", text).ok()?;
        let at = jiff::tz::TimeZone::UTC.to_timestamp(civil).ok()?;
        Some(Self(at.as_microsecond()))
    }

    /// Reads ISO 8601 with or without zone and fraction; without a zone it is UTC, as OpenStack means it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(at) = text.parse::<jiff::Timestamp>() {
            return Some(Self(at.as_microsecond()));
        }
        let civil = text.parse::<jiff::civil::DateTime>().ok()?;
        let at = jiff::tz::TimeZone::UTC.to_timestamp(civil).ok()?;
        Some(Self(at.as_microsecond()))
    }

    /// This point plus `secs` seconds.
    #[must_use]
    pub const fn plus_secs(self, secs: i64) -> Self {
        Self(self.0.saturating_add(secs.saturating_mul(1_000_000)))
    }

    /// This point plus a duration.
    #[must_use]
    pub fn plus(self, by: std::time::Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)),
        )
    }

    /// Whole seconds since 1970, as JWT wants them.
    #[must_use]
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.iso())
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("'{text}' is not a date-time")))
    }
}

impl utoipa::PartialSchema for Timestamp {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        String::schema()
    }
}
impl utoipa::ToSchema for Timestamp {}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, iso: &str) {
        assert_eq!(
            Timestamp::parse(text).map(Timestamp::iso).as_deref(),
            Some(iso),
            "{text}"
        );
    }

    #[test]
    fn every_form_that_clients_send_is_read() {
        check("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z");
        check("2026-01-02T03:04:05", "2026-01-02T03:04:05Z");
        check("2026-01-02T03:04:05.123456", "2026-01-02T03:04:05Z");
        check("2026-01-02T05:04:05+02:00", "2026-01-02T03:04:05Z");
        assert_eq!(Timestamp::parse("yesterday"), None);
    }

    #[test]
    fn the_form_of_http_headers() {
        let at = Timestamp(1_767_323_045_000_000);
        assert_eq!(at.http(), "Fri, 02 Jan 2026 03:04:05 GMT");
        assert_eq!(Timestamp::parse_http(&at.http()), Some(at));
        assert_eq!(Timestamp::parse_http("yesterday"), None);
    }

    #[test]
    fn the_three_written_forms() {
        let at = Timestamp(1_767_323_045_000_007);
        assert_eq!(at.iso(), "2026-01-02T03:04:05Z");
        assert_eq!(at.iso_micros(), "2026-01-02T03:04:05.000007Z");
        assert_eq!(at.iso_naive(), "2026-01-02T03:04:05.000007");
    }
}
