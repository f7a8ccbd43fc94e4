//! Microversions as data: the code knows the newest shape, a table knows what each version changed.

use std::cell::Cell;

use serde_json::{Map, Value};

use crate::{Dialect, Fault, Mistake, Wrong};

/// A JSON object.
pub type Object = Map<String, Value>;

/// A microversion such as 2.96. Services without microversions have 0.0 everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version {
    /// Before the dot.
    pub major: u16,
    /// After the dot: 2.10 is newer than 2.9.
    pub minor: u16,
}

/// Shorthand for tables: `v(2, 47)`.
#[must_use]
pub const fn v(major: u16, minor: u16) -> Version {
    Version { major, minor }
}

impl Version {
    /// No version.
    pub const ZERO: Self = v(0, 0);
    /// Newer than any.
    pub const LAST: Self = v(u16::MAX, u16::MAX);

    /// Reads `2.10` at compile time; for the `versions:` row of `endpoint!`.
    ///
    /// # Panics
    /// At compile time, when it is not `digits.digits`.
    #[must_use]
    #[expect(
        clippy::panic,
        clippy::indexing_slicing,
        reason = "evaluated at compile time only"
    )]
    pub const fn literal(text: &str) -> Self {
        let bytes = text.as_bytes();
        let (mut major, mut minor, mut dotted, mut at) = (0u16, 0u16, false, 0);
        while at < bytes.len() {
            match bytes[at] {
                b'.' if !dotted => dotted = true,
                digit @ b'0'..=b'9' => {
                    let digit = (digit - b'0') as u16;
                    if dotted {
                        minor = minor * 10 + digit;
                    } else {
                        major = major * 10 + digit;
                    }
                }
                _ => panic!("a version is digits.digits"),
            }
            at += 1;
        }
        assert!(dotted, "a version is digits.digits");
        Self { major, minor }
    }

    /// Reads `2.10`; refuses signs, spaces and leading zeros as upstream's pattern does.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        let number = |digits: &str| -> Option<u16> {
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            let padded = digits.len() > 1 && digits.starts_with('0');
            if !plain || padded {
                None
            } else {
                digits.parse().ok()
            }
        };
        Some(Self {
            major: number(major)?,
            minor: number(minor)?,
        })
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// One row of a table: what version `since` changed.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// The version that made the change.
    pub since: Version,
    /// The key it is about; empty for [`changed`].
    pub key: &'static str,
    /// How to undo it.
    pub kind: ChangeKind,
}

/// How an older shape is made from the newer one.
#[derive(Clone, Copy, Debug)]
pub enum ChangeKind {
    /// The key is new: it is taken away below.
    Added,
    /// The key is gone: below, it comes back from its hidden form `_key`.
    Removed,
    /// The object is rewritten below.
    Rewrite(fn(&mut Object)),
}

/// `key` exists from `since` on.
#[must_use]
pub const fn added(since: Version, key: &'static str) -> Change {
    Change {
        since,
        key,
        kind: ChangeKind::Added,
    }
}

/// `key` no longer exists from `since` on. In a reply the view carries it hidden as `_key` for older shapes.
#[must_use]
pub const fn removed(since: Version, key: &'static str) -> Change {
    Change {
        since,
        key,
        kind: ChangeKind::Removed,
    }
}

/// `key` looked different below `since`: `undo` makes the older form.
#[must_use]
pub const fn before(since: Version, key: &'static str, undo: fn(&mut Object)) -> Change {
    Change {
        since,
        key,
        kind: ChangeKind::Rewrite(undo),
    }
}

/// The object as a whole looked different below `since`.
#[must_use]
pub const fn changed(since: Version, undo: fn(&mut Object)) -> Change {
    before(since, "", undo)
}

/// Where in a body the object stands, and how it changed over the versions.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Keys from the top of the body down to the object, with dots: `server`, `server.flavor`; empty: the body itself.
    pub place: &'static str,
    /// Whether the last key holds a list of such objects.
    pub many: bool,
    /// The changes, oldest first.
    pub table: &'static [Change],
    /// The keys the newest version takes, for requests; empty: any.
    pub keys: &'static [&'static str],
}

impl Shape {
    /// The object at `place`, such as `server`.
    #[must_use]
    pub const fn one(place: &'static str, table: &'static [Change]) -> Self {
        Self {
            place,
            many: false,
            table,
            keys: &[],
        }
    }

    /// Each object of the list at `place`, such as `servers`.
    #[must_use]
    pub const fn each(place: &'static str, table: &'static [Change]) -> Self {
        Self {
            place,
            many: true,
            table,
            keys: &[],
        }
    }

