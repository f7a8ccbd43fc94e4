//! A libvirtd of the test's own, an agent that works with it, and images to boot.
//!
//! Whatever way the test's process ends, its libvirtd and guests end too: they live as long as a pipe that it holds.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use nephos_runtime::{Clock, Shutdown, Task, ids};
use sha2::{Digest as _, Sha512};

use super::super::{LibvirtDriver, Settings, VirtType};
use crate::agent::{self, Agent, DesiredServers, Word};
use crate::driver::{Answer, Driver as _, DriverError, Found, ImageBytes, ImageSource};
use crate::model::spec::{
    Boot, ConfigDrive, ConsoleSpec, FileContent, GuestState, HashAlgo, ImageHash, ImageSpec,
    Labels, ObservedServer, PortSpec, Progress, ServerId, ServerSpec, Size, Want,
};

/// Longer than anything takes on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy")
}

/// virtlogd and libvirtd, apart from the machine's.
pub struct Libvirt {
    pub dir: PathBuf,
    pub uri: String,
    keeper: Child,
}

impl Libvirt {
    /// In a directory of its own, which may be there already.
    pub fn place() -> PathBuf {
        let name = ids::hex();
        PathBuf::from(format!("/tmp/nephos-{}", &name[..12]))
    }

    pub fn start(dir: PathBuf) -> Self {
        let mut keeper = Command::new(deploy().join("private-libvirt"))
            .arg("run")
            .arg(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut uri = String::new();
        BufReader::new(keeper.stdout.take().unwrap())
            .read_line(&mut uri)
            .unwrap();
        assert!(uri.starts_with("qemu:"), "libvirt did not start: {uri}");
        Self {
            dir,
            uri: uri.trim().to_owned(),
            keeper,
        }
    }

    /// As if libvirtd crashed.
    pub fn kill(&self) {
        let pid = std::fs::read_to_string(self.dir.join("libvirtd.pid")).unwrap();
        sh(&format!("kill -9 {pid}"));
    }

    pub fn start_again(&self) {
        let script = deploy().join("private-libvirt");
        sh(&format!(
            "{} start {}",
            script.display(),
            self.dir.display()
        ));
    }

    /// The processes of its guests, by domain name.
    pub fn guests(&self) -> BTreeMap<String, i32> {
        let mut guests = BTreeMap::new();
        for entry in std::fs::read_dir(self.dir.join("run/qemu"))
            .unwrap()
            .flatten()
        {
            let name = entry.file_name().into_string().unwrap();
            if let Some(name) = name
                .strip_suffix(".pid")
                .filter(|name| name.starts_with("nephos-"))
            {
                let pid = std::fs::read_to_string(entry.path()).unwrap();
                guests.insert(name.to_owned(), pid.trim().parse().unwrap());
            }
        }
        guests
    }

    pub fn virsh(&self, words: &str) -> String {
        sh(&format!("virsh -c '{}' {words}", self.uri))
    }
}

impl Drop for Libvirt {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ended = self.keeper.wait();
    }
}

/// Runs a shell command that must succeed.
#[track_caller]
pub fn sh(line: &str) -> String {
    let done = Command::new("sh").args(["-c", line]).output().unwrap();
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{line}: {errors}");
    String::from_utf8(done.stdout).unwrap()
}

/// A tap as the network agent makes it; it goes with the test.
pub struct Tap(pub PortSpec);

impl Tap {
    pub fn spec() -> PortSpec {
        let port_id = ids::uuid().to_string().into();
        let bytes = ids::hex();
        PortSpec {
            tap: PortSpec::tap_name(&port_id),
            port_id,
            mac: format!(
                "fa:16:3e:{}:{}:{}",
                &bytes[0..2],
                &bytes[2..4],
                &bytes[4..6]
            ),
            mtu: 1450,
        }
    }

    pub fn make(port: PortSpec) -> Self {
        sh(&format!(
            "ip tuntap add dev {0} mode tap && ip link set {0} up",
            port.tap
        ));
        Self(port)
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        let _gone = Command::new("ip")
            .args(["link", "del", &self.0.tap])
            .output();
    }
}

