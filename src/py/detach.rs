//! One helper releases the GIL, watches for Ctrl-C, reports progress and converts errors.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use pyo3::prelude::*;

use crate::error::{Error, Result};
use crate::threads::{Monitor, pool};

// Short enough that Ctrl-C feels immediate, long enough that polling costs nothing measurable.
const POLL: Duration = Duration::from_millis(50);

/// Runs `job` on the private pool without the GIL. `progress`, a callable, receives the number
/// of finished units from this thread; Ctrl-C cancels the job at its next tick.
pub fn detached<T, F>(
    py: Python<'_>,
    n_threads: Option<usize>,
    progress: Option<&Bound<'_, PyAny>>,
    job: F,
) -> PyResult<T>
where
    T: Send,
    F: FnOnce(&Monitor) -> Result<T> + Send,
{
    let pool = pool(n_threads)?;
    let monitor = Monitor::default();
    std::thread::scope(|scope| {
        let (sender, mut receiver) = channel();
        let watched = &monitor;
        scope.spawn(move || {
            let result = pool.install(|| job(watched));
            // The receiver lives until a result arrives, so there is no one to tell of a failure.
            let _ = sender.send(result);
        });
        let mut failure = None;
        loop {
            let inbox = &mut receiver;
            match py.detach(move || inbox.recv_timeout(POLL)) {
                Ok(result) => {
                    let value = failure.map_or(result.map_err(PyErr::from), Err)?;
                    report(progress, &monitor)?;
                    return Ok(value);
                }
                Err(RecvTimeoutError::Timeout) if failure.is_none() => {
                    let watched = py.check_signals().and_then(|()| report(progress, &monitor));
                    if let Err(error) = watched {
                        monitor.cancel();
                        failure = Some(error);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::Io("a worker thread ended without a result".into()).into());
                }
            }
        }
    })
}

fn report(progress: Option<&Bound<'_, PyAny>>, monitor: &Monitor) -> PyResult<()> {
    match progress {
        Some(callable) => callable.call1((monitor.done(),)).map(|_| ()),
        None => Ok(()),
    }
}
