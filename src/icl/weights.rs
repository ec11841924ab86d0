//! Raw attention weights under which a literal forward pass equals the predictor.
//!
//! `W_q W_k' = [[W, 0], [0, 0]]`, `W_v h_k = (-c_k v_k, c_k)`, and a prompt `p` with
//! `W p_x (h' W_v' p) = b`. One prompt token is enough: it can write any b in the range of W, and
//! more tokens can write nothing else. Source: docs/icl.md, step 1.

use faer::{Col, Mat, Scale};

use super::matrices::least_norm_solution;
use super::optimum::Optimum;
use super::setting::Setting;
use crate::error::Result;

// A prompt counts as exact when it misses its bias by less than this part: the condition number a
// least-norm solve may have (1e6) times the rounding of float64.
const ATTAINED: f64 = 1e-9;
// Up to here the cancellation costs four of sixteen digits, and prompts keep the length of W^+ b.
const LARGEST_CANCELLED: f64 = 1e4;

/// Query, key and value matrices `[dim + 1, dim + 1]`, and a prompt and a head for every task.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionWeights {
    /// Query matrix.
    pub query: Mat<f64>,
    /// Key matrix.
    pub key: Mat<f64>,
    /// Value matrix.
    pub value: Mat<f64>,
    /// Prompts `[n_tasks, dim + 1]`; a zero row is no prompt.
    pub prompts: Mat<f64>,
    /// Heads `[n_tasks, dim + 1]`.
    pub heads: Mat<f64>,
    /// What part of its bias each prompt cannot write.
    pub prompt_residuals: Vec<f64>,
}

impl AttentionWeights {
    /// Whether every prompt that is needed exists; where not, the optimum is only approached, by
    /// prompts that grow without bound.
    pub fn is_attained(&self, weights: impl Iterator<Item = (usize, f64)>) -> bool {
        weights
            .into_iter()
            .all(|(task, _)| self.prompt_residuals[task] <= ATTAINED)
    }
}

/// The weights of an optimum.
pub fn weights(optimum: &Optimum, setting: Setting) -> Result<AttentionWeights> {
    let predictor = &optimum.predictor;
    let (dim, n_tasks) = (predictor.preconditioner.nrows(), predictor.scales.len());
    let width = dim + 1;
    let mut value = Mat::<f64>::identity(width, width);
    let mut heads = Mat::<f64>::zeros(n_tasks, width);
    for task in 0..n_tasks {
        heads[(task, dim)] = predictor.scales[task];
        if setting.has_heads() {
            for column in 0..dim {
                heads[(task, column)] = -predictor.scales[task] * predictor.shifts[task][column];
            }
        }
    }
    if !setting.has_heads() {
        // One head for all tasks: the shift they share lives in the value matrix.
        for row in 0..dim {
            value[(row, dim)] = -predictor.shifts[0][row];
        }
    }
    let mut prompts = Mat::<f64>::zeros(n_tasks, width);
    let mut prompt_residuals = vec![0.0; n_tasks];
    for task in (0..n_tasks).filter(|_| setting.has_prompts()) {
        let (prompt, residual) = prompt(optimum, task)?;
        prompts.row_mut(task).copy_from(prompt.transpose());
        prompt_residuals[task] = residual;
    }
    Ok(AttentionWeights {
        query: embedded(&predictor.preconditioner),
        key: embedded(&Mat::identity(dim, dim)),
        value,
        prompts,
        heads,
        prompt_residuals,
    })
}

/// `p_x = t W^+ b`, and the last coordinate that makes the prompt's own value `1 / t`.
fn prompt(optimum: &Optimum, task: usize) -> Result<(Col<f64>, f64)> {
    let predictor = &optimum.predictor;
    let (bias, scale) = (&predictor.biases[task], predictor.scales[task]);
    let dim = bias.nrows();
    if scale == 0.0 {
        // A head of scale zero silences the prompt too.
        let residual = f64::from(u8::from(bias.norm_max() > 0.0));
        return Ok((Col::zeros(dim + 1), residual));
    }
    let (inputs, residual) = least_norm_solution(predictor.preconditioner.as_ref(), bias.as_ref())?;
    let shift = &predictor.shifts[task];
    let cancelled: f64 = scale.abs() * (0..dim).map(|i| (shift[i] * inputs[i]).abs()).sum::<f64>();
    // The head subtracts its shift from the prompt's label as well, and what cancels there leaves
    // rounding of t^2 times its size: a long prompt is shortened, and its value grows instead.
    let factor = if cancelled > LARGEST_CANCELLED {
        cancelled.sqrt().recip()
    } else {
        1.0
    };
    let inputs = Scale(factor) * inputs;
    let shifted: f64 = shift.transpose() * &inputs;
    let label = 1.0 / (factor * scale) + shifted;
    let prompt = Col::from_fn(dim + 1, |row| if row < dim { inputs[row] } else { label });
    Ok((prompt, residual))
}

fn embedded(matrix: &Mat<f64>) -> Mat<f64> {
    let dim = matrix.nrows();
    let mut larger = Mat::zeros(dim + 1, dim + 1);
    larger.submatrix_mut(0, 0, dim, dim).copy_from(matrix);
    larger
}
