//! A stand-in for the image service: images that are fetched, and those that are made of servers.

use serde_json::{Value, json};

use crate::siblings::{Answer, State, missing};
use crate::stand_ins::{in_use, refused};

impl State {
    /// An image of a server, which has its data at the second look, unless none is made of it.
    pub fn image_of(&mut self, id: &str, given: &Value) -> Answer {
        if let Some(why) = self.refuses.get("createImage") {
            return refused(400, why);
        }
        let Some(server) = self.rows("servers").get_mut(id) else {
            return missing();
        };
        if server.get("OS-EXT-STS:task_state").is_some() {
            return in_use();
        }
        server["OS-EXT-STS:task_state"] = json!("image_uploading");
        let image = self.id();
        let mut row = given["metadata"].clone();
        let more =
            json!({"id": image, "name": given["name"], "status": "saving", "instance_uuid": id});
        row.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        self.rows("images").insert(image.clone(), row);
        (202, json!({ "image_id": image }))
    }

    /// Images of a server.
    pub fn images_of(&mut self, server: &str) -> Answer {
        let of = |image: &&Value| image["instance_uuid"] == *server;
        let found: Vec<Value> = self.rows("images").values().filter(of).cloned().collect();
        (200, json!({ "images": found }))
    }

    /// Somebody has looked at an image of a server: it is done, or has come to nothing.
    fn saved(&mut self, id: &str) {
        let comes = !self.refuses.contains_key("images");
        let Some(image) = self.rows("images").get_mut(id) else {
            return;
        };
        if image["status"] != "saving" {
            return;
        }
        image["status"] = json!("active");
        let server = image["instance_uuid"].as_str().unwrap().to_owned();
        if !comes {
            self.rows("images").remove(id);
        }
        if let Some(server) = self.rows("servers").get_mut(&server) {
            server
                .as_object_mut()
                .unwrap()
                .remove("OS-EXT-STS:task_state");
        }
    }

    /// What is fetched is there at the second look.
    pub fn images(&mut self, method: &str, (id, rest): (&str, &[&str]), body: &Value) -> Answer {
        if id.is_empty() {
            let id = body["id"].as_str().unwrap().to_owned();
            let mut image = body.clone();
            image["status"] = json!("queued");
            image["tags"] = json!([]);
            self.rows("images").insert(id, image.clone());
            return (201, image);
        }
        if (method, rest) == ("DELETE", &[] as &[&str]) {
            let gone = self.rows("images").remove(id);
            return gone.map_or_else(missing, |_| (204, Value::Null));
        }
        let refused = self.refuses.get("images").cloned();
        let answer = match self.rows("images").get_mut(id) {
            Some(image) => one_image(image, (method, rest), body, refused),
            None => missing(),
        };
        self.saved(id);
        answer
    }
}

fn one_image(
    image: &mut Value,
    (method, rest): (&str, &[&str]),
    body: &Value,
    refused: Option<String>,
) -> Answer {
    match (method, rest) {
        ("GET", []) => {
            let shown = image.clone();
            if shown["status"] == "importing" {
                image["status"] = json!(if refused.is_some() {
                    "queued"
                } else {
                    "active"
                });
                if let Some(why) = refused {
                    image["os_glance_failed_import"] = json!(why);
                }
            }
            return (200, shown);
        }
        ("POST", ["import"]) => {
            image["from"] = body["method"]["uri"].clone();
            image["status"] = json!("importing");
        }
        ("PATCH", []) => {
            for change in body.as_array().unwrap() {
                let name = &change["path"].as_str().unwrap()[1..];
                let fields = image.as_object_mut().unwrap();
                match change["op"].as_str().unwrap() {
                    "remove" => drop(fields.remove(name).unwrap()),
                    op => assert_eq!(
                        fields
                            .insert(name.to_owned(), change["value"].clone())
                            .is_some(),
                        op == "replace"
                    ),
                }
            }
        }
        ("POST", ["actions", verb]) => {
            let status = if *verb == "deactivate" {
                "deactivated"
            } else {
                "active"
            };
            image["status"] = json!(status);
        }
        ("PUT", ["tags", tag]) => image["tags"].as_array_mut().unwrap().push(json!(tag)),
        ("DELETE", ["tags", tag]) => image["tags"]
            .as_array_mut()
            .unwrap()
            .retain(|known| known != tag),
        other => panic!("an image is not asked this: {other:?}"),
    }
    (200, image.clone())
}
