//! Delivery between processes, through RabbitMQ.
//!
//! Every process has a queue of its own on one topic exchange. The connection is remade here, from nothing, after
//! whatever error: lapin's own recovery does not cover errors of a channel, and with queues that live as long as their
//! connection there is nothing to recover but the listening itself.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::uri::AMQPUri;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, Consumer, ExchangeKind,
    message::Delivery,
};
use nephos_runtime::Clock;
use nephos_types::Wake;
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use crate::local::Local;

/// Where all wakes go; the routing key is the topic, or [`MANY`].
const EXCHANGE: &str = "nephos.wakes";
/// The routing key of messages about several topics, which everybody gets.
const MANY: &str = "many";
/// After a message the next one comes after this long at the earliest, with all that was said until then: in a burst of
/// work each process sends a few messages, not one per thing.
const GATHER: Duration = Duration::from_millis(20);
/// Wakes of one message at most.
const TOGETHER: usize = 500;
/// Wakes that wait for the broker at most; beyond, they are lost, and found by polls.
const WAITING: usize = 4096;
/// The process sends itself a word this often.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// Not having heard it for this long, the connection is dead, whatever it says itself.
const SILENCE: Duration = Duration::from_secs(30);
/// An attempt to connect that has not ended after this long is given up.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// A word that the broker has not taken after this long finds a connection that is blocked: a broker short of memory
/// or disk stops reading.
const PUBLISH_WITHIN: Duration = Duration::from_secs(10);
/// First and longest pause between attempts.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(1));

/// Not the address of a RabbitMQ server.
#[derive(Debug, thiserror::Error)]
#[error("not an address of the form amqp://user:password@host:5672/vhost: {0}")]
pub struct AddressError(String);

/// The way to the other processes. Cheap to clone; the last clone dropped ends the connection.
#[derive(Clone, Debug)]
pub(crate) struct Broker {
    out: mpsc::Sender<Wake>,
    connected: Arc<AtomicBool>,
}

type Topics = watch::Receiver<BTreeSet<&'static str>>;

/// The task's own half.
struct Link {
    address: AMQPUri,
    clock: Clock,
    local: Local,
    out: mpsc::Receiver<Wake>,
    connected: Arc<AtomicBool>,
    /// Names this process in what it sends, so that it does not listen to itself.
    name: ShortString,
}

/// Why a session came to its end.
enum End {
    /// Nobody holds the bus any more.
    Dropped,
    Lost(String),
}

impl From<lapin::Error> for End {
    fn from(why: lapin::Error) -> Self {
        Self::Lost(why.to_string())
    }
}

/// Connects once, and leaves.
pub(crate) async fn reach(url: &str, clock: &Clock) -> Result<(), String> {
    let address: AMQPUri = url.parse().map_err(|why| AddressError(why).to_string())?;
    let properties = ConnectionProperties::default().with_connection_name("nephos doctor".into());
    let connecting = Connection::connect_uri(address, properties);
    let connected = clock.timeout(CONNECT_WITHIN, connecting).await;
    let connection = connected
        .ok_or("it does not answer")?
        .map_err(|why| why.to_string())?;
    let _gone_anyway = connection.close(0, "seen".into()).await;
    Ok(())
}

impl Broker {
    pub(crate) fn open(url: &str, clock: Clock, local: Local) -> Result<Self, AddressError> {
        let mut address: AMQPUri = url.parse().map_err(AddressError)?;
        address.query.heartbeat = Some(10);
        let (sender, receiver) = mpsc::channel(WAITING);
        let connected = Arc::new(AtomicBool::new(false));
        let link = Link {
            address,
            clock,
            local,
            out: receiver,
            connected: Arc::clone(&connected),
            name: nephos_runtime::ids::hex().into(),
        };
        nephos_runtime::spawn("bus.amqp", link.run());
        Ok(Self {
            out: sender,
            connected,
        })
    }

    /// Passes a wake on, or loses it when too many wait.
    pub(crate) fn send(&self, wake: Wake) {
        let _lost = self.out.try_send(wake);
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Acquire)
    }
}

