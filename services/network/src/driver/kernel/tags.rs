//! Frames with VLAN tags: a small program of the kernel's own (eBPF) at a link's door takes the tag from a frame and leads it
//! elsewhere, or gives it one. It needs neither `8021q` nor `act_vlan`, which many kernels are built without.
#![expect(unsafe_code, reason = "programs are loaded by bpf(2)")]

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{
    TcAttribute, TcBpfFlags, TcFilterBpf, TcFilterBpfOption, TcMessage, TcOption,
};
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_REPLACE};

use super::door::{self, Turn};
use super::netlink::Route;
use crate::driver::plane::Tags;

/// An instruction: eight bytes, as `struct bpf_insn` has them.
type Instruction = [u8; 8];

/// Registers. The first five are those of calls, and are lost by them.
const ANSWER: u8 = 0;
const FIRST: u8 = 1;
const SECOND: u8 = 2;
const THIRD: u8 = 3;
const FRAME: u8 = 6;
const TAG: u8 = 7;
const LINK: u8 = 8;

/// Operations, from linux/bpf.h.
const SET: u8 = 0xb7;
const COPY: u8 = 0xbf;
const AND: u8 = 0x57;
const READ_WORD: u8 = 0x61;
const SKIP: u8 = 0x05;
const SKIP_IF_EQUAL: u8 = 0x15;
const SKIP_UNLESS_EQUAL: u8 = 0x55;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;

/// Fields of `struct __sk_buff`.
const VLAN_PRESENT: i16 = 20;
const VLAN_TCI: i16 = 24;
const VLAN_PROTO: i16 = 28;

/// Functions of the kernel: `bpf_skb_vlan_push`, `bpf_skb_vlan_pop`, `bpf_redirect`.
const PUSH: i32 = 18;
const POP: i32 = 19;
const REDIRECT: i32 = 23;

/// Verdicts: `TC_ACT_UNSPEC`, after which other filters have their turn, and `TC_ACT_SHOT`.
const LET_BE: i32 = -1;
const DROP: i32 = 2;

/// 802.1Q, in the order of the network.
const DOT1Q: i32 = 0x8100_u16.to_be() as i32;

/// Looks at the tags of what comes in at a link.
pub fn set(link: &str, tags: Option<&Tags>) -> io::Result<()> {
    let mut route = Route::open()?;
    let Some(tags) = tags else {
        let own = |filter: &TcMessage| filter.header.info >> 16 == Turn::Tags as u32;
        return door::clear(&mut route, link, own);
    };
    let mut index = |name: &str| route.index(name).ok();
    let program = program(tags, &mut index).ok_or(io::ErrorKind::NotFound)?;
    let loaded = load(&program)?;
    // What is not ours goes; what is ours is replaced, and no frame passes between the two.
    let strange = |filter: &TcMessage| {
        let ours = door::is_of_tags(filter) && (door::is_first(filter) || is_head(filter));
        filter.header.info >> 16 == Turn::Tags as u32 && !ours
    };
    door::clear(&mut route, link, strange)?;
    door::open(&mut route, link)?;
    let mut filter = door::filter(&mut route, link, Turn::Tags, TcFilterBpf::KIND)?;
    let number = u32::try_from(loaded.as_raw_fd()).map_err(io::Error::other)?;
    let options = [
        TcFilterBpfOption::ProgFd(number),
        TcFilterBpfOption::ProgName(name(&program)),
        TcFilterBpfOption::Flags(TcBpfFlags::DirectAction),
    ];
    let options = options.into_iter().map(TcOption::Bpf).collect();
    filter.attributes.push(TcAttribute::Options(options));
    route.change(
        RouteNetlinkMessage::NewTrafficFilter(filter),
        NLM_F_CREATE | NLM_F_REPLACE,
    )
}

/// Whether a filter is only the head of its turn, which every dump begins with.
fn is_head(filter: &TcMessage) -> bool {
    let mut attributes = filter.attributes.iter();
    !attributes.any(|attribute| matches!(attribute, TcAttribute::Options(_)))
}

