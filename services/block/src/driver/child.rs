//! `qemu-img` as a child with limits. It parses what users uploaded, so it gets little memory, little time, and is
//! always told the format: guessing is how a raw disk becomes a qcow2 that names another file.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nephos_runtime::Clock;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::DriverError;
use crate::model::encryption::{Luks, Passphrase};
use crate::model::layer::Format;

/// Address space and processor time of a child that only looks or writes a header.
const SMALL: [&str; 2] = ["--as=1073741824", "--cpu=30"];
const SMALL_WITHIN: Duration = Duration::from_secs(120);
/// The same for one that reads and writes everything.
const LARGE: [&str; 2] = ["--as=2147483648", "--cpu=3600"];
const LARGE_WITHIN: Duration = Duration::from_secs(4 * 3600);
/// As much of its complaints as is read.
const MAX_WORDS: u64 = 64 << 10;

/// How large the disk inside is, once it is clear that the image reaches for nothing outside itself.
pub(crate) async fn inspect(file: &Path, format: &str, clock: &Clock) -> Result<u64, DriverError> {
    let info = info(file, format, clock).await?;
    let info = info
        .map_err(|why| DriverError::Refused(format!("it is not a sound {format} image: {why}")))?;
    let reaches_out = [
        ("/backing-filename", "a backing file"),
        ("/full-backing-filename", "a backing file"),
        ("/format-specific/data/data-file", "an external data file"),
        ("/format-specific/data/extents/1/filename", "further files"),
    ];
    for (pointer, what) in reaches_out {
        if info.pointer(pointer).is_some() {
            return Err(DriverError::Refused(format!("it has {what}")));
        }
    }
    if info.pointer("/encrypted").and_then(Value::as_bool) == Some(true) {
        return Err(DriverError::Refused("it is encrypted".to_owned()));
    }
    disk_bytes(&info)
}

/// What is said of an image, or why it is none.
async fn info(
    file: &Path,
    format: &str,
    clock: &Clock,
) -> Result<Result<Value, String>, DriverError> {
    let args = [
        OsStr::new("info"),
        OsStr::new("--output=json"),
        OsStr::new("-f"),
        OsStr::new(format),
        file.as_os_str(),
    ];
    let info = match qemu_img(&args, SMALL, (SMALL_WITHIN, clock)).await? {
        Ok(info) => info,
        Err(why) => return Ok(Err(why)),
    };
    let info = serde_json::from_slice(&info)
        .map_err(|why| DriverError::Failed(format!("cannot read qemu-img's answer: {why}")))?;
    Ok(Ok(info))
}

fn disk_bytes(info: &Value) -> Result<u64, DriverError> {
    let size = info.pointer("/virtual-size").and_then(Value::as_u64);
    size.ok_or_else(|| DriverError::Refused("it does not say how large it is".to_owned()))
}

/// Writes a disk in another format.
pub(crate) async fn convert(
    (from, from_format): (&Path, &str),
    (to, to_format): (&Path, &str),
    clock: &Clock,
) -> Result<(), DriverError> {
    let args = [
        OsStr::new("convert"),
        OsStr::new("-q"),
        OsStr::new("-f"),
        OsStr::new(from_format),
        OsStr::new("-O"),
        OsStr::new(to_format),
        from.as_os_str(),
        to.as_os_str(),
    ];
    let done = qemu_img(&args, LARGE, (LARGE_WITHIN, clock)).await?;
    done.map(|_nothing| ())
        .map_err(|why| refused("convert", from, &why))
}

/// Makes a qcow2 overlay. The base is named as in the same folder, so the folder may move.
pub(crate) async fn create_overlay(
    (base, format): (&str, Format),
    overlay: &Path,
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
        OsStr::new(format.as_str()),
        OsStr::new("-b"),
        OsStr::new(base),
        overlay.as_os_str(),
        OsStr::new(&size),
    ];
    let made = qemu_img(&args, SMALL, (SMALL_WITHIN, clock)).await?;
    made.map(|_nothing| ())
        .map_err(|why| refused("make", overlay, &why))
}

