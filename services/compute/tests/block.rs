//! A stand-in for the block service: as much of it as compute asks for, with a state of its own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use nephos_api::{Dispatch, Request, Response};
use serde_json::{Value, json};

use crate::siblings::{Answer, Asked, Rows, answer, id, not_found};

/// The block service.
#[derive(Clone, Default)]
pub(crate) struct SimulatedBlock(Arc<Mutex<Block>>);

#[derive(Default)]
pub(crate) struct Block {
    pub volumes: Rows,
    pub snapshots: Rows,
    pub attachments: Rows,
    made: usize,
    /// The next attachment is refused like this.
    pub refuse_attachment: Option<Answer>,
    /// What volumes come to after their image is on them.
    pub fails_to_fill: bool,
    /// Connectors that were told.
    pub connectors: Vec<Value>,
}

impl SimulatedBlock {
    pub(crate) fn state(&self) -> MutexGuard<'_, Block> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A volume that is there; gives its id.
    pub(crate) fn add(&self, more: &Value) -> String {
        self.state().put(more)
    }

    pub(crate) fn status(&self, volume: &str) -> String {
        let state = self.state();
        let row = state.volumes.get(volume);
        row.map_or("gone", |row| row["status"].as_str().unwrap())
            .to_owned()
    }

    pub(crate) fn attachments(&self) -> usize {
        self.state().attachments.len()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let state = self.state();
        let names = state.volumes.values().map(|row| row["name"].as_str());
        names.map(|name| name.unwrap().to_owned()).collect()
    }
}

fn refused(status: u16, words: &str) -> Answer {
    (
        status,
        json!({"badRequest": {"code": status, "message": words}}),
    )
}

impl Block {
    fn put(&mut self, more: &Value) -> String {
        self.made += 1;
        let id = id(0xb, self.made);
        let mut row = json!({"id": id, "name": "", "status": "available", "size": 1, "bootable": "false",
            "multiattach": false, "snapshot": false});
        let more = more.as_object().cloned().unwrap_or_default();
        row.as_object_mut().unwrap().extend(more);
        self.volumes.insert(id.clone(), row);
        id
    }

    fn create(&mut self, asked: &Value) -> Answer {
        let filled = !asked["imageRef"].is_null();
        let more = json!({"name": asked["name"], "size": asked["size"], "bootable": filled.to_string(),
            "status": if filled { "downloading" } else { "available" }, "volume_type": asked["volume_type"]});
        let id = self.put(&more);
        (202, json!({"volume": self.volumes[&id]}))
    }

    /// A volume that is being filled is so at the next look.
    fn show(&mut self, id: &str) -> Answer {
        let fails = self.fails_to_fill;
        let Some(row) = self.volumes.get_mut(id) else {
            return not_found();
        };
        let shown = row.clone();
        if row["status"] == "downloading" {
            row["status"] = json!(if fails { "error" } else { "available" });
        }
        (200, json!({"volume": shown}))
    }

    fn delete(&mut self, id: &str) -> Answer {
        let Some(row) = self.volumes.get(id) else {
            return not_found();
        };
        let free = ["available", "error", "downloading"].contains(&row["status"].as_str().unwrap());
        if !free || row["snapshot"] == json!(true) {
            return refused(400, "Volume status must be available or error.");
        }
        self.volumes.remove(id);
        (202, Value::Null)
    }

    fn attach(&mut self, asked: &Value) -> Answer {
        if let Some(refusal) = self.refuse_attachment.take() {
            return refusal;
        }
        let (volume, server) = (&asked["volume_uuid"], &asked["instance_uuid"]);
        let same = |row: &&Value| row["volume_id"] == *volume && row["instance"] == *server;
        let mine: Vec<&Value> = self.attachments.values().filter(same).collect();
        if let Some(row) = mine.iter().find(|row| row["status"] != "attached") {
            return (200, json!({"attachment": row}));
        }
        let Some(row) = self.volumes.get_mut(volume.as_str().unwrap()) else {
            return not_found();
        };
        let shared = row["multiattach"] == json!(true) && row["status"] == "in-use";
        if row["status"] != "available" && !shared && mine.is_empty() {
            let words = format!(
                "Volume {volume} status must be available or downloading to reserve, but the current status is {}.",
                row["status"]
            );
            return refused(400, &words);
        }
        if row["status"] == "available" {
            row["status"] = json!("reserved");
        }
        self.made += 1;
        let id = id(0xa, self.made);
        let attachment =
            json!({"id": id, "volume_id": volume, "instance": server, "status": "reserved"});
        self.attachments.insert(id, attachment.clone());
        (200, json!({"attachment": attachment}))
    }

