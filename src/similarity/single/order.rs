//! Which piece of work comes when: panels that stay in the last cache meet block after block
//! before the next panels are fetched from memory.

use std::ops::Range;

/// Bytes of panels that pass before the next ones do. A processor in the cloud may leave us a few
/// megabytes of its last cache: the AVX-512 tile did 140 GFLOP/s while 1.6 MB of panels passed and
/// 97 to 124 while more than 6 MB did, the AMX tile 1,380 and 340 to 690 (a Xeon that others used too).
const PASSING_BYTES: usize = 2 << 20;

/// Numbers of all pairs of a block and a group of panels.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    n_blocks: usize,
    n_groups: usize,
    together: usize,
}

impl Order {
    /// For groups of `group_bytes` each.
    pub fn new(n_blocks: usize, n_groups: usize, group_bytes: usize) -> Self {
        Self {
            n_blocks,
            n_groups,
            together: (PASSING_BYTES / group_bytes.max(1)).max(1),
        }
    }

    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.n_blocks * self.n_groups
    }

    /// Block and group of pair `number`.
    pub fn pair(&self, number: usize) -> (usize, usize) {
        let first = number / (self.n_blocks * self.together) * self.together;
        let (rest, width) = (number - first * self.n_blocks, self.width(first));
        (rest / width, first + rest % width)
    }

    /// Number of the pair of `block` and `group`.
    pub fn number(&self, block: usize, group: usize) -> usize {
        let first = group / self.together * self.together;
        first * self.n_blocks + block * self.width(first) + group - first
    }

    // Groups that pass together from `first` on.
    fn width(&self, first: usize) -> usize {
        self.together.min(self.n_groups - first)
    }
}

/// Consecutive prompts of at most `rows` rows and `most` prompts together, at least one each.
pub fn stretches(offsets: &[usize], rows: usize, most: usize) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let (mut start, n_tasks) = (0, offsets.len() - 1);
    while start < n_tasks {
        let fits = offsets.partition_point(|&end| end <= offsets[start] + rows) - 1;
        let end = fits
            .clamp(start + 1, n_tasks)
            .min(start.saturating_add(most));
        found.push(start..end);
        start = end;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_has_its_number_and_every_number_its_pair() {
        for (n_blocks, n_groups) in [(1, 1), (3, 7), (7, 3), (4, 8), (0, 5)] {
            for bytes in [0, 1 << 18, 1 << 20, 1 << 30] {
                let order = Order::new(n_blocks, n_groups, bytes);
                for number in 0..order.len() {
                    let (block, group) = order.pair(number);
                    assert!(block < n_blocks && group < n_groups);
                    assert_eq!(order.number(block, group), number);
                }
            }
        }
    }

    #[test]
    fn a_few_groups_meet_every_block_before_the_next_do() {
        let order = Order::new(2, 5, PASSING_BYTES / 2);
        let pairs: Vec<_> = (0..order.len()).map(|number| order.pair(number)).collect();
        let expected = [
            (0, 0),
            (0, 1),
            (1, 0),
            (1, 1),
            (0, 2),
            (0, 3),
            (1, 2),
            (1, 3),
            (0, 4),
            (1, 4),
        ];
        assert_eq!(pairs, expected);
    }

    #[test]
    fn stretches_hold_whole_prompts_and_at_least_one() {
        assert_eq!(stretches(&[0, 3, 5, 50, 51], 10, 9), [0..2, 2..3, 3..4]);
        assert_eq!(stretches(&[0, 1, 2, 3], 10, 2), [0..2, 2..3]);
    }
}