/// Images in memory.
#[derive(Default)]
pub struct Shelf(pub BTreeMap<String, Vec<Bytes>>);

impl Shelf {
    pub fn put(&mut self, format: &str, content: Vec<u8>) -> ImageSpec {
        let id = ids::uuid().to_string();
        let image = ImageSpec {
            id: id.as_str().into(),
            hash: ImageHash {
                algo: HashAlgo::Sha512,
                value: hex::encode(Sha512::digest(&content)),
            },
            size_bytes: content.len().try_into().unwrap(),
            disk_format: format.to_owned(),
        };
        let chunks = content.chunks(65_536).map(Bytes::copy_from_slice).collect();
        self.0.insert(id, chunks);
        image
    }
}

impl ImageSource for Shelf {
    fn open<'a>(&'a self, image: &'a ImageSpec) -> Answer<'a, ImageBytes> {
        let chunks = self.0.get(image.id.as_str()).cloned();
        async move {
            let chunks =
                chunks.ok_or_else(|| DriverError::Failed("there is no such image".to_owned()))?;
            Ok(futures_util::stream::iter(chunks.into_iter().map(Ok)).boxed())
        }
        .boxed()
    }
}

/// A disk that nothing boots from: the guest is as real as any, and as good as asleep.
pub fn blank(shelf: &mut Shelf) -> ImageSpec {
    shelf.put("raw", vec![0; 1 << 20])
}

/// The image that `deploy/` builds.
pub fn guest_image(shelf: &mut Shelf) -> ImageSpec {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guest-image/guest.qcow2");
    let build = deploy().join("guest-image/build");
    sh(&format!("{} {}", build.display(), path.display()));
    shelf.put("qcow2", std::fs::read(path).unwrap())
}

pub fn spec(image: &ImageSpec, ports: &[PortSpec]) -> ServerSpec {
    ServerSpec {
        server_id: ids::uuid().to_string().into(),
        generation: 1,
        want: Want::Running,
        stop_timeout_secs: 60,
        reboot: None,
        size: Size {
            vcpus: 1,
            ram_mib: 128,
            disk_gib: 1,
        },
        boot: Boot {
            image: Some(image.clone()),
            kernel: None,
        },
        disk_epoch: 0,
        disk: crate::model::disk::DiskWish::default(),
        volumes: Vec::new(),
        ports: ports.to_vec(),
        config_drive: None,
        console: ConsoleSpec::default(),
        guest_agent: false,
        live: None,
        labels: Labels {
            name: "it's <a> & \"b\"".to_owned(),
            project_id: "p".to_owned(),
            ..Labels::default()
        },
    }
}

pub fn config_drive(files: &[(&str, &str)]) -> Option<ConfigDrive> {
    let files = files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), FileContent(text.as_bytes().to_vec())));
    Some(ConfigDrive {
        files: files.collect(),
    })
}

/// One host: its directory outlives the agents that work on it.
pub struct Host {
    pub libvirt: Libvirt,
    pub state: PathBuf,
    pub shelf: Arc<Shelf>,
    pub clock: Clock,
    working: Option<Working>,
    revision: i64,
}

struct Working {
    driver: Arc<LibvirtDriver>,
    agent: Agent,
    task: Task,
}

impl Host {
    pub async fn start(shelf: Shelf) -> Self {
        Self::start_in(Libvirt::place(), shelf).await
    }

    pub async fn start_in(dir: PathBuf, shelf: Shelf) -> Self {
        let libvirt = Libvirt::start(dir);
        let state = libvirt.dir.join("state");
        let mut host = Self {
            libvirt,
            state,
            shelf: Arc::new(shelf),
            clock: Clock::system(),
            working: None,
            revision: 0,
        };
        host.start_agent().await;
        host
    }

    pub async fn open(&self) -> Result<LibvirtDriver, DriverError> {
        let settings = Settings {
            uri: self.libvirt.uri.clone(),
            host: "here".to_owned(),
            state_dir: self.state.clone(),
            virt_type: Some(VirtType::Qemu),
            probe: (PathBuf::from("/bin/false"), Vec::new()),
            console_address: "127.0.0.1".to_owned(),
            guests_address: std::net::Ipv4Addr::LOCALHOST.into(),
            run_as: None,
            lanes: 4,
        };
        let source: Arc<dyn ImageSource> = Arc::<Shelf>::clone(&self.shelf);
        LibvirtDriver::open(settings, source, self.clock.clone()).await
    }

