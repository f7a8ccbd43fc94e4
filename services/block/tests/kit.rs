//! A cloud with a block storage service, and verbs to arrange things in it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{HeaderMap, StatusCode};
use nephos_api::{App, Dispatch, Incoming, Payload, Request, Response};
use nephos_block::{Block, Config};
use nephos_peer::Transport;

use crate::objects::Objects;
use nephos_testkit::{Ask, Persona, World};
use serde_json::{Value, json};

/// The newest version, which everything here speaks unless it says otherwise.
pub const NEWEST: &str = "volume 3.67";
/// A server somewhere.
pub const SERVER: &str = "71c675ab-d94f-49cd-a114-e12490b328d9";

/// A cloud with a block storage service.
pub struct Cloud {
    pub world: World,
    pub block: Arc<Block>,
    pub ask: Ask,
    pub images: Images,
    /// The compute service, as much of it as volumes need.
    pub compute: Compute,
    /// The object service, likewise.
    pub objects: Objects,
    config: Config,
}

/// As much of the image service as volumes need: an image by its id, and its bytes.
#[derive(Clone, Default)]
pub struct Images(Arc<Mutex<Vec<(Value, Bytes)>>>, Arc<AtomicBool>);

impl Images {
    pub fn add(&self, image: Value, bytes: &[u8]) {
        let mut image = image;
        image["size"] = json!(bytes.len());
        self.0
            .lock()
            .unwrap()
            .push((image, Bytes::copy_from_slice(bytes)));
    }
}

impl Images {
    /// Bytes that are sent from now on are refused.
    pub fn refuse(&self) {
        self.1.store(true, Ordering::Relaxed);
    }

    /// What is known of all images, without those that were there at first.
    pub fn made(&self) -> Vec<(Value, Bytes)> {
        let images = self.0.lock().unwrap();
        let made = images.iter().filter(|(image, _)| image["id"] != IMAGE);
        made.cloned().collect()
    }

    /// An image without bytes.
    fn make(&self, body: &[u8]) -> Response {
        let mut image: Value = serde_json::from_slice(body).unwrap();
        image["id"] = json!(nephos_runtime::ids::uuid().to_string());
        image["status"] = json!("queued");
        self.0.lock().unwrap().push((image.clone(), Bytes::new()));
        respond(201, image.to_string().into())
    }

    /// The bytes of one that has none yet.
    async fn take(self, request: Request) -> Response {
        let mut all = Vec::new();
        match request.body {
            Incoming::Bytes(bytes) => all.extend_from_slice(&bytes),
            Incoming::Stream(mut chunks) => {
                while let Some(Ok(Some(chunk))) = chunks.recv().await {
                    all.extend_from_slice(&chunk);
                }
            }
        }
        if self.1.load(Ordering::Relaxed) {
            return respond(413, Bytes::from_static(b"{}"));
        }
        let mut images = self.0.lock().unwrap();
        let found = images
            .iter_mut()
            .find(|(image, _)| request.path.contains(image["id"].as_str().unwrap()));
        let Some((image, bytes)) = found else {
            return respond(404, Bytes::from_static(b"{}"));
        };
        if image["status"] != "queued" {
            return respond(409, Bytes::from_static(b"{}"));
        }
        image["status"] = json!("active");
        *bytes = all.into();
        respond(204, Bytes::new())
    }
}

pub fn respond(status: u16, body: Bytes) -> Response {
    Response {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        body: Payload::Bytes(body),
    }
}

impl Dispatch for Images {
    fn dispatch(&self, request: Request) -> BoxFuture<'static, Response> {
        match (request.method.as_str(), &request.body) {
            ("POST", Incoming::Bytes(body)) => {
                return std::future::ready(self.make(body)).boxed();
            }
            ("PUT", _) => return self.clone().take(request).boxed(),
            ("DELETE", _) => {
                let gone = |image: &Value| request.path.contains(image["id"].as_str().unwrap());
                self.0.lock().unwrap().retain(|(image, _)| !gone(image));
                return std::future::ready(respond(204, Bytes::new())).boxed();
            }
            _reads => {}
        }
        let images = self.0.lock().unwrap();
        let found = images
            .iter()
            .find(|(image, _)| request.path.contains(image["id"].as_str().unwrap()));
        let (status, body) = match found {
            Some((_, bytes)) if request.path.ends_with("/file") => (200, bytes.clone()),
            Some((image, _)) => (200, image.to_string().into()),
            None => (404, Bytes::from_static(b"{}")),
        };
        std::future::ready(respond(status, body)).boxed()
    }
}

/// Is told of volumes, and says by which attachment its server uses one.
#[derive(Clone, Default)]
pub struct Compute {
    pub told: Arc<Mutex<Vec<String>>>,
    /// What happens elsewhere while it is told something, once.
    pub meanwhile: Arc<Mutex<Option<BoxFuture<'static, ()>>>>,
    pub uses: Arc<Mutex<Option<String>>>,
}

