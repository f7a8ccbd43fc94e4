//! Lists of names: which part of them is asked for, and what a delimiter makes of them.

use super::names;

/// Most entries of one answer.
pub(crate) const MAX_ENTRIES: usize = 10_000;

/// What of a list is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish {
    pub prefix: String,
    pub delimiter: String,
    pub marker: Option<String>,
    pub end_marker: Option<String>,
    pub limit: usize,
    pub reverse: bool,
    /// Only what is directly below the prefix, without folders: the older `path`.
    pub flat: bool,
}

/// Names that may still come, in byte order: from (or behind) `low` to before `high`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// The least name, and whether it itself is out.
    pub low: Option<(String, bool)>,
    /// The name before which it ends.
    pub high: Option<String>,
}

/// An entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry<T> {
    /// A name with what belongs to it.
    Item(T),
    /// All names that begin like this.
    Folder(String),
}

/// Puts a list together from rows in their order, and says from where more are needed.
#[derive(Debug)]
pub(crate) struct Gather<T> {
    wish: Wish,
    /// What is looked for next.
    pub bounds: Bounds,
    /// What was found.
    pub entries: Vec<Entry<T>>,
    folder: Option<String>,
}

impl Wish {
    /// The names that can be in the answer.
    pub(crate) fn bounds(&self) -> Bounds {
        let mut bounds = Bounds::default();
        let (from, until) = if self.reverse {
            (&self.end_marker, &self.marker)
        } else {
            (&self.marker, &self.end_marker)
        };
        let from = from.as_ref().filter(|from| !from.is_empty());
        let until = until.as_ref().filter(|until| !until.is_empty());
        if !self.prefix.is_empty() {
            bounds.low = Some((self.prefix.clone(), false));
            bounds.high = names::behind(&self.prefix);
        }
        if let Some(from) =
            from.filter(|from| bounds.low.as_ref().is_none_or(|(low, _)| low <= *from))
        {
            bounds.low = Some((from.clone(), true));
        }
        if let Some(until) =
            until.filter(|until| bounds.high.as_ref().is_none_or(|high| high > *until))
        {
            bounds.high = Some(until.clone());
        }
        bounds
    }
}

impl<T> Gather<T> {
    /// Nothing found yet.
    pub(crate) fn new(wish: Wish) -> Self {
        Self {
            bounds: wish.bounds(),
            wish,
            entries: Vec::new(),
            folder: None,
        }
    }

    /// Whether the answer is full.
    pub(crate) fn full(&self) -> bool {
        self.entries.len() >= self.wish.limit
    }

    /// How many rows to ask for next.
    pub(crate) fn missing(&self) -> usize {
        let missing = self.wish.limit.saturating_sub(self.entries.len());
        // Behind a folder nobody knows how many rows fall into it.
        if self.wish.delimiter.is_empty() {
            missing
        } else {
            missing.clamp(1, 500)
        }
    }

    /// Takes the next row.
    pub(crate) fn take(&mut self, name: &str, item: T) {
        if self.full() {
            return;
        }
        if self
            .folder
            .as_deref()
            .is_some_and(|folder| name.starts_with(folder))
        {
            return;
        }
        let folder = self.folder_of(name);
        let folder = folder.filter(|folder| !(self.wish.flat && folder == name));
        let Some(folder) = folder else {
            self.go_behind(name);
            if !(self.wish.flat && name == self.wish.prefix) {
                self.entries.push(Entry::Item(item));
            }
            return;
        };
        if self.wish.reverse {
            self.bounds.high = Some(folder.clone());
        } else {
            self.bounds.low = names::behind(&folder)
                .map(|behind| (behind, false))
                .or(self.bounds.low.take());
        }
        // A marker that is a folder was its own last entry.
        if !self.wish.flat && self.wish.marker.as_deref() != Some(folder.as_str()) {
            self.entries.push(Entry::Folder(folder.clone()));
        }
        self.folder = Some(folder);
    }

    fn go_behind(&mut self, name: &str) {
        if self.wish.reverse {
            self.bounds.high = Some(name.to_owned());
        } else {
            self.bounds.low = Some((name.to_owned(), true));
        }
    }

