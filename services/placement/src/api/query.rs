//! Queries that ask for resources, traits, aggregates and trees: in lists and for allocation candidates.

use std::collections::BTreeSet;

use nephos_api::version::{Version, v};
use nephos_api::{Fault, Params};

use super::fault::{QUERY_DUPLICATE, QUERY_MISSING, bad_value};
use super::form::bad_query;
use crate::model::request::{Group, Request};
use crate::model::{AggregateId, ClassName, TraitName, is_uuid};

const FORBIDDEN_TRAITS: Version = v(1, 22);
const MANY_MEMBER_OF: Version = v(1, 24);
const NESTED: Version = v(1, 29);
const FORBIDDEN_AGGREGATES: Version = v(1, 32);
const WORDY_SUFFIXES: Version = v(1, 33);
const SAME_SUBTREE: Version = v(1, 36);
const ANY_TRAITS: Version = v(1, 39);

const PREFIXES: [&str; 4] = ["resources", "required", "member_of", "in_tree"];

/// 400 for a class that there is not.
pub(crate) fn no_class(class: &ClassName) -> Fault {
    Fault::bad_request(format!(
        "Invalid resource class in resources parameter: No such resource class {class}."
    ))
}

/// What a list of providers is narrowed to.
pub(crate) fn filter_group(params: &Params, version: Version) -> Result<Group, Fault> {
    let mut group = Group::default();
    read_group(&mut group, params, version)?;
    // In a list this is a filter on trees of its own kind.
    group.in_tree = None;
    Ok(group)
}

/// A request for allocation candidates.
pub(crate) fn request(params: &Params, version: Version) -> Result<Request, Fault> {
    let (root_required, root_forbidden) = root_traits(params)?;
    let same_subtrees = same_subtrees(params)?;
    let limit = params.get("limit").map(|text| {
        // The form was checked: only digits, so what does not fit is just large.
        text.parse().unwrap_or(usize::MAX)
    });
    let policy = params.get("group_policy");
    let groups = groups(params, version)?;
    check_groups(&groups, &same_subtrees, version)?;
    if version >= FORBIDDEN_TRAITS {
        check_conflicts(&groups)?;
    }
    let granular = groups.iter().filter(|group| group.is_granular()).count();
    if policy.is_none() && granular > 1 {
        return Err(Fault::bad_request(
            "The \"group_policy\" parameter is required when specifying more than one \"resources{N}\" parameter.",
        ));
    }
    Ok(Request {
        groups,
        root_required,
        root_forbidden,
        same_subtrees,
        isolate: policy == Some("isolate"),
        limit,
        nested: version >= NESTED,
    })
}

/// The groups in the order in which the query names them.
fn groups(params: &Params, version: Version) -> Result<Vec<Group>, Fault> {
    let mut groups: Vec<Group> = Vec::new();
    for (key, _) in &params.0 {
        let Some(suffix) = suffix_of(key, version) else {
            continue;
        };
        if groups.iter().any(|group| group.suffix == suffix) {
            continue;
        }
        let mut group = Group {
            suffix: suffix.to_owned(),
            ..Group::default()
        };
        read_group(&mut group, params, version)?;
        groups.push(group);
    }
    Ok(groups)
}

/// What follows the name of a group's parameter.
pub(crate) fn suffix_of(key: &str, version: Version) -> Option<&str> {
    let mut suffixes = PREFIXES
        .iter()
        .filter_map(|prefix| key.strip_prefix(prefix));
    suffixes.find(|suffix| suffix.is_empty() || is_suffix(suffix, version))
}

