//! What this service offers, and nothing else.

use nephos_api::{Json, Public, Reply, Req, endpoint};
use serde_json::{Value, json};

use crate::Cx;
use crate::model::{listing, manifest, meta, names, temp_url};

/// The release of Swift whose behaviour this is.
const VERSION: &str = "2.34.0";
/// The only storage policy.
pub(crate) const POLICY: &str = "Policy-0";

endpoint! {
    /// Show what the service offers.
    ShowInfo: GET "/info" => 200,
    policy: Public,
    reply: Json<Value>,
    handler: show_info,
}
async fn show_info(cx: Cx, _req: Req<ShowInfo>) -> Reply<ShowInfo> {
    Ok(Json(json!({
        "swift": {
            "version": VERSION,
            "account_autocreate": true,
            "allow_account_management": false,
            "account_listing_limit": listing::MAX_ENTRIES,
            "container_listing_limit": listing::MAX_ENTRIES,
            "max_account_name_length": 256,
            "max_container_name_length": names::MAX_CONTAINER_BYTES,
            "max_object_name_length": names::MAX_OBJECT_BYTES,
            "max_file_size": cx.config.max_object_bytes,
            "max_meta_count": meta::MAX_ITEMS,
            "max_meta_name_length": meta::MAX_NAME_BYTES,
            "max_meta_value_length": meta::MAX_VALUE_BYTES,
            "max_meta_overall_size": meta::MAX_OVERALL_BYTES,
            "policies": [{"name": POLICY, "aliases": POLICY, "default": true}],
        },
        "account_quotas": {},
        "bulk_delete": {"max_deletes_per_request": super::bulk::MAX_DELETES, "max_failed_deletes": super::bulk::MAX_FAILED},
        "container_quotas": {},
        "dlo": {"max_segments": manifest::MAX_PIECES},
        "slo": {
            "max_manifest_segments": manifest::MAX_SEGMENTS,
            "max_manifest_size": manifest::MAX_BYTES,
            "min_segment_size": 1,
        },
        "tempurl": {
            "methods": temp_url::METHODS,
            "allowed_digests": temp_url::DIGESTS,
            "incoming_remove_headers": [],
            "incoming_allow_headers": [],
            "outgoing_remove_headers": ["x-object-meta-*"],
            "outgoing_allow_headers": ["x-object-meta-public-*"],
        },
        "versioned_writes": {"allowed_flags": ["x-versions-location", "x-history-location"]},
    })))
}
