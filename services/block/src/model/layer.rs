//! Files that never change: what snapshots are, and what clones stand on.

nephos_types::id! {
    /// A layer, a UUID.
    LayerId
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Byte for byte.
    Raw,
    /// QEMU's own, over a layer or alone.
    Qcow2,
    /// Encrypted (LUKS, version 1), alone: the bytes behind its header are the disk's, as many as those.
    Luks,
}

impl Format {
    /// As QEMU calls it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Luks => "luks",
        }
    }

    /// Reads QEMU's word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "raw" => Some(Self::Raw),
            "qcow2" => Some(Self::Qcow2),
            "luks" => Some(Self::Luks),
            _other => None,
        }
    }
}

/// Where a layer is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LayerState {
    /// Its file is being made.
    Making,
    /// All of it is there.
    Kept,
    /// Nobody needs it any more.
    Doomed,
}

impl LayerState {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Making => "making",
            Self::Kept => "kept",
            Self::Doomed => "doomed",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::Making, Self::Kept, Self::Doomed]
            .into_iter()
            .find(|one| one.as_str() == word)
    }
}

/// A layer as stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Layer {
    pub id: LayerId,
    pub backend: String,
    pub format: Format,
    pub parent: Option<LayerId>,
    /// The volume whose file it is made of, as long as it is being made.
    pub source: Option<String>,
    /// The image whose bytes these are.
    pub image: Option<String>,
    pub size_bytes: u64,
    pub state: LayerState,
}

impl Layer {
    /// Its file's name in its back end.
    pub(crate) fn file(&self) -> String {
        layer_file(&self.id)
    }
}

/// The name of a layer's file.
pub(crate) fn layer_file(id: &LayerId) -> String {
    format!("layer-{id}")
}
