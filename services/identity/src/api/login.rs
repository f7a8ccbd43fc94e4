//! Who is it? The methods of a log-in.
//!
//! Whatever is wrong, the answer is the same 401: no user, wrong password, locked, disabled. A user that does not exist
//! costs the same queries, the same hash and the same write as one that does.

use std::sync::Arc;

use nephos_api::Fault;
use nephos_auth::Caller;
use nephos_types::Timestamp;

use super::auth_body::{AppCredentialMethod, Methods, PasswordUser, UserRef};
use super::fault::{not_found, unauthorized};
use crate::model::access::{AccessRule, AppCredential};
use crate::model::directory::{Project, User};
use crate::model::password::{Failures, Lockout, MAX_BYTES};
use crate::{Cx, store};

/// The methods there are, for rules that ask for several of them.
const METHODS: [&str; 3] = ["password", "token", "application_credential"];

/// A user who proved who they are.
#[derive(Debug)]
pub(crate) struct Proof {
    pub user: User,
    pub domain: Project,
    pub methods: Vec<String>,
    /// The token that was used.
    pub parent: Option<Arc<Caller>>,
    pub app: Option<(AppCredential, Vec<AccessRule>)>,
}

impl Proof {
    /// When a token made from this must end at the latest.
    pub(crate) fn ends_before(&self) -> Option<Timestamp> {
        let parent = self.parent.as_ref().map(|parent| parent.expires_at);
        let app = self.app.as_ref().and_then(|(app, _)| app.expires_at);
        parent.into_iter().chain(app).min()
    }
}

/// What one method found out.
#[derive(Default)]
struct Found {
    user: Option<User>,
    parent: Option<Arc<Caller>>,
    app: Option<(AppCredential, Vec<AccessRule>)>,
}

/// Asks every method that the body names; all must agree on the user.
pub(crate) async fn prove(cx: &Cx, asked: &Methods) -> Result<Proof, Fault> {
    if asked.methods.is_empty() {
        return Err(unauthorized(cx));
    }
    let mut all = Found::default();
    for method in &asked.methods {
        let missing = || Fault::bad_request(format!("Expecting to find {method} in identity."));
        let found = match method.as_str() {
            "password" => {
                let method = asked.password.as_ref().ok_or_else(missing)?;
                by_password(cx, &method.user).await?
            }
            "token" => by_token(cx, &asked.token.as_ref().ok_or_else(missing)?.id).await?,
            "application_credential" => {
                by_app(
                    cx,
                    asked.application_credential.as_ref().ok_or_else(missing)?,
                )
                .await?
            }
            _unsupported => return Err(unauthorized(cx)),
        };
        if let (Some(first), Some(next)) = (&all.user, &found.user)
            && first.id != next.id
        {
            return Err(unauthorized(cx));
        }
        all.user = all.user.or(found.user);
        all.parent = all.parent.or(found.parent);
        all.app = all.app.or(found.app);
    }
    let user = all.user.ok_or_else(|| unauthorized(cx))?;
    let domain = store::projects::get(cx.db(), user.domain_id.as_str()).await?;
    let domain = domain
        .filter(|domain| domain.enabled)
        .ok_or_else(|| unauthorized(cx))?;
    let mut methods = asked.methods.clone();
    if let Some(parent) = &all.parent {
        methods.extend(parent.methods.iter().cloned());
    }
    methods.sort_unstable();
    methods.dedup();
    if !user.enabled || !enough_factors(&user, &methods) {
        return Err(unauthorized(cx));
    }
    Ok(Proof {
        user,
        domain,
        methods,
        parent: all.parent,
        app: all.app,
    })
}

/// `multi_factor_auth_rules`: one of the lists must be complete. Lists with methods that do not exist here are ignored.
fn enough_factors(user: &User, used: &[String]) -> bool {
    let options = &user.options.0;
    let on = options
        .get("multi_factor_auth_enabled")
        .and_then(|on| on.as_bool());
    let rules = options
        .get("multi_factor_auth_rules")
        .and_then(|rules| rules.as_array());
    let (Some(true) | None, Some(rules)) = (on, rules) else {
        return true;
    };
    let mut possible = rules
        .iter()
        .filter_map(|rule| rule.as_array())
        .map(|rule| {
            rule.iter()
                .filter_map(|name| name.as_str())
                .collect::<Vec<_>>()
        })
        .filter(|rule| !rule.is_empty() && rule.iter().all(|name| METHODS.contains(name)))
        .peekable();
    possible.peek().is_none()
        || possible.any(|rule| {
            rule.iter()
                .all(|name| used.iter().any(|method| method == name))
        })
}

