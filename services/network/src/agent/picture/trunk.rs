//! A port that is a part of a trunk: no guest is plugged in, but its frames go to the guest of the trunk's parent port with
//! a tag, and come from it with that tag. Where a guest's tap would be stands an end of a pair, under the tap's name, so
//! filters, limits and answers are those of any port; the other end and the parent's tap pass frames on to each other.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::{Picture, own, plain, set, short};
use crate::agent::documents::Owner;
use crate::driver::plane::{HOST, Link, LinkKind, Tags};
use crate::model::spec::{KIND_PORT, PortSpec, TrunkSpec};

/// Draws the way from the port's link to the parent's tap and back, and gives what the port's link is.
pub fn draw(
    picture: &mut Picture,
    spec: &PortSpec,
    trunk: &TrunkSpec,
    mtu: u32,
) -> Result<LinkKind, String> {
    let TrunkSpec {
        parent_tap,
        segmentation_id: tag,
    } = trunk;
    if !(1..=4094).contains(tag) {
        return Err(format!("{tag} is no VLAN tag"));
    }
    let host = picture.plane.space(HOST);
    let parent = host.links.get(parent_tap);
    if parent.is_none_or(|link| link.kind != LinkKind::Tap) {
        return Err(format!(
            "{parent_tap}, the port of its trunk, is not on this host"
        ));
    }
    let inner = format!("sub{}", short(&spec.id));
    let tags = host.tags.entry(parent_tap.clone());
    if let Tags::Off(ways) = tags.or_insert_with(|| Tags::Off(BTreeMap::new())) {
        match ways.entry(*tag) {
            Entry::Vacant(free) => _ = free.insert(inner.clone()),
            Entry::Occupied(by) => return Err(format!("tag {tag} leads to {} already", by.get())),
        }
    }
    let back = Tags::On {
        tag: *tag,
        link: parent_tap.clone(),
    };
    host.tags.insert(inner.clone(), back);
    let peer = spec.tap.clone();
    let link = Link {
        mtu: Some(mtu),
        ..plain(LinkKind::Inner { peer })
    };
    own(picture, HOST, &inner, link, Owner::new(KIND_PORT, &spec.id));
    // Nobody of the host lives there.
    let path = format!("ipv6/conf/{inner}/disable_ipv6");
    set(picture, HOST, &path, "1");
    Ok(LinkKind::Veth {
        space: HOST.to_owned(),
        peer: inner,
    })
}
