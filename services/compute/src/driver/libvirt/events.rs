//! libvirt's events, as wakes: a server changed, look at it. What changed is found out by looking.
//!
//! The only unsafe code of the driver: the `virt` crate has no binding for event subscriptions.

#![expect(
    unsafe_code,
    reason = "virConnectDomainEventRegisterAny exists only in virt-sys"
)]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::{Arc, Once};
use std::time::Duration;

use tracing::{error, warn};
use virt::connect::Connect;
use virt_sys as sys;

use crate::driver::Changes;
use crate::model::spec::ServerId;

static LOOP: Once = Once::new();

/// Starts libvirt's event loop, once per process. It must run before the first connection is opened.
pub fn start_loop() {
    LOOP.call_once(|| {
        virt::error::clear_error_callback(); // libvirt would write every error to stderr
        if let Err(cause) = virt::event::event_register_default_impl() {
            error!(
                cause = cause.message(),
                "no libvirt events: changes are noticed late"
            );
            return;
        }
        let thread = std::thread::Builder::new().name("libvirt-events".to_owned());
        let started = thread.spawn(|| {
            loop {
                if let Err(cause) = virt::event::event_run_default_impl() {
                    warn!(cause = cause.message(), "libvirt's event loop failed");
                    std::thread::sleep(Duration::from_secs(1));
                }
            }
        });
        if let Err(cause) = started {
            error!(%cause, "no libvirt events: changes are noticed late");
        }
    });
}

/// The callbacks of one connection.
pub struct Subscription(Vec<c_int>);

impl Subscription {
    /// Ends it; a dead connection ends it anyway.
    pub fn end(self, connect: &Connect) {
        for id in self.0 {
            // SAFETY: the connection is open (it is closed after this), the id came from this connection.
            unsafe { sys::virConnectDomainEventDeregisterAny(connect.as_ptr(), id) };
        }
    }
}

/// Tells `changes` of every domain that starts, stops, pauses, or loses a device. `None`: this driver has no events.
#[must_use]
pub fn subscribe(connect: &Connect, changes: &Arc<Changes>) -> Option<Subscription> {
    // SAFETY: libvirt calls a callback with the signature that belongs to its event id; the generic type is
    // what VIR_DOMAIN_EVENT_CALLBACK casts to in C.
    let lifecycle = unsafe {
        std::mem::transmute::<Lifecycle, unsafe extern "C" fn(_, _, *mut c_void)>(on_lifecycle)
    };
    // SAFETY: as above.
    let removed = unsafe {
        std::mem::transmute::<DeviceRemoved, unsafe extern "C" fn(_, _, *mut c_void)>(
            on_device_removed,
        )
    };
    let wanted = [
        (sys::VIR_DOMAIN_EVENT_ID_LIFECYCLE, lifecycle),
        (sys::VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, removed),
    ];
    let mut ids = Vec::new();
    for (event, callback) in wanted {
        let opaque = Box::into_raw(Box::new(Arc::clone(changes))).cast::<c_void>();
        // SAFETY: the connection is open; `opaque` is a box that `free` gets exactly once, from libvirt when the
        // callback is gone, or from here when it was never registered.
        let id = unsafe {
            sys::virConnectDomainEventRegisterAny(
                connect.as_ptr(),
                std::ptr::null_mut(),
                c_int::try_from(event).unwrap_or(0),
                Some(callback),
                opaque,
                Some(free),
            )
        };
        if id < 0 {
            // SAFETY: see above; a failed registration does not take the box.
            unsafe { free(opaque) };
            warn!("libvirt sends no events of kind {event}: changes are noticed late");
        } else {
            ids.push(id);
        }
    }
    (!ids.is_empty()).then_some(Subscription(ids))
}

type Lifecycle =
    unsafe extern "C" fn(sys::virConnectPtr, sys::virDomainPtr, c_int, c_int, *mut c_void) -> c_int;
type DeviceRemoved =
    unsafe extern "C" fn(sys::virConnectPtr, sys::virDomainPtr, *const c_char, *mut c_void);

unsafe extern "C" fn on_lifecycle(
    _connect: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    _event: c_int,
    _detail: c_int,
    opaque: *mut c_void,
) -> c_int {
    // SAFETY: libvirt hands over what was registered.
    unsafe { tell(domain, opaque) };
    0
}

unsafe extern "C" fn on_device_removed(
    _connect: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    _device: *const c_char,
    opaque: *mut c_void,
) {
    // SAFETY: libvirt hands over what was registered.
    unsafe { tell(domain, opaque) };
}

/// # Safety
/// `domain` is a live domain and `opaque` a box of `Arc<Changes>` that is not freed meanwhile.
unsafe fn tell(domain: sys::virDomainPtr, opaque: *mut c_void) {
    let mut uuid: [c_char; 37] = [0; 37]; // VIR_UUID_STRING_BUFLEN
    // SAFETY: by contract; the buffer has the length that libvirt writes.
    let (rc, changes) = unsafe {
        let rc = sys::virDomainGetUUIDString(domain, uuid.as_mut_ptr());
        (rc, &*opaque.cast::<Arc<Changes>>())
    };
    if rc == 0 {
        // SAFETY: libvirt wrote a terminated string into the buffer.
        let text = unsafe { CStr::from_ptr(uuid.as_ptr()) };
        changes.tell(Some(ServerId(text.to_string_lossy().into_owned())));
    }
}

/// # Safety
/// `opaque` is a box of `Arc<Changes>` that nobody uses any more.
unsafe extern "C" fn free(opaque: *mut c_void) {
    // SAFETY: by contract.
    drop(unsafe { Box::from_raw(opaque.cast::<Arc<Changes>>()) });
}