async fn find_user(cx: &Cx, asked: &UserRef) -> Result<Option<User>, Fault> {
    if let Some(id) = &asked.id {
        return Ok(store::users::get(cx.db(), id).await?);
    }
    let name = asked.name.as_ref();
    let name = name.ok_or_else(|| Fault::bad_request("Expecting to find id or name in user."))?;
    let domain = asked.domain.as_ref();
    let domain = domain.ok_or_else(|| Fault::bad_request("Expecting to find domain in user."))?;
    let found = domain.find(cx).await?;
    let domain_id = found.as_ref().map_or("", |domain| domain.id.as_str());
    Ok(store::users::find(cx.db(), domain_id, name).await?)
}

async fn by_password(cx: &Cx, asked: &PasswordUser) -> Result<Found, Fault> {
    let password = asked.password.as_deref();
    let password =
        password.ok_or_else(|| Fault::bad_request("Expecting to find password in user."))?;
    let user = find_user(cx, &asked.user).await?;
    let Some((user, right)) = user
        .as_ref()
        .zip(check_password(cx, user.as_ref(), password).await?)
    else {
        return Err(unauthorized(cx));
    };
    if right.failed_before {
        let mut tx = cx.db().guarded().await?;
        store::users::clear_failures(&mut tx, user.id.as_str()).await?;
        tx.commit().await?;
    }
    Ok(Found {
        user: Some(user.clone()),
        ..Found::default()
    })
}

/// A password that was right.
#[derive(Debug)]
pub(crate) struct Right {
    /// The one in force, as it is stored.
    pub hash: String,
    /// There are failed log-ins to forget.
    pub failed_before: bool,
}

/// Whether it is the user's password and the account is not locked; counts the failure where that is asked for.
pub(crate) async fn check_password(
    cx: &Cx,
    user: Option<&User>,
    password: &str,
) -> Result<Option<Right>, Fault> {
    let lockout = Lockout {
        tries: i64::from(cx.config.lockout_tries),
        secs: i64::from(cx.config.lockout_secs),
    };
    let subject = user.map_or("", |user| user.id.as_str());
    let ignored = user.is_some_and(|user| user.options.is_true("ignore_lockout_failure_attempts"));
    let counts = lockout.tries > 0 && !ignored;
    let seen = if counts {
        store::users::failures(cx.db(), subject).await?
    } else {
        Failures::default()
    };
    let stored = store::users::passwords(cx.db(), &subject.into()).await?;
    let sane = if password.len() > MAX_BYTES {
        ""
    } else {
        password
    };
    let right = cx
        .passwords
        .check(sane, stored.first().map(String::as_str))
        .await?;
    let right = right && sane.len() == password.len() && user.is_some();
    let locked = lockout.locks(seen, cx.now());
    if counts && !right && !(locked && user.is_some()) {
        let mut tx = cx.db().guarded().await?;
        store::users::count_failure(&mut tx, subject, lockout, cx.now()).await?;
        tx.commit().await?;
    }
    let found = stored.into_iter().next().filter(|_| right && !locked);
    Ok(found.map(|hash| Right {
        hash,
        failed_before: seen.failures > 0,
    }))
}

async fn by_token(cx: &Cx, token: &str) -> Result<Found, Fault> {
    let verifier = &nephos_api::Service::core(&**cx.service()).verifier;
    let parent = verifier
        .verify(token)
        .map_err(|_| not_found("token", "it is not valid"))?;
    if let Some(host) = &parent.host {
        return Err(Fault::forbidden(format!(
            "The token of host {host} cannot be exchanged for another one."
        )));
    }
    // What was lent for one project must not grow into more.
    if parent.trust.is_some() || parent.app_credential_id.is_some() {
        return Err(Fault::forbidden(
            "A token of a trust or of an application credential cannot be exchanged for another one.",
        ));
    }
    let user = store::users::get(cx.db(), parent.user_id.as_str()).await?;
    Ok(Found {
        user,
        parent: Some(parent),
        app: None,
    })
}

async fn by_app(cx: &Cx, asked: &AppCredentialMethod) -> Result<Found, Fault> {
    let app = match (&asked.id, &asked.name, &asked.user) {
        (Some(id), ..) => store::access::app(cx.db(), id).await?,
        (None, Some(name), Some(user)) => {
            let user = find_user(cx, user).await?;
            let user_id = user.as_ref().map_or("", |user| user.id.as_str());
            store::access::apps_of(cx.db(), user_id, Some(name))
                .await?
                .pop()
        }
        _incomplete => {
            return Err(Fault::bad_request(
                "Expecting to find id, or name and user, in application_credential.",
            ));
        }
    };
    let stored = app.as_ref().map(|app| app.hash.as_str());
    let sane = if asked.secret.len() > MAX_BYTES {
        ""
    } else {
        &asked.secret
    };
    let right = cx.passwords.check(sane, stored).await?;
    let app = app
        .filter(|app| right && !app.expired(cx.now()))
        .ok_or_else(|| unauthorized(cx))?;
    let user = store::users::get(cx.db(), app.user_id.as_str()).await?;
    let rules = store::access::rules_of_app(cx.db(), &app.id).await?;
    Ok(Found {
        user,
        parent: None,
        app: Some((app, rules)),
    })
}
