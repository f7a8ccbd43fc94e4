//! Back ends, and which one a new volume goes to.

use std::collections::BTreeMap;

use nephos_types::Timestamp;

use super::volume::gib_bytes;

/// A back end that has not reported for so long counts as down.
pub(crate) const DOWN_SECS: i64 = 60;

/// A back end as it was last reported.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Backend {
    pub name: String,
    pub id: String,
    pub host: String,
    pub zone: String,
    pub folder: String,
    pub portal: Option<String>,
    pub reflink: bool,
    pub total_bytes: u64,
    pub free_bytes: u64,
    pub disabled: bool,
    pub disabled_reason: Option<String>,
    pub frozen: bool,
    pub reported_at: Timestamp,
    /// What its volumes may grow to together.
    pub provisioned_gib: i64,
}

impl Backend {
    /// `host@backend`, the service's name.
    pub(crate) fn service_host(&self) -> String {
        format!("{}@{}", self.host, self.name)
    }

    /// `host@backend#pool`, the only pool's name.
    pub(crate) fn pool(&self) -> String {
        format!("{}@{}#{}", self.host, self.name, self.name)
    }

    pub(crate) fn is_up(&self, now: Timestamp) -> bool {
        self.reported_at.plus_secs(DOWN_SECS) >= now
    }
}

/// What a volume wants of its back end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish<'a> {
    pub size_gib: i64,
    pub zone: Option<&'a str>,
    pub specs: Option<&'a BTreeMap<String, String>>,
    /// The only one that will do, because its source is there.
    pub only: Option<&'a str>,
}

/// The back end with the most room of those that will do, or why none does, one reason for each.
pub(crate) fn choose<'a>(
    backends: &'a [Backend],
    wish: &Wish<'_>,
    now: Timestamp,
) -> Result<&'a Backend, String> {
    let mut reasons = Vec::new();
    let mut best: Option<&Backend> = None;
    for backend in backends {
        match refusal(backend, wish, now) {
            Some(why) => reasons.push(format!("{}: {why}", backend.name)),
            None if best.is_none_or(|best| backend.free_bytes > best.free_bytes) => {
                best = Some(backend)
            }
            None => {}
        }
    }
    best.ok_or_else(|| match reasons.as_slice() {
        [] => "there is no back end".to_owned(),
        some => some.join("; "),
    })
}

fn refusal(backend: &Backend, wish: &Wish<'_>, now: Timestamp) -> Option<String> {
    if wish.only.is_some_and(|only| only != backend.name) {
        return Some("its source is elsewhere".to_owned());
    }
    if backend.disabled {
        return Some("it is disabled".to_owned());
    }
    if !backend.is_up(now) {
        return Some("it is down".to_owned());
    }
    if wish.zone.is_some_and(|zone| zone != backend.zone) {
        return Some(format!("it is in zone {}", backend.zone));
    }
    for (key, value) in wish.specs.into_iter().flatten() {
        if !satisfies(backend, key, value) {
            return Some(format!("it is not {key}={value}"));
        }
    }
    if gib_bytes(wish.size_gib) > backend.free_bytes {
        let free = backend.free_bytes >> 30;
        return Some(format!("it has {free} GiB free"));
    }
    None
}

/// Whether a back end has what an extra spec asks for; specs with another prefix than `capabilities` are not for it.
fn satisfies(backend: &Backend, key: &str, value: &str) -> bool {
    let name = match key.split_once(':') {
        Some(("capabilities", name)) => name,
        Some(_scoped) => return true,
        None => key,
    };
    match name {
        "volume_backend_name" => value == backend.name,
        "storage_protocol" => matches!(value, "file" | "iSCSI"),
        "vendor_name" => value == "Nephos",
        // The service itself gives these.
        "multiattach" => matches!(value, "<is> True" | "<is> False"),
        _unknown => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backend(name: &str, free_gib: u64) -> Backend {
        Backend {
            name: name.to_owned(),
            id: String::new(),
            host: "h".to_owned(),
            zone: "nova".to_owned(),
            folder: "/f".to_owned(),
            portal: None,
            reflink: false,
            total_bytes: 100 << 30,
            free_bytes: free_gib << 30,
            disabled: false,
            disabled_reason: None,
            frozen: false,
            reported_at: Timestamp(0),
            provisioned_gib: 0,
        }
    }

    #[track_caller]
    fn check(wish: &Wish<'_>, expected: Result<&str, &str>) {
        let mut off = backend("off", 99);
        off.disabled = true;
        let all = [backend("a", 10), backend("b", 20), off];
        let chosen = choose(&all, wish, Timestamp(0)).map(|backend| backend.name.as_str());
        match (chosen, expected) {
            (Ok(chosen), Ok(expected)) => assert_eq!(chosen, expected),
            (Err(why), Err(expected)) => assert!(why.contains(expected), "{why}"),
            (chosen, expected) => panic!("{chosen:?} is not {expected:?}"),
        }
    }

    #[test]
    fn the_one_with_most_room_of_those_that_will_do() {
        let spec = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
        check(
            &Wish {
                size_gib: 1,
                ..Wish::default()
            },
            Ok("b"),
        );
        check(
            &Wish {
                size_gib: 25,
                ..Wish::default()
            },
            Err("b: it has 20 GiB free"),
        );
        check(
            &Wish {
                zone: Some("mars"),
                ..Wish::default()
            },
            Err("it is in zone nova"),
        );
        check(
            &Wish {
                only: Some("a"),
                ..Wish::default()
            },
            Ok("a"),
        );
        let named = spec("volume_backend_name", "a");
        check(
            &Wish {
                specs: Some(&named),
                ..Wish::default()
            },
            Ok("a"),
        );
        let scoped = spec("capabilities:volume_backend_name", "c");
        check(
            &Wish {
                specs: Some(&scoped),
                ..Wish::default()
            },
            Err("it is not"),
        );
        let other = spec("hw:x", "y");
        check(
            &Wish {
                specs: Some(&other),
                ..Wish::default()
            },
            Ok("b"),
        );
        assert!(choose(&[], &Wish::default(), Timestamp(0)).is_err());
    }
}
