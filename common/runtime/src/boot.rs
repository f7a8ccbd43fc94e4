//! Which start of the machine this is.

/// Names this start of the machine; another after each. Empty where the kernel does not say.
#[must_use]
pub fn id() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}
