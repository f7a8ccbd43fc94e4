//! The consoles of simulated guests: a serial line that echoes what is typed, and a screen that shows it.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::{CONSOLE_BYTES, FakeDriver, Power};
use crate::driver::{DriverError, Pipe};
use crate::model::console::ConsoleKind;
use crate::model::spec::ServerId;

/// Bytes under way in each direction.
const PIPE_BYTES: usize = 16 * 1024;
/// The screen.
const WIDTH: u16 = 320;
const HEIGHT: u16 = 200;
/// What `ClientInit`, `SetPixelFormat`, … are, and how long their bodies are (RFC 6143).
const SET_PIXEL_FORMAT: u8 = 0;
const SET_ENCODINGS: u8 = 2;
const UPDATE_REQUEST: u8 = 3;
const KEY: u8 = 4;
const POINTER: u8 = 5;
const CUT_TEXT: u8 = 6;

impl FakeDriver {
    /// The client's end of a console whose guest runs on a task of its own.
    pub(super) fn console(
        &self,
        server: &ServerId,
        kind: ConsoleKind,
    ) -> Result<Pipe, DriverError> {
        let name = self.running(server)?;
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        let (driver, id) = (self.clone(), server.clone());
        nephos_runtime::spawn("simulated-console", async move {
            let ended = match kind {
                ConsoleKind::Serial => driver.serial(&id, &name, theirs).await,
                ConsoleKind::Vnc => screen(theirs).await,
            };
            // Whoever hung up needs no answer.
            if let Err(why) = ended {
                tracing::debug!(server = %id, %why, "a simulated console ended");
            }
        });
        Ok(Box::new(ours))
    }

    fn running(&self, server: &ServerId) -> Result<String, DriverError> {
        let found = self.world.with(&self.host, |host| {
            let guest = host.servers.get(server)?;
            let on = matches!(guest.power, Power::On | Power::Paused);
            let name = guest.defined.as_ref()?.name.clone();
            on.then_some(name)
        });
        found
            .flatten()
            .ok_or_else(|| DriverError::Failed(format!("server {server} does not run")))
    }

    /// Echoes lines, and answers each; what is said stands in the console log too.
    async fn serial(
        &self,
        server: &ServerId,
        name: &str,
        mut line: DuplexStream,
    ) -> std::io::Result<()> {
        line.write_all(format!("\r\n{name} login: ").as_bytes())
            .await?;
        let mut typed = Vec::new();
        let mut byte = [0_u8; 1];
        while line.read(&mut byte).await? == 1 {
            let [key] = byte;
            let answer = match key {
                b'\r' | b'\n' => {
                    let said = String::from_utf8_lossy(&typed).into_owned();
                    typed.clear();
                    format!("\r\nThe simulated guest {name} heard: {said}\r\n{name} login: ")
                }
                0x7f | 0x08 if typed.pop().is_some() => "\u{8} \u{8}".to_owned(),
                key if key.is_ascii_graphic() || key == b' ' => {
                    // A line longer than this says nothing more.
                    if typed.len() >= 256 {
                        continue;
                    }
                    typed.push(key);
                    char::from(key).to_string()
                }
                _other => continue,
            };
            line.write_all(answer.as_bytes()).await?;
            self.log(server, answer.as_bytes());
        }
        Ok(())
    }

    fn log(&self, server: &ServerId, bytes: &[u8]) {
        self.world.with(&self.host, |host| {
            if let Some(guest) = host.servers.get_mut(server) {
                guest.console.extend_from_slice(bytes);
                let excess = guest.console.len().saturating_sub(CONSOLE_BYTES);
                guest.console.drain(..excess);
            }
        });
    }
}

/// Speaks RFB 3.8 without a password: a plain screen whose colour follows the keys.
async fn screen(mut line: DuplexStream) -> std::io::Result<()> {
    line.write_all(b"RFB 003.008\n").await?;
    let mut version = [0_u8; 12];
    line.read_exact(&mut version).await?;
    line.write_all(&[1, 1]).await?;
    let _security_type = line.read_u8().await?;
    line.write_u32(0).await?;
    let _shared = line.read_u8().await?;
    line.write_u16(WIDTH).await?;
    line.write_u16(HEIGHT).await?;
    // 32 bits, depth 24, little endian, true colour, 8 bits each.
    line.write_all(&[32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0])
        .await?;
    let name = b"Simulated guest";
    line.write_u32(u32::try_from(name.len()).unwrap_or(0))
        .await?;
    line.write_all(name).await?;
    let mut keys = 0_u8;
    let mut shown = None;
    loop {
        match line.read_u8().await? {
            SET_PIXEL_FORMAT => skip(&mut line, 19).await?,
            SET_ENCODINGS => {
                let _padding = line.read_u8().await?;
                let count = usize::from(line.read_u16().await?);
                skip(&mut line, count * 4).await?;
            }
            UPDATE_REQUEST => {
                let incremental = line.read_u8().await? == 1;
                skip(&mut line, 8).await?;
                // The next answer is due when something changed.
                if !incremental || shown != Some(keys) {
                    paint(&mut line, keys).await?;
                    shown = Some(keys);
                } else {
                    shown = None;
                }
            }
            KEY => {
                let down = line.read_u8().await? == 1;
                skip(&mut line, 6).await?;
                if down {
                    keys = keys.wrapping_add(1);
                    if shown.is_none() {
                        paint(&mut line, keys).await?;
                        shown = Some(keys);
                    }
                }
            }
            POINTER => skip(&mut line, 5).await?,
            CUT_TEXT => {
                skip(&mut line, 3).await?;
                let length = usize::try_from(line.read_u32().await?).unwrap_or(usize::MAX);
                skip(&mut line, length.min(PIPE_BYTES)).await?;
            }
            _unknown => return Ok(()),
        }
    }
}

async fn skip(line: &mut DuplexStream, bytes: usize) -> std::io::Result<()> {
    let mut left = line.take(u64::try_from(bytes).unwrap_or(u64::MAX));
    tokio::io::copy(&mut left, &mut tokio::io::sink()).await?;
    Ok(())
}

/// One raw rectangle: the whole screen in one colour.
async fn paint(line: &mut DuplexStream, keys: u8) -> std::io::Result<()> {
    line.write_all(&[0, 0, 0, 1, 0, 0, 0, 0]).await?;
    line.write_u16(WIDTH).await?;
    line.write_u16(HEIGHT).await?;
    line.write_u32(0).await?;
    let pixel = [60, 90, keys.wrapping_mul(40).wrapping_add(20), 0];
    let row = pixel.repeat(usize::from(WIDTH));
    for _row in 0..HEIGHT {
        line.write_all(&row).await?;
    }
    line.flush().await
}
