//! Router advertisements (RFC 4861), told by the host on behalf of the network's router.

use std::net::Ipv6Addr;

use etherparse::PacketBuilder;

use super::Guest;

/// How long the router is good for, and prefixes are.
const ROUTER_SECS: u16 = 1800;
const PREFIX_SECS: u32 = 86_400;

/// The advertisement for a guest; none when no router wants to be known there.
pub fn advert(guest: &Guest) -> Option<Vec<u8>> {
    let told: Vec<_> = guest
        .v6
        .iter()
        .filter(|lease| lease.router.is_some())
        .collect();
    let router = told.first()?.router?;
    let mut flags = 0;
    let mut options = vec![1, 1]; // the router's address
    options.extend_from_slice(&router.0);
    options.extend_from_slice(&[5, 1, 0, 0]); // largest packet
    options.extend_from_slice(&guest.mtu.to_be_bytes());
    for lease in told {
        flags |= (u8::from(lease.managed) << 7) | (u8::from(lease.other) << 6);
        let on_link = 0x80 | (u8::from(lease.autonomous) << 6);
        options.extend_from_slice(&[3, 4, lease.net.prefix_len(), on_link]);
        options.extend_from_slice(&PREFIX_SECS.to_be_bytes());
        options.extend_from_slice(&PREFIX_SECS.to_be_bytes());
        options.extend_from_slice(&[0; 4]);
        options.extend_from_slice(&lease.net.network().octets());
        for dns in lease.dns.iter().take(3) {
            options.extend_from_slice(&[25, 3, 0, 0]);
            options.extend_from_slice(&u32::from(ROUTER_SECS).to_be_bytes());
            options.extend_from_slice(&dns.octets());
        }
    }
    let mut payload = vec![0; 8]; // reachable time, retransmission timer: the guest's own
    payload.extend_from_slice(&options);
    let to = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let [life_high, life_low] = ROUTER_SECS.to_be_bytes();
    let packet = PacketBuilder::ethernet2(router.0, guest.mac.0)
        .ipv6(router.link_local().octets(), to.octets(), 255)
        .icmpv6_raw(134, 0, [64, flags, life_high, life_low]);
    let mut frame = Vec::with_capacity(packet.size(payload.len()));
    packet.write(&mut frame, &payload).ok()?;
    Some(frame)
}