fn is_suffix(text: &str, version: Version) -> bool {
    if version < WORDY_SUFFIXES {
        return !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    text.len() <= 64 && text.bytes().all(plain)
}

fn read_group(group: &mut Group, params: &Params, version: Version) -> Result<(), Fault> {
    let suffix = group.suffix.clone();
    let all = |prefix: &str| -> Vec<String> {
        let key = format!("{prefix}{suffix}");
        params.all(&key).map(str::to_owned).collect()
    };
    if let Some(text) = all("resources").last() {
        group.resources = resources(text)?;
    }
    let mut required = all("required");
    // Below 1.39 the last one stands for all.
    if version < ANY_TRAITS {
        required.drain(..required.len().saturating_sub(1));
    }
    for text in required {
        add_traits(group, &text, version)?;
    }
    let member_of = all("member_of");
    if version < MANY_MEMBER_OF && member_of.len() > 1 {
        return Err(Fault::bad_request(format!(
            "Multiple member_of{suffix} parameters are not supported"
        )));
    }
    for text in member_of {
        add_aggregates(group, &text, version)?;
    }
    if let Some(text) = all("in_tree").last() {
        let id = text.trim();
        if !is_uuid(id) {
            return Err(bad_query(&format!(
                "Expected 'in_tree' parameter to be a format of uuid. Got: {text}"
            )));
        }
        group.in_tree = Some(id.into());
    }
    Ok(())
}

fn resources(text: &str) -> Result<Vec<(ClassName, i64)>, Fault> {
    let badly_formed = |got: &str| {
        Fault::bad_request(format!(
            "Badly formed resources parameter. Expected resources query string parameter in form: \
             ?resources=VCPU:2,MEMORY_MB:1024. Got: {got}."
        ))
    };
    if text.trim().is_empty() {
        return Err(badly_formed("empty string"));
    }
    let mut found: Vec<(ClassName, i64)> = Vec::new();
    for pair in text.split(',') {
        let (class, amount) = pair.split_once(':').ok_or_else(|| badly_formed(pair))?;
        if amount.contains(':') {
            return Err(badly_formed(pair));
        }
        let amount = amount.trim();
        let digits = amount.strip_prefix(['+', '-']).unwrap_or(amount);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Fault::bad_request(format!(
                "Requested resource {class} expected positive integer amount. Got: {amount}."
            )));
        }
        // More than fits is more than anybody has.
        let number = if amount.starts_with('-') {
            0
        } else {
            digits.parse().unwrap_or(i64::MAX)
        };
        if number < 1 {
            return Err(Fault::bad_request(format!(
                "Requested resource {class} requires amount >= 1. Got: {amount}."
            )));
        }
        match found.iter_mut().find(|(name, _)| name.as_str() == class) {
            Some((_, known)) => *known = number,
            None => found.push((class.into(), number)),
        }
    }
    Ok(found)
}

fn add_traits(group: &mut Group, text: &str, version: Version) -> Result<(), Fault> {
    let Some(list) = text.strip_prefix("in:") else {
        let allow_forbidden = version >= FORBIDDEN_TRAITS;
        let (required, forbidden) = traits(text, allow_forbidden)?;
        let required = required.into_iter().map(|name| BTreeSet::from([name]));
        group.required.extend(required);
        group.forbidden.extend(forbidden);
        return Ok(());
    };
    if version < ANY_TRAITS {
        return Err(any_not_supported(text));
    }
    let any: BTreeSet<TraitName> = list.split(',').map(|name| name.trim().into()).collect();
    if any.iter().any(|name| name.as_str().is_empty()) {
        return Err(bad_query(&format!(
            "Expected 'required' parameter value of the form: in:HW_CPU_X86_VMX,CUSTOM_MAGIC. \
             Got an empty trait in: {text}"
        )));
    }
    if any.iter().any(|name| name.as_str().starts_with('!')) {
        return Err(bad_query(&format!(
            "The format 'in:HW_CPU_X86_VMX,CUSTOM_MAGIC' does not support forbidden traits. Got: {text}"
        )));
    }
    group.required.push(any);
    Ok(())
}

