//! Passwords that are made once, at the first start, and never printed.

use std::collections::BTreeMap;
use std::path::Path;

use hmac::{Hmac, Mac as _};
use nephos_runtime::config::ConfigFile;
use serde::Deserialize;
use sha2::Sha256;

use crate::state::write_private;

/// What only this cloud knows.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Secrets {
    /// Of the user `admin`.
    pub admin_password: String,
    /// Of the user `demo`.
    pub user_password: String,
    /// The passwords of the accounts by which services call each other follow from it.
    pub service_password: String,
    /// Signs the requests that a network agent passes on to the metadata service.
    pub metadata_secret: String,
    /// Seals the keys that sign tokens.
    pub signing_secret: String,
    /// Seals the keys of encrypted volumes, and passwords on their way to guests. Without it those volumes are lost.
    pub sealing_secret: String,
    /// Passwords of single accounts, for a machine that is to know no others: then `service_password` is not there.
    pub accounts: BTreeMap<String, String>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}

impl Secrets {
    /// Reads `state_dir/secrets.toml`, which a start has made. What a machine's services do not need may be left out
    /// of its copy.
    ///
    /// # Errors
    /// When the file is not there or cannot be read.
    pub fn read(state_dir: &Path) -> anyhow::Result<Self> {
        let path = state_dir.join("secrets.toml");
        anyhow::ensure!(
            path.exists(),
            "{} is not there; `nephos up` or `nephos bootstrap` makes it, and further machines of a cloud get a copy. A host \
             needs none: `nephos host add NAME`, where the cloud is, says how it joins",
            path.display()
        );
        Ok(ConfigFile::read(&path, false)?.section("secrets")?)
    }

    /// The password of a service's account.
    ///
    /// # Errors
    /// When nothing here says what it is.
    pub fn of_account(&self, name: &str) -> anyhow::Result<String> {
        if let Some(own) = self.accounts.get(name) {
            return Ok(own.clone());
        }
        anyhow::ensure!(
            !self.service_password.is_empty(),
            "secrets.toml has no password of the account {name}: neither `service_password` in [secrets] nor `{name}` in \
             [secrets.accounts]"
        );
        self.derived("account", name)
    }

    /// The secret of a host that a process of this cloud runs by itself. A machine that joined made its own.
    ///
    /// # Errors
    /// When nothing here says what it is.
    pub fn of_host(&self, name: &str) -> anyhow::Result<String> {
        anyhow::ensure!(
            !self.service_password.is_empty(),
            "secrets.toml has no `service_password`, from which the secret of host {name} would follow, and this machine \
             has not joined. `nephos host add {name}`, where the cloud is, says how it joins"
        );
        self.derived("host", name)
    }

    fn derived(&self, kind: &str, name: &str) -> anyhow::Result<String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.service_password.as_bytes())?;
        mac.update(format!("nephos {kind} {name}").as_bytes());
        Ok(hex::encode(mac.finalize().into_bytes()))
    }

    /// Reads `state_dir/secrets.toml`; makes what is missing.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn ensure(state_dir: &Path) -> anyhow::Result<Self> {
        let path = state_dir.join("secrets.toml");
        let mut secrets: Self = ConfigFile::read(&path, true)?.section("secrets")?;
        if secrets.fill() {
            let text = format!(
                "# Made at the first start; whoever reads this file owns the cloud.\n[secrets]\n\
                 admin_password = \"{}\"\nuser_password = \"{}\"\nservice_password = \"{}\"\nmetadata_secret = \"{}\"\n\
                 signing_secret = \"{}\"\nsealing_secret = \"{}\"\n",
                secrets.admin_password,
                secrets.user_password,
                secrets.service_password,
                secrets.metadata_secret,
                secrets.signing_secret,
                secrets.sealing_secret,
            );
            let accounts = secrets.accounts.iter();
            let accounts: Vec<_> = accounts
                .map(|(name, password)| format!("{name} = \"{password}\"\n"))
                .collect();
            let accounts = match accounts.is_empty() {
                true => String::new(),
                false => format!("[secrets.accounts]\n{}", accounts.concat()),
            };
            write_private(&path, &(text + &accounts))?;
        }
        Ok(secrets)
    }

    /// Makes what is missing and says whether anything was.
    fn fill(&mut self) -> bool {
        let mut made = false;
        for secret in [
            &mut self.admin_password,
            &mut self.user_password,
            &mut self.service_password,
            &mut self.metadata_secret,
            &mut self.signing_secret,
            &mut self.sealing_secret,
        ] {
            if secret.is_empty() {
                *secret = nephos_runtime::ids::hex();
                made = true;
            }
        }
        made
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn secrets_are_made_once_and_only_their_owner_reads_them() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path();
        let first = Secrets::ensure(state).unwrap();
        assert_eq!(first.admin_password.len(), 32);
        assert_ne!(first.admin_password, first.user_password);
        let again = Secrets::ensure(state).unwrap();
        assert_eq!(first.admin_password, again.admin_password);
        assert_eq!(first.metadata_secret, again.metadata_secret);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&state.join("secrets.toml")), 0o600);
    }

    #[test]
    fn every_account_has_a_password_of_its_own_and_a_machine_may_know_only_one() {
        let mut secrets = Secrets {
            service_password: "0123456789abcdef".to_owned(),
            ..Secrets::default()
        };
        let nova = secrets.of_account("nova").unwrap();
        assert_eq!(nova, secrets.of_account("nova").unwrap());
        assert_ne!(nova, secrets.of_account("neutron").unwrap());
        secrets.service_password.clear();
        secrets.accounts.insert("nova".to_owned(), nova.clone());
        assert_eq!(secrets.of_account("nova").unwrap(), nova);
        let why = secrets.of_account("neutron").unwrap_err().to_string();
        assert!(why.contains("neutron"), "{why}");
    }

    #[test]
    fn what_an_operator_chose_stays() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("secrets.toml"),
            "[secrets]\nadmin_password = \"chosen\"\n",
        )
        .unwrap();
        let secrets = Secrets::ensure(folder.path()).unwrap();
        assert_eq!(secrets.admin_password, "chosen");
        assert!(!secrets.service_password.is_empty());
        let again = Secrets::ensure(folder.path()).unwrap();
        assert_eq!(again.admin_password, "chosen");
    }
}
