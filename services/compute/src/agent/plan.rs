//! The difference between a spec and reality, as a list of steps. Pure: no clock but the one handed in, no I/O.
//!
//! The plan is made anew after every change of the world, so a step needs no memory of the one before it. The few
//! things that only time can tell (how long ago the guest was asked to shut down) come in as [`Memory`].

use std::collections::BTreeMap;
use std::time::Duration;

use crate::driver::{Found, FoundPort, LiveStage, Mark};
use crate::model::live::LiveWish;
use crate::model::spec::{GuestState, PortSpec, RebootKind, ServerSpec, Want};
use crate::model::volume::VolumeSpec;

/// One thing to do. All of them can be repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Bring the images into the cache.
    Images,
    /// Make the root disk.
    Disk,
    /// Make the config drive.
    ConfigDrive,
    /// Define from the spec.
    Define,
    /// Start, or let a paused or suspended guest go on.
    Run,
    /// Write down what was done.
    Mark(Mark),
    /// Ask the guest to shut down.
    AskToShutDown,
    /// Switch off.
    SwitchOff,
    /// Freeze.
    Pause,
    /// Save to disk.
    Suspend,
    /// Plug an interface into the running guest.
    Plug(PortSpec),
    /// Ask the guest to give an interface back.
    AskToUnplug(FoundPort),
    /// Plug a volume into the guest.
    PlugVolume(VolumeSpec),
    /// Ask the guest to give a volume back, by id.
    AskToUnplugVolume(String),
    /// Let the guest see a volume at its present size.
    ResizeVolume(VolumeSpec),
    /// Remove disks of other epochs.
    RemoveOldDisks,
    /// Let the guest come here from another host.
    AwaitGuest,
    /// Bring the running guest to another host.
    SendGuest,
    /// Freeze it on its way.
    ForceGuest,
    /// End a way that is over, or is to lead nowhere.
    EndWay,
    /// Make the disk ready to be carried to another host.
    Export,
    /// Remove what was made ready.
    RemoveExport,
    /// Remove the definition.
    Undefine,
    /// Remove the files.
    RemoveFiles,
}

/// What to do now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// In this order, then look again.
    pub steps: Vec<Step>,
    /// With no step left: what the spec still waits for, if anything.
    pub waits: Option<Wait>,
}

/// What a spec waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Taps that the network agent has not made.
    Taps(Vec<String>),
    /// The guest's own shutdown.
    Shutdown,
    /// The guest's consent to an unplug.
    Unplug,
    /// Likewise of a volume.
    UnplugVolume,
    /// The control plane's word that the server is still wanted.
    Word,
    /// A guest that comes from another host, or is brought to one.
    Way,
    /// The control plane's next word: the guest's way broke off.
    Broken(String),
}

impl Wait {
    /// For people.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Taps(taps) => format!("network interface {} is not ready", taps.join(", ")),
            Self::Shutdown => "the guest is shutting down".to_owned(),
            Self::Unplug => "the guest has not released an interface".to_owned(),
            Self::UnplugVolume => "the guest has not released a volume".to_owned(),
            Self::Word => {
                "the control plane has not yet said that it is still wanted here".to_owned()
            }
            Self::Way => "the guest is on its way".to_owned(),
            Self::Broken(why) => why.clone(),
        }
    }
}

/// What reality cannot tell and a restart may forget: the worst that follows is asking twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// How long ago the guest was first asked to shut down for the current spec, and last.
    pub asked_to_shut_down: Option<(Duration, Duration)>,
    /// How long ago it was last asked to give each tap or volume back.
    pub asked_to_unplug: BTreeMap<String, Duration>,
}

/// Guests that are still booting ignore what they are asked: ask again after this long.
pub const ASK_AGAIN: Duration = Duration::from_secs(5);

/// What is wanted, beside what the driver says of it.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// The spec.
    pub spec: &'a ServerSpec,
    /// Its fingerprint, by the driver.
    pub fingerprint: String,
    /// The fingerprint of its config drive.
    pub config_drive: Option<String>,
    /// Taps of its ports that are not on the host.
    pub missing_taps: &'a [String],
    /// What has been asked.
    pub memory: &'a Memory,
}