/// Has a qcow2 overlay stand on another base, which is below the present one: what lies between comes into the overlay.
/// When `stop` comes to its end first, that is the error; the child has ended too, and the overlay stands where it stood.
pub(crate) async fn rebase(
    path: &Path,
    (base, format): (&str, Format),
    (clock, stop): (&Clock, impl Future<Output = DriverError>),
) -> Result<(), DriverError> {
    let args = [
        OsStr::new("rebase"),
        OsStr::new("-q"),
        OsStr::new("-f"),
        OsStr::new("qcow2"),
        OsStr::new("-F"),
        OsStr::new(format.as_str()),
        OsStr::new("-b"),
        OsStr::new(base),
        path.as_os_str(),
    ];
    let mut child = command(&args, LARGE)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|cause| DriverError::Failed(format!("cannot run qemu-img: {cause}")))?;
    let ended = tokio::select! {
        biased;
        why = stop => Err(why),
        ended = clock.timeout(LARGE_WITHIN, child.wait()) => ended.ok_or_else(late),
    };
    let status = match ended {
        Ok(status) => status.map_err(|cause| DriverError::file("wait for", path, &cause))?,
        Err(why) => {
            // Not before it is gone may others open the file.
            let gone = child.kill().await;
            gone.map_err(|cause| DriverError::file("stop work on", path, &cause))?;
            return Err(why);
        }
    };
    if status.success() {
        return Ok(());
    }
    let mut words = Vec::new();
    if let Some(pipe) = child.stderr.take() {
        let read = pipe.take(MAX_WORDS).read_to_end(&mut words).await;
        read.map_err(|cause| DriverError::file("read about", path, &cause))?;
    }
    Err(refused("shorten the chain of", path, &complaint(&words)))
}

/// How many bytes an overlay grows by when what comes from the layer that it stands on, and not from below that, comes
/// into it. When it is more than `enough`, it is not counted to the end.
pub(crate) async fn between(path: &Path, enough: u64, clock: &Clock) -> Result<u64, DriverError> {
    let info = info(path, "qcow2", clock).await?;
    let end = disk_bytes(&info.map_err(|why| refused("read", path, &why))?)?;
    let (mut from, mut found) = (0, 0_u64);
    while from < end && found <= enough {
        let map = map(path, (from, LOOK.min(end - from)), clock).await?;
        let of_it = map
            .iter()
            .filter(|extent| extent.present && extent.depth == 1);
        let bytes: u64 = of_it.map(|extent| extent.length).sum();
        found += bytes + bytes.min(TABLES);
        from += LOOK;
    }
    Ok(found)
}

/// Makes a qcow2 file larger; what is as large already stays.
pub(crate) async fn grow(path: &Path, size_bytes: u64, clock: &Clock) -> Result<(), DriverError> {
    let size = size_bytes.to_string();
    let args = [
        OsStr::new("resize"),
        OsStr::new("-q"),
        OsStr::new("-f"),
        OsStr::new("qcow2"),
        path.as_os_str(),
        OsStr::new(&size),
    ];
    let done = qemu_img(&args, SMALL, (SMALL_WITHIN, clock)).await?;
    done.map(|_nothing| ())
        .map_err(|why| refused("extend", path, &why))
}

/// How much of a disk is looked at at once: what a fragmented one says of it stays small.
const LOOK: u64 = 4 << 30;
/// Most bytes of the tables that say where so much of a disk is in its file, one of 64 KiB for each 512 MiB.
const TABLES: u64 = 8 << 16;

/// The first place of a qcow2 disk, from `from` on, that holds something else than zeroes, its base included.
pub(crate) async fn next_data(
    path: &Path,
    (from, end): (u64, u64),
    clock: &Clock,
) -> Result<Option<u64>, DriverError> {
    let mut from = from;
    while from < end {
        let length = LOOK.min(end - from);
        let map = map(path, (from, length), clock).await?;
        let found = map.iter().find(|extent| {
            extent.data && !extent.zero && extent.start.saturating_add(extent.length) > from
        });
        if let Some(found) = found {
            return Ok(Some(found.start.max(from)));
        }
        from += length;
    }
    Ok(None)
}