impl Dispatch for Compute {
    fn dispatch(&self, request: Request) -> BoxFuture<'static, Response> {
        let response = match (request.method.as_str(), &request.body) {
            ("GET", _) => match self.uses.lock().unwrap().as_deref() {
                Some(id) => {
                    let body = json!({"volumeAttachment": {"attachment_id": id}});
                    respond(200, body.to_string().into())
                }
                None => respond(404, Bytes::from_static(b"{}")),
            },
            (_, Incoming::Bytes(bytes)) => {
                let text = String::from_utf8_lossy(bytes).into_owned();
                self.told.lock().unwrap().push(text);
                if let Some(meanwhile) = self.meanwhile.lock().unwrap().take() {
                    let answer = respond(200, Bytes::from_static(b"{}"));
                    return meanwhile.map(|()| answer).boxed();
                }
                respond(200, Bytes::from_static(b"{}"))
            }
            _streams => respond(400, Bytes::from_static(b"{}")),
        };
        std::future::ready(response).boxed()
    }
}

pub async fn cloud() -> Cloud {
    cloud_with(|_config| {}).await
}

/// Two back ends, `one` and `two`, and whatever `change` makes of the configuration.
pub async fn cloud_with(change: impl FnOnce(&mut Config)) -> Cloud {
    let world = World::new();
    let mut config = Config {
        folder: world.folder().join("volumes"),
        backends: vec!["one".to_owned(), "two".to_owned()],
        reserved_bytes: 0,
        host: "here".to_owned(),
        ..Config::default()
    };
    change(&mut config);
    let siblings = (Images::default(), Compute::default(), Objects::default());
    start(world, config, siblings).await
}

async fn start(
    world: World,
    config: Config,
    (images, compute, objects): (Images, Compute, Objects),
) -> Cloud {
    let core = world.core::<Block>().await;
    world
        .directory
        .set("image", Transport::Local(Arc::new(images.clone())));
    world
        .directory
        .set("compute", Transport::Local(Arc::new(compute.clone())));
    world
        .directory
        .set("object", Transport::Local(Arc::new(objects.clone())));
    let block = Block::new(core, world.peers().await, world.bus.clone(), config.clone())
        .expect("a block service");
    let block = Arc::new(block);
    block.take_over();
    block.bootstrap().await.expect("the first things");
    let app: App<Block> = world.app(Arc::clone(&block));
    let ask = world.ask(&app).at(NEWEST);
    Cloud {
        world,
        block,
        ask,
        images,
        compute,
        objects,
        config,
    }
}

impl Cloud {
    /// The same cloud after the process was killed and started again.
    pub async fn restarted(self) -> Self {
        self.restarted_with(|_config| {}).await
    }

    /// Likewise, with whatever `change` makes of the configuration.
    pub async fn restarted_with(self, change: impl FnOnce(&mut Config)) -> Self {
        let Self {
            world,
            mut config,
            images,
            compute,
            objects,
            ..
        } = self;
        change(&mut config);
        start(world, config, (images, compute, objects)).await
    }

    pub fn member(&self) -> Ask {
        self.ask.as_persona(Persona::Member)
    }

    pub fn admin(&self) -> Ask {
        self.ask.as_persona(Persona::Admin)
    }

    pub fn other(&self) -> Ask {
        self.ask.as_persona(Persona::OtherProject)
    }

    pub fn service(&self) -> Ask {
        self.ask.as_persona(Persona::Service)
    }

    /// The account of the compute service.
    pub fn compute_account(&self) -> Ask {
        let now = self.world.clock.now();
        let caller = nephos_auth::Caller {
            user_name: "nova".to_owned(),
            issued_at: now,
            expires_at: now.plus_secs(3600),
            audit_ids: vec!["audit-nova".to_owned()],
            ..Persona::Service.caller().unwrap()
        };
        self.ask.with_token(&self.world.sign(&caller))
    }

    /// Makes chains of layers as short as they can be.
    pub async fn shorten(&self) {
        // One after the other: what stood on a layer is above the next one then.
        for _layer in 0..4 {
            self.block.shorten().await.unwrap();
            self.settle().await;
        }
    }

    /// Does all durable work that is due.
    pub async fn settle(&self) {
        let worker = self.block.worker();
        worker.take_over().await.expect("leases");
        worker
            .settle(Duration::from_secs(20))
            .await
            .expect("durable work");
        self.block.look().await.expect("housekeeping");
    }

    /// Names of all files in all back ends.
    pub fn files(&self) -> Vec<String> {
        let mut names = Vec::new();
        for backend in &self.config.backends {
            for file in std::fs::read_dir(self.config.folder.join(backend)).expect("a back end") {
                names.push(
                    file.expect("a file")
                        .file_name()
                        .to_string_lossy()
                        .into_owned(),
                );
            }
        }
        names.sort();
        names
    }

    /// Where a file of this name is.
    pub fn file(&self, name: &str) -> PathBuf {
        let mut folders = self
            .config
            .backends
            .iter()
            .map(|backend| self.config.folder.join(backend));
        folders
            .find(|folder| folder.join(name).exists())
            .expect("a folder with the file")
            .join(name)
    }