fn any_not_supported(text: &str) -> Fault {
    bad_query(&format!(
        "The format 'in:HW_CPU_X86_VMX,CUSTOM_MAGIC' only supported since microversion 1.39. Got: {text}"
    ))
}

/// Required and forbidden names of a plain list.
fn traits(text: &str, allow_forbidden: bool) -> Result<(Vec<TraitName>, Vec<TraitName>), Fault> {
    if text.starts_with("in:") {
        return Err(any_not_supported(text));
    }
    let form = if allow_forbidden {
        "HW_CPU_X86_VMX,!CUSTOM_MAGIC"
    } else {
        "HW_CPU_X86_VMX,CUSTOM_MAGIC"
    };
    let expected = |got: &str| {
        bad_query(&format!(
            "Expected 'required' parameter value of the form: {form}. Got{got}: {text}"
        ))
    };
    let (mut required, mut forbidden) = (Vec::new(), Vec::new());
    for name in text.split(',').map(str::trim) {
        // Upstream takes any number of marks.
        let bare = name.trim_start_matches('!');
        if bare.is_empty() {
            return Err(expected(" an empty trait in"));
        }
        let list = if bare.len() < name.len() {
            &mut forbidden
        } else {
            &mut required
        };
        list.push(bare.into());
    }
    if !forbidden.is_empty() && !allow_forbidden {
        return Err(expected(""));
    }
    Ok((required, forbidden))
}

fn add_aggregates(group: &mut Group, text: &str, version: Version) -> Result<(), Fault> {
    let listed = text
        .strip_prefix("!in:")
        .or_else(|| text.strip_prefix("in:"));
    if text.contains(',') && listed.is_none() {
        return Err(Fault::bad_request(format!(
            "Multiple values for 'member_of' must be prefixed with the 'in:' or '!in:' keyword using the valid \
             microversion. Got: {text}"
        )));
    }
    let ids = listed.unwrap_or_else(|| text.strip_prefix('!').unwrap_or(text));
    let ids: BTreeSet<AggregateId> = ids.split(',').map(AggregateId::from).collect();
    if let Some(wrong) = ids.iter().find(|id| !is_uuid(id.as_str())) {
        return Err(bad_query(&format!(
            "Expected 'member_of' parameter to contain valid UUID(s). Got: {wrong}"
        )));
    }
    if !text.starts_with('!') {
        group.member_of.push(ids);
        return Ok(());
    }
    if version < FORBIDDEN_AGGREGATES {
        return Err(Fault::bad_request(format!(
            "Forbidden member_of{} parameters are not supported in the specified microversion",
            group.suffix
        )));
    }
    group.not_member_of.extend(ids);
    Ok(())
}

type Traits = (BTreeSet<TraitName>, BTreeSet<TraitName>);

fn root_traits(params: &Params) -> Result<Traits, Fault> {
    let mut values = params.all("root_required");
    let Some(text) = values.next() else {
        return Ok(Traits::default());
    };
    if values.next().is_some() {
        return Err(Fault::bad_request(
            "Query parameter 'root_required' may be specified only once.",
        )
        .kind(QUERY_DUPLICATE));
    }
    let (required, forbidden) = traits(text, true)?;
    let required: BTreeSet<TraitName> = required.into_iter().collect();
    let forbidden: BTreeSet<TraitName> = forbidden.into_iter().collect();
    let both: Vec<&str> = required
        .intersection(&forbidden)
        .map(TraitName::as_str)
        .collect();
    if !both.is_empty() {
        return Err(bad_value(format!(
            "Conflicting required and forbidden traits found in root_required: {}",
            both.join(", ")
        )));
    }
    Ok((required, forbidden))
}

fn same_subtrees(params: &Params) -> Result<Vec<BTreeSet<String>>, Fault> {
    let mut sets = Vec::new();
    for text in params.all("same_subtree") {
        let suffixes = text.split(',').map(|suffix| suffix.trim().to_owned());
        let suffixes: BTreeSet<String> = suffixes.collect();
        if suffixes.contains("") {
            return Err(bad_value(
                "Empty string (unsuffixed group) can not be specified in `same_subtree` ",
            ));
        }
        sets.push(suffixes);
    }
    Ok(sets)
}

