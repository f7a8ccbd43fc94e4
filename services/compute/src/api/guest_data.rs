//! What guests ask about themselves. The network agent asks in their name, with the token of its host; Neutron's metadata
//! agent signs the server's id with a secret that both know, and needs no token.

use hmac::{Hmac, Mac as _};
use nephos_api::{Bytes, Download, Empty, Fault, Hosts, Public, Req, With, endpoint};
use nephos_api::{Payload, Reply};
use serde::Deserialize;
use sha2::Sha256;

use super::Cx;
use crate::model::guest_data;
use crate::model::server::Server;
use crate::store;

/// Longest password that a guest may leave (Nova's `MAX_SIZE`).
const PASSWORD_CHARS: usize = 1020;

#[derive(Debug, Deserialize)]
pub(crate) struct GuestPath {
    path: String,
}

endpoint! {
    /// List what a guest may ask.
    AnswerGuestRoot: GET "/metadata" => 200,
    policy: Hosts<Public>,
    reply: Download,
    handler: answer_guest_root,
}

async fn answer_guest_root(cx: Cx, req: Req<AnswerGuestRoot>) -> Reply<AnswerGuestRoot> {
    let server = asking(&cx, |name| req.header(name)).await?;
    answer(&server, "")
}

endpoint! {
    /// Answer a guest's question about itself.
    AnswerGuest: GET "/metadata/{path*}" => 200,
    policy: Hosts<Public>,
    path: GuestPath,
    reply: Download,
    handler: answer_guest,
}

async fn answer_guest(cx: Cx, req: Req<AnswerGuest>) -> Reply<AnswerGuest> {
    let server = asking(&cx, |name| req.header(name)).await?;
    answer(&server, &req.path.path)
}

fn answer(server: &Server, path: &str) -> Result<Download, Fault> {
    let (content_type, body) = guest_data::answer(server, path)
        .ok_or_else(|| Fault::not_found("There is nothing at this path."))?;
    Ok(Download {
        content_type,
        body: Payload::Bytes(body.into()),
    })
}

endpoint! {
    /// Keep the encrypted password that a guest made for itself; once.
    KeepPassword: POST "/metadata/{path*}" => 200,
    policy: Hosts<Public>,
    path: GuestPath,
    body: Bytes,
    reply: With<Empty>,
    handler: keep_password,
}

async fn keep_password(cx: Cx, req: Req<KeepPassword>) -> Reply<KeepPassword> {
    let server = asking(&cx, |name| req.header(name)).await?;
    if !guest_data::is_password(&req.path.path) {
        return Err(Fault::not_found("There is nothing at this path."));
    }
    let text = std::str::from_utf8(&req.body.0)
        .ok()
        .filter(|text| text.chars().count() <= PASSWORD_CHARS);
    let text = text.ok_or_else(|| {
        Fault::bad_request(format!(
            "A password is text of at most {PASSWORD_CHARS} characters."
        ))
    })?;
    let mut tx = cx.write().await?;
    if !store::servers::set_guest_password(&mut tx, &server.id, text).await? {
        return Err(Fault::conflict("The password is set already."));
    }
    tx.commit().await?;
    Ok(With::new(Empty))
}

/// The server that asks. What a host says is believed of the servers that are on it; anybody else must sign.
async fn asking<'h>(cx: &Cx, header: impl Fn(&str) -> Option<&'h str>) -> Result<Server, Fault> {
    let given = |name: &str| {
        header(name)
            .ok_or_else(|| Fault::bad_request(format!("{name} header is missing from request.")))
    };
    let (id, project) = (given("X-Instance-ID")?, given("X-Tenant-ID")?);
    let host = cx.caller.host.as_ref();
    if host.is_none()
        && !signed(
            &cx.config.metadata_secret,
            id,
            given("X-Instance-ID-Signature")?,
        )
    {
        tracing::warn!(server = id, "a metadata request has a wrong signature");
        return Err(Fault::forbidden("Invalid proxy request signature."));
    }
    let found = store::servers::get(cx.db(), id).await?;
    let is_there = |server: &Server| host.is_none_or(|host| server.host.as_ref() == Some(&host.0));
    // The id alone says little: a port of another project with this device id must learn nothing.
    found
        .filter(|server| server.project_id.as_str() == project && is_there(server))
        .ok_or_else(|| Fault::not_found("No such server."))
}

/// Compares in constant time; without a secret nobody is believed.
fn signed(secret: &str, id: &str, signature: &str) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return false;
    };
    mac.update(id.as_bytes());
    let Ok(given) = hex::decode(signature) else {
        return false;
    };
    !secret.is_empty() && mac.verify_slice(&given).is_ok()
}
