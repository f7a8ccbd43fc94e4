//! How fast packets pass ports. What leaves by a port's link of the host goes to the port; what comes in at it comes from
//! the port, and is led round by a link of its own, where it leaves.

use super::{Picture, own, plain, short};
use crate::driver::plane::{HOST, Link, LinkKind, Rate};
use crate::model::spec::{Limit, Limits};

/// What a frame has beside what its MTU counts.
const HEADERS: u32 = 18;
/// A pause that is longer counts no more: the kernel has no words for it.
const LONGEST_PAUSE_SECS: u64 = 200;

/// What is limited.
pub(super) struct Limited<'a> {
    /// The port's link on the host.
    pub link: &'a str,
    /// Its id.
    pub port: &'a str,
    /// Its network's.
    pub mtu: u32,
}

/// Draws the limits of a port whose link is drawn.
pub(super) fn draw(picture: &mut Picture, limited: &Limited<'_>, limits: &Limits) {
    let Limited { link, port, mtu } = *limited;
    if let Some(limit) = &limits.ingress {
        let host = picture.plane.space(HOST);
        host.limits.insert(link.to_owned(), rate(limit, mtu));
    }
    if let Some(limit) = &limits.egress {
        let key = (HOST.to_owned(), link.to_owned());
        let Some(owner) = picture.links.get(&key).cloned() else {
            return;
        };
        let round = format!("ifb{}", short(port));
        let ifb = Link {
            mtu: Some(mtu),
            ..plain(LinkKind::Ifb)
        };
        own(picture, HOST, &round, ifb, owner);
        let host = picture.plane.space(HOST);
        host.limits.insert(round.clone(), rate(limit, mtu));
        host.detours.insert(link.to_owned(), round);
    }
}

/// The burst is a whole frame at least, or none would ever pass.
fn rate(limit: &Limit, mtu: u32) -> Rate {
    let bytes = |kbits: u32| u64::from(kbits) * 1000 / 8;
    let rate = bytes(limit.kbps).max(1);
    let most = rate.saturating_mul(LONGEST_PAUSE_SECS);
    let burst = bytes(limit.burst_kbits)
        .min(most)
        .max(u64::from(mtu.saturating_add(HEADERS)));
    Rate {
        bytes: rate,
        burst: u32::try_from(burst).unwrap_or(u32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kilobits_are_thousands_of_bits_and_a_whole_frame_always_fits() {
        let limit = |kbps, burst_kbits| rate(&Limit { kbps, burst_kbits }, 1450);
        let (bytes, burst) = (250_000, 200_000);
        assert_eq!(limit(2000, 1600), Rate { bytes, burst });
        let (bytes, burst) = (125, 1468);
        assert_eq!(limit(1, 1), Rate { bytes, burst });
        let (bytes, burst) = (125, 25_000);
        assert_eq!(limit(1, u32::MAX), Rate { bytes, burst });
        let burst = u32::MAX;
        assert_eq!(limit(u32::MAX, u32::MAX).burst, burst);
    }
}
