//! How much of a resource class a provider has, in which portions it gives it away, and how much is taken.

/// Largest number in an inventory.
pub(crate) const MAX: i64 = i32::MAX as i64;

/// What a provider has of one class.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Inventory {
    pub total: i64,
    pub reserved: i64,
    pub min_unit: i64,
    pub max_unit: i64,
    pub step_size: i64,
    pub allocation_ratio: f64,
    /// The sum of its allocations.
    pub used: i64,
}

impl Inventory {
    /// How much may be given away, overcommitment included.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "totals have 31 bits; an absurd ratio saturates"
    )]
    pub(crate) fn capacity(&self) -> i64 {
        ((self.total - self.reserved) as f64 * self.allocation_ratio) as i64
    }

    /// Whether the portion has a size that is given away at all.
    pub(crate) fn takes(&self, amount: i64) -> bool {
        let steps = amount.checked_rem(self.step_size) == Some(0);
        (self.min_unit..=self.max_unit).contains(&amount) && steps
    }

    /// Whether `amount` fits beside `used`.
    #[expect(
        clippy::cast_precision_loss,
        reason = "sums beyond 53 bits do not fit in any inventory"
    )]
    pub(crate) fn has_room(&self, used: i64, amount: i64) -> bool {
        let room = (self.total - self.reserved) as f64 * self.allocation_ratio;
        used.saturating_add(amount) as f64 <= room
    }

    /// Whether it could give `amount` now.
    pub(crate) fn fits(&self, amount: i64) -> bool {
        self.takes(amount) && self.has_room(self.used, amount)
    }

    /// The largest portion that it could give now; 0 when none.
    pub(crate) fn largest_free(&self) -> i64 {
        let free = self.capacity().saturating_sub(self.used).min(self.max_unit);
        let whole = free - free.checked_rem(self.step_size).unwrap_or(0);
        if whole < self.min_unit { 0 } else { whole }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inventory() -> Inventory {
        Inventory {
            total: 10,
            reserved: 2,
            min_unit: 2,
            max_unit: 12,
            step_size: 2,
            allocation_ratio: 2.0,
            used: 5,
        }
    }

    #[test]
    fn portions_have_a_size_and_the_sum_has_a_limit() {
        let stock = inventory();
        assert_eq!(stock.capacity(), 16);
        for (amount, fits) in [
            (1, false),
            (2, true),
            (3, false),
            (10, true),
            (12, false),
            (14, false),
        ] {
            assert_eq!(stock.fits(amount), fits, "{amount}");
        }
        assert!(stock.takes(12));
        assert_eq!(stock.largest_free(), 10);
        assert_eq!(
            Inventory {
                used: 15,
                ..inventory()
            }
            .largest_free(),
            0
        );
        assert_eq!(
            Inventory {
                max_unit: 7,
                ..inventory()
            }
            .largest_free(),
            6
        );
    }

    #[test]
    fn fractions_of_a_unit_are_nobodys() {
        let stock = Inventory {
            total: 3,
            reserved: 0,
            min_unit: 1,
            step_size: 1,
            allocation_ratio: 1.5,
            used: 0,
            ..inventory()
        };
        assert_eq!(stock.capacity(), 4);
        assert!(stock.fits(4) && !stock.fits(5));
    }
}