/// Which groups may go without resources.
fn check_groups(
    groups: &[Group],
    same_subtrees: &[BTreeSet<String>],
    version: Version,
) -> Result<(), Fault> {
    if version < SAME_SUBTREE {
        return check_orphans(groups);
    }
    let bare = groups.iter().filter(|group| group.resources.is_empty());
    let bare: Vec<&str> = bare.map(|group| group.suffix.as_str()).collect();
    if bare.len() == groups.len() {
        return Err(Fault::bad_request(
            "There must be at least one resources or resources[$S] parameter.",
        )
        .kind(QUERY_MISSING));
    }
    let together: BTreeSet<&str> = same_subtrees.iter().flatten().map(String::as_str).collect();
    let lost: Vec<&str> = bare
        .into_iter()
        .filter(|suffix| !together.contains(suffix))
        .collect();
    if !lost.is_empty() {
        return Err(bad_value(format!(
            "Resourceless suffixed group request should be specified in `same_subtree` query param: bad group(s) - {}.",
            python_list(&lost)
        )));
    }
    let known: Vec<&str> = groups.iter().map(|group| group.suffix.as_str()).collect();
    let unknown: Vec<&str> = together
        .into_iter()
        .filter(|suffix| !known.contains(suffix))
        .collect();
    if !unknown.is_empty() {
        return Err(bad_value(format!(
            "Real suffixes should be specified in `same_subtree`: {} not found in {}.",
            python_list(&unknown),
            python_list(&known)
        )));
    }
    Ok(())
}

fn check_orphans(groups: &[Group]) -> Result<(), Fault> {
    let bare: Vec<&Group> = groups
        .iter()
        .filter(|group| group.resources.is_empty())
        .collect();
    let keys = |prefix: &str, orphaned: fn(&Group) -> bool| -> String {
        let orphans = bare.iter().filter(|group| orphaned(group));
        let keys: Vec<String> = orphans
            .map(|group| format!("{prefix}{}", group.suffix))
            .collect();
        keys.join(", ")
    };
    let required = keys("required", |group| !group.required.is_empty());
    if !required.is_empty() {
        return Err(Fault::bad_request(format!(
            "All traits parameters must be associated with resources.  Found the following orphaned traits keys: {required}"
        )));
    }
    let member_of = keys("member_of", |group| {
        !(group.member_of.is_empty() && group.not_member_of.is_empty())
    });
    if !member_of.is_empty() {
        return Err(Fault::bad_request(format!(
            "All member_of parameters must be associated with resources. Found the following orphaned member_of keys: {member_of}"
        )));
    }
    if !bare.is_empty() {
        return Err(Fault::bad_request(
            "All request groups must specify resources.",
        ));
    }
    if groups.is_empty() {
        return Err(Fault::bad_request(
            "At least one request group (`resources` or `resources{$S}`) is required.",
        ));
    }
    Ok(())
}

fn check_conflicts(groups: &[Group]) -> Result<(), Fault> {
    let mut conflicts = Vec::new();
    for group in groups {
        for any in &group.required {
            if any.is_subset(&group.forbidden) {
                let names: Vec<&str> = any.iter().map(TraitName::as_str).collect();
                conflicts.push(format!("required{}: ({})", group.suffix, names.join(", ")));
            }
        }
    }
    if conflicts.is_empty() {
        return Ok(());
    }
    conflicts.sort_unstable();
    Err(Fault::bad_request(format!(
        "Conflicting required and forbidden traits found in the following traits keys: {}",
        conflicts.join(", ")
    )))
}

fn python_list(texts: &[&str]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| format!("'{text}'")).collect();
    format!("[{}]", quoted.join(", "))
}
