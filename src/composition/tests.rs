//! The head as a whole: slopes against differences, threads, limits.

use super::*;
use crate::random::{fill_normal, stream};
use crate::threads::{Monitor, pool};

const MODES: [Mode; 4] = [Mode::Prompt, Mode::Fixed, Mode::Task, Mode::Share];

struct Data {
    shape: Shape,
    x: Vec<f64>,
    shared: Vec<f64>,
    own: Vec<f64>,
    keys: Vec<f64>,
    order: Vec<usize>,
    labels: Vec<bool>,
}

fn data(mode: Mode, n: usize, tower: &[usize]) -> Data {
    let (dim, width, n_sources) = (5, 8, 3);
    let mut generator = stream(7, 0);
    let mut draw = |size: usize| {
        let mut values = vec![0.0; size];
        fill_normal(&mut generator, &mut values);
        values
    };
    let x = draw(n * dim);
    let labels = (0..n).map(|row| x[row * dim] > 0.0).collect();
    Data {
        shape: Shape {
            dim,
            width,
            n_sources,
            tower: tower.to_vec(),
            mode,
        },
        x,
        shared: draw(n * width),
        own: draw(n * n_sources * width),
        keys: draw(n_sources * width),
        order: vec![0, 1, 2],
        labels,
    }
}

impl Data {
    fn rows(&self) -> Rows<'_, f64> {
        let sizes = (self.shape.dim, self.shape.width, self.shape.n_sources);
        Rows::new(&self.x, &self.shared, &self.own, &self.order, sizes).unwrap()
    }

    fn problem(&self, tau: f64, beta_kl: f64) -> Problem<'_, f64> {
        Problem {
            shape: &self.shape,
            keys: &self.keys,
            options: Options {
                tau,
                beta_kl,
                decay: 1e-3,
            },
        }
    }
}

#[test]
fn slopes_are_what_differences_say() {
    for (mode, tower) in MODES
        .into_iter()
        .flat_map(|mode| [(mode, vec![6, 4]), (mode, vec![]), (mode, vec![3])])
    {
        // 70 rows: two pieces.
        let data = data(mode, 70, &tower);
        let problem = data.problem(0.7, 0.3);
        let start = initial(&data.shape, 1).unwrap();
        let (_, slopes) = problem.slopes(&start, data.rows(), &data.labels).unwrap();
        let most = slopes.iter().fold(0.0f64, |a, b| a.max(b.abs()));
        assert!(most > 1e-3);
        for (at, &slope) in slopes.iter().enumerate() {
            let loss = |step: f64| {
                let mut moved = start.clone();
                moved[at] += step;
                problem.slopes(&moved, data.rows(), &data.labels).unwrap().0
            };
            // Fourth order: errors of h^4 and of rounding / h are both near 1e-11.
            let step = 1e-4;
            let near = loss(step) - loss(-step);
            let far = loss(2.0 * step) - loss(-2.0 * step);
            let found = (8.0 * near - far) / (12.0 * step);
            assert!(
                (found - slope).abs() <= 1e-6 * most.max(1.0),
                "{mode:?} {tower:?} parameter {at}: {found} against {slope}"
            );
        }
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let data = data(Mode::Prompt, 1500, &[6, 4]);
    let plan = Plan {
        learning_rate: 1e-2,
        batch_size: 1100,
        epochs: 3,
        patience: 9,
        seed: 5,
    };
    let run = |n_threads: usize| {
        let pool = pool(Some(n_threads)).unwrap();
        let start = initial(&data.shape, 1).unwrap();
        let trained = pool.install(|| {
            data.problem(150.0, 0.1).train(
                data.rows(),
                &data.labels,
                Some((data.rows(), &data.labels)),
                start,
                plan,
                &Monitor::default(),
            )
        });
        let parameters = trained.unwrap().parameters;
        parameters
            .iter()
            .map(|value| value.to_bits())
            .collect::<Vec<_>>()
    };
    let alone = run(1);
    assert_eq!(alone, run(2));
    assert_eq!(alone, run(5));
}

#[test]
fn weights_are_even_when_the_temperature_is_infinite() {
    let data = data(Mode::Prompt, 3, &[4]);
    let start = initial(&data.shape, 1).unwrap();
    let monitor = Monitor::default();
    let answer = data
        .problem(f64::INFINITY, 0.0)
        .answer(&start, data.rows(), &monitor)
        .unwrap();
    assert_eq!(answer.weights, vec![1.0 / 3.0; 9]);
}

#[test]
fn a_cancelled_training_stops() {
    let data = data(Mode::Prompt, 100, &[4]);
    let monitor = Monitor::default();
    monitor.cancel();
    let plan = Plan {
        learning_rate: 1e-2,
        batch_size: 10,
        epochs: 3,
        patience: 9,
        seed: 5,
    };
    let start = initial(&data.shape, 1).unwrap();
    let found =
        data.problem(1.0, 0.0)
            .train(data.rows(), &data.labels, None, start, plan, &monitor);
    assert!(found.is_err());
}