    /// A new process, as far as the host can tell.
    pub async fn start_agent(&mut self) {
        self.stop_agent().await;
        let driver = Arc::new(self.open().await.unwrap());
        let settings = agent::Settings {
            orphan_grace: Duration::from_secs(1),
            look_again: Duration::from_secs(5),
            ..agent::Settings::default()
        };
        let agent = Agent::new(
            Arc::<LibvirtDriver>::clone(&driver),
            self.clock.clone(),
            settings,
        );
        let runner = agent.clone();
        let task = nephos_runtime::spawn("agent", async move {
            let _ended = runner.run(Shutdown::new()).await;
        });
        self.working = Some(Working {
            driver,
            agent,
            task,
        });
    }

    pub async fn stop_agent(&mut self) {
        if let Some(working) = self.working.take() {
            working.task.abort();
            working.task.join().await;
            // Calls that are under way hold the driver, and with it the lock on the directory.
            while Arc::strong_count(&working.driver) > 2 {
                self.clock.sleep(Duration::from_millis(10)).await;
            }
        }
    }

    pub fn driver(&self) -> &LibvirtDriver {
        &self.working.as_ref().unwrap().driver
    }

    pub fn agent(&self) -> &Agent {
        &self.working.as_ref().unwrap().agent
    }

    pub fn want(&mut self, specs: &[&ServerSpec]) {
        self.revision += 1;
        let servers = specs
            .iter()
            .map(|spec| (spec.server_id.clone(), Arc::new((*spec).clone())));
        self.agent().apply(DesiredServers {
            revision: self.revision,
            word: Word::ControlPlane,
            servers: servers.collect(),
        });
    }

    /// Wants this one server and waits until it is so.
    pub async fn make(&mut self, spec: &ServerSpec, state: GuestState) -> ObservedServer {
        self.want(&[spec]);
        self.settled(spec, state).await
    }

    pub async fn settled(&self, spec: &ServerSpec, state: GuestState) -> ObservedServer {
        self.seen(&spec.server_id, &format!("{state:?} and settled"), |seen| {
            let progress = &seen.progress;
            assert!(!matches!(progress, Progress::Failed { .. }), "{progress:?}");
            seen.generation_seen == spec.generation
                && seen.state == state
                && *progress == Progress::Settled
        })
        .await
    }

    /// Waits for an observation; `what` says in a failure what did not come.
    pub async fn seen(
        &self,
        server: &ServerId,
        what: &str,
        is_it: impl Fn(&ObservedServer) -> bool,
    ) -> ObservedServer {
        let mut last = None;
        let until = self.clock.monotonic() + PATIENCE;
        while self.clock.monotonic() < until {
            last = self.agent().reports().latest(server);
            if let Some(seen) = last.as_ref().filter(|seen| is_it(seen)) {
                return seen.clone();
            }
            self.clock.sleep(Duration::from_millis(20)).await;
        }
        panic!("{server} is not {what}, but {last:?}");
    }

    /// Waits for a text on the console, and gives all of it.
    pub async fn console(&self, server: &ServerId, text: &str, times: usize) -> String {
        let mut last = String::new();
        let until = self.clock.monotonic() + PATIENCE;
        while self.clock.monotonic() < until {
            let bytes = self.agent().console_output(server, 100_000).await.unwrap();
            last = String::from_utf8_lossy(&bytes).into_owned();
            if last.matches(text).count() >= times {
                return last;
            }
            self.clock.sleep(Duration::from_millis(100)).await;
        }
        panic!("'{text}' is not {times} times on the console: {last}");
    }

    pub async fn look(&self, server: &ServerId) -> Found {
        self.driver().look(server).await.unwrap()
    }

    pub fn pid(&self, server: &ServerId) -> i32 {
        self.libvirt.guests()[&format!("nephos-{server}")]
    }
}
