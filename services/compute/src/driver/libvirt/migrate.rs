//! The five calls of which a live migration consists, each to the libvirtd of one host.
//!
//! libvirt's own client makes them on connections to both hosts, for which one host must let the other one do anything
//! with it. Made one by one, by the agents of the two hosts, nothing but what they hand each other crosses the border:
//! opaque notes of the libvirtds (`cookies`), a definition, memory and disks.
//!
//! libvirt.so exports the calls for its own daemon only; they have had this form since 1.1.0 (2013). Where they are
//! missing, a host says so beforehand.

#![expect(
    unsafe_code,
    reason = "the calls exist neither in virt nor in virt-sys"
)]

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::path::Path;
use std::ptr;

use virt::connect::Connect;
use virt::domain::Domain;
use virt_sys as sys;

type Params = sys::virTypedParameterPtr;
type Begin = unsafe extern "C" fn(
    sys::virDomainPtr,
    Params,
    c_int,
    *mut *mut c_char,
    *mut c_int,
    c_uint,
) -> *mut c_char;
type Prepare = unsafe extern "C" fn(
    sys::virConnectPtr,
    Params,
    c_int,
    *const c_char,
    c_int,
    *mut *mut c_char,
    *mut c_int,
    *mut *mut c_char,
    c_uint,
) -> c_int;
type Perform = unsafe extern "C" fn(
    sys::virDomainPtr,
    *const c_char,
    Params,
    c_int,
    *const c_char,
    c_int,
    *mut *mut c_char,
    *mut c_int,
    c_uint,
) -> c_int;
type Finish = unsafe extern "C" fn(
    sys::virConnectPtr,
    Params,
    c_int,
    *const c_char,
    c_int,
    *mut *mut c_char,
    *mut c_int,
    c_uint,
    c_int,
) -> sys::virDomainPtr;
type Confirm = unsafe extern "C" fn(
    sys::virDomainPtr,
    Params,
    c_int,
    *const c_char,
    c_int,
    c_uint,
    c_int,
) -> c_int;

/// The guest runs meanwhile, is slowed down if it writes faster than can be brought, and is safe from other hands. Its
/// config drive is a file of each host, which libvirt takes for a disk that somebody forgot (`UNSAFE`).
const FLAGS: c_uint =
    sys::VIR_MIGRATE_LIVE | sys::VIR_MIGRATE_AUTO_CONVERGE | sys::VIR_MIGRATE_UNSAFE;

/// What a migration is made of on one host.
#[derive(Clone, Debug)]
pub struct Way {
    /// What the guest is called.
    pub name: String,
    /// The socket its memory goes by.
    pub memory: std::path::PathBuf,
    /// The socket its disks go by.
    pub disks: std::path::PathBuf,
    /// The devices of its disks that go along.
    pub local: Vec<String>,
    /// Whether the guest is frozen by its owner's will, and stays so.
    pub paused: bool,
}

/// Why a call did not do it, for people.
pub type Said<T> = Result<T, String>;

impl Way {
    fn flags(&self) -> c_uint {
        let mut flags = FLAGS;
        if !self.local.is_empty() {
            flags |= sys::VIR_MIGRATE_NON_SHARED_DISK;
        }
        if self.paused {
            flags |= sys::VIR_MIGRATE_PAUSED;
        }
        flags
    }

    fn params(&self) -> Said<List> {
        let mut list = List::default();
        list.add(c"migrate_uri", &socket(&self.memory))?;
        if !self.local.is_empty() {
            list.add(c"disks_uri", &socket(&self.disks))?;
        }
        self.add_local(&mut list)?;
        Ok(list)
    }

    fn add_local(&self, list: &mut List) -> Said<()> {
        self.local
            .iter()
            .try_for_each(|device| list.add(c"migrate_disks", device))
    }
}

fn socket(path: &Path) -> String {
    format!("unix://{}", path.display())
}

/// Whether this libvirt has the calls.
#[must_use]
pub fn is_possible() -> bool {
    let names = [
        c"virDomainMigrateBegin3Params",
        c"virDomainMigratePrepare3Params",
        c"virDomainMigratePerform3Params",
        c"virDomainMigrateFinish3Params",
        c"virDomainMigrateConfirm3Params",
    ];
    names.into_iter().all(|name| find(name).is_ok())
}

