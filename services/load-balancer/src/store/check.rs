//! What in the tables does not fit together.

use nephos_db::{Db, Error, FromRow, Row, args};
use nephos_types::Finding;

use crate::model::spec::KIND_LOAD_BALANCER;

struct Found {
    id: String,
    word: String,
}

impl FromRow for Found {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            word: row.get("word")?,
        })
    }
}

/// Everything that does not fit together.
pub(crate) async fn run(db: &Db) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    let stuck: Vec<Found> = db
        .fetch_all(
            "SELECT b.id, b.provisioning_status AS word FROM balancers b WHERE b.provisioning_status LIKE 'PENDING_%' \
             AND NOT EXISTS (SELECT 1 FROM operations o WHERE o.resource_id = b.id AND o.finished_at IS NULL) ORDER BY b.id",
            args![],
        )
        .await?;
    for Found { id, word } in stuck {
        let what = format!("is {word}, and nothing works on it");
        findings.push(Finding::new(
            what,
            id,
            "Fail it over as an administrator, or delete it.",
        ));
    }
    let strays: Vec<Found> = db
        .fetch_all(
            "SELECT f.id, f.host AS word FROM feed_items f WHERE f.kind = $1 AND f.spec IS NOT NULL AND NOT EXISTS \
             (SELECT 1 FROM balancers b WHERE b.id = f.id AND (b.host = f.host OR b.host IS NULL AND b.left_host = f.host)) \
             ORDER BY f.id",
            args![KIND_LOAD_BALANCER],
        )
        .await?;
    for Found { id, word } in strays {
        let what = format!("host {word} is told of a load balancer that is not to be there");
        findings.push(Finding::new(what, id, "Delete the row of feed_items."));
    }
    let untold: Vec<Found> = db
        .fetch_all(
            "SELECT b.id, COALESCE(b.host, '') AS word FROM balancers b WHERE b.provisioning_status = 'ACTIVE' AND NOT EXISTS \
             (SELECT 1 FROM feed_items f WHERE f.kind = $1 AND f.id = b.id AND f.host = b.host AND f.spec IS NOT NULL) \
             ORDER BY b.id",
            args![KIND_LOAD_BALANCER],
        )
        .await?;
    for Found { id, word } in untold {
        let what = format!("is active, and its host {word} is not told of it");
        findings.push(Finding::new(what, id, "Fail it over as an administrator."));
    }
    let orphans: Vec<Found> = db
        .fetch_all(
            "SELECT p.id, p.kind AS word FROM parts p WHERE p.parent_id <> '' AND NOT EXISTS \
             (SELECT 1 FROM parts q WHERE q.id = p.parent_id AND q.balancer_id = p.balancer_id) ORDER BY p.id",
            args![],
        )
        .await?;
    for Found { id, word } in orphans {
        let what = format!("is a {word} of something that is not there");
        findings.push(Finding::new(
            what,
            id,
            "Report it; then delete its row of parts.",
        ));
    }
    Ok(findings)
}
