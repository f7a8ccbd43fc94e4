//! Which policy a port or a network has.

use nephos_api::Fault;
use nephos_db::Tx;

use crate::Cx;
use crate::api::{fault, resource};
use crate::model::network::Network;
use crate::model::refusal::{Class, Refusal};
use crate::store::{Reader, qos, rbac};

/// Refuses a policy that the caller may not use. Its grants stay until the transaction ends.
pub(super) async fn check_usable(cx: &Cx, tx: &mut Tx, id: &str) -> Result<(), Fault> {
    if is_usable(cx, tx, id).await? {
        return Ok(());
    }
    Err(fault::not_found("QosPolicy", id).into())
}

async fn is_usable(cx: &Cx, tx: &mut Tx, id: &str) -> Result<bool, Fault> {
    if !cx.caller.is_admin() {
        rbac::hold(tx, &[id.to_owned()]).await?;
    }
    let found = qos::get(&mut Reader::Tx(tx), id).await?;
    Ok(found
        .is_some_and(|policy| resource::visible(&cx.caller, &policy.project_id, &policy.grants)))
}

/// Gives a new network the policy that was asked for, or its project's default one.
pub(super) async fn choose(cx: &Cx, tx: &mut Tx, network: &mut Network) -> Result<(), Fault> {
    if network.qos_policy_id.is_none() {
        network.qos_policy_id = qos::default_of(tx, &network.project_id).await?;
    }
    match &network.qos_policy_id {
        Some(policy) => check_usable(cx, tx, policy).await,
        None => Ok(()),
    }
}

/// Changes the policy of something, if it is asked for; says whether it is another one then. Who may not use the policy
/// that it has may not take it away either.
pub(super) async fn change(
    cx: &Cx,
    tx: &mut Tx,
    policy: &mut Option<String>,
    asked: &Option<Option<String>>,
) -> Result<bool, Fault> {
    let Some(asked) = asked else {
        return Ok(false);
    };
    if let Some(before) = policy
        && !is_usable(cx, tx, before).await?
    {
        let kind = "PolicyRemoveAuthorizationError";
        let message =
            format!("Failed to remove provided policy {before} because you are not authorized.");
        return Err(Refusal::new(Class::Denied, kind, message).into());
    }
    if let Some(asked) = asked {
        check_usable(cx, tx, asked).await?;
    }
    let differs = policy != asked;
    policy.clone_from(asked);
    Ok(differs)
}
