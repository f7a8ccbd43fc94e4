//! Removes objects and containers.

use super::publish::{Condition, unpublish};
use super::write::WriteError;
use crate::Svc;
use crate::model::object::{Container, ContainerId};
use crate::store::{accounts, containers};

impl Svc {
    /// Removes the object of a name, if it is what the condition says.
    pub(crate) async fn remove_object(
        &self,
        container: &ContainerId,
        name: &str,
        condition: &Condition,
    ) -> Result<(), WriteError> {
        let attempt = || async {
            let now = self.core.clock.now();
            let mut tx = self.core.db.write().await?;
            let seen = unpublish(&mut tx, now, (container, name), condition).await?;
            tx.commit().await?;
            Ok::<_, WriteError>(seen)
        };
        let seen = self.core.db.again(attempt).await?;
        self.nudge();
        if seen {
            Ok(())
        } else {
            Err(WriteError::NoObject)
        }
    }

    /// Removes an empty container; false when something is in it.
    pub(crate) async fn remove_container(
        &self,
        container: &Container,
    ) -> Result<bool, nephos_db::Error> {
        let attempt = || async {
            let mut tx = self.core.db.write().await?;
            containers::hold_id(&mut tx, &container.id).await?;
            super::parts::give_up_all(&mut tx, &container.id).await?;
            if !containers::remove(&mut tx, &container.id).await? {
                return Ok(false);
            }
            accounts::count_container(&mut tx, &container.account, -1).await?;
            tx.commit().await?;
            Ok::<_, nephos_db::Error>(true)
        };
        let removed = self.core.db.again(attempt).await?;
        self.nudge();
        Ok(removed)
    }
}