/// Where the bytes of a piece of a qcow2 disk are.
async fn map(
    path: &Path,
    (from, length): (u64, u64),
    clock: &Clock,
) -> Result<Vec<Extent>, DriverError> {
    let (start, most) = (
        format!("--start-offset={from}"),
        format!("--max-length={length}"),
    );
    let args = [
        OsStr::new("map"),
        OsStr::new("--output=json"),
        OsStr::new("-f"),
        OsStr::new("qcow2"),
        OsStr::new(&start),
        OsStr::new(&most),
        path.as_os_str(),
    ];
    let map = qemu_img(&args, SMALL, (SMALL_WITHIN, clock)).await?;
    let map = map.map_err(|why| refused("read", path, &why))?;
    serde_json::from_slice(&map)
        .map_err(|why| DriverError::Failed(format!("cannot read qemu-img's answer: {why}")))
}

/// A piece of a disk, as `qemu-img map` shows it.
#[derive(serde::Deserialize)]
struct Extent {
    start: u64,
    length: u64,
    /// How far below the overlay it is; 0: in it.
    depth: u32,
    /// Whether some layer says what is there, if only that it is zeroes.
    present: bool,
    data: bool,
    zero: bool,
}

/// Writes a piece of a qcow2 disk, byte for byte, into a file of its own.
pub(crate) async fn extract(
    from: &Path,
    to: &Path,
    (at, length): (u64, u64),
    clock: &Clock,
) -> Result<(), DriverError> {
    // A comma ends a value, two are one.
    let name = from.display().to_string().replace(',', ",,");
    let image = format!(
        "driver=raw,offset={at},size={length},file.driver=qcow2,file.file.driver=file,file.file.filename={name}"
    );
    let args = [
        OsStr::new("convert"),
        OsStr::new("-q"),
        OsStr::new("--image-opts"),
        OsStr::new("-O"),
        OsStr::new("raw"),
        OsStr::new(&image),
        to.as_os_str(),
    ];
    let done = qemu_img(&args, LARGE, (LARGE_WITHIN, clock)).await?;
    done.map(|_nothing| ())
        .map_err(|why| refused("read", from, &why))
}

/// The object by which a child has the key that comes through its input.
const KEY: &str = "secret,id=k,file=/proc/self/fd/0";
/// How long opening a disk may take to try a key, in milliseconds: a key of 256 random bits is not guessed.
const TRY_MS: u32 = 10;

/// So often a child measures the processor again.
const MEASURES: u32 = 20;

/// Makes an encrypted disk.
pub(crate) async fn create_luks(
    (path, size_bytes): (&Path, u64),
    luks: &Luks,
    (key, clock): (&Passphrase, &Clock),
) -> Result<(), DriverError> {
    let (iv, hash) = match luks.iv.split_once(':') {
        Some((iv, hash)) => (iv, format!(",ivgen-hash-alg={hash}")),
        None => (luks.iv.as_str(), String::new()),
    };
    let options = format!(
        "key-secret=k,cipher-alg={},cipher-mode={},ivgen-alg={iv}{hash},iter-time={TRY_MS}",
        luks.cipher, luks.mode
    );
    let size = size_bytes.to_string();
    let args = [
        OsStr::new("create"),
        OsStr::new("-q"),
        OsStr::new("--object"),
        OsStr::new(KEY),
        OsStr::new("-f"),
        OsStr::new("luks"),
        OsStr::new("-o"),
        OsStr::new(&options),
        path.as_os_str(),
        OsStr::new(&size),
    ];
    let mut tries = 0;
    loop {
        match with_key(&args, SMALL, (key, SMALL_WITHIN, clock)).await? {
            Ok(()) => return Ok(()),
            // It measures how fast the processor is, and where that counts in large steps it sometimes sees none.
            Err(why) if why.contains("accurate CPU usage") && tries < MEASURES => tries += 1,
            Err(why) => return Err(refused("make", path, &why)),
        }
    }
}

