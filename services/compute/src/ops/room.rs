//! Finding room for a server: offers from placement, weighed by `model/schedule.rs`; and why there is none.

use nephos_ops::{Failure, OpCx, StepError};

use super::step_error;
use crate::model::flavor::Flavor;
use crate::model::schedule::{self, Host, Room, Wish};
use crate::model::server::Server;
use crate::model::server_group::Members;
use crate::model::spec::ServerId;
use crate::peers::{Candidate, Explained};
use crate::store::hosts::HostState;
use crate::{Compute, store};

/// Offers that are looked at first: placement begins at a random host, so they are a sample of all there are.
const FEW: usize = 16;
/// Offers that are looked at before it is said that there is no room.
const ALL: usize = 1000;

/// The host to try and what to claim there, or why there is none.
///
/// A sample does for most servers. One that may not go to every host needs all offers, or those of the one host.
pub(super) async fn find(
    cx: &OpCx<Compute>,
    flavor: &Flavor,
    wish: &Wish,
) -> Result<Result<(Host, Candidate), Failure>, StepError> {
    if wish.host.is_none() && wish.zone.is_none() && wish.group.is_none() {
        let few = offers(cx, flavor, None, FEW).await?;
        let providers: Vec<String> = few.iter().map(|offer| offer.provider.clone()).collect();
        let rows = store::hosts::states(cx.db(), Some(&providers)).await?;
        if let Ok(host) = schedule::choose(&hosts(cx, &rows, &few), wish)
            && let Some(offer) = of_host(few, &host)
        {
            return Ok(Ok((host, offer)));
        }
    }
    let rows = store::hosts::states(cx.db(), None).await?;
    let only = rows
        .iter()
        .find(|row| wish.host.as_ref() == Some(&row.host));
    let only = only.map(|row| row.provider_id.as_str());
    let all = offers(cx, flavor, only, ALL).await?;
    let mut why = match schedule::choose(&hosts(cx, &rows, &all), wish) {
        Err(why) => why,
        Ok(host) => match of_host(all, &host) {
            Some(offer) => return Ok(Ok((host, offer))),
            None => return Err(StepError::Transient("the offer is gone".to_owned())),
        },
    };
    // Placement away again: the refusal stands without its part of the explanation.
    if let Ok(Some(told)) = cx.siblings.explain(flavor).await {
        why.room = room(told);
    }
    Ok(Err(Failure {
        code: 500,
        message: why.message(wish),
        details: why.details(),
    }))
}

async fn offers(
    cx: &OpCx<Compute>,
    flavor: &Flavor,
    provider: Option<&str>,
    limit: usize,
) -> Result<Vec<Candidate>, StepError> {
    cx.siblings
        .candidates(flavor, provider, limit)
        .await
        .map_err(step_error)
}

fn of_host(offers: Vec<Candidate>, host: &Host) -> Option<Candidate> {
    offers
        .into_iter()
        .find(|offer| offer.provider == host.provider)
}

fn hosts(cx: &OpCx<Compute>, rows: &[HostState], offers: &[Candidate]) -> Vec<Host> {
    let since = cx.now().plus_secs(-cx.config.host_down_after_secs);
    let host = |row: &HostState| {
        let offer = offers
            .iter()
            .find(|offer| offer.provider == row.provider_id);
        Host {
            name: row.host.clone(),
            provider: row.provider_id.clone(),
            zone: row.zone.clone(),
            disabled: row.disabled,
            up: !row.forced_down && row.seen_at > since,
            has_room: offer.is_some(),
            ram_free_mib: offer.map_or(0, |offer| offer.ram_free_mib),
        }
    };
    rows.iter().map(host).collect()
}

/// Placement's explanation in our words.
fn room(told: Explained) -> Room {
    let words: Vec<String> = told
        .constraints
        .iter()
        .map(|step| {
            let value = step.value.as_deref().unwrap_or_default();
            match (&step.resource_class, step.amount, step.constraint.as_str()) {
                (Some(class), Some(amount), _) => {
                    let most = told.largest_free.get(class).copied().unwrap_or(0);
                    format!(
                        "cannot give {amount} {class} (the most that one can give now is {most})"
                    )
                }
                (_, _, "required") => format!("lacks {value}"),
                (_, _, "forbidden") => format!("has {value}"),
                (_, _, other) => format!("does not pass {other}"),
            }
        })
        .collect();
    let lacks = told.constraints.iter().zip(&words);
    let lacks = lacks.filter(|(step, _)| step.removed > 0);
    let names = told.admin.iter().flatten().filter_map(|removed| {
        let what = words.get(removed.removed_by)?;
        Some(format!("{}: {what}", removed.name))
    });
    Room {
        hosts: told.total,
        names: names.collect(),
        lacks: lacks
            .map(|(step, what)| (step.removed, what.clone()))
            .collect(),
    }
}

/// Where the other members of its group are, if it is in one.
pub(super) async fn group(
    cx: &OpCx<Compute>,
    server: &Server,
) -> Result<Option<Members>, StepError> {
    let Some(id) = &server.group_id else {
        return Ok(None);
    };
    let Some(group) = store::server_groups::get(cx.db(), id).await? else {
        return Ok(None);
    };
    let others = store::server_groups::others(cx.db(), &group, &server.id).await?;
    Ok(Some(others))
}

/// What room means, for people.
pub(super) fn words(flavor: &Flavor) -> String {
    let room: Vec<String> = flavor
        .resources()
        .iter()
        .map(|(class, amount)| format!("{amount} {class}"))
        .collect();
    room.join(", ")
}

/// Servers made at the same time do not all want the same of several good hosts.
pub(super) fn spread(server: &ServerId) -> usize {
    server.as_str().bytes().fold(7, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(usize::from(byte))
    })
}