/// What is done with tags by these filters of a link's door; what is not as `wanted` says is nothing that anybody wants.
pub fn found(
    filters: &[TcMessage],
    wanted: Option<&Tags>,
    names: &BTreeMap<u32, String>,
) -> Option<Tags> {
    let mut own = filters.iter().filter(|filter| !is_head(filter));
    let (first, more) = (own.next()?, own.next().is_some());
    let mut index = |name: &str| {
        let mut known = names.iter();
        known.find_map(|(index, known)| (known == name).then_some(*index))
    };
    let expected = wanted
        .and_then(|wanted| program(wanted, &mut index))
        .map(|program| name(&program));
    let same = !more && door::is_first(first) && name_of(first) == expected;
    let strange = || Tags::Off(BTreeMap::new());
    Some(wanted.filter(|_| same).cloned().unwrap_or_else(strange))
}

fn name_of(filter: &TcMessage) -> Option<String> {
    let options = filter
        .attributes
        .iter()
        .filter_map(|attribute| match attribute {
            TcAttribute::Options(options) => Some(options),
            _other => None,
        });
    options.flatten().find_map(|option| match option {
        TcOption::Bpf(TcFilterBpfOption::ProgName(name)) => Some(name.clone()),
        _other => None,
    })
}

/// The name that a program is attached under: another one has another name. (The kernel has a digest of its own, which is
/// made in another way in every other release.)
fn name(program: &[Instruction]) -> String {
    let hash = program.as_flattened().iter();
    let hash = hash.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("nephos-{hash:016x}")
}

/// The program, unless a link that it names has no number.
fn program(tags: &Tags, index: &mut dyn FnMut(&str) -> Option<u32>) -> Option<Vec<Instruction>> {
    let mut number = |name: &str| i32::try_from(index(name)?).ok();
    match tags {
        Tags::On { tag, link } => Some(give(*tag, number(link)?)),
        Tags::Off(links) => {
            let links = links.iter().map(|(tag, link)| Some((*tag, number(link)?)));
            take(&links.collect::<Option<Vec<_>>>()?)
        }
    }
}

const fn instruction(operation: u8, (to, from): (u8, u8), skip: i16, value: i32) -> Instruction {
    let registers = if cfg!(target_endian = "little") {
        to | from << 4
    } else {
        to << 4 | from
    };
    let ([a, b], [c, d, e, f]) = (skip.to_ne_bytes(), value.to_ne_bytes());
    [operation, registers, a, b, c, d, e, f]
}

const fn set_to(register: u8, value: i32) -> Instruction {
    instruction(SET, (register, 0), 0, value)
}

const fn copy(to: u8, from: u8) -> Instruction {
    instruction(COPY, (to, from), 0, 0)
}

const fn read(to: u8, field: i16) -> Instruction {
    instruction(READ_WORD, (to, FRAME), field, 0)
}

const fn call(function: i32) -> Instruction {
    instruction(CALL, (0, 0), 0, function)
}

const END: Instruction = instruction(EXIT, (0, 0), 0, 0);

const fn verdict(what: i32) -> [Instruction; 2] {
    [set_to(ANSWER, what), END]
}

/// Gives every frame a tag, and it leaves by a link.
fn give(tag: u16, link: i32) -> Vec<Instruction> {
    let mut program = vec![
        copy(FRAME, FIRST),
        set_to(SECOND, DOT1Q),
        set_to(THIRD, i32::from(tag)),
        call(PUSH),
        instruction(SKIP_IF_EQUAL, (ANSWER, 0), 2, 0),
    ];
    program.extend(verdict(DROP));
    program.extend([set_to(FIRST, link), set_to(SECOND, 0), call(REDIRECT), END]);
    program
}

