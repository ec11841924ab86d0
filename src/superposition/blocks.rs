//! Which clusters are resampled together, and in which blocks they are read.
//!
//! A query that appears in several conditions carries its luck into all of them, so such
//! conditions are resampled jointly; conditions that share no cluster are resampled apart, which
//! keeps their sizes. Both follow from one rule: a stratum is a connected component of the graph
//! of conditions and clusters.

use crate::superposition::records::Records;

/// Clusters read at once: a power of two, so that one random word holds six of their numbers, and
/// small enough that a block's sums (8 tasks: 344 kB) stay in the second-level cache.
pub const BLOCK: usize = 1 << BLOCK_BITS;
/// Bits of a cluster's number inside its block.
pub const BLOCK_BITS: u32 = 10;

/// A run of at most `BLOCK` clusters of one stratum.
#[derive(Clone, Debug)]
pub struct Block {
    /// Stratum the clusters belong to.
    pub stratum: usize,
    /// Clusters in the block.
    pub n_clusters: usize,
    /// Prompts, each with its cluster's number inside the block, ordered by cluster.
    pub prompts: Vec<(u32, u32)>,
}

/// Blocks of every stratum, and the number of clusters of each stratum.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Blocks, in order of strata.
    pub blocks: Vec<Block>,
    /// Clusters of every stratum.
    pub n_clusters: Vec<usize>,
}

/// Splits the prompts with `keep` into strata and blocks.
pub fn plan(records: &Records<'_>, keep: &[bool]) -> Plan {
    let kept = |prompt: &usize| keep[*prompt];
    let n_conditions = 1 + records.condition.iter().copied().max().unwrap_or(0) as usize;
    let n_clusters = 1 + records.cluster.iter().copied().max().unwrap_or(0) as usize;
    let mut parents: Vec<usize> = (0..n_conditions).collect();
    let mut first_condition = vec![usize::MAX; n_clusters];
    for prompt in (0..records.n_prompts()).filter(kept) {
        let condition = records.condition[prompt] as usize;
        let seen = &mut first_condition[records.cluster[prompt] as usize];
        if *seen == usize::MAX {
            *seen = condition;
        } else if *seen != condition {
            join(&mut parents, *seen, condition);
        }
    }
    let roots: Vec<usize> = (0..n_conditions)
        .map(|node| root(&mut parents, node))
        .collect();
    let mut order: Vec<u32> = (0..records.n_prompts())
        .filter(kept)
        .map(|p| p as u32)
        .collect();
    let key = |prompt: u32| {
        let prompt = prompt as usize;
        let condition = records.condition[prompt] as usize;
        (roots[condition], records.cluster[prompt], condition, prompt)
    };
    order.sort_unstable_by_key(|&prompt| key(prompt));
    cut(&order, |prompt| (key(prompt).0, key(prompt).1))
}

fn cut(order: &[u32], key: impl Fn(u32) -> (usize, i64)) -> Plan {
    let mut plan = Plan {
        blocks: Vec::new(),
        n_clusters: Vec::new(),
    };
    let mut last: Option<(usize, i64)> = None;
    for &prompt in order {
        let (stratum_root, cluster) = key(prompt);
        let same_stratum = last.is_some_and(|(root, _)| root == stratum_root);
        if !same_stratum {
            plan.n_clusters.push(0);
        }
        let stratum = plan.n_clusters.len() - 1;
        let is_new = last != Some((stratum_root, cluster));
        let full = plan
            .blocks
            .last()
            .is_none_or(|block| block.n_clusters == BLOCK && is_new);
        if !same_stratum || full {
            plan.blocks.push(Block {
                stratum,
                n_clusters: 0,
                prompts: Vec::new(),
            });
        }
        if let Some(block) = plan.blocks.last_mut() {
            block.n_clusters += usize::from(is_new);
            plan.n_clusters[stratum] += usize::from(is_new);
            block.prompts.push((prompt, block.n_clusters as u32 - 1));
        }
        last = Some((stratum_root, cluster));
    }
    plan
}

fn root(parents: &mut [usize], mut node: usize) -> usize {
    while parents[node] != node {
        parents[node] = parents[parents[node]];
        node = parents[node];
    }
    node
}

fn join(parents: &mut [usize], first: usize, second: usize) {
    let (first, second) = (root(parents, first), root(parents, second));
    parents[first.max(second)] = first.min(second);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(condition: &[i64], cluster: &[i64]) -> Plan {
        let logs = vec![-1.0; 2 * condition.len()];
        let mixture = vec![0.5; 2 * condition.len()];
        let records = Records {
            log_probabilities: &logs,
            mixture: &mixture,
            condition,
            cluster,
            last: None,
            completed: None,
            n_tasks: 2,
        };
        plan(&records, &vec![true; condition.len()])
    }

    #[test]
    fn conditions_that_share_a_query_are_resampled_together() {
        let plan = planned(&[0, 1, 2, 2], &[5, 5, 7, 8]);
        assert_eq!(plan.n_clusters, vec![1, 2]);
        assert_eq!(plan.blocks[0].prompts, vec![(0, 0), (1, 0)]);
        assert_eq!(plan.blocks[1].prompts, vec![(2, 0), (3, 1)]);
    }

    #[test]
    fn a_large_stratum_is_cut_into_blocks_between_clusters() {
        let n_prompts = 2 * BLOCK + 6;
        let cluster: Vec<i64> = (0..n_prompts as i64).map(|prompt| prompt / 2).collect();
        let plan = planned(&vec![0; n_prompts], &cluster);
        assert_eq!(plan.n_clusters, vec![BLOCK + 3]);
        let sizes: Vec<usize> = plan.blocks.iter().map(|block| block.n_clusters).collect();
        assert_eq!(sizes, vec![BLOCK, 3]);
        assert_eq!(plan.blocks[1].prompts.len(), 6);
    }
}
