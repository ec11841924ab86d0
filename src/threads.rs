//! One private rayon pool per process and size, built on first use, and the monitor through
//! which a long job reports progress and learns that it should stop.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, TryLockError};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Error, Result};

/// Environment variable that sets the number of threads when no call does.
pub const THREADS_VARIABLE: &str = "KINATLAS_NUM_THREADS";

/// More threads than any machine we know has cores; beyond it a number is a slip, and starting
/// that many threads would stall the machine.
pub const MOST_THREADS: usize = 1024;

static DEFAULT_THREADS: AtomicUsize = AtomicUsize::new(0);

// Keyed by process id: after a fork the parent's pool has no threads left, so the child must
// build its own.
type Pools = HashMap<(u32, usize), Arc<ThreadPool>>;
static POOLS: Mutex<Option<Pools>> = Mutex::new(None);

/// Fixes the default number of threads; `None` returns to the environment and affinity mask.
pub fn set_num_threads(n_threads: Option<usize>) -> Result<()> {
    if let Some(count) = n_threads {
        check(count)?;
    }
    DEFAULT_THREADS.store(n_threads.unwrap_or(0), Ordering::Relaxed);
    Ok(())
}

/// Threads a call uses when it names none: `set_num_threads`, else the environment variable,
/// else what the affinity mask and container limits allow.
pub fn num_threads() -> Result<usize> {
    match DEFAULT_THREADS.load(Ordering::Relaxed) {
        0 => {}
        fixed => return Ok(fixed),
    }
    match std::env::var(THREADS_VARIABLE) {
        Ok(text) => match text.trim().parse::<usize>() {
            Ok(count) if (1..=MOST_THREADS).contains(&count) => Ok(count),
            _ => Err(Error::Value(format!(
                "{THREADS_VARIABLE} is '{text}', expected a whole number from 1 to {MOST_THREADS}"
            ))),
        },
        Err(_) => Ok(std::thread::available_parallelism().map_or(1, usize::from)),
    }
}

/// The pool of this process for `n_threads` (None: the default).
pub fn pool(n_threads: Option<usize>) -> Result<Arc<ThreadPool>> {
    let size = match n_threads {
        Some(count) => check(count)?,
        None => num_threads()?,
    };
    let key = (std::process::id(), size);
    match POOLS.try_lock() {
        Ok(mut pools) => {
            let pools = pools.get_or_insert_with(HashMap::new);
            if let Some(found) = pools.get(&key) {
                return Ok(Arc::clone(found));
            }
            let built = build(size)?;
            pools.insert(key, Arc::clone(&built));
            Ok(built)
        }
        // A fork may have copied the lock while another thread held it; waiting could be forever.
        Err(TryLockError::WouldBlock | TryLockError::Poisoned(_)) => build(size),
    }
}

fn check(count: usize) -> Result<usize> {
    if (1..=MOST_THREADS).contains(&count) {
        return Ok(count);
    }
    Err(Error::Value(format!(
        "n_threads is {count}, expected a whole number from 1 to {MOST_THREADS}, or None"
    )))
}

fn build(size: usize) -> Result<Arc<ThreadPool>> {
    ThreadPoolBuilder::new()
        .num_threads(size)
        .thread_name(|index| format!("kinatlas-{index}"))
        .build()
        .map(Arc::new)
        .map_err(|error| Error::Io(format!("cannot start {size} threads: {error}")))
}

/// Shared by a job and whoever watches it.
#[derive(Debug, Default)]
pub struct Monitor {
    cancelled: AtomicBool,
    done: AtomicUsize,
}

impl Monitor {
    /// Counts finished units of work and fails once the job was cancelled.
    pub fn tick(&self, units: usize) -> Result<()> {
        self.done.fetch_add(units, Ordering::Relaxed);
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        Ok(())
    }

    /// Asks the job to stop at its next tick.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Units of work finished so far.
    pub fn done(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_has_the_size_asked_for_and_is_reused() {
        let first = pool(Some(3)).unwrap();
        assert_eq!(first.current_num_threads(), 3);
        assert!(pool(Some(0)).is_err());
        assert!(pool(Some(MOST_THREADS + 1)).is_err());
    }

    #[test]
    fn a_cancelled_job_stops_at_its_next_tick() {
        let monitor = Monitor::default();
        assert!(monitor.tick(2).is_ok());
        monitor.cancel();
        assert_eq!(monitor.tick(1), Err(Error::Interrupted));
        assert_eq!(monitor.done(), 3);
    }
}
