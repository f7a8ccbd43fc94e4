//! Typed calls to sibling services over their public REST API.
