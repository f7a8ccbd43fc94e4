//! `qemu-img` as a child with limits. It parses what users uploaded, so it gets little memory, little time, and is
//! always told the format: guessing is how a raw disk becomes a qcow2 that names another file.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nephos_runtime::Clock;
use serde_json::Value;

use crate::driver::DriverError;
use crate::model::spec::ImageId;

/// Address space and processor time of a child.
const LIMITS: [&str; 2] = ["--as=1073741824", "--cpu=30"];
/// A child that takes longer is killed.
const DEADLINE: Duration = Duration::from_secs(120);

/// Refuses an image that is not what it says, or that reaches for anything outside itself.
///
/// # Errors
/// `Refused`, with the reason for the image's owner.
pub async fn inspect(
    file: &Path,
    format: &'static str,
    image: &ImageId,
    clock: &Clock,
) -> Result<(), DriverError> {
    if format == "raw" {
        return Ok(()); // any bytes are a raw disk
    }
    let args = [
        OsStr::new("info"),
        OsStr::new("--output=json"),
        OsStr::new("-f"),
        OsStr::new(format),
        file.as_os_str(),
    ];
    let answer = qemu_img(&args, clock).await?;
    let info = answer.map_err(|why| {
        DriverError::Refused(format!(
            "image {image} is not a sound {format} image: {why}"
        ))
    })?;
    let info: Value = serde_json::from_slice(&info)
        .map_err(|why| DriverError::Failed(format!("cannot read qemu-img's answer: {why}")))?;
    let reaches_out = [
        ("/backing-filename", "a backing file"),
        ("/full-backing-filename", "a backing file"),
        ("/format-specific/data/data-file", "an external data file"),
    ];
    for (pointer, what) in reaches_out {
        if info.pointer(pointer).is_some() {
            return Err(DriverError::Refused(format!("image {image} has {what}")));
        }
    }
    if info.pointer("/encrypted").and_then(Value::as_bool) == Some(true) {
        return Err(DriverError::Refused(format!("image {image} is encrypted")));
    }
    Ok(())
}

/// Makes a qcow2 overlay.
///
/// # Errors
/// When it cannot be made.
pub async fn create_overlay(
    overlay: &Path,
    base: &Path,
    base_format: &'static str,
    size_bytes: u64,
    clock: &Clock,
) -> Result<(), DriverError> {
    let size = size_bytes.to_string();
    let args = [
        OsStr::new("create"),
        OsStr::new("-q"),
        OsStr::new("-f"),
        OsStr::new("qcow2"),
        OsStr::new("-F"),
        OsStr::new(base_format),
        OsStr::new("-b"),
        base.as_os_str(),
        overlay.as_os_str(),
        OsStr::new(&size),
    ];
    let made = qemu_img(&args, clock).await?;
    made.map(|_nothing| ())
        .map_err(|why| no_room(&why, overlay))
}

/// Makes a qcow2 disk with nothing in it, which stands on no other.
///
/// # Errors
/// When it cannot be made.
pub async fn create_empty(disk: &Path, size_bytes: u64, clock: &Clock) -> Result<(), DriverError> {
    let size = size_bytes.to_string();
    let args = [
        OsStr::new("create"),
        OsStr::new("-q"),
        OsStr::new("-f"),
        OsStr::new("qcow2"),
        disk.as_os_str(),
        OsStr::new(&size),
    ];
    let made = qemu_img(&args, clock).await?;
    made.map(|_nothing| ()).map_err(|why| no_room(&why, disk))
}

/// Makes one qcow2 file of a disk and all that it stands on.
///
/// # Errors
/// When it cannot be made.
pub async fn flatten(disk: &Path, whole: &Path, clock: &Clock) -> Result<(), DriverError> {
    let args = [
        OsStr::new("convert"),
        OsStr::new("-q"),
        OsStr::new("-f"),
        OsStr::new("qcow2"),
        OsStr::new("-O"),
        OsStr::new("qcow2"),
        disk.as_os_str(),
        whole.as_os_str(),
    ];
    let made = qemu_img_within(&args, LONG, clock).await?;
    made.map(|_nothing| ()).map_err(|why| no_room(&why, whole))
}

/// Makes a disk larger.
///
/// # Errors
/// When it cannot be.
pub async fn grow(disk: &Path, size_bytes: u64, clock: &Clock) -> Result<(), DriverError> {
    let size = size_bytes.to_string();
    let args = [
        OsStr::new("resize"),
        OsStr::new("-q"),
        OsStr::new("-f"),
        OsStr::new("qcow2"),
        disk.as_os_str(),
        OsStr::new(&size),
    ];
    let made = qemu_img(&args, clock).await?;
    made.map(|_nothing| ()).map_err(|why| no_room(&why, disk))
}

fn no_room(why: &str, disk: &Path) -> DriverError {
    if why.contains("No space left") {
        return DriverError::Refused(format!("the host's disk is full: {why}"));
    }
    DriverError::Failed(format!("cannot make the disk {}: {why}", disk.display()))
}

/// Limits and deadline of a child.
type Within = ([&'static str; 2], Duration);
const SHORT: Within = (LIMITS, DEADLINE);
/// A large disk is read and written whole, by several hands at a time.
const LONG: Within = (
    ["--as=4294967296", "--cpu=3600"],
    Duration::from_secs(4 * 3600),
);

/// Its output, or what it complained of.
async fn qemu_img(args: &[&OsStr], clock: &Clock) -> Result<Result<Vec<u8>, String>, DriverError> {
    qemu_img_within(args, SHORT, clock).await
}

async fn qemu_img_within(
    args: &[&OsStr],
    (limits, deadline): Within,
    clock: &Clock,
) -> Result<Result<Vec<u8>, String>, DriverError> {
    let mut command = tokio::process::Command::new("prlimit");
    command.args(limits).arg("--").arg("qemu-img").args(args);
    command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .env("LC_ALL", "C");
    let output = clock.timeout(deadline, command.output()).await;
    let output = output
        .ok_or_else(|| DriverError::Failed("qemu-img did not end in time".to_owned()))?
        .map_err(|cause| DriverError::Unavailable(format!("cannot run qemu-img: {cause}")))?;
    if output.status.success() {
        return Ok(Ok(output.stdout));
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().last().unwrap_or("no reason given");
    Ok(Err(line.chars().take(300).collect()))
}
