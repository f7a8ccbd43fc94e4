//! Questions that stand in a feed, each of which is answered once.

use std::collections::BTreeMap;

use nephos_peer::feed::Desired;
use nephos_types::feed::FeedItem;

/// The questions that were answered, by server. Those of the first document are old, unless they are as young as this
/// process: their generation is the time at which they were asked.
pub(super) struct Asked {
    kind: &'static str,
    answered: BTreeMap<String, i64>,
    young_after: i64,
}

impl Asked {
    pub fn since(kind: &'static str, young_after: i64) -> Self {
        Self {
            kind,
            answered: BTreeMap::new(),
            young_after,
        }
    }

    pub fn new_in(&mut self, desired: &Desired) -> Vec<FeedItem> {
        let mut new = Vec::new();
        let mut answered = BTreeMap::new();
        for item in desired.items.values().filter(|item| item.kind == self.kind) {
            let before = self.answered.get(&item.id).copied();
            if item.generation > before.unwrap_or(self.young_after) {
                new.push(FeedItem::clone(item));
            }
            answered.insert(item.id.clone(), item.generation);
        }
        self.answered = answered;
        new
    }
}
