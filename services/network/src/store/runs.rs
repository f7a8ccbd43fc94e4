//! Places in the allocation pools of subnets, taken from the database some at a time.
//!
//! A place is a proposal: whether its address is free, the table of addresses decides. So a run may be lost with its
//! process or with the transaction that took it; the cursor comes round to it again. Taken one by one, all who make ports
//! in a subnet would wait for each other.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use nephos_db::{Error, Tx, args};

use crate::model::address;
use crate::model::subnet::Subnet;

/// Places taken at a time at most; of small pools fewer, so that what a lost run leaves out is little.
const RUN: u128 = 64;
/// A run is this part of the pools at most.
const PART: u128 = 16;
/// Subnets whose runs are remembered; when there are more, all are forgotten.
const SUBNETS: usize = 10_000;

/// What this process has taken and not used yet.
#[derive(Debug, Default)]
pub(crate) struct Runs(Mutex<HashMap<String, Range<i64>>>);

impl Runs {
    /// The next place that nobody else proposes now.
    pub(crate) async fn next(&self, tx: &mut Tx, subnet: &Subnet) -> Result<i64, Error> {
        if let Some(place) = self.known().get_mut(&subnet.id).and_then(Range::next) {
            return Ok(place);
        }
        let size = (address::total(&subnet.pools) / PART).clamp(1, RUN);
        let size = i64::try_from(size).unwrap_or(1);
        let end: i64 = tx
            .fetch_scalar(
                "UPDATE subnets SET cursor = cursor + $1 WHERE id = $2 RETURNING cursor",
                args![size, subnet.id],
            )
            .await?;
        let first = end.saturating_sub(size);
        let mut known = self.known();
        if known.len() >= SUBNETS {
            known.clear();
        }
        known.insert(subnet.id.clone(), first.saturating_add(1)..end);
        Ok(first)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, Range<i64>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