    fn folder_of(&self, name: &str) -> Option<String> {
        if self.wish.delimiter.is_empty() {
            return None;
        }
        let rest = name.get(self.wish.prefix.len()..)?;
        let at = rest.find(&self.wish.delimiter)?;
        let end = self.wish.prefix.len() + at + self.wish.delimiter.len();
        name.get(..end).map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str], wish: Wish) -> Vec<String> {
        let mut sorted: Vec<&str> = names.to_vec();
        sorted.sort_unstable();
        if wish.reverse {
            sorted.reverse();
        }
        let mut gather = Gather::new(wish);
        loop {
            let bounds = gather.bounds.clone();
            let fits = |name: &&&str| {
                bounds.low.as_ref().is_none_or(|(low, out)| {
                    if *out {
                        **name > low.as_str()
                    } else {
                        **name >= low.as_str()
                    }
                }) && bounds
                    .high
                    .as_ref()
                    .is_none_or(|high| **name < high.as_str())
            };
            let rows: Vec<_> = sorted.iter().filter(fits).take(gather.missing()).collect();
            let last = rows.len() < gather.missing();
            for row in rows {
                gather.take(row, (*row).to_owned());
            }
            if last || gather.full() {
                break;
            }
        }
        gather
            .entries
            .into_iter()
            .map(|entry| match entry {
                Entry::Item(name) => name,
                Entry::Folder(name) => format!("[{name}]"),
            })
            .collect()
    }

    fn wish() -> Wish {
        Wish {
            limit: 100,
            ..Wish::default()
        }
    }

    const NAMES: [&str; 6] = ["a", "b/1", "b/2", "b0", "c/d/e", "ü"];

    #[test]
    fn markers_prefixes_and_order() {
        assert_eq!(list(&NAMES, wish()), NAMES);
        assert_eq!(
            list(
                &NAMES,
                Wish {
                    marker: Some("b/2".into()),
                    ..wish()
                }
            ),
            ["b0", "c/d/e", "ü"]
        );
        assert_eq!(
            list(
                &NAMES,
                Wish {
                    end_marker: Some("b0".into()),
                    ..wish()
                }
            ),
            ["a", "b/1", "b/2"]
        );
        assert_eq!(
            list(
                &NAMES,
                Wish {
                    prefix: "b/".into(),
                    ..wish()
                }
            ),
            ["b/1", "b/2"]
        );
        assert_eq!(
            list(
                &NAMES,
                Wish {
                    prefix: "b/".into(),
                    marker: Some("a".into()),
                    ..wish()
                }
            ),
            ["b/1", "b/2"]
        );
        assert_eq!(list(&NAMES, Wish { limit: 2, ..wish() }), ["a", "b/1"]);
        let back = Wish {
            reverse: true,
            marker: Some("c".into()),
            end_marker: Some("a".into()),
            ..wish()
        };
        assert_eq!(list(&NAMES, back), ["b0", "b/2", "b/1"]);
    }

    #[test]
    fn delimiters_make_folders_and_markers_go_behind_them() {
        let by_slash = || Wish {
            delimiter: "/".into(),
            ..wish()
        };
        assert_eq!(list(&NAMES, by_slash()), ["a", "[b/]", "b0", "[c/]", "ü"]);
        assert_eq!(
            list(
                &NAMES,
                Wish {
                    marker: Some("b/".into()),
                    ..by_slash()
                }
            ),
            ["b0", "[c/]", "ü"]
        );
        assert_eq!(
            list(
                &NAMES,
                Wish {
                    prefix: "c/".into(),
                    ..by_slash()
                }
            ),
            ["[c/d/]"]
        );
        let flat = |prefix: &str| {
            list(
                &["a/", "a/b", "a/c/", "a/c/d", "x"],
                Wish {
                    flat: true,
                    prefix: prefix.to_owned(),
                    ..by_slash()
                },
            )
        };
        assert_eq!(
            (flat("a/"), flat("")),
            (
                vec!["a/b".to_owned(), "a/c/".to_owned()],
                vec!["a/".to_owned(), "x".to_owned()]
            )
        );
        assert_eq!(
            list(
                &NAMES,
                Wish {
                    limit: 2,
                    ..by_slash()
                }
            ),
            ["a", "[b/]"]
        );
        assert_eq!(
            list(
                &NAMES,
                Wish {
                    reverse: true,
                    ..by_slash()
                }
            ),
            ["ü", "[c/]", "b0", "[b/]", "a"]
        );
        assert_eq!(
            list(
                &NAMES,
                Wish {
                    reverse: true,
                    marker: Some("b/".into()),
                    ..by_slash()
                }
            ),
            ["a"]
        );
        let many: Vec<String> = (0..2000)
            .map(|n| format!("x/{n:04}"))
            .chain(["y".to_owned()])
            .collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(list(&many, by_slash()), ["[x/]", "y"]);
    }
}
