//! Guests of simulated hosts on their way while they run.

use super::verbs::definition;
use super::{FakeDriver, Host, Power, Verb, World};
use crate::driver::{Answer, DriverError, FoundLive, LiveStage, config_drive_fingerprint};
use crate::model::live::{Carried, LiveSeen, LiveWish};
use crate::model::spec::{ServerId, ServerSpec};

/// What becomes of guests that are sent to a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// They arrive at once.
    #[default]
    Arrive,
    /// They write more than can be brought: they stay on the way until they are frozen.
    Linger,
    /// The way breaks off while they run where they were.
    Break,
    /// The way breaks off after they have left, before they have arrived.
    Lost,
}

impl World {
    /// Decides for guests that will be sent to this host.
    pub fn set_fate(&self, host: &str, fate: Fate) {
        self.with(host, |host| host.fate = fate);
    }
}

fn way(session: &str, stage: LiveStage) -> FoundLive {
    FoundLive {
        session: session.to_owned(),
        stage,
        seen: LiveSeen::default(),
    }
}

impl Host {
    /// Whoever waits here for this guest, by its session.
    fn awaits(&self, server: &ServerId, session: &str) -> bool {
        let guest = self.servers.get(server);
        guest.is_some_and(|guest| {
            guest.awaited.is_some()
                && guest
                    .live
                    .as_ref()
                    .is_some_and(|way| way.session == session)
        })
    }

    fn set_stage(&mut self, server: &ServerId, stage: LiveStage) {
        if let Some(way) = self
            .servers
            .get_mut(server)
            .and_then(|guest| guest.live.as_mut())
        {
            way.stage = stage;
            self.changes.tell(Some(server.clone()));
        }
    }

    /// The guest is here, as it was.
    fn arrive(&mut self, server: &ServerId, power: Power) {
        if let Some(guest) = self.servers.get_mut(server)
            && let Some(definition) = guest.awaited.take()
        {
            guest.plugged.clone_from(&definition.ports);
            guest.volumes.clone_from(&definition.volumes);
            guest.defined = Some(definition);
            guest.power = power;
        }
        self.set_stage(server, LiveStage::Over);
    }
}

impl FakeDriver {
    pub(super) fn listen<'a>(&'a self, spec: &'a ServerSpec) -> Answer<'a, ()> {
        self.call(Verb::Live, self.latency().change, move |host| {
            let Some(LiveWish::Arrive { session, .. }) = &spec.live else {
                return Err(DriverError::Refused("no guest comes here".to_owned()));
            };
            let guest = host.servers.entry(spec.server_id.clone()).or_default();
            guest.disks.insert(spec.disk_epoch);
            guest.config_drive = spec.config_drive.as_ref().map(config_drive_fingerprint);
            guest.awaited = Some(definition(spec));
            let mut way = way(session, LiveStage::UnderWay);
            way.seen.address = Some("simulated".to_owned());
            way.seen.key = Some(String::new());
            guest.live = Some(way);
            Ok(())
        })
    }

    pub(super) fn send<'a>(&'a self, spec: &'a ServerSpec) -> Answer<'a, ()> {
        let server = &spec.server_id;
        Box::pin(async move {
            let Some(LiveWish::Depart { session, to, .. }) = &spec.live else {
                return Err(DriverError::Refused("no guest goes from here".to_owned()));
            };
            let ram = spec.size.ram_mib << 20;
            let began = self.call(Verb::Live, self.latency().change, |host| {
                let guest = host.guest(server)?;
                let mut way = way(session, LiveStage::UnderWay);
                way.seen.carried = Some(Carried {
                    memory_total: ram,
                    memory_remaining: ram,
                    ..Carried::default()
                });
                guest.live = Some(way);
                Ok(())
            });
            began.await?;
            let fate = self.world.with(to, |host| {
                let known = host.awaits(server, session) && host.down.is_none();
                known.then_some(host.fate)
            });
            match fate.flatten() {
                Some(Fate::Arrive) => self.leave(server, to),
                Some(Fate::Linger) => {}
                Some(Fate::Break) => self.break_off(server, to, false),
                Some(Fate::Lost) => self.break_off(server, to, true),
                None => self.break_off(server, to, false),
            }
            Ok(())
        })
    }

    /// The guest leaves for good.
    fn leave(&self, server: &ServerId, to: &str) {
        let left = self.world.with(&self.host, |host| {
            let guest = host.servers.get_mut(server)?;
            let power = guest.power;
            guest.switch_off();
            host.set_stage(server, LiveStage::Over);
            matches!(power, Power::On | Power::Paused).then_some(power)
        });
        if let Some(power) = left.flatten() {
            self.world.with(to, |host| host.arrive(server, power));
        }
    }

    fn break_off(&self, server: &ServerId, to: &str, after_it_left: bool) {
        let broken = |why: &str| LiveStage::Broken(why.to_owned());
        self.world.with(&self.host, |host| {
            if let Some(guest) = host.servers.get_mut(server).filter(|_| after_it_left) {
                guest.power = Power::Away;
            }
            host.set_stage(server, broken("the way to the other host broke off"));
        });
        self.world.with(to, |host| {
            host.set_stage(server, broken("the guest did not come"));
        });
    }

    pub(super) fn force<'a>(&'a self, server: &'a ServerId) -> Answer<'a, ()> {
        Box::pin(async move {
            let look = self.call(Verb::Live, self.latency().change, |host| {
                let way = host.guest(server)?.live.clone();
                Ok(way.map(|way| way.session))
            });
            let Some(session) = look.await? else {
                return Ok(());
            };
            let hosts: Vec<String> = self.world.hosts().keys().cloned().collect();
            let awaits = |name: &String| {
                let awaits = self.world.with(name, |host| host.awaits(server, &session));
                *name != self.host && awaits.unwrap_or(false)
            };
            if let Some(to) = hosts.iter().find(|name| awaits(name)) {
                self.leave(server, to);
            }
            Ok(())
        })
    }

    pub(super) fn end<'a>(&'a self, server: &'a ServerId) -> Answer<'a, ()> {
        self.call(Verb::Live, self.latency().change, move |host| {
            if let Some(guest) = host.servers.get_mut(server) {
                guest.live = None;
                guest.awaited = None;
            }
            Ok(())
        })
    }
}