/// What there is to do.
#[must_use]
pub fn plan(wanted: &Wanted<'_>, found: &Found) -> Plan {
    let mut plan = Plan::default();
    match &wanted.spec.live {
        Some(LiveWish::Arrive {
            session, give_up, ..
        }) => {
            if let Some(arrival) = arrive(wanted, found, (session, *give_up)) {
                return arrival;
            }
        }
        Some(LiveWish::Depart {
            session,
            force,
            give_up,
            ..
        }) => return depart(found, session, (*force, *give_up)),
        None if found.live.is_some() => plan.steps.push(Step::EndWay),
        None => {}
    }
    if !plan.steps.is_empty() {
        return plan;
    }
    match wanted.spec.want {
        Want::Absent => remove(found, &mut plan),
        Want::Stopped => stop(wanted, found, &mut plan),
        Want::Running => run(wanted, found, &mut plan),
        Want::Paused => match found.state {
            GuestState::Paused => plug(wanted, found, &mut plan),
            GuestState::Running => plan.steps.push(Step::Pause),
            GuestState::Absent
            | GuestState::Stopped
            | GuestState::Suspended
            | GuestState::Migrating
            | GuestState::Crashed => run(wanted, found, &mut plan),
        },
        Want::Suspended => match found.state {
            GuestState::Suspended => {}
            GuestState::Running | GuestState::Paused => plan.steps.push(Step::Suspend),
            GuestState::Absent
            | GuestState::Stopped
            | GuestState::Migrating
            | GuestState::Crashed => {
                run(wanted, found, &mut plan);
            }
        },
    }
    plan
}

fn only(step: Step) -> Plan {
    Plan {
        steps: vec![step],
        waits: None,
    }
}

fn waiting(wait: Wait) -> Plan {
    Plan {
        steps: Vec::new(),
        waits: Some(wait),
    }
}

/// What there is to do for a guest that comes here. None: it has come, and is a guest like others.
fn arrive(wanted: &Wanted<'_>, found: &Found, (session, give_up): (&str, bool)) -> Option<Plan> {
    let ours = found.live.as_ref().filter(|way| way.session == session);
    if found.live.is_some() && ours.is_none() {
        return Some(only(Step::EndWay));
    }
    let has_come = matches!(found.state, GuestState::Running | GuestState::Paused);
    match ours.map(|way| &way.stage) {
        // What it brought is looked at while it is still said where it came.
        _ if has_come => None,
        Some(LiveStage::UnderWay | LiveStage::Broken(_)) if give_up => Some(only(Step::EndWay)),
        Some(LiveStage::UnderWay) => Some(waiting(Wait::Way)),
        Some(LiveStage::Broken(why)) => Some(waiting(Wait::Broken(why.clone()))),
        // It came, and is off by now.
        Some(LiveStage::Over) => Some(Plan::default()),
        // Whoever let it in is gone, so nobody will ever let it go on.
        None if found.state == GuestState::Migrating => Some(only(Step::SwitchOff)),
        None if give_up => Some(Plan::default()),
        None if !wanted.missing_taps.is_empty() => {
            Some(waiting(Wait::Taps(wanted.missing_taps.to_vec())))
        }
        None => Some(only(Step::AwaitGuest)),
    }
}

/// What there is to do for a guest that goes from here. It is not started, stopped or changed meanwhile.
fn depart(found: &Found, session: &str, (force, give_up): (bool, bool)) -> Plan {
    let Some(way) = &found.live else {
        let is_here = matches!(found.state, GuestState::Running | GuestState::Paused);
        return if is_here && !give_up {
            only(Step::SendGuest)
        } else {
            Plan::default()
        };
    };
    match &way.stage {
        _ if way.session != session || give_up => only(Step::EndWay),
        LiveStage::UnderWay if force && found.state == GuestState::Running => {
            only(Step::ForceGuest)
        }
        LiveStage::UnderWay => waiting(Wait::Way),
        LiveStage::Over => Plan::default(),
        LiveStage::Broken(why) => waiting(Wait::Broken(why.clone())),
    }
}

/// What there is to do about a server that is here and wanted nowhere.
#[must_use]
pub fn plan_removal(found: &Found) -> Plan {
    let mut plan = Plan::default();
    if found.live.is_some() {
        plan.steps.push(Step::EndWay);
    }
    remove(found, &mut plan);
    plan
}

