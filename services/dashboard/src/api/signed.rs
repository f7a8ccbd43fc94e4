//! Who is signed in: from the cookie to the session and the token of a project.

use std::time::Duration;

use http::{HeaderMap, header};
use nephos_api::Fault;
use nephos_types::{RequestId, Timestamp};

use super::fault::{not_signed_in, peer};
use crate::model::cookie::Travel;
use crate::model::seal::SessionId;
use crate::store::sessions::{self, SessionRow};
use crate::{Dashboard, peers};

/// The place of the token without a scope; no project is called so.
const UNSCOPED: &str = "";
/// A token that ends so soon is replaced: what is begun with it may take a while.
const AT_LEAST: Duration = Duration::from_secs(60);
/// What somebody did is noted at most so often.
const NOTE_EVERY_SECS: i64 = 60;
/// Says that somebody did something within the last minute, and not only the page.
const ACTIVE: &str = "x-nephos-active";

/// A session that goes on.
#[derive(Clone)]
pub(crate) struct Signed {
    id: SessionId,
    pub row: SessionRow,
    unscoped: String,
}

/// The session of a request.
pub(crate) async fn find(
    service: &Dashboard,
    headers: &HeaderMap,
    base_url: &str,
) -> Result<Signed, Fault> {
    let travel = Travel::under(base_url);
    let id = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .find_map(|value| travel.find(value))
        .and_then(SessionId::parse)
        .ok_or_else(not_signed_in)?;
    let signed = again(service, &id).await?;
    let now = service.core.clock.now();
    let active = headers.get(ACTIVE).is_some_and(|value| value == "1");
    if active && signed.row.seen_at.plus_secs(NOTE_EVERY_SECS) <= now {
        sessions::touch(&service.core.db, &signed.row.id_hash, now).await?;
    }
    Ok(signed)
}

/// The session of this id, if it goes on.
pub(crate) async fn again(service: &Dashboard, id: &SessionId) -> Result<Signed, Fault> {
    let row = sessions::get(&service.core.db, &id.hash()).await?;
    let row = row.ok_or_else(not_signed_in)?;
    let now = service.core.clock.now();
    if ends_at(service, &row) <= now {
        return Err(not_signed_in());
    }
    let unscoped = id.open(UNSCOPED, &row.token).ok_or_else(not_signed_in)?;
    // It ends with its token: a password that was changed, a user that was disabled.
    if service.core.verifier.verify(&unscoped).is_err() {
        return Err(not_signed_in());
    }
    Ok(Signed {
        id: id.clone(),
        row,
        unscoped,
    })
}

/// When the session ends unless somebody does something.
pub(crate) fn ends_at(service: &Dashboard, row: &SessionRow) -> Timestamp {
    let idle = row.seen_at.plus_secs(i64::from(service.config.idle_secs));
    idle.min(row.expires_at)
}

/// Begins a session: gives its id for the cookie, and ends the user's oldest if there are too many.
pub(crate) async fn begin(service: &Dashboard, token: peers::Token) -> Result<SessionId, Fault> {
    let sealing = |_| Fault::internal("The session could not be begun.");
    let id = SessionId::random().map_err(sealing)?;
    let now = service.core.clock.now();
    let row = SessionRow {
        id_hash: id.hash(),
        user_id: token.user_id,
        user_name: token.user_name,
        domain_name: token.domain_name,
        token: id.seal(UNSCOPED, &token.token).map_err(sealing)?,
        created_at: now,
        seen_at: now,
        expires_at: token.expires_at,
    };
    let mut tx = service.core.db.write().await?;
    let others = sessions::of_user(&mut tx, &row.user_id).await?;
    let keep = service.config.sessions_per_user.max(1) as usize - 1;
    for old in others.iter().skip(keep) {
        sessions::remove(&mut tx, old).await?;
    }
    sessions::insert(&mut tx, &row).await?;
    tx.commit().await?;
    Ok(id)
}

impl Signed {
    /// The token without a scope.
    pub fn unscoped(&self) -> &str {
        &self.unscoped
    }

    /// The same session, looked at again.
    pub async fn again(&self, service: &Dashboard) -> Result<Self, Fault> {
        again(service, &self.id).await
    }

    /// The token of a project: kept, or exchanged for now.
    pub async fn token(
        &self,
        service: &Dashboard,
        project: &str,
        request_id: &RequestId,
    ) -> Result<String, Fault> {
        let core = &service.core;
        let place = (self.row.id_hash.as_str(), project);
        let until = core.clock.now().plus(AT_LEAST);
        let kept = sessions::project_token(&core.db, place, until).await?;
        let opened = kept.and_then(|sealed| self.id.open(project, &sealed));
        if let Some(token) = opened.filter(|token| core.verifier.verify(token).is_ok()) {
            return Ok(token);
        }
        let scoped = peers::scope(&service.peers, &self.unscoped, project, request_id).await;
        let scoped = scoped.map_err(|error| match error.status {
            // The session itself is good, as has just been checked: it is the project that is not.
            Some(401 | 404) => {
                Fault::forbidden("You have no role on this project, or it is disabled.")
            }
            _other => peer(&error),
        })?;
        let sealed = self.id.seal(project, &scoped.token);
        let sealed = sealed.map_err(|_| Fault::internal("The token could not be kept."))?;
        sessions::keep_project_token(&core.db, place, &sealed, scoped.expires_at).await?;
        Ok(scoped.token)
    }
}
