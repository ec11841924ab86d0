//! What a head consists of, and where each tensor lies in its one vector of parameters.

use std::ops::Range;

use crate::error::{Error, Result};

/// How a new task uses the experts of the source tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A query made of the row weighs the sources by their prompts.
    Prompt,
    /// Every source weighs the same.
    Fixed,
    /// The new prompt itself weighs the sources, alike for every row.
    Task,
    /// No source at all: a tower on the shared representation.
    Share,
}

impl Mode {
    /// The mode of that name.
    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "prompt" => Ok(Self::Prompt),
            "fixed" => Ok(Self::Fixed),
            "task" => Ok(Self::Task),
            "share" => Ok(Self::Share),
            _ => Err(Error::UnknownName(format!(
                "mode '{name}' is unknown, expected one of: prompt, fixed, task, share"
            ))),
        }
    }
}

/// Sizes of a head.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// Width of the embedded input.
    pub dim: usize,
    /// Width of every representation.
    pub width: usize,
    /// Number of source tasks.
    pub n_sources: usize,
    /// Hidden layers of the tower.
    pub tower: Vec<usize>,
    /// How sources are used.
    pub mode: Mode,
}

/// One layer of the tower: weights `[outputs, inputs]`, biases `[outputs]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Width of what comes in.
    pub inputs: usize,
    /// Width of what goes out.
    pub outputs: usize,
    /// Where its weights lie.
    pub weight: Range<usize>,
    /// Where its biases lie.
    pub bias: Range<usize>,
}

/// Places of all tensors; ranges of tensors a mode does not have are empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// `[hidden, dim]`, the query network's first layer.
    pub query_in: Range<usize>,
    /// `[width, hidden]`, its second.
    pub query_out: Range<usize>,
    /// `[width]`, scale of the layer normalisation.
    pub norm_scale: Range<usize>,
    /// `[width]`, its shift.
    pub norm_shift: Range<usize>,
    /// `[2, dim]`: specific, shared.
    pub gate: Range<usize>,
    /// `[width]`, the new task's prompt.
    pub prompt: Range<usize>,
    /// The tower, from the fused representation to the logit.
    pub tower: Vec<Layer>,
    /// Number of parameters.
    pub len: usize,
    /// Width of the query network's hidden layer.
    pub hidden: usize,
}

/// How the numbers of a tensor are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// All one.
    One,
    /// All zero.
    Zero,
    /// Standard normal.
    Normal,
    /// Uniform within `1 / sqrt(inputs)`.
    Uniform(usize),
}

/// One tensor of a head.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Its name in files.
    pub name: String,
    /// Its place in the parameters.
    pub range: Range<usize>,
    /// Its sizes.
    pub sizes: Vec<usize>,
    /// How it starts.
    pub start: Start,
    /// The random stream it draws from, the same in every mode.
    pub stream: u64,
}

impl Shape {
    /// Places of the tensors, if the sizes make sense.
    pub fn layout(&self) -> Result<Layout> {
        let least = self.dim.min(self.n_sources).min(self.width / 2);
        if least == 0 || self.tower.contains(&0) {
            return Err(Error::Shape(format!(
                "a head of dim {}, width {}, {} sources and tower {:?} cannot be: dim, sources \
                 and tower layers must be at least 1, the width at least 2",
                self.dim, self.width, self.n_sources, self.tower
            )));
        }
        let (mode, width) = (self.mode, self.width);
        let hidden = width / 2;
        let mut len = 0;
        let mut place = |size: usize, is_there: bool| {
            let start = len;
            len += if is_there { size } else { 0 };
            start..len
        };
        let (has_query, has_gate) = (mode == Mode::Prompt, mode != Mode::Share);
        let query_in = place(hidden * self.dim, has_query);
        let query_out = place(width * hidden, has_query);
        let norm_scale = place(width, has_query);
        let norm_shift = place(width, has_query);
        let gate = place(2 * self.dim, has_gate);
        let prompt = place(width, has_gate);
        let mut inputs = width;
        let mut tower = Vec::with_capacity(self.tower.len() + 1);
        for &outputs in self.tower.iter().chain(&[1]) {
            tower.push(Layer {
                inputs,
                outputs,
                weight: place(outputs * inputs, true),
                bias: place(outputs, true),
            });
            inputs = outputs;
        }
        Ok(Layout {
            query_in,
            query_out,
            norm_scale,
            norm_shift,
            gate,
            prompt,
            tower,
            len,
            hidden,
        })
    }

    /// Every tensor of the head in the order it lies in memory.
    pub fn tensors(&self) -> Result<Vec<Tensor>> {
        let (at, width, dim) = (self.layout()?, self.width, self.dim);
        let mut tensors = Vec::new();
        let mut add = |name: String, range, sizes: &[usize], start| {
            tensors.push(Tensor {
                name,
                range,
                sizes: sizes.to_vec(),
                start,
                stream: tensors.len() as u64,
            });
        };
        let hidden = at.hidden;
        let (into, out) = (Start::Uniform(dim), Start::Uniform(hidden));
        add("proj.0.weight".into(), at.query_in, &[hidden, dim], into);
        add("proj.2.weight".into(), at.query_out, &[width, hidden], out);
        add("proj.ln.weight".into(), at.norm_scale, &[width], Start::One);
        add("proj.ln.bias".into(), at.norm_shift, &[width], Start::Zero);
        add("gate.weight".into(), at.gate, &[2, dim], into);
        add("prompt.E".into(), at.prompt, &[width], Start::Normal);
        for (number, layer) in at.tower.into_iter().enumerate() {
            let (sizes, start) = ([layer.outputs, layer.inputs], Start::Uniform(layer.inputs));
            // As in a chain of layers where every other one is the activation.
            let name = format!("tower.{}", 2 * number);
            add(format!("{name}.weight"), layer.weight, &sizes, start);
            add(format!("{name}.bias"), layer.bias, &sizes[..1], start);
        }
        tensors.retain(|tensor| !tensor.range.is_empty());
        Ok(tensors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(dim: usize, width: usize, tower: &[usize], mode: Mode) -> Shape {
        Shape {
            dim,
            width,
            n_sources: 2,
            tower: tower.to_vec(),
            mode,
        }
    }

    #[test]
    fn published_parameter_counts_are_met_exactly() {
        let count = |shape: Shape| shape.layout().unwrap().len;
        assert_eq!(count(shape(123, 128, &[64, 32], Mode::Prompt)), 27_063);
        assert_eq!(count(shape(80, 64, &[32, 32], Mode::Prompt)), 8_129);
        assert_eq!(count(shape(123, 128, &[64, 32], Mode::Share)), 10_369);
    }

    #[test]
    fn tensors_cover_the_parameters_without_gaps() {
        for mode in [Mode::Prompt, Mode::Fixed, Mode::Task, Mode::Share] {
            let shape = shape(5, 7, &[3], mode);
            let mut next = 0;
            for tensor in shape.tensors().unwrap() {
                assert_eq!(tensor.range.start, next, "{tensor:?}");
                let size = tensor.sizes.iter().product::<usize>();
                assert_eq!(tensor.range.len(), size, "{tensor:?}");
                next = tensor.range.end;
            }
            assert_eq!(next, shape.layout().unwrap().len);
        }
    }

    #[test]
    fn sizes_that_make_no_head_are_refused() {
        assert!(shape(0, 8, &[4], Mode::Prompt).layout().is_err());
        assert!(shape(3, 1, &[4], Mode::Prompt).layout().is_err());
        assert!(shape(3, 8, &[0], Mode::Prompt).layout().is_err());
        assert!(Mode::from_name("tes").is_err());
    }
}
