//! What to do with an order: transfer or abstain, several sources at once, which to try next.

mod coverage;
mod gain_model;
mod help;
mod stack;
mod subset;

pub use coverage::{Coverage, risk_coverage};
pub use gain_model::{Cell, Forecast, GainModel};
pub use help::HelpModel;
pub use stack::stacked;
pub use subset::diverse_subset;