fn find(name: &CStr) -> Said<*mut c_void> {
    // SAFETY: a terminated name; libvirt is loaded as long as this program runs.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    if found.is_null() {
        return Err("this libvirt cannot move running guests".to_owned());
    }
    Ok(found)
}

/// The source's first: what the guest is, and its libvirtd's note for the other one. From then on nobody else can change
/// the guest, until [`confirm`] or the end of the connection.
///
/// # Errors
/// What libvirt says.
pub fn begin(domain: &Domain, way: &Way) -> Said<(String, Vec<u8>)> {
    let mut list = List::default();
    way.add_local(&mut list)?;
    let (mut note, mut length) = (ptr::null_mut(), 0);
    // SAFETY: the symbol has this type in every libvirt that has it.
    let call = unsafe {
        std::mem::transmute::<*mut c_void, Begin>(find(c"virDomainMigrateBegin3Params")?)
    };
    // SAFETY: the domain is alive, the list is libvirt's own, the places are ours.
    let xml = unsafe {
        call(
            domain.as_ptr(),
            list.params,
            list.count,
            &raw mut note,
            &raw mut length,
            way.flags() | sys::VIR_MIGRATE_CHANGE_PROTECTION,
        )
    };
    let note = taken(note, length);
    let Some(xml) = owned_text(xml) else {
        return Err(last_error());
    };
    Ok((xml, note))
}

/// The destination's: its QEMU waits for the guest, for as long as this connection is open.
///
/// # Errors
/// What libvirt says.
pub fn prepare(connect: &Connect, way: &Way, xml: &str, note: &[u8]) -> Said<Vec<u8>> {
    let mut list = way.params()?;
    list.add(c"destination_xml", xml)?;
    list.add(c"destination_name", &way.name)?;
    let (mut out, mut length, mut uri) = (ptr::null_mut(), 0, ptr::null_mut());
    // SAFETY: the symbol has this type in every libvirt that has it.
    let call = unsafe {
        std::mem::transmute::<*mut c_void, Prepare>(find(c"virDomainMigratePrepare3Params")?)
    };
    // SAFETY: the connection is open, the list is libvirt's own, the note is as long as is said, the places are ours.
    let done = unsafe {
        call(
            connect.as_ptr(),
            list.params,
            list.count,
            note.as_ptr().cast(),
            length_of(note),
            &raw mut out,
            &raw mut length,
            &raw mut uri,
            way.flags(),
        )
    };
    let out = taken(out, length);
    let _same_as_ours = owned_text(uri);
    ok(done, out)
}

/// The source's: brings everything to the other host. Takes as long as that takes; the guest is frozen when it is over.
///
/// # Errors
/// What libvirt says; the guest runs on.
pub fn perform(domain: &Domain, way: &Way, note: &[u8]) -> Said<Vec<u8>> {
    let list = way.params()?;
    let (mut out, mut length) = (ptr::null_mut(), 0);
    // SAFETY: the symbol has this type in every libvirt that has it.
    let call = unsafe {
        std::mem::transmute::<*mut c_void, Perform>(find(c"virDomainMigratePerform3Params")?)
    };
    // SAFETY: as in `prepare`; without a URI of another libvirtd none is called.
    let done = unsafe {
        call(
            domain.as_ptr(),
            ptr::null(),
            list.params,
            list.count,
            note.as_ptr().cast(),
            length_of(note),
            &raw mut out,
            &raw mut length,
            way.flags() | sys::VIR_MIGRATE_CHANGE_PROTECTION,
        )
    };
    let out = taken(out, length);
    ok(done, out)
}

