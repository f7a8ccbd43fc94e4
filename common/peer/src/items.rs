//! Everything wanted on a host, so that a change costs what changed and what stands beside it, not everything.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use nephos_types::feed::FeedItem;

/// Wanted things of one kind by id: those that are in no list, or those of one list. Who keeps one sees by its address
/// whether anything in it has changed.
pub type Shelf = Arc<BTreeMap<String, Arc<FeedItem>>>;

/// The wanted things, shelf by shelf. Cheap to clone; a change copies the shelf that it is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Items(Arc<BTreeMap<(String, String), Shelf>>);

impl Items {
    /// All things.
    pub fn values(&self) -> impl Iterator<Item = &Arc<FeedItem>> {
        self.0.values().flat_map(|shelf| shelf.values())
    }

    /// The shelves of a kind, by the list that each is; those that are in no list stand under the empty name.
    pub fn of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a Shelf)> {
        let shelves = self.0.range((kind.to_owned(), String::new())..);
        let shelves = shelves.take_while(move |((of, _), _)| of == kind);
        shelves.map(|((_, list), shelf)| (list.as_str(), shelf))
    }

    /// A thing.
    #[must_use]
    pub fn get(&self, kind: &str, id: &str) -> Option<&Arc<FeedItem>> {
        self.0.get(&place(kind, id))?.get(id)
    }

    /// Puts a thing there, in place of what it was.
    pub fn insert(&mut self, item: Arc<FeedItem>) {
        let shelves = Arc::make_mut(&mut self.0);
        let shelf = shelves.entry(place(&item.kind, &item.id)).or_default();
        Arc::make_mut(shelf).insert(item.id.clone(), item);
    }

    /// Takes things away.
    pub fn remove(&mut self, kind: &str, id: &str) {
        let shelves = Arc::make_mut(&mut self.0);
        let place = place(kind, id);
        if let Some(shelf) = shelves.get_mut(&place) {
            Arc::make_mut(shelf).remove(id);
            if shelf.is_empty() {
                shelves.remove(&place);
            }
        }
    }

    /// Takes away the lists that go with these things.
    pub fn remove_lists(&mut self, of: &HashSet<String>) {
        Arc::make_mut(&mut self.0).retain(|(_, list), _| list.is_empty() || !of.contains(list));
    }
}

impl FromIterator<Arc<FeedItem>> for Items {
    fn from_iter<T: IntoIterator<Item = Arc<FeedItem>>>(items: T) -> Self {
        let mut all = Self::default();
        items.into_iter().for_each(|item| all.insert(item));
        all
    }
}

/// The shelf: an entry of a list is named `list/entry`.
fn place(kind: &str, id: &str) -> (String, String) {
    let list = id.split_once('/').map_or("", |(list, _)| list);
    (kind.to_owned(), list.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(kind: &str, id: &str, generation: i64) -> Arc<FeedItem> {
        Arc::new(FeedItem {
            kind: kind.to_owned(),
            id: id.to_owned(),
            generation,
            spec: Some(true.into()),
            request_id: None,
        })
    }

    fn shelf<'a>(items: &'a Items, list: &str) -> &'a Shelf {
        let mut shelves = items.of("entry");
        shelves.find(|(name, _)| *name == list).unwrap().1
    }

    #[test]
    fn a_change_leaves_the_other_shelves_as_they_are() {
        let all = [("thing", "a"), ("entry", "a/1"), ("entry", "b/1")];
        let before: Items = all
            .map(|(kind, id)| item(kind, id, 1))
            .into_iter()
            .collect();
        let mut after = before.clone();
        after.insert(item("entry", "b/2", 1));
        assert!(Arc::ptr_eq(shelf(&before, "a"), shelf(&after, "a")));
        assert!(!Arc::ptr_eq(shelf(&before, "b"), shelf(&after, "b")));
        assert_eq!(
            before.values().count(),
            3,
            "who has the old ones keeps them"
        );
        assert_eq!(after.get("entry", "b/2").unwrap().generation, 1);
    }

    #[test]
    fn what_is_taken_away_is_away_and_an_empty_shelf_as_well() {
        let all = [("thing", "a"), ("entry", "a/1"), ("entry", "b/1")];
        let mut items: Items = all
            .map(|(kind, id)| item(kind, id, 1))
            .into_iter()
            .collect();
        items.remove("entry", "b/1");
        items.remove("entry", "c/1");
        let left: Vec<_> = items.of("entry").map(|(list, _)| list).collect();
        assert_eq!(left, ["a"]);
        items.remove_lists(&HashSet::from(["a".to_owned()]));
        assert_eq!(
            items.values().map(|item| &item.id).collect::<Vec<_>>(),
            ["a"]
        );
    }
}
