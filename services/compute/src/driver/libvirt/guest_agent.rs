//! QEMU's agent in the guest.

use virt::domain::Domain;
use virt::error::{Error, ErrorNumber};
use virt_sys as sys;

use super::Shared;
use super::link::find;
use crate::driver::DriverError;
use crate::model::guest_password::{GuestPassword, PasswordSeen};
use crate::model::spec::ServerId;

/// A guest does not keep a thread of ours longer than this. libvirt's own default is for ever.
const ANSWER_SECS: i32 = 10;

impl Shared {
    pub(super) fn set_password(
        &self,
        server: &ServerId,
        password: &GuestPassword,
    ) -> Result<PasswordSeen, DriverError> {
        self.link.with("set a password", |connect| {
            let Some(domain) = find(connect, server.as_str())? else {
                let reason = "the guest is not on this host".to_owned();
                return Ok(PasswordSeen::Failed { reason });
            };
            set(&domain, password)
        })
    }
}

fn set(domain: &Domain, password: &GuestPassword) -> Result<PasswordSeen, Error> {
    let GuestPassword { account, password } = password;
    limit(domain)?;
    match domain.set_user_password(account, password, 0) {
        Ok(_) => Ok(PasswordSeen::Set),
        Err(error) => match error.code() {
            // Not there, not ready, or the guest was started without a channel for it.
            ErrorNumber::AgentUnresponsive
            | ErrorNumber::AgentUnsynced
            | ErrorNumber::AgentCommandTimeout
            | ErrorNumber::ArgumentUnsupported => Ok(PasswordSeen::NoAnswer),
            ErrorNumber::OperationInvalid => Ok(PasswordSeen::Failed {
                reason: "the guest is not running".to_owned(),
            }),
            ErrorNumber::AgentCommandFailed | ErrorNumber::InternalError => {
                Ok(PasswordSeen::Failed {
                    // What libvirt says of it might repeat what it was asked for.
                    reason: format!(
                        "the agent in the guest refused it. Is there an account '{account}'?"
                    ),
                })
            }
            _other => Err(error),
        },
    }
}

#[expect(unsafe_code, reason = "the crate does not have this call")]
fn limit(domain: &Domain) -> Result<(), Error> {
    // SAFETY: the domain is open as long as it is borrowed.
    let done = unsafe { sys::virDomainAgentSetResponseTimeout(domain.as_ptr(), ANSWER_SECS, 0) };
    match done {
        0 => Ok(()),
        _failed => Err(Error::last_error()),
    }
}
