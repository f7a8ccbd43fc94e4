//! `clouds.yaml`: how the openstack client and SDK find this cloud.

use crate::secrets::Secrets;
use crate::settings::Settings;
use crate::state::write_private;

/// The account of one cloud entry.
struct Entry {
    name: &'static str,
    user: &'static str,
    password: String,
    /// Lines of the scope.
    scope: &'static [&'static str],
}

const DEMO: &[&str] = &["project_name: demo", "project_domain_name: Default"];
const ADMIN: &[&str] = &["project_name: admin", "project_domain_name: Default"];
const SYSTEM: &[&str] = &["system_scope: all"];

/// Writes `state_dir/clouds.yaml` with the clouds `nephos`, `nephos-admin` and `nephos-system`.
///
/// # Errors
/// When the disk says no.
pub fn write(settings: &Settings, secrets: &Secrets) -> anyhow::Result<()> {
    write_private(&settings.state("clouds.yaml"), &text(settings, secrets))
}

fn text(settings: &Settings, secrets: &Secrets) -> String {
    let admin = |name, scope| Entry {
        name,
        user: "admin",
        password: secrets.admin_password.clone(),
        scope,
    };
    let entries = [
        Entry {
            name: "nephos",
            user: "demo",
            password: secrets.user_password.clone(),
            scope: DEMO,
        },
        admin("nephos-admin", ADMIN),
        admin("nephos-system", SYSTEM),
    ];
    let mut text = String::from(
        "# Written at each start. Use: openstack --os-cloud nephos server list\nclouds:\n",
    );
    for entry in &entries {
        let Entry {
            name,
            user,
            password,
            scope,
        } = entry;
        text += &format!(
            "  {name}:\n    region_name: {}\n    identity_api_version: 3\n    auth:\n      auth_url: {}/identity/v3\n      \
             username: {user}\n      password: {password}\n      user_domain_name: Default\n",
            settings.region,
            settings.origin(),
        );
        for line in *scope {
            text += &format!("      {line}\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cloud_has_its_account_and_scope() {
        let secrets = Secrets {
            admin_password: "a".into(),
            user_password: "u".into(),
            ..Secrets::default()
        };
        let text = text(&Settings::default(), &secrets);
        assert_eq!(
            text.matches("auth_url: http://127.0.0.1:8774/identity/v3")
                .count(),
            3
        );
        assert!(text.contains("  nephos:\n"), "{text}");
        assert!(
            text.contains("username: demo\n      password: u\n"),
            "{text}"
        );
        assert!(text.contains("      system_scope: all\n"), "{text}");
    }
}