impl Link {
    async fn run(mut self) {
        let mut pause = PAUSES.0;
        loop {
            let end = self.session().await;
            if self.connected.swap(false, Ordering::AcqRel) {
                pause = PAUSES.0;
                // Who waits to hear something does not wait for as long any more.
                self.local.deliver_everything();
            }
            match end {
                Err(End::Dropped) | Ok(()) => return,
                Err(End::Lost(why)) => {
                    warn!(
                        why,
                        "no connection to the message broker; trying again. Work goes on by looking for it, later than usual. Is RabbitMQ up, and `bus` in [nephos] right?"
                    );
                }
            }
            self.clock.sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// One connection, from its making to its end.
    async fn session(&mut self) -> Result<(), End> {
        let connecting = self.clock.timeout(CONNECT_WITHIN, self.connect()).await;
        let silent = || End::Lost("the broker does not answer".to_owned());
        // Held to the end: dropping it closes the connection.
        let (_connection, channel, mut consumer) = connecting.ok_or_else(silent)??;
        let queue = consumer.queue();
        let mut topics = self.local.topics();
        let mut bound = BTreeSet::new();
        let binding = self.bind(&channel, &queue, &mut topics, &mut bound);
        let binding = self.clock.timeout(CONNECT_WITHIN, binding).await;
        binding.ok_or_else(silent)??;
        // Not before: who is connected hears.
        self.connected.store(true, Ordering::Release);
        info!("connected to the message broker");
        self.local.deliver_everything();
        let mut heard = self.clock.monotonic();
        let (mut beat_at, mut send_at) = (heard + HEARTBEAT, heard);
        let mut said: Vec<Wake> = Vec::new();
        loop {
            let clock = self.clock.clone();
            let until = |at: Duration| clock.sleep(at.saturating_sub(clock.monotonic()));
            tokio::select! {
                _more = topics.changed() => {
                    self.bind(&channel, &queue, &mut topics, &mut bound).await?;
                }
                wake = self.out.recv(), if said.len() < TOGETHER => {
                    add(&mut said, wake.ok_or(End::Dropped)?);
                }
                delivery = consumer.next() => match delivery {
                    Some(delivery) => {
                        heard = clock.monotonic();
                        self.hear(&delivery?);
                    }
                    None => return Err(End::Lost("the broker cancelled the listening".to_owned())),
                },
                () = until(send_at), if !said.is_empty() => {
                    while said.len() < TOGETHER && let Ok(wake) = self.out.try_recv() {
                        add(&mut said, wake);
                    }
                    self.say(&channel, &std::mem::take(&mut said)).await?;
                    send_at = clock.monotonic() + GATHER;
                }
                () = until(beat_at) => {
                    if clock.monotonic().saturating_sub(heard) >= SILENCE {
                        return Err(silent());
                    }
                    self.publish(&channel, "", queue.as_str(), b"").await?;
                    beat_at = clock.monotonic() + HEARTBEAT;
                }
            }
        }
    }

    /// One message: a line for each wake, its topic and its id, in the order in which they were said.
    async fn say(&self, channel: &Channel, said: &[Wake]) -> Result<(), End> {
        let key = match said.split_first() {
            Some((first, rest)) if rest.iter().all(|wake| wake.topic == first.topic) => first.topic,
            _several => MANY,
        };
        let lines: Vec<String> = said
            .iter()
            .map(|wake| format!("{}\t{}", wake.topic, wake.id))
            .collect();
        let body = lines.join("\n");
        self.publish(channel, EXCHANGE, key, body.as_bytes()).await
    }

    async fn connect(&self) -> Result<(Connection, Channel, Consumer), End> {
        let properties = ConnectionProperties::default().with_connection_name("nephos".into());
        let connection = Connection::connect_uri(self.address.clone(), properties).await?;
        let channel = connection.create_channel().await?;
        let table = FieldTable::default;
        let lasting = ExchangeDeclareOptions {
            durable: true,
            ..ExchangeDeclareOptions::default()
        };
        channel
            .exchange_declare(EXCHANGE.into(), ExchangeKind::Topic, lasting, table())
            .await?;
        let own = QueueDeclareOptions {
            exclusive: true,
            auto_delete: true,
            ..QueueDeclareOptions::default()
        };
        let queue = channel.queue_declare("".into(), own, table()).await?;
        let name = queue.name().clone();
        let options = QueueBindOptions::default();
        channel
            .queue_bind(name.clone(), EXCHANGE.into(), MANY.into(), options, table())
            .await?;
        let listen = BasicConsumeOptions {
            no_ack: true,
            exclusive: true,
            ..BasicConsumeOptions::default()
        };
        let consumer = channel
            .basic_consume(name, "".into(), listen, table())
            .await?;
        Ok((connection, channel, consumer))
    }

    /// Hears what somebody here listens to, and nothing else. Who began to listen looks once: what was said in between
    /// was not heard.
    async fn bind(
        &self,
        channel: &Channel,
        queue: &ShortString,
        topics: &mut Topics,
        bound: &mut BTreeSet<&'static str>,
    ) -> Result<(), End> {
        let wanted = topics.borrow_and_update().clone();
        for topic in wanted {
            if bound.contains(topic) {
                continue;
            }
            let (options, table) = (QueueBindOptions::default(), FieldTable::default());
            channel
                .queue_bind(queue.clone(), EXCHANGE.into(), topic.into(), options, table)
                .await?;
            bound.insert(topic);
            self.local.deliver_named(topic, "");
        }
        Ok(())
    }

    async fn publish(
        &self,
        channel: &Channel,
        exchange: &str,
        key: &str,
        body: &[u8],
    ) -> Result<(), End> {
        let properties = BasicProperties::default().with_app_id(self.name.clone());
        let options = BasicPublishOptions::default();
        let sending = channel.basic_publish(exchange.into(), key.into(), options, body, properties);
        let sent = self.clock.timeout(PUBLISH_WITHIN, sending).await;
        // Without confirms there is nothing more to wait for; a wake may be lost.
        match sent {
            Some(sent) => {
                drop(sent?);
                Ok(())
            }
            None => Err(End::Lost("the broker takes nothing any more".to_owned())),
        }
    }

    fn hear(&self, delivery: &Delivery) {
        if delivery.properties.app_id().as_ref() == Some(&self.name) {
            return;
        }
        let Ok(said) = std::str::from_utf8(&delivery.data) else {
            return;
        };
        for (topic, id) in said.split('\n').filter_map(|line| line.split_once('\t')) {
            self.local.deliver_named(topic, id);
        }
    }
}

/// The same twice is once.
fn add(said: &mut Vec<Wake>, wake: Wake) {
    if !said.contains(&wake) {
        said.push(wake);
    }
}
