//! What an agent reads of a document that is older or newer than itself.

use super::*;

#[test]
fn a_spec_of_the_fewest_fields_has_defaults_for_the_rest() {
    let spec: ServerSpec = serde_json::from_value(serde_json::json!({
        "server_id": "9f0f1d9c-0d1c-4d3c-8f6e-1a2b3c4d5e6f", "generation": 1, "want": "running",
        "size": {"vcpus": 1, "ram_mib": 128, "disk_gib": 1},
        "boot": {"image": {"id": "i", "hash": {"algo": "sha512", "value": "00"},
                           "size_bytes": 1, "disk_format": "qcow2"}},
        "a_field_of_the_next_release": true,
    }))
    .unwrap();
    assert_eq!(spec.stop_timeout_secs, 60);
    assert!(spec.console.serial && spec.console.vnc);
    assert_eq!(spec.disk_epoch, 0);
    let again: ServerSpec = serde_json::from_str(&serde_json::to_string(&spec).unwrap()).unwrap();
    assert_eq!(again, spec);
}

#[test]
fn file_contents_travel_as_base64_and_do_not_show_in_logs() {
    let content = FileContent(vec![0, 159, 146, 150]);
    assert_eq!(serde_json::to_string(&content).unwrap(), "\"AJ+Slg==\"");
    assert_eq!(
        serde_json::from_str::<FileContent>("\"AJ+Slg==\"").unwrap(),
        content
    );
    assert_eq!(format!("{content:?}"), "FileContent(4 bytes)");
    assert!(serde_json::from_str::<FileContent>("\"%\"").is_err());
}

#[test]
fn a_tap_is_named_as_neutron_names_it() {
    let port = PortId::from("6f2a7c1e-55aa-4b0e-9d3e-000000000000");
    assert_eq!(PortSpec::tap_name(&port), "tap6f2a7c1e-55");
}