/// Writes a raw disk into an encrypted one that is there, and at least as large.
pub(crate) async fn encrypt(
    from: &Path,
    to: &Path,
    (key, clock): (&Passphrase, &Clock),
) -> Result<(), DriverError> {
    // A comma ends a value, two are one.
    let name = to.display().to_string().replace(',', ",,");
    let image = format!("driver=luks,key-secret=k,file.driver=file,file.filename={name}");
    let args = [
        OsStr::new("convert"),
        OsStr::new("-q"),
        OsStr::new("--object"),
        OsStr::new(KEY),
        OsStr::new("-n"),
        OsStr::new("-f"),
        OsStr::new("raw"),
        OsStr::new("--target-image-opts"),
        from.as_os_str(),
        OsStr::new(&image),
    ];
    let done = with_key(&args, LARGE, (key, LARGE_WITHIN, clock)).await?;
    done.map_err(|why| refused("encrypt", to, &why))
}

/// Runs a child that reads a key from its input.
async fn with_key(
    args: &[&OsStr],
    limits: [&str; 2],
    (key, within, clock): (&Passphrase, Duration, &Clock),
) -> Result<Result<(), String>, DriverError> {
    let broken =
        |cause: std::io::Error| DriverError::Failed(format!("cannot run qemu-img: {cause}"));
    let mut child = command(args, limits)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(broken)?;
    if let Some(mut input) = child.stdin.take() {
        // A child that ended at once says itself why.
        let _taken = input.write_all(key.0.as_bytes()).await;
    }
    let output = clock.timeout(within, child.wait_with_output()).await;
    let output = output.ok_or_else(late)?.map_err(broken)?;
    if output.status.success() {
        return Ok(Ok(()));
    }
    Ok(Err(complaint(&output.stderr)))
}

fn refused(what: &str, path: &Path, why: &str) -> DriverError {
    // Users read it: where the back end is on its machine is not for them.
    let folder = path.parent().unwrap_or(path).display().to_string();
    let why = why.replace(&folder, "");
    let words = format!(
        "cannot {what} {}: {why}",
        path.file_name().unwrap_or_default().display()
    );
    if why.contains("No space left") {
        DriverError::Full(words)
    } else {
        DriverError::Failed(words)
    }
}

/// Its output, or what it complained of.
async fn qemu_img(
    args: &[&OsStr],
    limits: [&str; 2],
    (within, clock): (Duration, &Clock),
) -> Result<Result<Vec<u8>, String>, DriverError> {
    let output = clock.timeout(within, command(args, limits).output()).await;
    let output = output
        .ok_or_else(late)?
        .map_err(|cause| DriverError::Failed(format!("cannot run qemu-img: {cause}")))?;
    if output.status.success() {
        return Ok(Ok(output.stdout));
    }
    Ok(Err(complaint(&output.stderr)))
}

fn command(args: &[&OsStr], limits: [&str; 2]) -> tokio::process::Command {
    let mut command = bounded("qemu-img", limits);
    command.args(args);
    command
}

/// A program with limits, which ends when this process does: a killed process would leave it at work on a file that the
/// next one gives to others.
fn bounded(program: &str, limits: [&str; 2]) -> tokio::process::Command {
    let mut command = tokio::process::Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "prlimit"]);
    command.args(limits).arg("--").arg(program);
    command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .env("LC_ALL", "C");
    command
}

fn late() -> DriverError {
    DriverError::Failed("qemu-img did not end in time".to_owned())
}

/// The last thing that it complained of.
fn complaint(words: &[u8]) -> String {
    let text = String::from_utf8_lossy(words);
    let line = text.lines().last().unwrap_or("no reason given");
    line.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn a_child_ends_with_whoever_began_it() {
        // A thread stands for the process: the kernel looks at threads.
        let parent = std::thread::spawn(|| {
            let mut command = bounded("cat", SMALL);
            let command = command.as_std_mut();
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = command.spawn().unwrap();
            let mut input = child.stdin.take().unwrap();
            input.write_all(b"x").unwrap();
            let mut echo = [0];
            let mut output = child.stdout.take().unwrap();
            output.read_exact(&mut echo).unwrap();
            (child, input, output)
        });
        let (mut child, _input, _output) = parent.join().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
    }
}
