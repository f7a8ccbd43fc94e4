//! Does KVM really run guests here? `/dev/kvm` may open, answer every question and emulate each instruction at a
//! microsecond apiece (nested without hardware support): then plain QEMU is faster. So a guest is run for real.
//!
//! A short guest proves nothing, an emulating KVM passes it. The probe runs two million turns of a loop in long mode
//! with paging, in a process of its own, because `KVM_RUN` may never come back and only the end of its process ends it.

use std::io::Write as _;
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use nephos_runtime::Clock;
use serde::{Deserialize, Serialize};

/// The loop takes a processor under 3 ms, an emulation over 3 s.
const LOOP_LIMIT: Duration = Duration::from_millis(100);
/// Starting the child included.
const CHILD_LIMIT: Duration = Duration::from_secs(3);

/// What the probe found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Guests run on the processor.
    Works,
    /// The device is there and emulates, or answers nonsense.
    Emulated,
    /// There is no KVM that we may use.
    Absent,
}

impl Verdict {
    const fn exit_code(self) -> u8 {
        match self {
            Self::Works => 0,
            Self::Emulated => 1,
            Self::Absent => 2,
        }
    }
}

/// The hidden sub-command `probe-kvm`: prints the verdict; exit status 0 only if KVM works.
#[must_use]
pub fn probe_main() -> ExitCode {
    // This process is the child: whatever hangs in the kernel ends with it.
    let watchdog = std::thread::Builder::new().spawn(|| {
        std::thread::sleep(LOOP_LIMIT);
        say("emulated: the loop did not end in 100 ms");
        std::process::exit(i32::from(Verdict::Emulated.exit_code()));
    });
    let verdict = match watchdog {
        Ok(_) => run_loop(),
        Err(_) => Verdict::Absent,
    };
    say(match verdict {
        Verdict::Works => "works",
        Verdict::Emulated => "emulated: the guest did not end as it should",
        Verdict::Absent => "absent: /dev/kvm cannot be used",
    });
    ExitCode::from(verdict.exit_code())
}

fn say(text: &str) {
    let _nobody_reads = writeln!(std::io::stdout(), "{text}");
}

/// Runs `program args…`, which must end in [`probe_main`], and believes only its exit status 0.
pub async fn run_in_child(program: &Path, args: &[&str], clock: &Clock) -> Verdict {
    if !Path::new("/dev/kvm").exists() {
        return Verdict::Absent;
    }
    let mut command = tokio::process::Command::new(program);
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let Ok(mut child) = command.kill_on_drop(true).spawn() else {
        return Verdict::Absent;
    };
    match clock.timeout(CHILD_LIMIT, child.wait()).await {
        Some(Ok(status)) => match status.code() {
            Some(0) => Verdict::Works,
            Some(2) => Verdict::Absent,
            Some(_) | None => Verdict::Emulated,
        },
        Some(Err(_)) => Verdict::Absent,
        None => Verdict::Emulated,
    }
}

#[derive(Serialize, Deserialize)]
struct Kept {
    boot_id: String,
    verdict: Verdict,
}

/// The verdict, probed once per boot of the host: `file` keeps it.
pub async fn verdict(file: &Path, program: &Path, args: &[&str], clock: &Clock) -> Verdict {
    let boot_id = nephos_runtime::boot::id();
    let kept = std::fs::read(file).ok();
    let kept: Option<Kept> = kept.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    if let Some(kept) = kept.filter(|kept| kept.boot_id == boot_id) {
        return kept.verdict;
    }
    let verdict = run_in_child(program, args, clock).await;
    tracing::info!(?verdict, "probed KVM");
    if let Ok(bytes) = serde_json::to_vec(&Kept { boot_id, verdict })
        && let Err(cause) = std::fs::write(file, bytes)
    {
        tracing::warn!(%cause, "cannot keep the verdict on KVM; it is probed again at the next start");
    }
    verdict
}

#[cfg(not(target_arch = "x86_64"))]
fn run_loop() -> Verdict {
    Verdict::Absent
}

#[cfg(target_arch = "x86_64")]
fn run_loop() -> Verdict {
    guest::run().unwrap_or(Verdict::Absent)
}

#[cfg(target_arch = "x86_64")]
mod guest {
    use kvm_bindings::{kvm_segment, kvm_userspace_memory_region};
    use kvm_ioctls::{Kvm, VcpuExit};

    use super::Verdict;

    const TURNS: u32 = 2_000_000;
    const PAGE: usize = 4096;
    const PML4: usize = 0x1000;
    const PDPT: usize = 0x2000;
    const DIRECTORY: usize = 0x3000;
    const CODE: usize = 0x4000;
    const PAGES: usize = 8;

    /// The guest's memory: KVM wants it aligned to pages.
    #[repr(align(4096))]
    struct Memory([u8; PAGE * PAGES]);

    impl Memory {
        fn put(&mut self, at: usize, bytes: &[u8]) {
            if let Some(place) = self.0.get_mut(at..at + bytes.len()) {
                place.copy_from_slice(bytes);
            }
        }
    }