    fn connect(&mut self, id: &str, asked: &Value) -> Answer {
        self.connectors.push(asked["connector"].clone());
        let Some(row) = self.attachments.get_mut(id) else {
            return not_found();
        };
        row["status"] = json!("attaching");
        let path = format!("/volumes/{}", row["volume_id"].as_str().unwrap());
        row["connection_info"] = json!({"driver_volume_type": "local",
            "data": {"device_path": path, "format": "raw", "access_mode": "rw"}});
        (200, json!({"attachment": row}))
    }

    fn complete(&mut self, id: &str) -> Answer {
        let Some(row) = self.attachments.get_mut(id) else {
            return not_found();
        };
        row["status"] = json!("attached");
        let volume = row["volume_id"].as_str().unwrap().to_owned();
        self.volumes.get_mut(&volume).unwrap()["status"] = json!("in-use");
        (204, Value::Null)
    }

    fn detach(&mut self, id: &str) -> Answer {
        let Some(row) = self.attachments.remove(id) else {
            return not_found();
        };
        let of = |other: &&Value| other["volume_id"] == row["volume_id"];
        let free = self.attachments.values().find(of).is_none();
        let volume = row["volume_id"].as_str().unwrap();
        let status = if free { "available" } else { "in-use" };
        self.volumes.get_mut(volume).unwrap()["status"] = json!(status);
        (200, json!({"attachments": []}))
    }

    fn action(&mut self, id: &str, asked: &Value) -> Answer {
        let Some(row) = self.volumes.get_mut(id) else {
            return not_found();
        };
        let (from, to) = match asked.as_object().unwrap().keys().next().unwrap().as_str() {
            "os-begin_detaching" => ("in-use", "detaching"),
            "os-roll_detaching" => ("detaching", "in-use"),
            other => panic!("the block service is not asked this: {other}"),
        };
        if row["status"] != from {
            return refused(400, "Invalid volume: its status does not allow it.");
        }
        row["status"] = json!(to);
        (202, Value::Null)
    }

    fn handle(&mut self, asked: &Asked<'_>) -> Answer {
        let parts = asked.parts.get(2..).unwrap_or_default();
        match (asked.method.as_str(), parts) {
            ("POST", ["volumes"]) => self.create(&asked.body["volume"]),
            ("GET", ["volumes", "detail"]) => {
                let rows: Vec<&Value> = self.volumes.values().collect();
                let named: Vec<&Value> = rows.into_iter().filter(|row| asked.wants(row)).collect();
                (200, json!({ "volumes": named }))
            }
            ("GET", ["volumes", id]) => self.show(id),
            ("DELETE", ["volumes", id]) => self.delete(id),
            ("POST", ["volumes", id, "action"]) => self.action(id, &asked.body),
            ("GET", ["snapshots", id]) => match self.snapshots.get(*id) {
                Some(row) => (200, json!({"snapshot": row})),
                None => not_found(),
            },
            ("GET", ["attachments", id]) => match self.attachments.get(*id) {
                Some(row) => (200, json!({"attachment": row})),
                None => not_found(),
            },
            ("GET", ["attachments", id, "key"]) => match self.attachments.get(*id) {
                Some(_row) => (200, json!({"key": format!("key of {id}")})),
                None => not_found(),
            },
            ("POST", ["attachments"]) => self.attach(&asked.body["attachment"]),
            ("PUT", ["attachments", id]) => self.connect(id, &asked.body["attachment"]),
            ("POST", ["attachments", id, "action"]) => self.complete(id),
            ("DELETE", ["attachments", id]) => self.detach(id),
            other => panic!("the block service is not asked this: {other:?}"),
        }
    }
}

impl Dispatch for SimulatedBlock {
    fn dispatch(&self, request: Request) -> BoxFuture<'static, Response> {
        let this = self.clone();
        async move { answer(&request, |asked| this.state().handle(asked)) }.boxed()
    }
}
