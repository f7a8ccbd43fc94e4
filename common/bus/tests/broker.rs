//! A RabbitMQ server of our own: own port, own data, gone at the end.

use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nephos_runtime::Clock;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// Debian's; the script in PATH insists on the system's own user.
const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

pub struct Broker {
    port: u16,
    epmd: u16,
    distribution: u16,
    folder: tempfile::TempDir,
    child: Option<Child>,
}

impl Broker {
    /// Not started. None when the test run does not ask for a broker.
    pub fn new() -> Option<Self> {
        std::env::var_os("NEPHOS_TEST_RABBITMQ")?;
        assert!(
            std::path::Path::new(SERVER).exists(),
            "rabbitmq-server is not installed: deploy/setup test"
        );
        let [port, epmd, distribution] = free_ports();
        Some(Self {
            port,
            epmd,
            distribution,
            folder: tempfile::tempdir().unwrap(),
            child: None,
        })
    }

    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port)
    }

    /// Starts it and waits until it takes connections.
    pub async fn start(&mut self) {
        let folder = self.folder.path();
        let log = std::fs::File::create(folder.join("out")).unwrap();
        std::fs::write(folder.join("plugins"), "[].").unwrap();
        let child = Command::new(SERVER)
            .env("HOME", folder)
            .env(
                "RABBITMQ_NODENAME",
                format!("nephos{}@localhost", self.port),
            )
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", self.port.to_string())
            .env("RABBITMQ_DIST_PORT", self.distribution.to_string())
            .env("RABBITMQ_MNESIA_BASE", folder.join("data"))
            .env("RABBITMQ_LOG_BASE", folder.join("log"))
            .env("RABBITMQ_PID_FILE", folder.join("pid"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.join("plugins"))
            .env("RABBITMQ_CONFIG_FILE", folder.join("none"))
            .env("RABBITMQ_CONF_ENV_FILE", folder.join("none"))
            .env("ERL_EPMD_PORT", self.epmd.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let clock = Clock::system();
        while tokio::net::TcpStream::connect(("127.0.0.1", self.port))
            .await
            .is_err()
        {
            let said = || std::fs::read_to_string(folder.join("out")).unwrap_or_default();
            assert!(
                clock.monotonic() < Duration::from_secs(90),
                "the broker does not start:\n{}",
                said()
            );
            clock.sleep(Duration::from_millis(100)).await;
        }
    }

    /// SIGKILL, and until nobody listens any more: the server is a child of what we started, and ends a little later.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            self.signal(&child, Signal::SIGKILL);
            let _ended = child.wait();
            while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                std::thread::yield_now();
            }
        }
    }

    /// SIGSTOP, SIGCONT.
    pub fn freeze(&self, frozen: bool) {
        let signal = if frozen {
            Signal::SIGSTOP
        } else {
            Signal::SIGCONT
        };
        self.signal(self.child.as_ref().unwrap(), signal);
    }

    fn signal(&self, child: &Child, signal: Signal) {
        let group = Pid::from_raw(i32::try_from(child.id()).unwrap());
        let _already_gone = killpg(group, signal);
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
        // Erlang's name server left our process group.
        let _not_running = Command::new("epmd")
            .arg("-kill")
            .env("ERL_EPMD_PORT", self.epmd.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

fn free_ports() -> [u16; 3] {
    let sockets = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    sockets.map(|socket| socket.local_addr().unwrap().port())
}
