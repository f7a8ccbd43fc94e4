//! Passwords that are made once, at the first start, and never printed.

use std::path::Path;

use nephos_runtime::config::ConfigFile;
use serde::Deserialize;

use crate::state::write_private;

/// What only this cloud knows.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Secrets {
    /// Of the user `admin`.
    pub admin_password: String,
    /// Of the user `demo`.
    pub user_password: String,
    /// Of the account by which services call each other.
    pub service_password: String,
    /// Signs the requests that a network agent passes on to the metadata service.
    pub metadata_secret: String,
    /// Seals the keys that sign tokens.
    pub signing_secret: String,
}

impl Secrets {
    /// Reads `state_dir/secrets.toml`, which a start has made.
    ///
    /// # Errors
    /// When the file is not there, cannot be read or lacks one.
    pub fn read(state_dir: &Path) -> anyhow::Result<Self> {
        let path = state_dir.join("secrets.toml");
        let secrets: Self = ConfigFile::read(&path, true)?.section("secrets")?;
        anyhow::ensure!(
            !secrets.clone().fill(),
            "{} is not there, or not whole; `nephos up` or `nephos bootstrap` makes it, and further machines of a cloud \
             get a copy",
            path.display()
        );
        Ok(secrets)
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
                 signing_secret = \"{}\"\n",
                secrets.admin_password,
                secrets.user_password,
                secrets.service_password,
                secrets.metadata_secret,
                secrets.signing_secret,
            );
            write_private(&path, &text)?;
        }
        Ok(secrets)
    }

    fn fill(&mut self) -> bool {
        let mut made = false;
        for secret in [
            &mut self.admin_password,
            &mut self.user_password,
            &mut self.service_password,
            &mut self.metadata_secret,
            &mut self.signing_secret,
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
