//! libvirt's backup job: a running guest's root disk, as it is when the job begins, comes into a file of its own while the
//! guest writes on. libvirt's words for it are in no crate, so these are the calls themselves.

#![expect(unsafe_code, reason = "the calls exist in virt-sys only")]

use std::ffi::{CStr, CString, c_int};
use std::fmt::Write as _;
use std::path::Path;
use std::ptr;

use virt::domain::Domain;
use virt::error::Error;
use virt_sys as sys;

use super::migrate;

/// How a guest's job stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Job {
    /// There is none.
    None,
    /// A backup goes on.
    BackingUp,
    /// Something else does.
    Other,
}

/// Begins to bring the disk at `device` into `file`, one qcow2 that stands on no other. Answers before it is there.
///
/// # Errors
/// What libvirt says.
pub fn begin(domain: &Domain, device: &str, others: &[String], file: &Path) -> Result<(), Error> {
    let xml = CString::new(wish(device, others, file)).unwrap_or_default();
    // SAFETY: the domain is alive, the text is terminated; no checkpoint is asked for.
    match unsafe { sys::virDomainBackupBegin(domain.as_ptr(), xml.as_ptr(), ptr::null(), 0) } {
        0 => Ok(()),
        _failed => Err(Error::last_error()),
    }
}

/// Gives up a backup that goes on.
///
/// # Errors
/// What libvirt says.
pub fn give_up(domain: &Domain) -> Result<(), Error> {
    if domain.is_active()? && job(domain)? == Job::BackingUp {
        migrate::give_up(domain)?;
    }
    Ok(())
}

/// What goes on.
///
/// # Errors
/// What libvirt says.
pub fn job(domain: &Domain) -> Result<Job, Error> {
    let (kind, stats) = Stats::of(domain, 0)?;
    Ok(match c_int::try_from(sys::VIR_DOMAIN_JOB_NONE) {
        Ok(none) if kind == none => Job::None,
        _some if stats.is_backup() => Job::BackingUp,
        _some => Job::Other,
    })
}

/// How the last job ended, if it was a backup: why not, if it did not come to its end.
///
/// # Errors
/// What libvirt says.
pub fn outcome(domain: &Domain) -> Result<Result<(), String>, Error> {
    let (kind, stats) = Stats::of(domain, sys::VIR_DOMAIN_JOB_STATS_COMPLETED)?;
    let completed = c_int::try_from(sys::VIR_DOMAIN_JOB_COMPLETED) == Ok(kind);
    if completed && stats.is_backup() {
        return Ok(Ok(()));
    }
    Ok(Err(stats.message().unwrap_or_else(|| {
        "the guest ended meanwhile, or something ended the copying".to_owned()
    })))
}

fn wish(device: &str, others: &[String], file: &Path) -> String {
    let mut xml = String::from("<domainbackup mode='push'><disks>");
    let file = file.display().to_string();
    let _text = write!(
        xml,
        "<disk name='{device}' backup='yes' type='file'><driver type='qcow2'/><target file='{}'/></disk>",
        super::domain_xml::escape(&file)
    );
    for other in others.iter().filter(|other| *other != device) {
        let other = super::domain_xml::escape(other);
        let _text = write!(xml, "<disk name='{other}' backup='no'/>");
    }
    xml.push_str("</disks></domainbackup>");
    xml
}

/// What libvirt tells of a job.
struct Stats {
    params: sys::virTypedParameterPtr,
    count: c_int,
}

impl Stats {
    fn of(domain: &Domain, flags: u32) -> Result<(c_int, Self), Error> {
        let (mut kind, mut stats) = (
            0,
            Self {
                params: ptr::null_mut(),
                count: 0,
            },
        );
        // SAFETY: the domain is alive, the places are ours.
        let done = unsafe {
            sys::virDomainGetJobStats(
                domain.as_ptr(),
                &raw mut kind,
                &raw mut stats.params,
                &raw mut stats.count,
                flags,
            )
        };
        match done {
            0 => Ok((kind, stats)),
            _failed => Err(Error::last_error()),
        }
    }

    fn is_backup(&self) -> bool {
        let mut value = 0;
        // SAFETY: the list is libvirt's own, the name is terminated, the place is ours.
        let found = unsafe {
            sys::virTypedParamsGetInt(
                self.params,
                self.count,
                c"operation".as_ptr(),
                &raw mut value,
            )
        };
        found == 1 && c_int::try_from(sys::VIR_DOMAIN_JOB_OPERATION_BACKUP) == Ok(value)
    }

    fn message(&self) -> Option<String> {
        let mut text = ptr::null();
        // SAFETY: as in `is_backup`; the text is the list's, and copied before that goes.
        unsafe {
            let found = sys::virTypedParamsGetString(
                self.params,
                self.count,
                c"errmsg".as_ptr(),
                &raw mut text,
            );
            (found == 1 && !text.is_null())
                .then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
        }
    }
}

impl Drop for Stats {
    fn drop(&mut self) {
        // SAFETY: the list is libvirt's own, and nobody uses it any more.
        unsafe { sys::virTypedParamsFree(self.params, self.count) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_root_disk_is_copied() {
        let others = ["vda".to_owned(), "vdb".to_owned()];
        assert_eq!(
            wish("vda", &others, Path::new("/a&b/c.qcow2")),
            "<domainbackup mode='push'><disks><disk name='vda' backup='yes' type='file'><driver type='qcow2'/>\
             <target file='/a&amp;b/c.qcow2'/></disk><disk name='vdb' backup='no'/></disks></domainbackup>"
        );
    }
}