fn remove(found: &Found, plan: &mut Plan) {
    if is_on(found) {
        plan.steps.push(Step::SwitchOff);
    }
    if found.defined.is_some() {
        plan.steps.push(Step::Undefine);
    }
    if found.files {
        plan.steps.push(Step::RemoveFiles);
    }
}

const fn is_on(found: &Found) -> bool {
    matches!(
        found.state,
        GuestState::Running | GuestState::Paused | GuestState::Migrating
    )
}

fn stop(wanted: &Wanted<'_>, found: &Found, plan: &mut Plan) {
    match found.state {
        GuestState::Running => shut_down(wanted, plan),
        GuestState::Paused | GuestState::Suspended | GuestState::Migrating => {
            plan.steps.push(Step::SwitchOff);
        }
        GuestState::Absent | GuestState::Stopped | GuestState::Crashed => {
            ensure_made(wanted, found, plan);
            let ready = found.export.as_ref().map(|export| export.epoch);
            if wanted.spec.disk.export && ready != Some(wanted.spec.disk_epoch) {
                plan.steps.push(Step::Export);
            }
            // It starts again when it is next wanted to run, whatever generation that is.
            ensure_mark(
                Mark {
                    started: None,
                    rebooted: rebooted(wanted, found),
                },
                found,
                plan,
            );
        }
    }
}

/// Asks first, unless the spec gives the guest no time.
fn shut_down(wanted: &Wanted<'_>, plan: &mut Plan) {
    let patience = Duration::from_secs(u64::from(wanted.spec.stop_timeout_secs));
    match wanted.memory.asked_to_shut_down {
        _ if patience.is_zero() => plan.steps.push(Step::SwitchOff),
        None => plan.steps.push(Step::AskToShutDown),
        Some((first, _)) if first >= patience => plan.steps.push(Step::SwitchOff),
        Some((_, last)) if last >= ASK_AGAIN => plan.steps.push(Step::AskToShutDown),
        Some(_) => plan.waits = Some(Wait::Shutdown),
    }
}

/// Disk, config drive and definition of a guest that is off.
fn ensure_made(wanted: &Wanted<'_>, found: &Found, plan: &mut Plan) {
    let epoch = wanted.spec.disk_epoch;
    // A root disk that is a volume is made elsewhere.
    if wanted.spec.boot.image.is_some() && !found.disks.contains(&epoch) {
        if wanted.spec.disk.from.is_none() {
            plan.steps.push(Step::Images);
        }
        plan.steps.push(Step::Disk);
    }
    if found.config_drive != wanted.config_drive {
        plan.steps.push(Step::ConfigDrive);
    }
    ensure_defined(wanted, found, plan);
    remove_old(wanted, found, plan);
}

/// What the disk was, and what was made of it to be carried, once neither is wanted any more.
fn remove_old(wanted: &Wanted<'_>, found: &Found, plan: &mut Plan) {
    let kept = wanted.spec.disk.kept(wanted.spec.disk_epoch);
    if found.disks.iter().any(|there| !kept.contains(there)) {
        plan.steps.push(Step::RemoveOldDisks);
    }
    if found.export.is_some() && !wanted.spec.disk.export {
        plan.steps.push(Step::RemoveExport);
    }
}

fn ensure_mark(mark: Mark, found: &Found, plan: &mut Plan) {
    if found.mark != mark {
        plan.steps.push(Step::Mark(mark));
    }
}

/// The reboot that is done once this server starts: one that is off has nothing left to reboot.
fn rebooted(wanted: &Wanted<'_>, found: &Found) -> Option<i64> {
    wanted
        .spec
        .reboot
        .map(|reboot| reboot.sequence)
        .max(found.mark.rebooted)
}

