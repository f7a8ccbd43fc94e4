//! First claims that come at the same time go through the database together.

use std::sync::{Arc, Mutex, PoisonError};

use nephos_db::{Db, Error};
use nephos_runtime::{Clock, request};
use nephos_types::Timestamp;
use tokio::sync::oneshot;

use crate::model::claim::Claim;
use crate::store::claims::Refused;
use crate::store::{self, first_claims};

/// Claims of one transaction at most.
const AT_ONCE: usize = 64;

/// Those who wait. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Together {
    waiting: Arc<Mutex<Vec<Waiting>>>,
    /// Whoever has it writes for those who wait.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// One claim, and who wants to know what became of it.
#[derive(Debug)]
struct Waiting {
    claim: Claim,
    /// Nothing is written for somebody who waits no longer.
    until: Option<Timestamp>,
    tell: oneshot::Sender<Result<(), Refused>>,
}

impl Together {
    /// Claims, together with whoever else comes meanwhile. None: whoever had it in hand was cut off, and it may be written
    /// or not.
    pub(crate) async fn claim(
        &self,
        db: &Db,
        clock: &Clock,
        claim: Claim,
    ) -> Option<Result<(), Refused>> {
        let (tell, mut told) = oneshot::channel();
        self.waiting().push(Waiting {
            claim,
            until: request::until(),
            tell,
        });
        loop {
            // Waits for whoever writes now; most find then that theirs is done.
            let turn = Arc::clone(&self.turn).lock_owned().await;
            match told.try_recv() {
                Ok(outcome) => return Some(outcome),
                Err(oneshot::error::TryRecvError::Closed) => return None,
                Err(oneshot::error::TryRecvError::Empty) => {}
            }
            let some = self.take();
            let (db, clock) = (db.clone(), clock.clone());
            // To its end, also when this request is given up: others wait for it.
            nephos_runtime::finish(async move {
                write(&db, &clock, some).await;
                drop(turn);
            })
            .await;
        }
    }

    fn take(&self) -> Vec<Waiting> {
        let mut waiting = self.waiting();
        let count = waiting.len().min(AT_ONCE);
        waiting.drain(..count).collect()
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn write(db: &Db, clock: &Clock, some: Vec<Waiting>) {
    let now = clock.now();
    let (claims, tell): (Vec<Claim>, Vec<_>) = some
        .into_iter()
        .filter(|one| one.until.is_none_or(|until| now <= until))
        .map(|one| (one.claim, (one.until, one.tell)))
        .unzip();
    if claims.is_empty() {
        return;
    }
    // The commit is for all of them: it comes in time for each, or not at all.
    let until = tell.iter().filter_map(|(until, _)| *until).min();
    let written = request::within(until, all(db, now, &claims)).await;
    let outcomes = written.unwrap_or_else(|why| {
        let all = claims.iter();
        all.map(|_| Err(Refused::Write(why.clone()))).collect()
    });
    for ((_, tell), outcome) in tell.into_iter().zip(outcomes) {
        let _gone = tell.send(outcome);
    }
}

async fn all(db: &Db, now: Timestamp, claims: &[Claim]) -> Result<Vec<Result<(), Refused>>, Error> {
    let mut w = store::begin(db, now).await?;
    let outcomes = first_claims::write(&mut w, claims).await?;
    if outcomes.iter().any(Result::is_ok) {
        w.commit().await?;
    }
    Ok(outcomes)
}