    /// Identity-maps the first 2 MiB, counts rcx down to zero, halts.
    fn memory() -> Box<Memory> {
        const PRESENT_WRITABLE: u64 = 0b11;
        const HUGE: u64 = 1 << 7;
        let mut memory = Box::new(Memory([0; PAGE * PAGES]));
        memory.put(PML4, &(PDPT as u64 | PRESENT_WRITABLE).to_le_bytes());
        memory.put(PDPT, &(DIRECTORY as u64 | PRESENT_WRITABLE).to_le_bytes());
        memory.put(DIRECTORY, &(PRESENT_WRITABLE | HUGE).to_le_bytes());
        let mut code = vec![0x48, 0xc7, 0xc1]; // mov rcx, TURNS
        code.extend_from_slice(&TURNS.to_le_bytes());
        code.extend_from_slice(&[0x48, 0xff, 0xc9]); // dec rcx
        code.extend_from_slice(&[0x75, 0xfb]); // jnz to dec
        code.push(0xf4); // hlt
        memory.put(CODE, &code);
        memory
    }

    /// `Err` wherever KVM refuses: then it is as good as absent.
    pub fn run() -> Result<Verdict, kvm_ioctls::Error> {
        let kvm = Kvm::new()?;
        let vm = kvm.create_vm()?;
        let memory = memory();
        let region = kvm_userspace_memory_region {
            slot: 0,
            flags: 0,
            guest_phys_addr: 0,
            memory_size: (PAGE * PAGES) as u64,
            userspace_addr: std::ptr::from_ref::<Memory>(&memory) as u64,
        };
        #[expect(unsafe_code, reason = "KVM takes the guest's memory by its address")]
        // SAFETY: the box is page aligned, of the stated size, and outlives the virtual machine.
        unsafe {
            vm.set_user_memory_region(region)?;
        }
        let mut vcpu = vm.create_vcpu(0)?;
        let mut sregs = vcpu.get_sregs()?;
        let code = segment(8, 11, true);
        let data = segment(16, 3, false);
        sregs.cs = code;
        (sregs.ds, sregs.es, sregs.ss) = (data, data, data);
        sregs.cr3 = PML4 as u64;
        sregs.cr4 = 1 << 5; // PAE
        sregs.efer = (1 << 8) | (1 << 10); // LME, LMA
        sregs.cr0 = (1 << 31) | (1 << 4) | 1; // PG, ET, PE
        vcpu.set_sregs(&sregs)?;
        let mut regs = vcpu.get_regs()?;
        regs.rip = CODE as u64;
        regs.rsp = (PAGE * PAGES) as u64;
        regs.rflags = 2;
        vcpu.set_regs(&regs)?;
        let halted = matches!(vcpu.run()?, VcpuExit::Hlt);
        let counted = vcpu.get_regs()?.rcx == 0;
        drop(vcpu);
        drop(vm);
        drop(memory);
        Ok(if halted && counted {
            Verdict::Works
        } else {
            Verdict::Emulated
        })
    }

    fn segment(selector: u16, type_: u8, is_code: bool) -> kvm_segment {
        kvm_segment {
            base: 0,
            limit: 0xffff_ffff,
            selector,
            type_,
            present: 1,
            dpl: 0,
            db: u8::from(!is_code),
            s: 1,
            l: u8::from(is_code),
            g: 1,
            ..kvm_segment::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: &str = "NEPHOS_TEST_IS_THE_PROBED_CHILD";

    /// Does nothing in a test run; as the child of the test below it is the probe.
    #[test]
    fn child() {
        if std::env::var_os(MARK).is_some() {
            let code = probe_main();
            std::process::exit(i32::from(code != ExitCode::SUCCESS));
        }
    }

    #[tokio::test]
    async fn a_verdict_comes_in_time_and_is_kept_for_this_boot() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("kvm.json");
        let clock = Clock::system();
        let this = std::env::current_exe().unwrap();
        let this = this.to_str().unwrap();
        let variable = format!("{MARK}=1");
        let test = "driver::libvirt::kvm_probe::tests::child";
        let args = [variable.as_str(), this, "--exact", test];
        let began = clock.monotonic();
        let first = verdict(&file, Path::new("/usr/bin/env"), &args, &clock).await;
        assert!(clock.monotonic() - began < CHILD_LIMIT + Duration::from_secs(2));
        let second = verdict(&file, Path::new("/nonexistent"), &[], &clock).await;
        assert_eq!(first, second);
        if !Path::new("/dev/kvm").exists() {
            assert_eq!(first, Verdict::Absent);
        }
        let stale = Kept {
            boot_id: "another".to_owned(),
            verdict: Verdict::Works,
        };
        std::fs::write(&file, serde_json::to_vec(&stale).unwrap()).unwrap();
        let third = verdict(&file, Path::new("/nonexistent"), &[], &clock).await;
        assert_eq!(third, Verdict::Absent);
    }
}
