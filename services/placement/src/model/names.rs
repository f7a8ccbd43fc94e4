//! Resource classes and traits: the standard names of os-resource-classes and os-traits, and the form of custom ones.

pub(crate) use nephos_types::standard::{
    CLASSES as STANDARD_CLASSES, CUSTOM, LONGEST, is_class as is_standard_class, is_custom,
    is_name, is_trait as is_standard_trait, traits as standard_traits,
};

/// A provider with this trait offers its stock to every tree it shares an aggregate with.
pub(crate) const SHARES: &str = "MISC_SHARES_VIA_AGGREGATE";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_names_are_names_and_custom_ones_have_their_prefix() {
        assert!(standard_traits().all(|name| is_name(name) && !is_custom(name)));
        assert!(STANDARD_CLASSES.iter().all(|name| is_name(name)));
        assert!(is_standard_trait(SHARES));
        assert!(is_custom("CUSTOM_X"));
        for wrong in ["CUSTOM_", "custom_x", "CUSTOM_x", "X", "CUSTOM_X-Y"] {
            assert!(!is_custom(wrong), "{wrong}");
        }
        assert!(!is_custom(&format!("CUSTOM_{}", "X".repeat(LONGEST))));
    }
}
