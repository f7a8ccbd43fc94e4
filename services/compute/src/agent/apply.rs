//! Makes one server as its spec says: look, plan, do, look again.
//!
//! Each step stands between two crash points. Nothing is kept between rounds but what [`Memory`] names, so a killed
//! agent goes on where the world is, not where it was.

use std::sync::Arc;
use std::time::Duration;

use nephos_runtime::{Clock, crash_point};
use tracing::info;

use super::Word;
use super::plan::{Memory, Plan, Step, Wait, Wanted, plan, plan_removal};
use super::report::Reports;
use crate::driver::{Driver, DriverError, Found, config_drive_fingerprint};
use crate::model::spec::{GuestState, ObservedServer, Progress, ServerId, ServerSpec, Want};

/// A plan that is not empty after so many rounds will not become so.
const MAX_ROUNDS: u32 = 12;

/// What one server is to become.
#[derive(Clone, Debug)]
pub enum Goal {
    /// As this spec says.
    Spec(Arc<ServerSpec>),
    /// Gone: it is ours, and wanted nowhere.
    Gone,
}

/// When the guest was asked for things, on the monotonic clock.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    shut_down: Option<(Duration, Duration)>,
    unplug: std::collections::BTreeMap<String, Duration>,
}

impl Asked {
    fn memory(&self, now: Duration) -> Memory {
        let ago = |at: Duration| now.saturating_sub(at);
        Memory {
            asked_to_shut_down: self.shut_down.map(|(first, last)| (ago(first), ago(last))),
            asked_to_unplug: self
                .unplug
                .iter()
                .map(|(tap, at)| (tap.clone(), ago(*at)))
                .collect(),
        }
    }
}

/// How a server stands after [`Worker::converge`].
#[derive(Debug)]
pub enum Outcome {
    /// Spec and reality agree.
    Settled,
    /// Nothing to do but wait.
    Waits(Wait),
    /// A step failed.
    Stuck(DriverError),
}

/// What the work on one server needs.
#[derive(Clone)]
pub struct Worker {
    /// The host.
    pub driver: Arc<dyn Driver>,
    /// Time.
    pub clock: Clock,
    /// Where observations go.
    pub reports: Reports,
}

impl Worker {
    /// Works on one server until there is nothing left to do but wait. Does no more than `word` is good for: the server may
    /// have been deleted, or made anew elsewhere, since that was written down.
    pub async fn converge(
        &self,
        server: &ServerId,
        goal: &Goal,
        asked: &mut Asked,
        word: Word,
    ) -> (Outcome, Found) {
        let mut found = Found::nothing();
        for _round in 0..MAX_ROUNDS {
            let plan = match self.look_and_plan(server, goal, asked, &mut found).await {
                Ok(plan) => plan,
                Err(error) => return (Outcome::Stuck(error), found),
            };
            let may = match word {
                Word::ControlPlane => true,
                Word::Kept => found.defined.is_some(),
                Word::BeforeBoot => false,
            };
            if !may && !plan.steps.is_empty() {
                return (Outcome::Waits(Wait::Word), found);
            }
            if plan.steps.is_empty() {
                return (plan.waits.map_or(Outcome::Settled, Outcome::Waits), found);
            }
            for step in &plan.steps {
                if let Err(error) = self.step(server, goal, step, asked).await {
                    info!(server = %server, step = step.name(), %error, "step failed");
                    return (Outcome::Stuck(error), found);
                }
            }
            // A mark changes nothing but itself: what was seen before it still holds.
            if let [Step::Mark(mark)] = plan.steps.as_slice() {
                found.mark = mark.clone();
                return (plan.waits.map_or(Outcome::Settled, Outcome::Waits), found);
            }
        }
        let error = DriverError::Failed(format!(
            "the server does not come to rest as '{:?}'",
            found.state
        ));
        (Outcome::Stuck(error), found)
    }