    /// Writes into a volume's file, as a server would that has it.
    pub fn write(&self, volume: &str, at: u64, bytes: &[u8]) {
        let path = self.file(&format!("volume-{volume}"));
        let script = format!("write -q -s /dev/stdin {at} {}", bytes.len());
        let mut child = std::process::Command::new("qemu-io")
            .args(["-f", self.format(&path), "-c", &script])
            .arg(&path)
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("qemu-io");
        std::io::Write::write_all(child.stdin.as_mut().unwrap(), bytes).unwrap();
        assert!(child.wait().unwrap().success());
    }

    /// What a server would read there.
    pub fn read(&self, volume: &str, at: u64, length: usize) -> Vec<u8> {
        let path = self.file(&format!("volume-{volume}"));
        let out = self.world.folder().join("read");
        let done = std::process::Command::new("qemu-img")
            .args(["convert", "-O", "raw", "-f", self.format(&path)])
            .args([&path, &out])
            .status()
            .expect("qemu-img");
        assert!(done.success());
        let mut file = std::fs::File::open(&out).unwrap();
        std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(at)).unwrap();
        let mut bytes = vec![0; length];
        std::io::Read::read_exact(&mut file, &mut bytes).unwrap();
        bytes
    }

    fn format(&self, path: &std::path::Path) -> &'static str {
        let mut begin = [0; 4];
        let read = std::fs::File::open(path)
            .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut begin));
        match read {
            Ok(()) if &begin == b"QFI\xfb" => "qcow2",
            _raw => "raw",
        }
    }

    /// A member's backup, made.
    pub async fn backup(&self, body: Value) -> String {
        let answer = self
            .member()
            .post("/v3/backups", json!({ "backup": body }))
            .await;
        let id = answer.expect(202).json["backup"]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        self.settle().await;
        // The newest is what the next one builds on.
        self.world.clock.advance(Duration::from_secs(1));
        id
    }

    pub async fn show_backup(&self, id: &str) -> Value {
        let answer = self.member().get(&format!("/v3/backups/{id}")).await;
        answer.expect(200).json["backup"].clone()
    }

    /// A member's volume of 1 GiB, made.
    pub async fn volume(&self) -> String {
        self.volume_of(json!({"size": 1})).await
    }

    pub async fn volume_of(&self, body: Value) -> String {
        let id = created(&self.member(), body).await;
        self.settle().await;
        id
    }

    pub async fn snapshot(&self, volume: &str) -> String {
        let answer = self
            .member()
            .post(
                "/v3/snapshots",
                json!({"snapshot": {"volume_id": volume, "name": "s"}}),
            )
            .await;
        let id = answer.expect(202).json["snapshot"]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        self.settle().await;
        id
    }

    pub async fn show(&self, id: &str) -> Value {
        let answer = self.member().get(&format!("/v3/volumes/{id}")).await;
        answer.expect(200).json["volume"].clone()
    }

    pub async fn status(&self, id: &str) -> String {
        self.show(id).await["status"].as_str().unwrap().to_owned()
    }

    pub async fn usage(&self) -> (i64, i64, i64) {
        let answer = self.member().get("/v3/limits").await.expect(200).json;
        let of = |key: &str| answer["limits"]["absolute"][key].as_i64().unwrap();
        (
            of("totalVolumesUsed"),
            of("totalSnapshotsUsed"),
            of("totalGigabytesUsed"),
        )
    }

    /// Attached to a server of this machine.
    pub async fn attached(&self, volume: &str) -> String {
        let body = json!({"attachment": {"volume_uuid": volume, "instance_uuid": SERVER, "connector": connector("here")}});
        let answer = self
            .member()
            .post("/v3/attachments", body)
            .await
            .expect(200)
            .json;
        let id = answer["attachment"]["id"].as_str().unwrap().to_owned();
        let action = format!("/v3/attachments/{id}/action");
        self.member()
            .post(&action, json!({"os-complete": null}))
            .await
            .expect(204);
        id
    }
}

pub fn connector(host: &str) -> Value {
    json!({
        "host": host, "initiator": "iqn.1993-08.org.debian:01:x", "ip": "127.0.0.1", "platform": "x86_64",
        "os_type": "linux", "multipath": false, "mountpoint": "/dev/vdb",
    })
}

pub async fn created(ask: &Ask, body: Value) -> String {
    let answer = ask.post("/v3/volumes", json!({ "volume": body })).await;
    answer.expect(202).json["volume"]["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// The message of a refusal.
pub fn message(json: &Value) -> &str {
    let inner = json
        .as_object()
        .and_then(|object| object.values().next())
        .expect("a fault");
    inner["message"].as_str().expect("a message")
}

/// The id of an image that can be had.
pub const IMAGE: &str = "0b6a2a8e-0000-4000-8000-000000000001";

/// A raw image of these bytes.
pub fn image(cloud: &Cloud, bytes: &[u8]) {
    let image = json!({
        "id": IMAGE, "name": "im", "status": "active", "disk_format": "raw", "container_format": "bare",
        "os_hash_value": "abc", "os_distro": "x",
    });
    cloud.images.add(image, bytes);
}
