//! In-context learning of linear regression by one layer of linear attention: what task-specific
//! prompts and heads can buy, in closed form, by simulation and by training.
//!
//! Data of task k (probability `pi_k`): `beta ~ N(mu_k, S_k)`, inputs `x ~ N(0, Sx_k)`, labels
//! `y = x'beta + N(0, s2_k)`. The model sees n examples and a query. Everything a restricted
//! attention layer can express is the family (see `predictor`)
//!
//! ```text
//! f_k(x) = x' [ c_k W X'(y - X v_k) + b_k ]
//! ```
//!
//! one preconditioned gradient step (W, c) from the point v, plus a bias b that the prompt writes.
//! Source: Chang, Li, Kara, Oymak, Roy-Chowdhury, "Provable Benefits of Task-Specific Prompts for
//! In-context Learning", AISTATS 2025; general input covariances, per-task inputs, the value shift
//! and free head scales are derived in docs/icl.md.
//!
//! ```text
//! mixture -> solve -> optimum -> weights -> attention     closed forms, and the layer that has them
//!    |          predictor (exact loss of any member)  ->  transfer
//!    +-> simulate   draws sequences                      +-> estimate   from data back to a mixture
//!    +-> descent    on the population loss               +-> adam       on raw weights
//! ```

pub mod adam;
mod alternation;
pub mod attention;
pub mod constants;
pub mod descent;
pub mod estimate;
pub mod gradient;
pub mod matrices;
pub mod mixture;
pub mod optimum;
pub mod predictor;
pub mod sequences;
pub mod setting;
pub mod simulate;
pub mod solve;
pub mod weights;
pub mod wishart;