    /// The keys that the newest version of a request takes; any other is refused, and so is one
    /// that the table says is not there at the requested version.
    #[must_use]
    pub const fn keys(mut self, keys: &'static [&'static str]) -> Self {
        self.keys = keys;
        self
    }

    /// Whether a reply at `version` differs from the newest shape.
    #[must_use]
    pub fn differs_at(&self, version: Version) -> bool {
        self.table.iter().any(|change| change.since > version)
    }

    /// Rewrites a newest-shape reply into the shape of `version`, and drops what was hidden.
    pub fn walk_down(&self, body: &mut Value, version: Version) {
        self.visit(body, &mut |object| {
            for change in self
                .table
                .iter()
                .rev()
                .filter(|change| change.since > version)
            {
                undo(object, change);
            }
            object.retain(|key, _| !key.starts_with('_'));
        });
    }

    /// Refuses keys of a request that `version` does not know.
    pub(crate) fn check(
        &self,
        body: &Value,
        version: Version,
        dialect: &Dialect,
    ) -> Result<(), Fault> {
        let path: Vec<String> = self.steps().map(str::to_owned).collect();
        let Some(value) = self.steps().try_fold(body, |at, key| at.get(key)) else {
            return Ok(());
        };
        let objects = match value {
            Value::Array(items) if self.many => items.as_slice(),
            one => std::slice::from_ref(one),
        };
        let keys = objects.iter().filter_map(Value::as_object);
        let keys = keys.flat_map(Object::keys).map(String::as_str);
        let unexpected: Vec<&str> = keys.filter(|key| !self.takes(key, version)).collect();
        if unexpected.is_empty() {
            return Ok(());
        }
        let mistake = Mistake::Unexpected(unexpected);
        Err((dialect.wrong)(&Wrong {
            path: &path,
            value: &crate::wrong::presentable_at(&path, value),
            mistake,
        }))
    }

    fn steps(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.place.split('.').filter(|key| !key.is_empty())
    }

    /// Drops the keys of a request that `version` does not know.
    pub fn drop_unexpected(&self, body: &mut Value, version: Version) {
        self.visit(body, &mut |object| {
            object.retain(|key, _| self.takes(key, version));
        });
    }

    fn takes(&self, key: &str, version: Version) -> bool {
        (self.keys.is_empty() || self.keys.contains(&key)) && !self.absent(key, version)
    }

    fn absent(&self, key: &str, version: Version) -> bool {
        self.table
            .iter()
            .filter(|change| change.key == key)
            .any(|change| match change.kind {
                ChangeKind::Added => change.since > version,
                ChangeKind::Removed => change.since <= version,
                ChangeKind::Rewrite(_) => false,
            })
    }

    fn visit(&self, body: &mut Value, each: &mut dyn FnMut(&mut Object)) {
        let mut at = body;
        for key in self.steps() {
            match at.get_mut(key) {
                Some(inner) => at = inner,
                None => return,
            }
        }
        match at {
            Value::Array(items) if self.many => {
                items
                    .iter_mut()
                    .filter_map(Value::as_object_mut)
                    .for_each(each);
            }
            Value::Object(object) if !self.many => each(object),
            _other_form => {}
        }
    }
}

fn undo(object: &mut Object, change: &Change) {
    match change.kind {
        ChangeKind::Added => {
            object.shift_remove(change.key);
        }
        ChangeKind::Removed => {
            if let Some(value) = object.shift_remove(&format!("_{}", change.key)) {
                object.insert(change.key.to_owned(), value);
            }
        }
        ChangeKind::Rewrite(undo) => undo(object),
    }
}

thread_local! {
    static SHOW_HIDDEN: Cell<bool> = const { Cell::new(false) };
}

/// For `#[serde(skip_serializing_if = "nephos_api::version::hide")]` on `_key` fields of a view:
/// they are written only on the way to an older shape.
pub fn hide<T>(_value: &T) -> bool {
    !SHOW_HIDDEN.get()
}

/// Serialises `view` with its hidden keys. Synchronous, so the thread-local cannot leak into another request.
///
/// # Errors
/// When a map has keys that are not text.
pub fn with_hidden<T: serde::Serialize>(view: &T) -> Result<Value, serde_json::Error> {
    SHOW_HIDDEN.set(true);
    let value = serde_json::to_value(view);
    SHOW_HIDDEN.set(false);
    value
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn as_link(object: &mut Object) {
        if let Some(id) = object.shift_remove("_flavor_id") {
            object.insert("flavor".into(), json!({ "id": id }));
        }
    }

    const TABLE: &[Change] = &[
        added(v(2, 9), "locked"),
        removed(v(2, 20), "power"),
        before(v(2, 47), "flavor", as_link),
    ];

    #[track_caller]
    fn check(version: Version, expected: Value) {
        let newest = json!({"server": {"id": 1, "locked": true, "flavor": {"ram": 1},
            "_flavor_id": "f", "_power": 3}});
        let mut body = newest;
        Shape::one("server", TABLE).walk_down(&mut body, version);
        assert_eq!(body["server"], expected, "{version}");
    }

    #[test]
    fn a_reply_walks_down_to_the_asked_version() {
        check(
            v(2, 47),
            json!({"id": 1, "locked": true, "flavor": {"ram": 1}}),
        );
        check(
            v(2, 46),
            json!({"id": 1, "locked": true, "flavor": {"id": "f"}}),
        );
        check(
            v(2, 19),
            json!({"id": 1, "locked": true, "flavor": {"id": "f"}, "power": 3}),
        );
        check(v(2, 8), json!({"id": 1, "flavor": {"id": "f"}, "power": 3}));
    }

    #[test]
    fn a_request_is_checked_against_its_version() {
        let shape = Shape::one("server", TABLE).keys(&["id", "locked", "power"]);
        let body = json!({"server": {"id": 1, "locked": 1, "power": 1, "x": 1}});
        let said = |version| {
            let dialect = Dialect::plain(|_, _| Value::Null);
            shape.check(&body, version, &dialect).unwrap_err().message
        };
        assert!(said(v(2, 8)).contains("('locked', 'x' were unexpected)"));
        assert!(said(v(2, 30)).contains("('power', 'x' were unexpected)"));
    }

    #[test]
    fn versions_compare_by_number_and_refuse_odd_forms() {
        assert!(Version::parse("2.10") > Version::parse("2.9"));
        assert_eq!(Version::literal("2.10"), v(2, 10));
        for odd in ["2", "2.", ".1", "2.01", "+2.1", "2.1 ", "a.b", "2.99999999"] {
            assert_eq!(Version::parse(odd), None, "{odd}");
        }
    }
}
