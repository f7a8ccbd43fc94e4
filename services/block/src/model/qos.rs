//! How fast a volume may be read and written: what types say, and what hosts are told of it.

use std::collections::BTreeMap;

use nephos_types::Timestamp;
use serde_json::{Map, Value, json};

use super::body::Refusal;

/// What is limited; each also has `_max` for a burst, and `_per_gb` with `_per_gb_min`.
const RATES: [&str; 6] = [
    "total_bytes_sec",
    "read_bytes_sec",
    "write_bytes_sec",
    "total_iops_sec",
    "read_iops_sec",
    "write_iops_sec",
];
/// The size that one operation counts as.
const SIZE: &str = "size_iops_sec";
/// Most names of one.
const MAX_SPECS: usize = 128;

/// Who keeps to a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consumer {
    /// The hypervisor that the volume is attached to.
    FrontEnd,
    /// Where the volume is; the back ends here limit nothing.
    BackEnd,
    Both,
}

impl Consumer {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::FrontEnd => "front-end",
            Self::BackEnd => "back-end",
            Self::Both => "both",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::FrontEnd, Self::BackEnd, Self::Both]
            .into_iter()
            .find(|one| one.as_str() == word)
    }
}

/// What was written; a name may be without a value.
pub(crate) type Specs = BTreeMap<String, Option<String>>;

/// QoS specs as stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Qos {
    pub id: String,
    pub name: String,
    pub consumer: Consumer,
    pub specs: Specs,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Qos {
    /// What hosts are told of a volume of this size: `{"total_iops_sec": "500"}`; nothing that is not theirs. A rate per
    /// GiB becomes a rate (cinder.volume.manager `_parse_connection_options`).
    pub(crate) fn for_host(&self, size_gib: i64) -> Option<Value> {
        if self.consumer == Consumer::BackEnd {
            return None;
        }
        let mut specs = self.specs.clone();
        for rate in RATES {
            let number = |specs: &mut Specs, name: String| {
                let text = specs.remove(&name).flatten()?;
                text.parse::<i64>().ok()
            };
            let Some(each) = number(&mut specs, format!("{rate}_per_gb")) else {
                continue;
            };
            let least = number(&mut specs, format!("{rate}_per_gb_min")).unwrap_or(0);
            let own = each.saturating_mul(size_gib).max(least);
            let most = number(&mut specs, format!("{rate}_max")).unwrap_or(own);
            specs.insert(rate.to_owned(), Some(own.min(most).to_string()));
        }
        Some(json!(specs))
    }

    /// Refuses what no hypervisor can keep to, when one is to: better here than when a server gets the volume.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        if self.specs.len() > MAX_SPECS {
            return Err(format!("more than {MAX_SPECS} names."));
        }
        if self.consumer == Consumer::BackEnd {
            return Ok(());
        }
        let has = |name: &str| self.specs.contains_key(name);
        for (name, value) in &self.specs {
            let number = value.as_deref().and_then(|text| text.parse::<u64>().ok());
            if is_known(name) && number.is_none_or(|number| number > MAX_RATE) {
                return Err(format!(
                    "{name} must be a whole number up to {MAX_RATE}, not '{}'.",
                    value.as_deref().unwrap_or("null")
                ));
            }
        }
        for unit in ["bytes_sec", "iops_sec"] {
            let limited = |kind: &str| {
                let rate = format!("{kind}_{unit}");
                has(&rate) || has(&format!("{rate}_per_gb"))
            };
            if limited("total") && (limited("read") || limited("write")) {
                return Err(format!(
                    "total_{unit} goes with neither read_{unit} nor write_{unit}."
                ));
            }
            for kind in ["total", "read", "write"] {
                let burst = format!("{kind}_{unit}_max");
                if has(&burst) && !limited(kind) {
                    return Err(format!(
                        "{burst} is more than nothing without {kind}_{unit}."
                    ));
                }
            }
        }
        Ok(())
    }
}

