//! Constraints that have a name of their own: how a value is written, or what it is the name of.

use std::net::IpAddr;

/// Those that say what a value names. The service that has the things says so when the resource is made.
const NAMES: [&str; 50] = [
    "barbican.container",
    "barbican.secret",
    "blazar.reservation",
    "cinder.backup",
    "cinder.qos_specs",
    "cinder.snapshot",
    "cinder.volume",
    "cinder.vtype",
    "designate.zone",
    "glance.image",
    "ironic.node",
    "ironic.portgroup",
    "keystone.domain",
    "keystone.group",
    "keystone.project",
    "keystone.region",
    "keystone.role",
    "keystone.service",
    "keystone.user",
    "magnum.baymodel",
    "magnum.cluster_template",
    "manila.share_network",
    "manila.share_snapshot",
    "manila.share_type",
    "mistral.workflow",
    "neutron.address_scope",
    "neutron.flow_classifier",
    "neutron.lb.provider",
    "neutron.network",
    "neutron.port",
    "neutron.port_pair",
    "neutron.port_pair_group",
    "neutron.qos_policy",
    "neutron.router",
    "neutron.security_group",
    "neutron.segment",
    "neutron.subnet",
    "neutron.subnetpool",
    "nova.flavor",
    "nova.host",
    "nova.keypair",
    "nova.network",
    "nova.server",
    "octavia.flavor",
    "octavia.l7policy",
    "octavia.listener",
    "octavia.loadbalancer",
    "octavia.pool",
    "trove.flavor",
    "zaqar.queue",
];

/// The name of a constraint, and whether a value is written as it says.
type Form = (&'static str, fn(&str) -> bool);

/// Those that say how a value is written, and whether it is.
const FORMS: [Form; 11] = [
    ("cron_expression", is_cron),
    ("dns_domain", |text| {
        text.ends_with('.') && is_dns_name(text)
    }),
    ("dns_name", is_dns_name),
    ("expiration", is_time),
    ("ip_addr", |text| text.parse::<IpAddr>().is_ok()),
    ("ip_or_cidr", |text| {
        text.parse::<IpAddr>().is_ok() || is_cidr(text)
    }),
    ("iso_8601", is_duration),
    ("mac_addr", is_mac),
    ("net_cidr", is_cidr),
    ("rel_dns_name", |text| {
        !text.ends_with('.') && is_dns_name(text)
    }),
    ("timezone", is_zone),
];

/// Whether there is a constraint of this name.
pub(super) fn is_known(name: &str) -> bool {
    NAMES.contains(&name) || FORMS.iter().any(|(known, _)| *known == name)
}

/// Whether a value is written as the constraint says.
pub(super) fn check(name: &str, value: &str) -> Result<(), String> {
    let form = FORMS.iter().find(|(known, _)| *known == name);
    match form {
        Some((_, fits)) if !fits(value) => Err(format!(
            "Error validating value '{value}': it is no {}",
            name.replace('_', " ")
        )),
        _fits_or_is_a_name => Ok(()),
    }
}

fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else {
        return false;
    };
    let most = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    let digits = length.bytes().all(|byte| byte.is_ascii_digit());
    digits && length.parse::<u8>().is_ok_and(|length| length <= most)
}

fn is_mac(text: &str) -> bool {
    let bytes: Vec<&str> = text.split([':', '-']).collect();
    let hex = |byte: &&str| byte.len() == 2 && byte.bytes().all(|one| one.is_ascii_hexdigit());
    bytes.len() == 6 && bytes.iter().all(hex)
}

/// Labels of letters, digits and hyphens; the last one has a letter.
fn is_dns_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let edges = !label.starts_with('-') && !label.ends_with('-');
        (1..=63).contains(&label.len()) && edges && label.bytes().all(known)
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    let numeric = last.bytes().all(|byte| byte.is_ascii_digit());
    text.len() <= 255 && name.split('.').all(label) && !numeric
}

