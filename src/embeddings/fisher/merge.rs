//! Shards that were computed elsewhere, appended in order.

use super::{Fisher, Sums};
use crate::error::{Error, Result};

impl Fisher {
    /// Appends one later shard: at most `shard_size` examples, behind whole shards only. An
    /// accumulator without examples takes any number.
    pub fn merge(&mut self, later: &Self) -> Result<()> {
        let names = |fisher: &Self| -> Vec<(String, usize)> {
            let about = |sums: &Sums| (sums.name.clone(), sums.whole.len());
            fisher.sums.iter().map(about).collect()
        };
        if self.layout != later.layout || names(self) != names(later) {
            return Err(Error::Shape(
                "the accumulators differ in shard_size, labels, squares or parameters, so their \
                 sums cannot be merged"
                    .into(),
            ));
        }
        if self.counts() == [0, 0] {
            self.clone_from(later);
            return Ok(());
        }
        let shard = self.layout.shard_size;
        if self.n_running > 0 || later.n_whole + later.n_running > shard {
            return Err(Error::Value(format!(
                "shards of {shard} examples are merged one by one behind whole shards: the first \
                 accumulator holds {} examples, the second {}",
                self.n_whole + self.n_running,
                later.n_whole + later.n_running
            )));
        }
        for (mine, theirs) in self.sums.iter_mut().zip(&later.sums) {
            let source = if later.n_whole > 0 {
                &theirs.whole
            } else {
                &theirs.running
            };
            mine.running.copy_from_slice(source);
        }
        self.n_running = later.n_whole + later.n_running;
        if self.n_running == shard {
            self.fold();
        }
        Ok(())
    }
}
