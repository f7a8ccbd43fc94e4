//! A stand-in for load balancing. Whatever is changed is being changed, and with it all of its load balancer, which takes
//! no other change meanwhile; it is further along whenever somebody looks at it.

use serde_json::{Value, json};

use crate::siblings::{Answer, State, missing};
use crate::stand_ins::inside;

/// Where the load balancer of a part is noted.
const OF: &str = "(of)";
/// Where that is noted to whose collection it belongs.
const WITHIN: &str = "(within)";

/// What changes must not come together.
fn immutable(id: &str) -> Answer {
    let why = format!("Load Balancer {id} is immutable and cannot be updated.");
    (409, json!({"faultcode": "Client", "faultstring": why}))
}

fn invalid(why: &str) -> Answer {
    (400, json!({"faultcode": "Client", "faultstring": why}))
}

fn is_pending(thing: &Value) -> bool {
    let status = thing["provisioning_status"].as_str().unwrap_or_default();
    status.starts_with("PENDING")
}

/// What its body is called in.
fn one_of(collection: &str) -> String {
    match collection {
        "l7policies" => "l7policy".to_owned(),
        many => many.trim_end_matches('s').to_owned(),
    }
}

/// A property that names what a new part is put into, with the collection of that.
const PARENTS: [(&str, &str); 3] = [
    ("loadbalancer_id", "loadbalancers"),
    ("listener_id", "listeners"),
    ("pool_id", "pools"),
];

impl State {
    /// Load balancing as stacks use it.
    pub fn balancing(
        &mut self,
        method: &str,
        rest: &[&str],
        query: &[(String, String)],
        body: &Value,
    ) -> Answer {
        match rest {
            ["quotas", project] => self.limits(method, &[*project], body),
            [above, parent, collection, rest @ ..] => {
                if !self.rows(above).contains_key(*parent) {
                    return missing();
                }
                self.parts(
                    method,
                    (collection, rest),
                    query,
                    (body, Some((*above, *parent))),
                )
            }
            [collection, rest @ ..] => self.parts(method, (collection, rest), query, (body, None)),
            [] => missing(),
        }
    }

    fn parts(
        &mut self,
        method: &str,
        (collection, rest): (&str, &[&str]),
        query: &[(String, String)],
        (body, within): (&Value, Option<(&str, &str)>),
    ) -> Answer {
        let one = one_of(collection);
        match (method, rest) {
            ("POST", []) => self.begin_part(collection, body, within),
            ("GET", []) => {
                let wants = |thing: &&Value| {
                    let fits = |(key, value): &(String, String)| match key.as_str() {
                        "fields" => true,
                        "tags" => thing["tags"].as_array().unwrap().contains(&json!(value)),
                        key => thing[key] == **value,
                    };
                    within.is_none_or(|(_, id)| thing[WITHIN] == id) && query.iter().all(fits)
                };
                let rows = self.rows(collection).values();
                let found: Vec<Value> = rows.filter(wants).cloned().collect();
                (200, json!({ (collection): found }))
            }
            ("GET", [id]) => match self.look_at_part(collection, id) {
                Some(thing) => (200, json!({ (one): thing })),
                None => missing(),
            },
            ("PUT", [id]) => {
                if let Some(answer) = self.held_up(collection, id) {
                    return answer;
                }
                let changes = inside(body);
                let thing = self.rows(collection).get_mut(*id).unwrap();
                thing.as_object_mut().unwrap().extend(changes);
                self.mark((collection, *id), "PENDING_UPDATE");
                (200, json!({ (one): self.rows(collection)[*id] }))
            }
            ("DELETE", [id]) => {
                if let Some(answer) = self.held_up(collection, id) {
                    return answer;
                }
                let parts = ["listeners", "pools"];
                let of = |thing: &Value| thing[OF] == **id;
                if collection == "loadbalancers"
                    && parts.iter().any(|many| self.rows(many).values().any(of))
                {
                    return invalid("Cannot delete Load Balancer - it has children");
                }
                self.mark((collection, *id), "PENDING_DELETE");
                (204, Value::Null)
            }
            other => panic!("load balancing is not asked this: {other:?}"),
        }
    }