    async fn look_and_plan(
        &self,
        server: &ServerId,
        goal: &Goal,
        asked: &Asked,
        found: &mut Found,
    ) -> Result<Plan, DriverError> {
        *found = self.driver.look(server).await?;
        let spec = match goal {
            Goal::Gone => return Ok(plan_removal(found)),
            Goal::Spec(spec) => spec,
        };
        let missing_taps = if spec.want == Want::Absent {
            Vec::new()
        } else {
            self.driver.missing_taps(&spec.ports).await?
        };
        let memory = asked.memory(self.clock.monotonic());
        let wanted = Wanted {
            spec,
            fingerprint: self.driver.fingerprint(spec),
            config_drive: spec.config_drive.as_ref().map(config_drive_fingerprint),
            missing_taps: &missing_taps,
            memory: &memory,
        };
        Ok(plan(&wanted, found))
    }

    async fn step(
        &self,
        server: &ServerId,
        goal: &Goal,
        step: &Step,
        asked: &mut Asked,
    ) -> Result<(), DriverError> {
        info!(server = %server, step = step.name(), "server step");
        match (step, goal) {
            (Step::SwitchOff | Step::EndWay | Step::Undefine | Step::RemoveFiles, _) => {
                self.take_down(server, step, asked).await
            }
            (_, Goal::Spec(spec)) => match step {
                Step::Images | Step::Disk | Step::ConfigDrive | Step::Define => {
                    self.make(spec, step).await
                }
                _ => self.change(spec, step, asked).await,
            },
            (_, Goal::Gone) => Err(DriverError::Refused("a step without a spec".to_owned())),
        }
    }

    async fn take_down(
        &self,
        server: &ServerId,
        step: &Step,
        asked: &mut Asked,
    ) -> Result<(), DriverError> {
        match step {
            Step::Undefine => {
                crash_point!("agent.undefine.before");
                self.driver.remove_definition(server).await?;
                crash_point!("agent.undefine.after");
            }
            Step::RemoveFiles => {
                crash_point!("agent.remove_files.before");
                self.driver.remove_files(server).await?;
                crash_point!("agent.remove_files.after");
            }
            Step::EndWay => {
                crash_point!("agent.end_way.before");
                self.driver.end_way(server).await?;
                crash_point!("agent.end_way.after");
            }
            _switch_off => {
                crash_point!("agent.switch_off.before");
                self.driver.ensure_off(server).await?;
                asked.shut_down = None;
                crash_point!("agent.switch_off.after");
            }
        }
        Ok(())
    }

    async fn make(&self, spec: &ServerSpec, step: &Step) -> Result<(), DriverError> {
        match step {
            Step::Images => {
                self.report_step(spec, "image");
                crash_point!("agent.images.before");
                if let Some(image) = &spec.boot.image {
                    self.driver.ensure_image(image).await?;
                }
                if let Some(kernel) = &spec.boot.kernel {
                    crash_point!("agent.images.kernel");
                    self.driver.ensure_image(&kernel.image).await?;
                    if let Some(ramdisk) = &kernel.ramdisk {
                        crash_point!("agent.images.ramdisk");
                        self.driver.ensure_image(ramdisk).await?;
                    }
                }
                crash_point!("agent.images.after");
            }
            Step::Disk => {
                crash_point!("agent.disk.before");
                self.driver.ensure_disk(spec).await?;
                crash_point!("agent.disk.after");
            }
            Step::ConfigDrive => {
                crash_point!("agent.config_drive.before");
                self.driver.ensure_config_drive(spec).await?;
                crash_point!("agent.config_drive.after");
            }
            _define => {
                crash_point!("agent.define.before");
                self.driver.ensure_defined(spec).await?;
                crash_point!("agent.define.after");
            }
        }
        Ok(())
    }

