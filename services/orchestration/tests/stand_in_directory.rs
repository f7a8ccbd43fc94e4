//! A stand-in for the identity service's projects, users and the rest, with names that are unique.

use serde_json::{Value, json};

use crate::siblings::{Answer, State, missing};
use crate::stand_ins::inside;

fn refused(code: u16, why: &str) -> Answer {
    (code, json!({"error": {"code": code, "message": why}}))
}

/// `v3/users`, where the rows of a collection are.
fn rows_of(collection: &str) -> String {
    format!("v3/{collection}")
}

impl State {
    /// Those that are there from the beginning: the project `p1` called `first`, the user `u1` called `alice`, the domain
    /// `default`, and the role `r1` called `member`.
    fn known(&self, collection: &str) -> Vec<Value> {
        let first = match collection {
            "projects" => json!({"id": "p1", "name": "first", "domain_id": "default"}),
            "users" => json!({"id": "u1", "name": "alice", "domain_id": "default"}),
            "domains" => json!({"id": "default", "name": "Default"}),
            "roles" => json!({"id": "r1", "name": "member"}),
            _none => Value::Null,
        };
        let rows = self.rows.get(&rows_of(collection));
        let made = rows.into_iter().flat_map(|rows| rows.values().cloned());
        made.chain(Some(first).filter(|first| !first.is_null()))
            .collect()
    }

    pub fn directory(
        &mut self,
        method: &str,
        (collection, rest): (&str, &[&str]),
        query: &[(String, String)],
        body: &Value,
    ) -> Answer {
        let decoded = |part: &&str| {
            let part = percent_encoding::percent_decode_str(part);
            part.decode_utf8_lossy().into_owned()
        };
        let rest: Vec<String> = rest.iter().map(decoded).collect();
        let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
        let one = collection.trim_end_matches('s');
        let all = self.known(collection);
        let taken = |name: &Value, id: &str| {
            let same = |row: &&Value| row["name"] == *name && row["id"] != *id;
            all.iter().any(|row| same(&row)) && !name.is_null()
        };
        match (method, rest.as_slice()) {
            ("GET", []) => {
                let asked = |row: &&Value| {
                    let fits = |(key, value): &(String, String)| row[key] == **value;
                    query.iter().all(fits)
                };
                let found: Vec<&Value> = all.iter().filter(asked).collect();
                (200, json!({ collection: found }))
            }
            ("POST", []) => {
                let mut row = inside(body);
                if taken(row.get("name").unwrap_or(&Value::Null), "") {
                    return refused(409, "Conflict occurred: Duplicate entry.");
                }
                let own = self.id();
                let id = row.entry("id").or_insert_with(|| json!(own));
                let id = id.as_str().unwrap().to_owned();
                let row = Value::Object(row);
                self.rows(&rows_of(collection)).insert(id, row.clone());
                (201, json!({ one: row }))
            }
            ("GET", [id]) => match all.iter().find(|row| row["id"] == **id) {
                Some(row) => (200, json!({ one: row })),
                None => missing(),
            },
            ("PATCH", [id]) => {
                let changes = inside(body);
                if changes.get("name").is_some_and(|name| taken(name, id)) {
                    return refused(409, "Conflict occurred: Duplicate entry.");
                }
                if changes.contains_key("domain_id") {
                    return refused(400, "The domain cannot be changed.");
                }
                match self.rows(&rows_of(collection)).get_mut(*id) {
                    Some(row) => {
                        row.as_object_mut().unwrap().extend(changes);
                        (200, json!({ one: row }))
                    }
                    None => missing(),
                }
            }
            ("DELETE", [id]) => {
                let rows = self.rows(&rows_of(collection));
                if collection == "domains"
                    && rows.get(*id).is_some_and(|row| row["enabled"] == true)
                {
                    return refused(403, "Cannot delete a domain that is enabled");
                }
                let gone = rows.remove(*id);
                let of = |path: &str| path.split('/').any(|part| part == *id);
                self.rows("grants").retain(|path, _| !of(path));
                self.rows("members").retain(|path, _| !of(path));
                gone.map_or_else(missing, |_| (204, Value::Null))
            }
            ("GET", [user, "groups"]) => {
                let rows = self.rows("members").keys();
                let of = rows.filter_map(|path| path.strip_suffix(&format!("/{user}")));
                let found: Vec<Value> = of.map(|group| json!({ "id": group })).collect();
                (200, json!({ "groups": found }))
            }
            (_, [group, "users", user]) => self.row(method, "members", format!("{group}/{user}")),
            (_, [place, actors, actor, "roles", role]) => {
                let path = format!("{collection}/{place}/{actors}/{actor}/roles/{role}");
                self.row(method, "grants", path)
            }
            other => panic!("identity is not asked this: {collection} {other:?}"),
        }
    }

    /// Something that is there or not.
    fn row(&mut self, method: &str, rows: &str, path: String) -> Answer {
        let rows = self.rows(rows);
        match method {
            "PUT" => drop(rows.insert(path, Value::Null)),
            "GET" if rows.contains_key(&path) => {}
            "DELETE" if rows.remove(&path).is_some() => {}
            _absent => return missing(),
        }
        (204, Value::Null)
    }
}
