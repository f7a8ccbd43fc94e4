//! `docs/compat/<service>.md` says what is done; it is written from the endpoint rows and never by hand.

use std::fmt::Write as _;
use std::path::Path;

use nephos_api::{Access, Service, Versioning};

/// Compares the table of `S` with its file; `UPDATE_GOLDEN=1` writes it instead.
#[track_caller]
fn check<S: Service>(title: &str) {
    check_with::<S>(title, "");
}

#[track_caller]
#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs the test says whether to write"
)]
fn check_with<S: Service>(title: &str, more: &str) {
    let table = table::<S>(title) + more;
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/compat/{}.md", S::NAME));
    if std::env::var("UPDATE_GOLDEN").is_ok() {
        std::fs::write(&file, table).unwrap();
        return;
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == table,
        "{} is not what the rows say; UPDATE_GOLDEN=1 writes it",
        file.display()
    );
}

fn table<S: Service>(title: &str) -> String {
    let mut text = format!(
        "# {title}\n\nWritten from the endpoint rows by `services/nephos/tests/compat.rs`.\n\n"
    );
    let versions = match S::DIALECT.versioning {
        Versioning::None => "This API has no microversions.".to_owned(),
        Versioning::Microversion {
            service, min, max, ..
        } => {
            format!(
                "Microversions of `{service}`: {min} to {max}. What is not in the table is not offered at any version."
            )
        }
    };
    let _in_memory = write!(
        text,
        "{versions}\n\n| Call | Versions | Rule | What it does |\n|---|---|---|---|\n"
    );
    let mut lines: Vec<String> = S::endpoints().iter().map(|row| line(row.info)).collect();
    lines.sort();
    text + &lines.concat()
}

fn line(info: &nephos_api::EndpointInfo) -> String {
    let action = info
        .action
        .map(|action| format!(" `{action}`"))
        .unwrap_or_default();
    let versions = match (info.since, info.until) {
        (since, _) if since == nephos_api::Version::ZERO => String::new(),
        (since, until) if until == nephos_api::Version::LAST => format!("{since} –"),
        (since, until) => format!("{since} – {until}"),
    };
    let rule = match info.access {
        Access::Public => "anybody".to_owned(),
        Access::Authenticated => "any token".to_owned(),
        Access::Rule(rule) | Access::Loaded(rule) => format!("`{}`", rule.name),
    };
    let path = info.path.replace('|', "\\|");
    format!(
        "| {} `{path}`{action} | {versions} | {rule} | {} |\n",
        info.method,
        info.doc.trim().replace('|', "\\|")
    )
}

#[test]
fn identity() {
    check::<nephos_identity::Identity>("Identity (Keystone v3)");
}

#[test]
fn placement() {
    check::<nephos_placement::Placement>("Placement (Placement 1.x)");
}

#[test]
fn image() {
    check::<nephos_image::Image>("Image (Glance v2)");
}

#[test]
fn network() {
    let mut extensions = nephos_network::EXTENSIONS.to_vec();
    extensions.sort_unstable();
    let mut more = "\n## Extensions\n\nWhat is not in the table is not offered.\n\n| Alias | Name | What it adds |\n|---|---|---|\n".to_owned();
    for (alias, name, adds) in extensions {
        let _in_memory = writeln!(more, "| `{alias}` | {name} | {adds} |");
    }
    check_with::<nephos_network::Network>("Network (Neutron v2.0)", &more);
}

#[test]
fn compute() {
    check::<nephos_compute::Compute>("Compute (Nova v2.1)");
}

#[test]
fn orchestration() {
    check::<nephos_orchestration::Orchestration>("Orchestration (Heat v1)");
}

#[test]
fn object() {
    check::<nephos_object::Object>("Object (Swift v1)");
}

#[test]
fn block() {
    check::<nephos_block::Block>("Block (Cinder v3)");
}

#[test]
fn load_balancer() {
    check_with::<nephos_load_balancer::LoadBalancing>(
        "Load balancing (Octavia v2.1)",
        "\n## What is not offered\n\n\
         Versions v2.0 and v2.1 are advertised. Of what came later there are tags, allowed CIDRs, additive changes of members, \
         redirect codes, host names of health monitors, the protocols PROXY and PROXYV2, additional VIPs and quotas of L7 \
         policies and rules. Refused by 501 are UDP, SCTP and PROMETHEUS, TLS at listeners (TERMINATED_HTTPS) and towards \
         members, SOURCE_IP_PORT, QoS and security groups of VIPs. Flavors, availability zones and amphorae are not there. \
         Changes are taken while others are under way, where Octavia says 409.\n",
    );
}
