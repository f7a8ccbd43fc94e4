//! What placement knows, and the maths on it. Pure: no SQL, no HTTP, no clock.

pub(crate) mod candidates;
pub(crate) mod claim;
pub(crate) mod explain;
pub(crate) mod inventory;
pub(crate) mod names;
pub(crate) mod provider;
pub(crate) mod providers;
pub(crate) mod request;

nephos_types::id! {
    /// A resource provider.
    ProviderId
    /// Who holds allocations: a server, a migration.
    ConsumerId
    /// An aggregate of providers.
    AggregateId
    /// A resource class, such as `VCPU`.
    ClassName
    /// A trait, such as `HW_CPU_X86_AVX2`.
    TraitName
}

/// Whether the text is a UUID in any of the spellings that upstream takes: with or without dashes, braces, `urn:uuid:`.
pub(crate) fn is_uuid(text: &str) -> bool {
    normal_uuid(text).is_some()
}

/// The usual spelling of a UUID.
pub(crate) fn normal_uuid(text: &str) -> Option<String> {
    let bare = text.replace("urn:", "").replace("uuid:", "");
    let bare = bare.trim_matches(['{', '}']).replace('-', "");
    let digits = bare.len() == 32 && bare.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !digits {
        return None;
    }
    let lower = bare.to_ascii_lowercase();
    let cuts = [0..8, 8..12, 12..16, 16..20, 20..32];
    let pieces: Vec<&str> = cuts
        .into_iter()
        .filter_map(|range| lower.get(range))
        .collect();
    Some(pieces.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_read_in_every_spelling_and_written_in_one() {
        let usual = "12345678-90ab-cdef-1234-567890abcdef";
        for spelling in [
            usual,
            "1234567890abcdef1234567890abcdef",
            "{12345678-90AB-CDEF-1234-567890ABCDEF}",
            "urn:uuid:12345678-90ab-cdef-1234-567890abcdef",
        ] {
            assert_eq!(normal_uuid(spelling).as_deref(), Some(usual), "{spelling}");
        }
        for wrong in ["", "1234", "g2345678-90ab-cdef-1234-567890abcdef"] {
            assert!(!is_uuid(wrong), "{wrong}");
        }
    }
}