/// The destination's: lets the guest run there, or ends what waited for it if it `came` not. Whether it runs there.
///
/// # Errors
/// When the call cannot be made.
pub fn finish(connect: &Connect, way: &Way, note: &[u8], came: bool) -> Said<(bool, Vec<u8>)> {
    let mut list = List::default();
    list.add(c"destination_name", &way.name)?;
    let (mut out, mut length) = (ptr::null_mut(), 0);
    // SAFETY: the symbol has this type in every libvirt that has it.
    let call = unsafe {
        std::mem::transmute::<*mut c_void, Finish>(find(c"virDomainMigrateFinish3Params")?)
    };
    // SAFETY: as in `prepare`.
    let domain = unsafe {
        call(
            connect.as_ptr(),
            list.params,
            list.count,
            note.as_ptr().cast(),
            length_of(note),
            &raw mut out,
            &raw mut length,
            way.flags(),
            c_int::from(!came),
        )
    };
    let out = taken(out, length);
    let runs = !domain.is_null();
    if runs {
        // SAFETY: libvirt gave it to us to free.
        unsafe { sys::virDomainFree(domain) };
    }
    Ok((runs, out))
}

/// The source's last: the guest `runs` there and goes here, or goes on here.
///
/// # Errors
/// What libvirt says.
pub fn confirm(domain: &Domain, way: &Way, note: &[u8], runs: bool) -> Said<()> {
    let mut list = List::default();
    way.add_local(&mut list)?;
    // SAFETY: the symbol has this type in every libvirt that has it.
    let call = unsafe {
        std::mem::transmute::<*mut c_void, Confirm>(find(c"virDomainMigrateConfirm3Params")?)
    };
    // SAFETY: as in `prepare`.
    let done = unsafe {
        call(
            domain.as_ptr(),
            list.params,
            list.count,
            note.as_ptr().cast(),
            length_of(note),
            way.flags() | sys::VIR_MIGRATE_CHANGE_PROTECTION,
            c_int::from(!runs),
        )
    };
    ok(done, ())
}

/// Gives up whatever takes long about a domain.
///
/// # Errors
/// What libvirt says.
pub fn give_up(domain: &Domain) -> Result<(), virt::error::Error> {
    // SAFETY: the domain is alive.
    match unsafe { sys::virDomainAbortJob(domain.as_ptr()) } {
        0 => Ok(()),
        _failed => Err(virt::error::Error::last_error()),
    }
}

fn ok<T>(done: c_int, value: T) -> Said<T> {
    if done == 0 {
        Ok(value)
    } else {
        Err(last_error())
    }
}

fn last_error() -> String {
    virt::error::Error::last_error().message().to_owned()
}

fn length_of(note: &[u8]) -> c_int {
    c_int::try_from(note.len()).unwrap_or(0)
}

/// Takes over bytes that libvirt made.
fn taken(bytes: *mut c_char, length: c_int) -> Vec<u8> {
    let Ok(length) = usize::try_from(length) else {
        return Vec::new();
    };
    if bytes.is_null() {
        return Vec::new();
    }
    // SAFETY: libvirt made so many bytes and gave them to us to free.
    unsafe {
        let copy = std::slice::from_raw_parts(bytes.cast::<u8>(), length).to_vec();
        libc::free(bytes.cast());
        copy
    }
}

/// Takes over a text that libvirt made.
fn owned_text(text: *mut c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: libvirt made a terminated text and gave it to us to free.
    unsafe {
        let copy = CStr::from_ptr(text).to_string_lossy().into_owned();
        libc::free(text.cast());
        Some(copy)
    }
}

/// Named parameters of a call.
struct List {
    params: Params,
    count: c_int,
    room: c_int,
}

impl Default for List {
    fn default() -> Self {
        Self {
            params: ptr::null_mut(),
            count: 0,
            room: 0,
        }
    }
}

impl List {
    fn add(&mut self, name: &CStr, value: &str) -> Said<()> {
        let value = CString::new(value).map_err(|_| format!("{name:?} has a NUL in it"))?;
        // SAFETY: the list is libvirt's own, which copies name and value.
        let done = unsafe {
            sys::virTypedParamsAddString(
                &raw mut self.params,
                &raw mut self.count,
                &raw mut self.room,
                name.as_ptr(),
                value.as_ptr(),
            )
        };
        ok(done, ())
    }
}

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: the list is libvirt's own, and nobody uses it any more.
        unsafe { sys::virTypedParamsFree(self.params, self.count) };
    }
}
