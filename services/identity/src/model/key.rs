//! Signing keys: which signs, and which may go.

use nephos_types::Timestamp;

/// A signing key; its private half is sealed.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub number: i64,
    pub kid: String,
    pub point: String,
    pub sealed: String,
    pub created_at: Timestamp,
}

/// The key that signs: the last but one. The last is staged. `keys` are oldest first.
pub(crate) fn primary(keys: &[Key]) -> Option<&Key> {
    keys.iter().rev().nth(1)
}

/// Keys whose last token has ended, tokens living for `lifetime_secs`: a key signed its last token when the key two
/// places after it was made.
pub(crate) fn ended(keys: &[Key], now: Timestamp, lifetime_secs: i64) -> Vec<i64> {
    let successors = keys.iter().skip(2);
    let pairs = keys.iter().zip(successors);
    let over = pairs.filter(|(_, next)| next.created_at.plus_secs(lifetime_secs) < now);
    over.map(|(key, _)| key.number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(made: &[i64]) -> Vec<Key> {
        let numbered = made.iter().zip(1..);
        numbered
            .map(|(&at, number)| Key {
                number,
                kid: String::new(),
                point: String::new(),
                sealed: String::new(),
                created_at: Timestamp(0).plus_secs(at),
            })
            .collect()
    }

    #[test]
    fn the_last_but_one_signs_and_one_goes_only_after_its_last_token_ended() {
        let all = keys(&[0, 0, 100, 200]);
        assert_eq!(primary(&all).map(|key| key.number), Some(3));
        assert_eq!(primary(&keys(&[0])).map(|key| key.number), None);
        let at = |secs| ended(&all, Timestamp(0).plus_secs(secs), 50);
        assert_eq!(at(150), Vec::<i64>::new());
        assert_eq!(at(151), [1]);
        assert_eq!(at(251), [1, 2]);
        assert_eq!(at(100_000), [1, 2]);
    }
}
