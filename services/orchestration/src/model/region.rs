//! Where the stack of a resource is to be: the `context` of `OS::Heat::Stack`. There is one place, this cloud.

use serde_json::{Map, Value};

use super::refusal::Refusal;

/// The region that the properties name, if any.
pub(crate) fn named(properties: &Map<String, Value>) -> Option<&str> {
    properties.get("context")?.get("region_name")?.as_str()
}

/// Refuses what only another cloud would need.
pub(crate) fn check_context(properties: &Map<String, Value>) -> Result<(), Refusal> {
    let given = |name: &str| {
        let value = properties.get("context")?.get(name)?;
        value.as_str().filter(|text| !text.is_empty())
    };
    if given("credential_secret_id").is_some() {
        return Err(Refusal::invalid(
            "context.credential_secret_id: there is no key manager here that a credential could be in, and stacks are made \
             in this cloud only. Leave it out, and the stack is made as whoever asks for it.",
        ));
    }
    if given("ca_cert").is_some() {
        return Err(Refusal::invalid(
            "context.ca_cert: stacks are made in this cloud only, by this service itself, which needs no certificate for \
             that. Leave it out.",
        ));
    }
    Ok(())
}

/// Refuses a region that is not this cloud's `own`.
pub(crate) fn check(region: &str, own: &str) -> Result<(), Refusal> {
    if region == own {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "Cannot establish connection to Heat endpoint at region \"{region}\" due to \"public endpoint for orchestration service \
         in {region} region not found\". Stacks can be made in region {own} only."
    )))
}

/// What is wrong with a template, in the words of the region that its stack was to be in.
pub(crate) fn refused(region: &str, why: &Refusal) -> Refusal {
    Refusal::invalid(format!(
        "Failed validating stack template using Heat endpoint at region \"{region}\" due to \"ERROR: {why}\""
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_this_cloud_is_a_place() {
        let properties = |context: Value| {
            let all = json!({ "context": context });
            all.as_object().cloned().unwrap_or_default()
        };
        let here = properties(json!({"region_name": "here", "ca_cert": null, "insecure": false}));
        assert_eq!(named(&here), Some("here"));
        assert_eq!(check_context(&here), Ok(()));
        assert_eq!(check("here", "here"), Ok(()));
        let why = check("there", "here").unwrap_err();
        assert!(why.message.contains("region here only"), "{why}");
        assert_eq!(named(&Map::new()), None);
        for name in ["ca_cert", "credential_secret_id"] {
            let why = check_context(&properties(json!({ name: "x" }))).unwrap_err();
            assert!(why.message.contains(name), "{why}");
        }
    }
}
