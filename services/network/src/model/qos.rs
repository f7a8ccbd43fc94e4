//! Policies that say how fast the packets of ports may pass.

use nephos_types::Timestamp;

use crate::model::refusal::Refusal;
use crate::model::sharing::Grants;
use crate::model::spec::{Direction, Limit, Limits};

/// The kind of rule that there is.
pub const BANDWIDTH_LIMIT: &str = "bandwidth_limit";
/// The largest number of a rule, as Neutron's database has it.
pub const MOST: i64 = i32::MAX as i64;

/// A policy.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub project_id: String,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Whether networks of the project have it that were given none.
    pub is_default: bool,
    /// Grows with every change.
    pub revision: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Who else may use it.
    pub grants: Grants,
    /// Its rules, one for each direction at most.
    pub rules: Vec<BandwidthRule>,
    /// Its tags.
    pub tags: Vec<String>,
}

/// How fast packets pass one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BandwidthRule {
    /// Its id.
    pub id: String,
    /// The policy it belongs to.
    pub policy_id: String,
    /// Which way, as the guest sees it.
    pub direction: Direction,
    /// Thousands of bits per second; 0: as fast as they can, as with Neutron's agents.
    pub max_kbps: u32,
    /// Thousands of bits that pass at once after a pause; 0: as many as is usual.
    pub max_burst_kbps: u32,
}

impl BandwidthRule {
    /// What is usual is 80 % of a second (neutron-lib, `DEFAULT_BURST_RATE`), with which TCP comes near the rate.
    fn limit(&self) -> Option<Limit> {
        let usual = u64::from(self.max_kbps) * 4 / 5;
        let burst_kbits = match self.max_burst_kbps {
            0 => u32::try_from(usual).unwrap_or(u32::MAX),
            given => given,
        };
        (self.max_kbps > 0).then_some(Limit {
            kbps: self.max_kbps,
            burst_kbits,
        })
    }
}

/// What hosts are told of rules.
#[must_use]
pub fn limits(rules: &[BandwidthRule]) -> Limits {
    let of = |direction| {
        let rule = rules.iter().find(|rule| rule.direction == direction);
        rule.and_then(BandwidthRule::limit)
    };
    Limits {
        ingress: of(Direction::Ingress),
        egress: of(Direction::Egress),
    }
}

impl Policy {
    /// Refuses a rule of a direction that another one has.
    ///
    /// # Errors
    /// 409 naming the other one.
    pub fn check_room_for(&self, rule: &BandwidthRule) -> Result<(), Refusal> {
        let other = self
            .rules
            .iter()
            .find(|other| other.id != rule.id && other.direction == rule.direction);
        match other {
            None => Ok(()),
            Some(other) => Err(Refusal::conflict(
                "QoSRulesConflict",
                format!(
                    "Rule {BANDWIDTH_LIMIT} conflicts with rule {} which already exists in QoS Policy {}.",
                    other.id, self.id
                ),
            )),
        }
    }

    /// The rule of this id.
    ///
    /// # Errors
    /// 404 when there is none.
    pub fn rule(&self, id: &str) -> Result<&BandwidthRule, Refusal> {
        let mut rules = self.rules.iter();
        rules
            .find(|rule| rule.id == id)
            .ok_or_else(|| no_rule(&self.id, id))
    }
}

/// A rule that is not there.
#[must_use]
pub fn no_rule(policy: &str, id: &str) -> Refusal {
    Refusal::missing(
        "QosRuleNotFound",
        format!("QoS rule {id} for policy {policy} could not be found."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(direction: Direction, max_kbps: u32, max_burst_kbps: u32) -> BandwidthRule {
        BandwidthRule {
            id: "r".to_owned(),
            policy_id: "p".to_owned(),
            direction,
            max_kbps,
            max_burst_kbps,
        }
    }

    #[test]
    fn a_burst_that_is_not_given_is_four_fifths_of_a_second_and_no_rate_is_no_limit() {
        let rules = [
            rule(Direction::Ingress, 2000, 0),
            rule(Direction::Egress, 1000, 10),
        ];
        let (kbps, burst_kbits) = (2000, 1600);
        let told = limits(&rules);
        assert_eq!(told.ingress, Some(Limit { kbps, burst_kbits }));
        let (kbps, burst_kbits) = (1000, 10);
        assert_eq!(told.egress, Some(Limit { kbps, burst_kbits }));
        assert!(limits(&[rule(Direction::Egress, 0, 10)]).is_none());
    }
}
