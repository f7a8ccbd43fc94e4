//! Who has which role where.

use nephos_db::{Arg, Db, Error, FromRow, Row, ToArg, Tx, Where, args};

use crate::model::assignment::{ActorKind, Assignment, TargetKind};

const SELECT: &str = "SELECT actor_kind, actor_id, target_kind, target_id, role_id, inherited \
     FROM assignments";

impl FromRow for Assignment {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let unknown = |column: &str| Error::damaged(format!("assignments.{column}"));
        let actor: String = row.get("actor_kind")?;
        let target: String = row.get("target_kind")?;
        Ok(Self {
            actor_kind: ActorKind::parse(&actor).ok_or_else(|| unknown("actor_kind"))?,
            actor_id: row.get("actor_id")?,
            target_kind: TargetKind::parse(&target).ok_or_else(|| unknown("target_kind"))?,
            target_id: row.get("target_id")?,
            role_id: row.get("role_id")?,
            inherited: row.get("inherited")?,
        })
    }
}

/// A user's own and those of its groups.
pub(crate) async fn of_user(db: &Db, user_id: &str) -> Result<Vec<Assignment>, Error> {
    db.fetch_where(&every_of_user(user_id)).await
}

/// A user's own and those of its groups, inside a transaction that relies on them.
pub(crate) async fn of_user_in(tx: &mut Tx, user_id: &str) -> Result<Vec<Assignment>, Error> {
    tx.fetch_where(&every_of_user(user_id)).await
}

fn every_of_user(user_id: &str) -> Where {
    let own = Where::group()
        .eq("actor_kind", "user")
        .eq("actor_id", user_id);
    let groups = Where::group().eq("actor_kind", "group").raw(
        "actor_id IN (SELECT group_id FROM memberships WHERE user_id = {})",
        args![user_id],
    );
    Where::new(SELECT).any(vec![own, groups])
}

/// Every assignment, or those of one actor's id.
pub(crate) async fn list(db: &Db, actor_id: Option<&str>) -> Result<Vec<Assignment>, Error> {
    db.fetch_where(&Where::new(SELECT).eq_opt("actor_id", actor_id))
        .await
}

/// How many roles are given to one actor's id.
pub(crate) async fn count_of(tx: &mut Tx, actor_id: &str) -> Result<i64, Error> {
    let sql = "SELECT COUNT(*) FROM assignments WHERE actor_id = $1";
    tx.fetch_scalar(sql, args![actor_id]).await
}

fn key(assignment: &Assignment) -> Vec<Arg> {
    args![
        assignment.actor_kind.text().to_arg(),
        assignment.actor_id,
        assignment.target_kind.text().to_arg(),
        assignment.target_id,
        assignment.role_id,
        assignment.inherited
    ]
}

/// Gives the role, to whom and where is still there; already given is given.
pub(crate) async fn insert(tx: &mut Tx, assignment: &Assignment) -> Result<(), Error> {
    match assignment.actor_kind {
        ActorKind::User => super::users::there(tx, &assignment.actor_id).await?,
        ActorKind::Group => super::groups::there(tx, &assignment.actor_id).await?,
    }
    match assignment.target_kind {
        TargetKind::Project | TargetKind::Domain => {
            super::projects::there(tx, &assignment.target_id).await?;
        }
        TargetKind::System => {}
    }
    super::roles::there(tx, &assignment.role_id).await?;
    tx.exec(
        "INSERT INTO assignments (actor_kind, actor_id, target_kind, target_id, role_id, \
         inherited) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        key(assignment),
    )
    .await?;
    Ok(())
}

/// Takes the role; says whether it was given.
pub(crate) async fn remove(tx: &mut Tx, assignment: &Assignment) -> Result<bool, Error> {
    let changed = tx
        .exec(
            "DELETE FROM assignments WHERE actor_kind = $1 AND actor_id = $2 AND target_kind = $3 \
             AND target_id = $4 AND role_id = $5 AND inherited = $6",
            key(assignment),
        )
        .await?;
    Ok(changed > 0)
}
