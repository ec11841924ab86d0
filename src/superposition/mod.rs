//! Several tasks at once, measured without fooling oneself: per-prompt metrics, condition
//! statistics with clustered bootstrap intervals, and the geometry of hidden task vectors.
//!
//! Source: Xiong et al., "Everything Everywhere All at Once: LLMs can In-Context Learn Multiple
//! Tasks in Superposition", arXiv 2410.05603; dispersion, Jensen gap, vote model and the geometry
//! tests are this library's. Promises: natural logarithms, no hidden epsilon (a missing answer is
//! -inf and stays so), and the same bits for any number of threads.

pub mod across;
pub mod analysis;
pub mod blocks;
pub mod columns;
pub mod condition;
pub mod coordinate;
pub mod decomposition;
pub mod discriminant;
pub mod draws;
pub mod means;
pub mod metric;
pub mod permutation;
pub mod positions;
pub mod prompt;
pub mod quantile;
pub mod records;
pub mod resample;
pub mod rows;
pub mod simplex;
pub mod vote;
