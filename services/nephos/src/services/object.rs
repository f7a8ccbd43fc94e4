//! Object, whose bytes are in a folder of the state directory unless it is told otherwise, and which speaks S3 on a
//! listener of its own.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use nephos_api::shell::{self, Audience, Health, Mount, Site};
use nephos_api::{Core, Dispatch, Service as _};
use nephos_object::{Config, Object};
use nephos_runtime::{Shutdown, Task};

use super::{Ground, Offered, Role};

/// Threads of the listener for S3.
const WORKERS: usize = 2;

impl Offered for Object {
    type Section = Config;
    const PREFIX: &'static str = "/object";
    const ROLES: &'static [Role] = &[Role::Api, Role::Worker];
    const ACCOUNT: &'static str = "swift";
    const CATALOG: Option<(&'static str, &'static str)> =
        Some(("swift", "/object/v1/AUTH_%(tenant_id)s"));
    const AT_ROOT: Option<&'static str> = Some("/info");

    fn build(core: Core, ground: &Ground<'_>) -> anyhow::Result<Self> {
        let mut own: Config = ground.section(Self::NAME)?;
        // A relative folder stands in the state directory.
        own.folder = ground.settings().state_dir.join(&own.folder);
        Ok(Self::new(core, ground.peers::<Self>()?, own)?)
    }

    async fn take_over(&self) -> anyhow::Result<()> {
        Ok(Self::take_over(self).await?)
    }

    async fn outside(&self) -> Option<anyhow::Result<String>> {
        let looked = self.look_at_store().await;
        Some(
            looked
                .map(|place| format!("objects are in {place}"))
                .map_err(Into::into),
        )
    }

    fn serve(self: &Arc<Self>, shutdown: &Shutdown) -> Vec<Task> {
        let Some((address, door)) = self.s3() else {
            return Vec::new();
        };
        match listen(address, door, shutdown) {
            Ok(task) => vec![task],
            Err(why) => {
                tracing::error!(
                    %address, %why,
                    "S3 is not served; `s3_listen` in [object] of nephos.toml names another place"
                );
                Vec::new()
            }
        }
    }

    fn work(self: &Arc<Self>, shutdown: &Shutdown) -> Vec<Task> {
        Self::start(self, shutdown)
    }
}

/// S3 has a listener to itself: its paths begin with a bucket's name, whatever that is.
fn listen(
    address: SocketAddr,
    door: Arc<dyn Dispatch>,
    shutdown: &Shutdown,
) -> std::io::Result<Task> {
    let mount = Mount {
        prefix: "",
        service: door,
    };
    let site = Site {
        mounts: vec![mount],
        audience: Audience::Buckets,
        proxies: Vec::new(),
        health: Arc::new(|| Health {
            ready: true,
            words: "ok\n".to_owned(),
        }),
        workers: WORKERS,
    };
    shell::serve(TcpListener::bind(address)?, site, shutdown.clone())
}
