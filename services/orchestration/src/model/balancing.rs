//! Which properties of load balancers' parts go together.

use serde_json::{Map, Value};

use super::refusal::Refusal;

/// Whether they do, for a type of the load-balancing service. A property whose value is known later only is there, as null.
pub(super) fn check(kind: &str, properties: &Map<String, Value>) -> Result<(), Refusal> {
    let given = Given(properties);
    let why = match kind {
        "Listener" => given.listener(),
        "Pool" => given.pool(),
        "L7Policy" => given.policy(),
        "L7Rule" => given.rule(),
        "Quota" => given.quota(),
        _alone => None,
    };
    why.map_or(Ok(()), |why| Err(Refusal::invalid(why)))
}

struct Given<'a>(&'a Map<String, Value>);

impl Given<'_> {
    /// Whether a property is given, also where its value is not known yet.
    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn text(&self, name: &str) -> &str {
        let value = self.0.get(name).and_then(Value::as_str);
        value.unwrap_or_default()
    }

    fn listener(&self) -> Option<String> {
        let ends_tls = self.text("protocol") == "TERMINATED_HTTPS";
        (ends_tls && !self.has("default_tls_container_ref")).then(|| {
            "Property default_tls_container_ref required when protocol is TERMINATED_HTTPS."
                .to_owned()
        })
    }

    fn pool(&self) -> Option<String> {
        if !self.has("listener") && !self.has("loadbalancer") {
            return Some(none_of(&["listener", "loadbalancer"]));
        }
        let session = self.0.get("session_persistence")?.as_object()?;
        let session = Given(session);
        let named = !session.text("cookie_name").is_empty();
        match (session.text("type"), named) {
            ("APP_COOKIE", false) => Some(
                "Property cookie_name is required when session_persistence type is set to APP_COOKIE."
                    .to_owned(),
            ),
            ("SOURCE_IP", true) => Some(
                "Property cookie_name must NOT be specified when session_persistence type is set to SOURCE_IP."
                    .to_owned(),
            ),
            _fine => None,
        }
    }

    fn policy(&self) -> Option<String> {
        let (pool, url) = ("redirect_pool", "redirect_url");
        let ways = [
            ("REDIRECT_TO_POOL", pool, url),
            ("REDIRECT_TO_URL", url, pool),
        ];
        let action = self.text("action");
        if action == "REJECT" && (self.has(pool) || self.has(url)) {
            return Some(format!(
                "Properties {pool} and {url} are not required when action type is set to REJECT."
            ));
        }
        let (_, needed, other) = ways.into_iter().find(|(way, ..)| *way == action)?;
        if self.has(other) {
            let (way, ..) = ways.into_iter().find(|(_, needed, _)| *needed == other)?;
            return Some(format!(
                "{other} property should only be specified for action with value {way}."
            ));
        }
        (!self.has(needed))
            .then(|| format!("Property {needed} is required when action type is set to {action}."))
    }

    fn rule(&self) -> Option<String> {
        let keyed = matches!(self.text("type"), "HEADER" | "COOKIE");
        (keyed && !self.has("key")).then(|| {
            "Property key is missing. This property should be specified for rules of HEADER and COOKIE types."
                .to_owned()
        })
    }

    fn quota(&self) -> Option<String> {
        let limits = [
            "healthmonitor",
            "listener",
            "loadbalancer",
            "member",
            "pool",
        ];
        let none = !limits.iter().any(|name| self.has(name));
        none.then(|| none_of(&limits))
    }
}

fn none_of(names: &[&str]) -> String {
    format!(
        "At least one of the following properties must be specified: {}.",
        names.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn refused(kind: &str, properties: Value, words: &str) {
        let why = check(kind, properties.as_object().unwrap()).unwrap_err();
        assert!(why.message.contains(words), "{why}");
    }

    #[track_caller]
    fn fine(kind: &str, properties: Value) {
        assert_eq!(check(kind, properties.as_object().unwrap()), Ok(()));
    }

    #[test]
    fn what_a_listener_and_a_pool_need_is_there() {
        let tls = json!({"protocol": "TERMINATED_HTTPS"});
        refused("Listener", tls, "default_tls_container_ref required");
        fine("Listener", json!({"protocol": "HTTP"}));
        refused("Pool", json!({}), "listener, loadbalancer");
        let pool = |session: Value| json!({"listener": null, "session_persistence": session});
        fine("Pool", json!({"loadbalancer": "l"}));
        fine("Pool", pool(json!({"type": "HTTP_COOKIE"})));
        fine(
            "Pool",
            pool(json!({"type": "APP_COOKIE", "cookie_name": "c"})),
        );
        let session = json!({"type": "APP_COOKIE"});
        refused("Pool", pool(session), "cookie_name is required");
        let session = json!({"type": "SOURCE_IP", "cookie_name": "c"});
        refused("Pool", pool(session), "cookie_name must NOT be");
    }

    #[test]
    fn a_policy_says_where_its_action_leads_and_no_more() {
        fine("L7Policy", json!({"action": "REJECT"}));
        fine(
            "L7Policy",
            json!({"action": "REDIRECT_TO_POOL", "redirect_pool": null}),
        );
        for (action, given, words) in [
            (
                "REJECT",
                "redirect_url",
                "are not required when action type",
            ),
            (
                "REDIRECT_TO_POOL",
                "redirect_url",
                "redirect_url property should only be specified for action with value REDIRECT_TO_URL.",
            ),
            (
                "REDIRECT_TO_URL",
                "redirect_pool",
                "redirect_pool property should only be specified for action with value REDIRECT_TO_POOL.",
            ),
            (
                "REDIRECT_TO_URL",
                "name",
                "redirect_url is required when action type is set to REDIRECT_TO_URL",
            ),
            ("REDIRECT_TO_POOL", "name", "redirect_pool is required"),
        ] {
            refused("L7Policy", json!({"action": action, given: "x"}), words);
        }
    }

    #[test]
    fn a_rule_of_a_header_names_it_and_a_quota_sets_something() {
        refused(
            "L7Rule",
            json!({"type": "COOKIE"}),
            "Property key is missing",
        );
        fine("L7Rule", json!({"type": "COOKIE", "key": "k"}));
        fine("L7Rule", json!({"type": "PATH"}));
        refused("Quota", json!({"project": "p"}), "healthmonitor, listener");
        fine("Quota", json!({"project": "p", "pool": -1}));
    }
}
