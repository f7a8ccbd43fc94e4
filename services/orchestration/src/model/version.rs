//! The versions of the template language, and which functions each has.

/// A version of the template language; a later one is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Version(u8);

/// Dates and, where there is one, the name of the release.
const VERSIONS: [(&str, Option<&str>); 11] = [
    ("2013-05-23", None),
    ("2014-10-16", None),
    ("2015-04-30", None),
    ("2015-10-15", None),
    ("2016-04-08", None),
    ("2016-10-14", Some("newton")),
    ("2017-02-24", Some("ocata")),
    ("2017-09-01", Some("pike")),
    ("2018-03-02", Some("queens")),
    ("2018-08-31", Some("rocky")),
    ("2021-04-16", Some("wallaby")),
];

impl Version {
    pub const V2014_10: Self = Self(1);
    pub const V2015_04: Self = Self(2);
    pub const V2015_10: Self = Self(3);
    pub const V2016_04: Self = Self(4);
    pub const NEWTON: Self = Self(5);
    pub const OCATA: Self = Self(6);
    pub const PIKE: Self = Self(7);
    pub const WALLABY: Self = Self(10);
    /// The first one.
    pub const V2013_05: Self = Self(0);

    /// By date or by the name of the release.
    pub fn parse(text: &str) -> Option<Self> {
        let at = VERSIONS
            .iter()
            .position(|(date, name)| *date == text || *name == Some(text))?;
        u8::try_from(at).ok().map(Self)
    }

    /// Everything that a template may say, oldest first.
    pub fn names() -> Vec<String> {
        VERSIONS
            .iter()
            .flat_map(|(date, name)| [Some(*date), *name])
            .flatten()
            .map(str::to_owned)
            .collect()
    }

    /// The date.
    #[cfg(test)]
    pub fn date(self) -> &'static str {
        VERSIONS
            .get(usize::from(self.0))
            .map_or("", |(date, _)| date)
    }

    /// All of them with the name under which a client asks for them, and their other name.
    pub fn listed() -> impl Iterator<Item = (Self, &'static str, Option<&'static str>)> {
        VERSIONS
            .iter()
            .enumerate()
            .filter_map(|(at, (date, name))| Some((Self(u8::try_from(at).ok()?), *date, *name)))
    }
}

/// A function of the language.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Function {
    pub name: &'static str,
    /// The first version that has it; none for one that only conditions have.
    pub since: Option<Version>,
    /// The first version that does not have it any more.
    pub until: Option<Version>,
    /// The first version in whose conditions it may stand.
    pub in_conditions: Option<Version>,
    pub doc: &'static str,
}

const fn value(name: &'static str, since: Version, doc: &'static str) -> Function {
    Function {
        name,
        since: Some(since),
        until: None,
        in_conditions: None,
        doc,
    }
}

const fn condition(name: &'static str, since: Version, doc: &'static str) -> Function {
    Function {
        name,
        since: None,
        until: None,
        in_conditions: Some(since),
        doc,
    }
}

/// A function of CloudFormation, which this version and later ones do not have any more.
const fn early(name: &'static str, until: Version, doc: &'static str) -> Function {
    Function {
        name,
        since: Some(Version::V2013_05),
        until: Some(until),
        in_conditions: None,
        doc,
    }
}