    async fn change(
        &self,
        spec: &ServerSpec,
        step: &Step,
        asked: &mut Asked,
    ) -> Result<(), DriverError> {
        let server = &spec.server_id;
        let now = self.clock.monotonic();
        crash_point!("agent.change.before");
        match step {
            Step::Run => {
                crash_point!("agent.run.before");
                self.driver.ensure_running(server).await?;
                asked.shut_down = None;
                crash_point!("agent.run.after");
            }
            Step::Mark(mark) => self.driver.set_mark(server, mark).await?,
            Step::AskToShutDown => {
                self.driver.ask_to_shut_down(server).await?;
                let first = asked.shut_down.map_or(now, |(first, _)| first);
                asked.shut_down = Some((first, now));
            }
            Step::Pause => self.driver.ensure_paused(server).await?,
            Step::Suspend => self.driver.ensure_suspended(server).await?,
            Step::Plug(port) => self.driver.ensure_plugged(server, port).await?,
            Step::AskToUnplug(port) => {
                self.driver.ask_to_unplug(server, port).await?;
                asked
                    .unplug
                    .insert(port.tap.clone(), self.clock.monotonic());
            }
            Step::PlugVolume(volume) => self.driver.ensure_volume(server, volume).await?,
            Step::AskToUnplugVolume(volume) => {
                self.driver.ask_to_unplug_volume(server, volume).await?;
                // A hypervisor takes its time for the question; what is wanted meanwhile comes before the next one.
                asked.unplug.insert(volume.clone(), self.clock.monotonic());
            }
            Step::ResizeVolume(volume) => self.driver.ensure_volume_size(server, volume).await?,
            Step::RemoveOldDisks => {
                let kept = spec.disk.kept(spec.disk_epoch);
                self.driver.remove_old_disks(server, &kept).await?;
            }
            Step::AwaitGuest => self.driver.await_guest(spec).await?,
            Step::SendGuest => self.driver.send_guest(spec).await?,
            Step::ForceGuest => self.driver.force_guest(server).await?,
            Step::Export => {
                self.report_step(spec, "export");
                self.driver.ensure_export(spec).await?;
            }
            Step::RemoveExport => self.driver.remove_export(server).await?,
            Step::Images
            | Step::Disk
            | Step::ConfigDrive
            | Step::Define
            | Step::SwitchOff
            | Step::EndWay
            | Step::Undefine
            | Step::RemoveFiles => {
                return Err(DriverError::Refused("a step in the wrong place".to_owned()));
            }
        }
        crash_point!("agent.change.after");
        Ok(())
    }

    /// Says what takes so long, before it takes long.
    fn report_step(&self, spec: &ServerSpec, step: &str) {
        self.reports.put(ObservedServer {
            server_id: spec.server_id.clone(),
            generation_seen: spec.generation,
            state: self
                .reports
                .latest(&spec.server_id)
                .map_or(GuestState::Absent, |seen| seen.state),
            progress: Progress::Working {
                step: step.to_owned(),
            },
            rebooted: None,
            ports: Vec::new(),
            volumes: Vec::new(),
            vnc: None,
            export: None,
            live: None,
            at: self.clock.now(),
        });
    }
}

impl Step {
    /// For logs.
    const fn name(&self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Disk => "disk",
            Self::ConfigDrive => "config drive",
            Self::Define => "define",
            Self::Run => "run",
            Self::Mark(_) => "mark",
            Self::AskToShutDown => "ask to shut down",
            Self::SwitchOff => "switch off",
            Self::Pause => "pause",
            Self::Suspend => "suspend",
            Self::Plug(_) => "plug",
            Self::AskToUnplug(_) => "ask to unplug",
            Self::PlugVolume(_) => "plug a volume",
            Self::AskToUnplugVolume(_) => "ask to unplug a volume",
            Self::ResizeVolume(_) => "resize a volume",
            Self::RemoveOldDisks => "remove old disks",
            Self::AwaitGuest => "await guest",
            Self::SendGuest => "send guest",
            Self::ForceGuest => "force guest",
            Self::EndWay => "end way",
            Self::Export => "export",
            Self::RemoveExport => "remove export",
            Self::Undefine => "undefine",
            Self::RemoveFiles => "remove files",
        }
    }
}