    fn begin_part(
        &mut self,
        collection: &str,
        body: &Value,
        within: Option<(&str, &str)>,
    ) -> Answer {
        if let Some(why) = self.refuses.get(collection) {
            return invalid(&why.clone());
        }
        let id = self.id();
        let mut thing = json!({"name": "", "tags": []});
        thing.as_object_mut().unwrap().extend(inside(body));
        thing["id"] = json!(id);
        let named = PARENTS
            .iter()
            .find_map(|(field, many)| Some((*many, thing.get(*field)?.as_str()?.to_owned())));
        let parent = within.map(|(many, id)| (many, id.to_owned())).or(named);
        if let Some((many, above)) = parent {
            let Some(parent) = self.rows(many).get(&above) else {
                return missing();
            };
            let of = parent.get(OF).unwrap_or(&parent["id"]).clone();
            let of = of.as_str().unwrap().to_owned();
            if let Some(answer) = self.under_way(&of) {
                return answer;
            }
            if collection == "pools" && many == "listeners" {
                self.rows(many).get_mut(&above).unwrap()["default_pool_id"] = json!(id);
            }
            thing[OF] = json!(of);
            thing[WITHIN] = json!(above);
        } else {
            thing["vip_port_id"] = json!("the-port");
            thing["vip_address"] = json!("10.0.0.9");
        }
        self.rows(collection).insert(id.clone(), thing);
        self.mark((collection, &id), "PENDING_CREATE");
        (
            201,
            json!({ (one_of(collection)): self.rows(collection)[&id] }),
        )
    }

    /// Refuses a change while another is not done.
    fn held_up(&mut self, collection: &str, id: &str) -> Option<Answer> {
        let Some(thing) = self.rows(collection).get(id) else {
            return Some(missing());
        };
        let of = thing
            .get(OF)
            .unwrap_or(&thing["id"])
            .as_str()
            .unwrap()
            .to_owned();
        self.under_way(&of)
    }

    /// Refuses while a load balancer is being changed; when it is asked again, it is not any more.
    fn under_way(&mut self, of: &str) -> Option<Answer> {
        let balancer = self.rows("loadbalancers").get_mut(of)?;
        if !is_pending(balancer) {
            return None;
        }
        if balancer["provisioning_status"] != "PENDING_DELETE" {
            balancer["provisioning_status"] = json!("ACTIVE");
        }
        Some(immutable(of))
    }

    /// Something is being done to a thing, and so to its load balancer.
    fn mark(&mut self, (collection, id): (&str, &str), status: &str) {
        let thing = self.rows(collection).get_mut(id).unwrap();
        thing["provisioning_status"] = json!(status);
        let of = thing.get(OF).and_then(Value::as_str).map(str::to_owned);
        if let Some(of) = of
            && let Some(balancer) = self.rows("loadbalancers").get_mut(&of)
        {
            balancer["provisioning_status"] = json!("PENDING_UPDATE");
        }
    }

    /// A thing as it is, which is further along afterwards.
    fn look_at_part(&mut self, collection: &str, id: &str) -> Option<Value> {
        let fails = self.refuses.contains_key(&format!("error-{collection}"));
        let mut shown = self.rows(collection).get(id)?.clone();
        let of = shown.get(OF).unwrap_or(&shown["id"]).as_str()?.to_owned();
        if is_pending(&shown) {
            let deleted = shown["provisioning_status"] == "PENDING_DELETE";
            let end = if fails { "ERROR" } else { "ACTIVE" };
            if deleted && !fails {
                self.rows(collection).remove(id);
            } else {
                self.rows(collection).get_mut(id)?["provisioning_status"] = json!(end);
            }
            if let Some(balancer) = self.rows("loadbalancers").get_mut(&of)
                && balancer["id"] != *id
            {
                balancer["provisioning_status"] = json!("ACTIVE");
            }
        }
        let mut of_this = |many: &str| -> Vec<Value> {
            let rows = self.rows(many).values();
            let here = rows.filter(|part| part[WITHIN] == *id || part[OF] == *id);
            here.map(|part| json!({"id": part["id"]})).collect()
        };
        match collection {
            "loadbalancers" => shown["pools"] = json!(of_this("pools")),
            "pools" => shown["members"] = json!(of_this("members")),
            "l7policies" => shown["rules"] = json!(of_this("rules")),
            "listeners" => shown["loadbalancers"] = json!([{"id": of}]),
            _alone => {}
        }
        let fields = shown.as_object_mut()?;
        fields.retain(|name, _| !name.starts_with('('));
        Some(shown)
    }
}