fn run(wanted: &Wanted<'_>, found: &Found, plan: &mut Plan) {
    let spec = wanted.spec;
    match found.state {
        GuestState::Running | GuestState::Paused
            if !found.disks.contains(&spec.disk_epoch) && !found.disks.is_empty() =>
        {
            plan.steps.push(Step::SwitchOff); // a rebuild: another disk is wanted
        }
        GuestState::Running if reboot_is_due(spec, found) => match spec.reboot.map(|r| r.how) {
            Some(RebootKind::Soft) => shut_down(wanted, plan),
            Some(RebootKind::Hard) | None => plan.steps.push(Step::SwitchOff),
        },
        GuestState::Running => {
            plug(wanted, found, plan);
            remove_old(wanted, found, plan);
            if plan.waits.is_none() {
                let rebooted = rebooted(wanted, found);
                ensure_mark(
                    Mark {
                        started: Some(spec.generation),
                        rebooted,
                    },
                    found,
                    plan,
                );
            }
        }
        // One that was to leave and did not goes on here.
        GuestState::Paused | GuestState::Migrating => plan.steps.push(Step::Run),
        GuestState::Suspended => start(wanted, plan),
        // It ran, and somebody switched it off: see `Want::Running`.
        GuestState::Stopped | GuestState::Crashed
            if found.mark.started == Some(spec.generation) => {}
        GuestState::Absent | GuestState::Stopped | GuestState::Crashed => {
            ensure_made(wanted, found, plan);
            // Before the start: killed between start and mark, it must not be rebooted once more.
            ensure_mark(
                Mark {
                    started: None,
                    rebooted: rebooted(wanted, found),
                },
                found,
                plan,
            );
            start(wanted, plan);
        }
    }
}

fn start(wanted: &Wanted<'_>, plan: &mut Plan) {
    if wanted.missing_taps.is_empty() {
        plan.steps.push(Step::Run);
    } else {
        plan.waits = Some(Wait::Taps(wanted.missing_taps.to_vec()));
    }
}

/// Whether a running guest still has a reboot before it. One that was never marked as started is new.
fn reboot_is_due(spec: &ServerSpec, found: &Found) -> bool {
    spec.reboot
        .is_some_and(|reboot| found.mark.rebooted < Some(reboot.sequence))
        && found.mark.started.is_some()
}

/// Interfaces of a running guest, and what else of the spec will hold from its next start on.
fn plug(wanted: &Wanted<'_>, found: &Found, plan: &mut Plan) {
    let spec = wanted.spec;
    for gone in found.ports.values().filter(|port| !wants(spec, port)) {
        match wanted.memory.asked_to_unplug.get(&gone.tap) {
            Some(ago) if *ago < ASK_AGAIN => plan.waits = Some(Wait::Unplug),
            _ => plan.steps.push(Step::AskToUnplug(gone.clone())),
        }
    }
    let new = spec
        .ports
        .iter()
        .filter(|port| !found.ports.contains_key(&port.tap));
    let (absent, there): (Vec<_>, Vec<_>) =
        new.partition(|port| wanted.missing_taps.contains(&port.tap));
    plan.steps
        .extend(there.into_iter().cloned().map(Step::Plug));
    if !absent.is_empty() {
        plan.waits = Some(Wait::Taps(
            absent.iter().map(|port| port.tap.clone()).collect(),
        ));
    }
    plug_volumes(wanted, found, plan);
    ensure_defined(wanted, found, plan);
}

/// Volumes of a guest that is on.
fn plug_volumes(wanted: &Wanted<'_>, found: &Found, plan: &mut Plan) {
    let volumes = &wanted.spec.volumes;
    for id in found.volumes.keys() {
        if volumes.iter().any(|volume| volume.volume_id == *id) {
            continue;
        }
        match wanted.memory.asked_to_unplug.get(id) {
            Some(ago) if *ago < ASK_AGAIN => plan.waits = Some(Wait::UnplugVolume),
            _ => plan.steps.push(Step::AskToUnplugVolume(id.clone())),
        }
    }
    for volume in volumes {
        let there = found.volumes.get(&volume.volume_id);
        let size = there.map(|there| there.size_bytes);
        match size {
            None => plan.steps.push(Step::PlugVolume(volume.clone())),
            Some(Some(bytes)) if bytes < volume.size_gib << 30 => {
                plan.steps.push(Step::ResizeVolume(volume.clone()));
            }
            Some(_) => {}
        }
    }
}

fn ensure_defined(wanted: &Wanted<'_>, found: &Found, plan: &mut Plan) {
    if found.defined.as_deref() != Some(wanted.fingerprint.as_str()) {
        plan.steps.push(Step::Define);
    }
}

fn wants(spec: &ServerSpec, port: &FoundPort) -> bool {
    spec.ports.iter().any(|wanted| wanted.tap == port.tap)
}

#[cfg(test)]
mod tests;