/// Five fields (a sixth for seconds): stars, numbers within their bounds, ranges, steps, lists; names of months and days.
fn is_cron(text: &str) -> bool {
    const MONTHS: &[&str] = &[
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    const DAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
    const BOUNDS: [(u32, u32, &[&str]); 6] = [
        (0, 59, &[]),
        (0, 23, &[]),
        (1, 31, &[]),
        (1, 12, MONTHS),
        (0, 7, DAYS),
        (0, 59, &[]),
    ];
    let fields: Vec<&str> = text.split_whitespace().collect();
    let one = |value: &str, (min, max, names): (u32, u32, &[&str])| {
        let number = value
            .parse::<u32>()
            .is_ok_and(|number| (min..=max).contains(&number));
        number || names.contains(&value.to_ascii_lowercase().as_str())
    };
    let part = |part: &str, bounds: (u32, u32, &[&str])| {
        let (range, step) = part.split_once('/').unwrap_or((part, "1"));
        let steps = step.parse::<u32>().is_ok_and(|step| step > 0);
        let range = match range.split_once('-') {
            Some((from, to)) => one(from, bounds) && one(to, bounds),
            None => range == "*" || one(range, bounds),
        };
        steps && range
    };
    let field = |(field, bounds): (&&str, (u32, u32, &[&str]))| {
        field.split(',').all(|one| part(one, bounds))
    };
    (5..=6).contains(&fields.len()) && fields.iter().zip(BOUNDS).all(field)
}

/// A zone is called after a region and a place in it; some are just letters.
fn is_zone(text: &str) -> bool {
    const REGIONS: [&str; 15] = [
        "Africa",
        "America",
        "Antarctica",
        "Arctic",
        "Asia",
        "Atlantic",
        "Australia",
        "Brazil",
        "Canada",
        "Chile",
        "Etc",
        "Europe",
        "Indian",
        "Pacific",
        "US",
    ];
    const ALONE: [&str; 34] = [
        "CET",
        "CST6CDT",
        "Cuba",
        "EET",
        "EST",
        "EST5EDT",
        "Egypt",
        "Eire",
        "GB",
        "GMT",
        "Greenwich",
        "HST",
        "Hongkong",
        "Iceland",
        "Iran",
        "Israel",
        "Jamaica",
        "Japan",
        "Libya",
        "MET",
        "MST",
        "MST7MDT",
        "NZ",
        "PRC",
        "PST8PDT",
        "Poland",
        "Portugal",
        "ROC",
        "ROK",
        "Singapore",
        "Turkey",
        "UTC",
        "WET",
        "Zulu",
    ];
    let place = |place: &str| {
        let known =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+' | b'/');
        !place.is_empty() && place.bytes().all(known)
    };
    match text.split_once('/') {
        Some((region, rest)) => REGIONS.contains(&region) && place(rest),
        None => ALONE.contains(&text),
    }
}

/// `2030-01-01T00:00:00Z` and the like.
fn is_time(text: &str) -> bool {
    regex::Regex::new(
        r"^\d{4}-[01]\d-[0-3]\d[T ][0-2]\d:[0-5]\d(:[0-5]\d(\.\d+)?)?(Z|[+-][0-2]\d:?[0-5]\d)?$",
    )
    .is_ok_and(|form| form.is_match(text))
}

/// `PT1H30M`.
fn is_duration(text: &str) -> bool {
    let some = text.len() > 1 && !text.ends_with('T');
    some && regex::Regex::new(r"^P(\d+Y)?(\d+M)?(\d+W)?(\d+D)?(T(\d+H)?(\d+M)?(\d+S)?)?$")
        .is_ok_and(|form| form.is_match(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_their_constraint_says() {
        for (name, fits, not) in [
            (
                "ip_addr",
                &["10.0.0.1", "::1"][..],
                &["10.0.0", "x", "10.0.0.1/8"][..],
            ),
            (
                "net_cidr",
                &["10.0.0.0/8", "fd00::/64"],
                &["10.0.0.0", "10.0.0.0/33", "10.0.0.0/+8", "x/8"],
            ),
            ("ip_or_cidr", &["10.0.0.0", "10.0.0.0/8"], &["x"]),
            (
                "mac_addr",
                &["fa:16:3e:00:00:01", "FA-16-3E-00-00-01"],
                &["fa:16:3e:00:00", "fa:16:3e:00:00:0g"],
            ),
            (
                "dns_name",
                &["a.example", "a-b.example."],
                &["-a", "a..b", "1.2.3.4", ""],
            ),
            ("dns_domain", &["a.example."], &["a.example"]),
            ("rel_dns_name", &["www"], &["www."]),
            (
                "cron_expression",
                &["0 0 * * *", "*/5 1-3,7 1 jan MON"],
                &["* * *", "60 0 * * *", "*/0 0 * * *", "x 0 * * *"],
            ),
            (
                "timezone",
                &[
                    "UTC",
                    "Europe/Berlin",
                    "America/Argentina/Ushuaia",
                    "Etc/GMT+5",
                ],
                &["Mars/Base", "Berlin", "Europe/"],
            ),
            (
                "expiration",
                &["2030-01-01T00:00:00Z", "2030-01-01 00:00"],
                &["tomorrow"],
            ),
            ("iso_8601", &["PT1H", "P1DT5M"], &["P", "1H", "PT"]),
        ] {
            for value in fits {
                assert_eq!(check(name, value), Ok(()), "{name} {value}");
            }
            for value in not {
                assert!(check(name, value).is_err(), "{name} {value}");
            }
        }
        assert!(is_known("nova.flavor") && !is_known("bogus.thing"));
    }
}
