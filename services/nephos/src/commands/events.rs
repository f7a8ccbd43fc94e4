//! `nephos events`: what an operator should hear of, as it comes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nephos::journal::News;
use nephos::journal::ask::{Asking, Listener, Read};
use nephos::journal::words::{self, harmless};
use nephos::secrets::Secrets;
use nephos::settings::Config;
use nephos_peer::PeerError;
use nephos_runtime::Clock;
use nephos_runtime::journal::{Entry, Level};
use tokio::sync::mpsc;

use crate::terminal::say;

/// A listener that does not answer is asked again after this long.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// No process remembers more pages than this.
const PAGES: usize = 50;
/// Answers under way to the terminal.
const UNDER_WAY: usize = 16;

/// What is wanted of events.
#[derive(Clone, Copy)]
pub struct Wanted {
    /// Go on as they come.
    pub follow: bool,
    /// One JSON object per line.
    pub json: bool,
    /// Everything that is remembered, answered requests too.
    pub all: bool,
}

pub fn run(config: &Config, wanted: Wanted) -> anyhow::Result<()> {
    let secrets = Secrets::read(&config.settings.state_dir)?;
    super::block_on(async {
        let asking = Asking::new(config, &secrets, Clock::system())?;
        let mut shown = Shown::new(wanted.json);
        let read = first(&asking, wanted.all, &mut shown).await;
        if wanted.follow {
            follow(&asking, wanted.all, read, shown).await;
        }
        Ok(())
    })
}

/// Shows what is there; says how far each listener was read, and that it answered at all.
async fn first(asking: &Asking, all: bool, shown: &mut Shown) -> Vec<Option<Read>> {
    let (mut entries, mut read) = (Vec::new(), Vec::new());
    let everything = asking
        .listeners
        .iter()
        .map(|listener| everything(asking, listener, all));
    for (listener, answer) in asking
        .listeners
        .iter()
        .zip(futures_util::future::join_all(everything).await)
    {
        match answer {
            Ok((found, up_to)) => {
                entries.extend(found);
                read.push(Some(up_to));
            }
            Err(why) => {
                entries.push(Arc::new(silent(asking, listener, &why)));
                read.push(None);
            }
        }
    }
    entries.sort_by_key(|entry| entry.at);
    entries.iter().for_each(|entry| shown.entry(entry));
    read
}

async fn everything(
    asking: &Asking,
    listener: &Listener,
    all: bool,
) -> Result<(Vec<Arc<Entry>>, Read), PeerError> {
    let (mut read, mut entries) = (Read::default(), Vec::new());
    // What comes while this reads is for whoever follows.
    for _page in 0..PAGES {
        let News { process, page } = asking.news(listener, &read, all).await?;
        let done = page.entries.is_empty();
        entries.extend(page.entries);
        read = Read {
            process,
            last: page.last,
        };
        if done {
            break;
        }
    }
    Ok((entries, read))
}

async fn follow(asking: &Asking, all: bool, read: Vec<Option<Read>>, mut shown: Shown) {
    let (tell, mut told) = mpsc::channel::<Vec<Arc<Entry>>>(UNDER_WAY);
    let ways = asking.listeners.iter().zip(read);
    let ways = ways.map(|(listener, read)| follow_one((asking, listener), all, read, tell.clone()));
    let show = async {
        while let Some(entries) = told.recv().await {
            entries.iter().for_each(|entry| shown.entry(entry));
        }
    };
    tokio::join!(futures_util::future::join_all(ways), show);
}

/// One listener, through every start of its process.
async fn follow_one(
    (asking, listener): (&Asking, &Listener),
    all: bool,
    read: Option<Read>,
    tell: mpsc::Sender<Vec<Arc<Entry>>>,
) {
    let mut answers = read.is_some();
    let mut read = read.unwrap_or_default();
    loop {
        let next = asking.next(listener, &read, all).await;
        let entries = match next {
            Ok(news) => {
                let mut entries = Vec::new();
                if !answers || news.process != read.process {
                    let words = "answers again; what it did not tell before is in its log";
                    entries.push(Arc::new(of_listener(
                        asking,
                        listener,
                        Level::Info,
                        words.into(),
                    )));
                } else if news.page.missed {
                    let words = "told more than it keeps; the rest is in its log";
                    entries.push(Arc::new(of_listener(
                        asking,
                        listener,
                        Level::Info,
                        words.into(),
                    )));
                }
                answers = true;
                read = Read {
                    process: news.process,
                    last: news.page.last,
                };
                entries.extend(news.page.entries);
                entries
            }
            Err(why) => {
                asking.clock().sleep(ASK_AGAIN).await;
                if !std::mem::take(&mut answers) {
                    continue;
                }
                vec![Arc::new(silent(asking, listener, &why))]
            }
        };
        if !entries.is_empty() && tell.send(entries).await.is_err() {
            return;
        }
    }
}

fn silent(asking: &Asking, listener: &Listener, why: &PeerError) -> Entry {
    let words = format!("{why}; {}", listener.helps());
    of_listener(asking, listener, Level::Warning, words)
}

fn of_listener(asking: &Asking, listener: &Listener, level: Level, words: String) -> Entry {
    Entry {
        seq: 0,
        at: asking.clock().now().0,
        level,
        request_id: None,
        service: Some(listener.services.join(",").into()),
        host: None,
        event: Some("process".into()),
        message: format!("{}: {words}", listener.at).into(),
        fields: Vec::new(),
    }
}

/// What was shown.
struct Shown {
    json: bool,
    /// The last that was said of each host: every worker notices by itself that one comes or goes.
    of_hosts: BTreeMap<Box<str>, Box<str>>,
}

impl Shown {
    const fn new(json: bool) -> Self {
        Self {
            json,
            of_hosts: BTreeMap::new(),
        }
    }

    fn entry(&mut self, entry: &Entry) {
        if let (Some("host"), Some(host)) = (entry.event.as_deref(), &entry.host) {
            let before = self.of_hosts.insert(host.clone(), entry.message.clone());
            if before.as_ref() == Some(&entry.message) {
                return;
            }
        }
        if self.json {
            return say(&words::value(entry).to_string());
        }
        let of = entry.request_id.as_deref();
        let of = of.map_or(String::new(), |id| format!("  [{}]", harmless(id)));
        say(&format!(
            "{}  {:<20} {}{of}",
            nephos_types::Timestamp(entry.at).iso(),
            harmless(&words::place(entry)),
            words::what(entry),
        ));
    }
}