/// Every function there is here.
pub(crate) const FUNCTIONS: [Function; 34] = [
    value(
        "get_attr",
        Version::V2013_05,
        "A function for resolving resource attributes.",
    ),
    value(
        "get_file",
        Version::V2013_05,
        "A function for including a file inline.",
    ),
    Function {
        name: "get_param",
        since: Some(Version::V2013_05),
        until: None,
        in_conditions: Some(Version::NEWTON),
        doc: "A function for resolving parameter references.",
    },
    value(
        "get_resource",
        Version::V2013_05,
        "A function for resolving resource references.",
    ),
    value(
        "list_join",
        Version::V2013_05,
        "A function for joining one or more lists of strings.",
    ),
    value(
        "resource_facade",
        Version::V2013_05,
        "A function for retrieving data in a parent provider template.",
    ),
    value(
        "str_replace",
        Version::V2013_05,
        "A function for performing string substitutions.",
    ),
    value(
        "digest",
        Version::V2015_04,
        "A function for performing digest operations.",
    ),
    value(
        "repeat",
        Version::V2015_04,
        "A function for iterating over a list of items.",
    ),
    value(
        "str_split",
        Version::V2015_10,
        "A function for splitting delimited strings into a list.",
    ),
    value(
        "map_merge",
        Version::V2016_04,
        "A function for merging maps.",
    ),
    value(
        "map_replace",
        Version::NEWTON,
        "A function for performing substitutions on maps.",
    ),
    value(
        "if",
        Version::NEWTON,
        "A function to return corresponding value based on condition evaluation.",
    ),
    condition(
        "equals",
        Version::NEWTON,
        "A function for comparing whether two values are equal.",
    ),
    condition(
        "not",
        Version::NEWTON,
        "A function that acts as a NOT operator on a condition.",
    ),
    condition(
        "and",
        Version::NEWTON,
        "A function that acts as an AND operator on conditions.",
    ),
    condition(
        "or",
        Version::NEWTON,
        "A function that acts as an OR operator to evaluate all the conditions.",
    ),
    value(
        "yaql",
        Version::NEWTON,
        "A function for executing a yaql expression.",
    ),
    value(
        "filter",
        Version::OCATA,
        "A function for filtering out values from lists.",
    ),
    value(
        "str_replace_strict",
        Version::OCATA,
        "A function for performing string substitutions; every parameter must be used.",
    ),
    value(
        "make_url",
        Version::PIKE,
        "A function for performing substitutions on maps to make a URL.",
    ),
    value(
        "list_concat",
        Version::PIKE,
        "A function for extending lists.",
    ),
    value(
        "list_concat_unique",
        Version::PIKE,
        "A function for extending lists with unique items.",
    ),
    value(
        "str_replace_vstrict",
        Version::PIKE,
        "A function for performing string substitutions; every parameter must be used and have a value.",
    ),
    Function {
        name: "contains",
        since: Some(Version::PIKE),
        until: None,
        in_conditions: Some(Version::PIKE),
        doc: "A function for checking whether specific value is in sequence.",
    },
    early(
        "Fn::Base64",
        Version::V2014_10,
        "A placeholder function for converting to base64.",
    ),
    early(
        "Fn::GetAZs",
        Version::V2014_10,
        "A function for retrieving the availability zones.",
    ),
    early(
        "Fn::Join",
        Version::V2014_10,
        "A function for joining strings.",
    ),
    early(
        "Fn::MemberListToMap",
        Version::V2014_10,
        "A function to convert lists with enumerated keys and values to mapping.",
    ),
    early(
        "Fn::Replace",
        Version::V2014_10,
        "A function for performing string substitutions.",
    ),
    early(
        "Fn::ResourceFacade",
        Version::V2014_10,
        "A function for retrieving data in a parent provider template.",
    ),
    early(
        "Fn::Select",
        Version::V2015_10,
        "A function for selecting an item from a list or map.",
    ),
    early(
        "Fn::Split",
        Version::V2014_10,
        "A function for splitting strings.",
    ),
    early(
        "Ref",
        Version::V2014_10,
        "A function for resolving parameters or resource references.",
    ),
];

/// The function of this name at this version, as a value or (`condition`) inside a condition.
pub(crate) fn function(name: &str, version: Version, condition: bool) -> Option<&'static Function> {
    let found = FUNCTIONS.iter().find(|function| function.name == name)?;
    if found.until.is_some_and(|until| version >= until) {
        return None;
    }
    let since = if condition {
        found.in_conditions.or(found
            .since
            .filter(|_| name != "get_attr" && name != "get_resource"))
    } else {
        found.since
    };
    since.filter(|since| *since <= version).map(|_| found)
}

/// Functions of CloudFormation, which the first version of the original has; later ones refuse them.
const OF_CLOUD_FORMATION: [&str; 9] = [
    "Fn::Base64",
    "Fn::GetAZs",
    "Fn::Join",
    "Fn::MemberListToMap",
    "Fn::Replace",
    "Fn::ResourceFacade",
    "Fn::Select",
    "Fn::Split",
    "Ref",
];

/// Whether the original has, or had, a function of this name at this version that is not offered here: it is refused, and
/// not taken for a map.
pub(crate) fn withheld(name: &str, version: Version) -> bool {
    OF_CLOUD_FORMATION.contains(&name) && function(name, version, false).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(version: &str, has: &[&str], lacks: &[&str]) {
        let version = Version::parse(version).unwrap();
        for name in has {
            assert!(function(name, version, false).is_some(), "{name}");
        }
        for name in lacks {
            assert!(function(name, version, false).is_none(), "{name}");
        }
    }

    #[test]
    fn each_version_has_its_functions() {
        check(
            "2013-05-23",
            &["get_param", "list_join", "Fn::Select"],
            &["repeat", "digest"],
        );
        check("2014-10-16", &["list_join"], &["repeat"]);
        check("2015-04-30", &["repeat", "digest"], &["str_split"]);
        check("2015-10-15", &["str_split"], &["map_merge", "Fn::Select"]);
        check("2016-04-08", &["map_merge"], &["map_replace", "if", "yaql"]);
        check(
            "newton",
            &["map_replace", "if", "yaql"],
            &["filter", "equals"],
        );
        check("ocata", &["filter", "str_replace_strict"], &["make_url"]);
        check(
            "pike",
            &[
                "make_url",
                "list_concat",
                "list_concat_unique",
                "contains",
                "str_replace_vstrict",
            ],
            &["and"],
        );
        check("queens", &["make_url", "yaql"], &["and"]);
        check("rocky", &["make_url", "yaql"], &["and"]);
        check("wallaby", &["if", "yaql"], &["Ref"]);
    }

    #[test]
    fn conditions_have_their_own() {
        let newton = Version::parse("2016-10-14").unwrap();
        assert!(function("equals", newton, true).is_some());
        assert!(function("yaql", newton, true).is_some());
        assert!(function("contains", newton, true).is_none());
        assert!(function("get_attr", newton, true).is_none());
        assert!(function("contains", Version::PIKE, true).is_some());
        assert_eq!(newton.date(), "2016-10-14");
        assert_eq!(Version::parse("2013-05-24"), None);
    }
}