/// The largest rate that QEMU takes (its `THROTTLE_VALUE_MAX`).
const MAX_RATE: u64 = 1_000_000_000_000_000;

/// Whether a hypervisor or the rule of rates per GiB reads it.
fn is_known(name: &str) -> bool {
    let of = |rate: &str| {
        let rest = name.strip_prefix(rate);
        rest.is_some_and(|rest| ["", "_max", "_per_gb", "_per_gb_min"].contains(&rest))
    };
    name == SIZE || RATES.into_iter().any(of)
}

/// Reads what is to be written: text, and null where `nulls` are taken. Who keeps to it stands among them.
pub(crate) fn read(
    fields: &Map<String, Value>,
    nulls: bool,
) -> Result<(Option<Consumer>, Specs), Refusal> {
    let (mut consumer, mut specs) = (None, Specs::new());
    for (name, value) in fields {
        let fits = name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_:. /".contains(c));
        if name.is_empty() || name.len() > 255 || !fits {
            return Err(format!(
                "'{name}' is no name: 1 to 255 of letters, digits, '-', '_', ':', '.', '/' and space."
            ));
        }
        let text = match value {
            Value::String(text) if text.chars().count() <= 255 => Some(text.clone()),
            Value::Null if nulls && name != "consumer" => None,
            _other => return Err(format!("{name} must be text of up to 255 characters.")),
        };
        match (name.as_str(), text) {
            ("consumer", Some(word)) => {
                let known = Consumer::parse(&word).ok_or_else(|| {
                    "Valid consumer of QoS specs are: ['back-end', 'front-end', 'both']".to_owned()
                })?;
                consumer = Some(known);
            }
            (_name, text) => {
                specs.insert(name.clone(), text);
            }
        }
    }
    Ok((consumer, specs))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn qos(consumer: Consumer, specs: &[(&str, &str)]) -> Qos {
        Qos {
            id: "q".to_owned(),
            name: "q".to_owned(),
            consumer,
            specs: specs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned())))
                .collect(),
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        }
    }

    #[test]
    fn a_rate_per_gib_becomes_a_rate_between_its_bounds() {
        let per_gb = [
            ("read_iops_sec_per_gb", "10"),
            ("read_iops_sec_per_gb_min", "25"),
            ("read_iops_sec_max", "50"),
            ("other", "x"),
        ];
        let told = |gib| qos(Consumer::FrontEnd, &per_gb).for_host(gib);
        for (gib, rate) in [(1, "25"), (4, "40"), (9, "50")] {
            assert_eq!(
                told(gib),
                Some(json!({"read_iops_sec": rate, "other": "x"}))
            );
        }
        assert_eq!(qos(Consumer::BackEnd, &per_gb).for_host(1), None);
        let plain = [("read_iops_sec", "5"), ("read_iops_sec_max", "9")];
        let told = qos(Consumer::Both, &plain).for_host(1);
        assert_eq!(
            told,
            Some(json!({"read_iops_sec": "5", "read_iops_sec_max": "9"}))
        );
    }

    #[test]
    fn what_no_hypervisor_keeps_to_is_refused_where_one_is_to() {
        let odd: [&[(&str, &str)]; 5] = [
            &[("total_iops_sec", "many")],
            &[("total_iops_sec", "-1")],
            &[("total_iops_sec", "1000000000000001")],
            &[("total_iops_sec", "1"), ("read_iops_sec_per_gb", "1")],
            &[("write_bytes_sec_max", "1")],
        ];
        for specs in odd {
            assert!(qos(Consumer::Both, specs).check().is_err(), "{specs:?}");
            assert!(qos(Consumer::BackEnd, specs).check().is_ok(), "{specs:?}");
        }
        let fine = [
            ("total_iops_sec", "1"),
            ("read_bytes_sec", "2"),
            ("colour", "red"),
        ];
        assert!(qos(Consumer::FrontEnd, &fine).check().is_ok());
    }
}
