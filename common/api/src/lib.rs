//! Typed endpoints with microversions, faults, paging and OpenAPI, and the HTTP shell around them.