/// Takes these tags from frames, which leave by their links.
fn take(links: &[(u16, i32)]) -> Option<Vec<Instruction>> {
    let mut program = vec![
        copy(FRAME, FIRST),
        read(FIRST, VLAN_PRESENT),
        instruction(SKIP_UNLESS_EQUAL, (FIRST, 0), 2, 0),
    ];
    program.extend(verdict(LET_BE));
    program.extend([
        read(FIRST, VLAN_PROTO),
        instruction(SKIP_IF_EQUAL, (FIRST, 0), 2, DOT1Q),
    ]);
    program.extend(verdict(DROP));
    program.extend([
        read(TAG, VLAN_TCI),
        instruction(AND, (TAG, 0), 0, 0xfff),
        // A tag of no VLAN has nothing but a priority.
        instruction(SKIP_UNLESS_EQUAL, (TAG, 0), 2, 0),
    ]);
    program.extend(verdict(LET_BE));
    for (before, (tag, link)) in links.iter().enumerate() {
        let after = links.len() - before - 1;
        let to_the_end = i16::try_from(after * 3 + 2).ok()?;
        program.extend([
            instruction(SKIP_UNLESS_EQUAL, (TAG, 0), 2, i32::from(*tag)),
            set_to(LINK, *link),
            instruction(SKIP, (0, 0), to_the_end, 0),
        ]);
    }
    program.extend(verdict(DROP));
    program.extend([
        copy(FIRST, FRAME),
        call(POP),
        instruction(SKIP_IF_EQUAL, (ANSWER, 0), 2, 0),
    ]);
    program.extend(verdict(DROP));
    program.extend([copy(FIRST, LINK), set_to(SECOND, 0), call(REDIRECT), END]);
    Some(program)
}

/// `union bpf_attr` as far as `BPF_PROG_LOAD` needs it.
#[repr(C)]
#[derive(Default)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel: u32,
    flags: u32,
    name: [u8; 16],
}

/// `BPF_PROG_LOAD` and `BPF_PROG_TYPE_SCHED_CLS`, from linux/bpf.h.
const PROG_LOAD: libc::c_long = 5;
const SCHED_CLS: u32 = 3;

/// Gives a program to the kernel, which keeps it as long as somebody uses it.
fn load(program: &[Instruction]) -> io::Result<OwnedFd> {
    let license = c"Apache-2.0";
    let mut name = [0; 16];
    for (to, from) in name.iter_mut().zip(b"nephos_tags") {
        *to = *from;
    }
    let wanted = Load {
        kind: SCHED_CLS,
        count: u32::try_from(program.len()).map_err(io::Error::other)?,
        instructions: program.as_ptr() as u64,
        license: license.as_ptr() as u64,
        name,
        ..Load::default()
    };
    // SAFETY: the kernel reads the structure, and what it points to, all of which lives until the call ends.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            PROG_LOAD,
            &raw const wanted,
            size_of::<Load>(),
        )
    };
    let number = i32::try_from(answer).map_err(io::Error::other)?;
    if number < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made it, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_skip_of_a_program_ends_at_what_is_done_with_the_frame() {
        for count in [1_u16, 2, 4094] {
            let links: Vec<_> = (1..=count).map(|tag| (tag, 7)).collect();
            let program = take(&links).unwrap();
            let pop = program.iter().position(|one| *one == call(POP)).unwrap();
            let skips = program.iter().enumerate();
            let ends: Vec<_> = skips
                .filter(|(_, one)| one[0] == SKIP)
                .map(|(at, one)| at + 1 + usize::from(u16::from_ne_bytes([one[2], one[3]])))
                .collect();
            assert_eq!(ends.len(), usize::from(count));
            assert!(ends.iter().all(|end| *end == pop - 1));
        }
    }

    #[test]
    fn another_program_has_another_name() {
        let one = name(&give(5, 7));
        assert_eq!(one, name(&give(5, 7)));
        assert_ne!(one, name(&give(6, 7)));
        assert_ne!(one, name(&give(5, 8)));
    }
}
