//! Sets of byte ranges.

use std::collections::BTreeMap;
use std::ops::Range;

/// Byte offsets, kept as ranges that neither overlap nor touch. Each operation costs a search and
/// the ranges it joins or cuts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RangeSet {
    /// End by start.
    ranges: BTreeMap<u64, u64>,
}

impl RangeSet {
    pub(super) fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let Range { mut start, mut end } = range;
        while let Some((&before, &until)) = self.ranges.range(..=end).next_back()
            && until >= start
        {
            start = start.min(before);
            end = end.max(until);
            self.ranges.remove(&before);
        }
        self.ranges.insert(start, end);
    }

    pub(super) fn remove(&mut self, range: Range<u64>) {
        while let Some((&start, &end)) = self.ranges.range(..range.end).next_back()
            && end > range.start
            && !range.is_empty()
        {
            self.ranges.remove(&start);
            if start < range.start {
                self.ranges.insert(start, range.start);
            }
            if end > range.end {
                self.ranges.insert(range.end, end);
            }
        }
    }

    /// Removes everything from `size` on.
    pub(super) fn truncate(&mut self, size: u64) {
        self.remove(size..u64::MAX);
    }

    /// Moves every offset by `distance`; none may come to lie before 0.
    pub(super) fn shift(&mut self, distance: i64) {
        let moved = self.ranges.iter().filter_map(|(start, end)| {
            let start = start.checked_add_signed(distance)?;
            Some((start, end.checked_add_signed(distance)?))
        });
        self.ranges = moved.collect();
    }

    pub(super) fn ranges(&self) -> impl Iterator<Item = Range<u64>> {
        self.ranges.iter().map(|(start, end)| *start..*end)
    }

    pub(super) fn first(&self) -> Option<u64> {
        self.ranges.keys().next().copied()
    }

    pub(super) fn overlaps(&self, range: &Range<u64>) -> bool {
        let last = self.ranges.range(..range.end).next_back();
        !range.is_empty() && last.is_some_and(|(_, end)| *end > range.start)
    }

    /// Bytes of `range` that are not in the set.
    pub(super) fn missing(&self, range: Range<u64>) -> u64 {
        let pieces = self.pieces(range).into_iter();
        pieces
            .filter(|(_, inside)| !inside)
            .map(|(piece, _)| piece.end - piece.start)
            .sum()
    }

    /// `range` cut into what is in the set and what is not, in order and without holes.
    pub(super) fn pieces(&self, range: Range<u64>) -> Vec<(Range<u64>, bool)> {
        let mut pieces = Vec::new();
        let mut at = range.start;
        let before = self.ranges.range(..=range.start).next_back();
        let first = before.map_or(range.start, |(start, _)| *start);
        for (&start, &end) in self.ranges.range(first..range.end) {
            let (start, end) = (start.max(range.start), end.min(range.end));
            if start >= end {
                continue;
            }
            if at < start {
                pieces.push((at..start, false));
            }
            pieces.push((start..end, true));
            at = end;
        }
        if at < range.end {
            pieces.push((at..range.end, false));
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(Range<u64>),
        Remove(Range<u64>),
        Truncate(u64),
        Shift(i64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let range = || (0..60_u64, 0..20_u64).prop_map(|(start, length)| start..start + length);
        prop_oneof![
            4 => range().prop_map(Step::Insert),
            3 => range().prop_map(Step::Remove),
            1 => (0..80_u64).prop_map(Step::Truncate),
            1 => (0..5_i64).prop_map(Step::Shift),
        ]
    }

    proptest! {
        /// A set of ranges is a set of offsets.
        #[test]
        fn ranges_are_a_set_of_offsets(
            steps in prop::collection::vec(step(), 1..40),
            asked in (0..90_u64, 0..40_u64),
        ) {
            let mut set = RangeSet::default();
            let mut model = vec![false; 400];
            for step in steps {
                match step {
                    Step::Insert(range) => {
                        set.insert(range.clone());
                        range.for_each(|at| model[usize::try_from(at).unwrap()] = true);
                    }
                    Step::Remove(range) => {
                        set.remove(range.clone());
                        range.for_each(|at| model[usize::try_from(at).unwrap()] = false);
                    }
                    Step::Truncate(size) => {
                        set.truncate(size);
                        model[usize::try_from(size).unwrap()..].fill(false);
                    }
                    Step::Shift(distance) => {
                        set.shift(distance);
                        model.rotate_right(usize::try_from(distance).unwrap());
                    }
                }
                let touching = set.ranges.values().any(|end| set.ranges.contains_key(end));
                prop_assert!(!touching && set.ranges.iter().all(|(start, end)| start < end));
            }
            let range = asked.0..asked.0 + asked.1;
            let mut at = range.start;
            for (piece, inside) in set.pieces(range.clone()) {
                prop_assert_eq!(piece.start, at);
                prop_assert!(piece.start < piece.end);
                for offset in piece.clone() {
                    prop_assert_eq!(model[usize::try_from(offset).unwrap()], inside);
                }
                at = piece.end;
            }
            prop_assert_eq!(at, range.end.max(range.start));
            let inside = range.clone().filter(|at| model[usize::try_from(*at).unwrap()]).count() as u64;
            prop_assert_eq!(set.missing(range.clone()), asked.1 - inside);
            prop_assert_eq!(set.overlaps(&range), inside > 0);
            prop_assert_eq!(set.ranges.is_empty(), model.iter().all(|inside| !inside));
        }
    }
}
