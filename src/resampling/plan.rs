//! What a replicate draws: targets with replacement inside strata, and seeds, by name.

use super::fill_below;
use crate::error::{Error, Result};
use crate::random::stream;

/// What is drawn again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Whole targets, with all their seeds.
    Targets,
    /// Targets, then seeds within each drawn target.
    TargetsThenSeeds,
    /// Seeds within each target; the targets are the ones that count.
    Seeds,
    /// Targets, and one draw of seeds shared by all of them.
    TargetsAndSeeds,
}

impl Unit {
    /// All units.
    pub const ALL: [Self; 4] = [
        Self::Targets,
        Self::TargetsThenSeeds,
        Self::Seeds,
        Self::TargetsAndSeeds,
    ];

    /// The one name of the unit.
    pub fn name(self) -> &'static str {
        match self {
            Self::Targets => "targets",
            Self::TargetsThenSeeds => "targets_then_seeds",
            Self::Seeds => "seeds",
            Self::TargetsAndSeeds => "targets_and_seeds",
        }
    }

    /// Finds a unit by name.
    pub fn from_name(name: &str) -> Result<Self> {
        let known = Self::ALL.map(Self::name).join("', '");
        Self::ALL
            .into_iter()
            .find(|unit| unit.name() == name)
            .ok_or_else(|| Error::UnknownName(format!("unknown unit '{name}'; known: '{known}'")))
    }
}

/// What is drawn, within which strata, from which seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What is drawn again.
    pub unit: Unit,
    /// Targets of each stratum; a draw replaces a target by one of its own stratum.
    strata: Vec<Vec<usize>>,
    n_targets: usize,
    /// Of the streams.
    pub seed: u64,
}

impl Plan {
    /// `strata [n_targets]` holds the stratum number of each target.
    pub fn new(unit: Unit, strata: &[usize], seed: u64) -> Result<Self> {
        let n_targets = strata.len();
        if strata.iter().any(|&stratum| stratum >= n_targets) {
            return Err(Error::Shape(
                "stratum numbers must be below n_targets".into(),
            ));
        }
        let mut members = vec![Vec::new(); n_targets];
        for (target, &stratum) in strata.iter().enumerate() {
            members[stratum].push(target);
        }
        members.retain(|own| !own.is_empty());
        Ok(Self {
            unit,
            strata: members,
            n_targets,
            seed,
        })
    }

    /// Refuses a table with another number of targets.
    pub fn check(&self, n_targets: usize) -> Result<()> {
        if self.n_targets == n_targets {
            return Ok(());
        }
        Err(Error::Shape(format!(
            "strata name {} targets, but the table has {n_targets}",
            self.n_targets
        )))
    }

    pub(super) fn strata(&self) -> &[Vec<usize>] {
        &self.strata
    }

    /// Hands `visit(target, seeds)` every draw of replicate `number`.
    pub fn draw(&self, number: u64, n_seeds: usize, mut visit: impl FnMut(usize, &[usize])) {
        let mut generator = stream(self.seed, number);
        let (mut targets, mut places) = (Vec::new(), (0..n_seeds).collect::<Vec<_>>());
        if self.unit == Unit::TargetsAndSeeds {
            fill_below(&mut generator, n_seeds, &mut places);
        }
        let is_nested = matches!(self.unit, Unit::TargetsThenSeeds | Unit::Seeds);
        for stratum in &self.strata {
            targets.clear();
            targets.extend(0..stratum.len());
            if self.unit != Unit::Seeds {
                fill_below(&mut generator, stratum.len(), &mut targets);
            }
            for &at in &targets {
                if is_nested {
                    fill_below(&mut generator, n_seeds, &mut places);
                }
                visit(stratum[at], &places);
            }
        }
    }

    /// Targets [n_targets] and, for each, the seeds that replicate `number` draws.
    pub fn indices(&self, number: u64, n_seeds: usize) -> Vec<(usize, Vec<usize>)> {
        let mut drawn = Vec::with_capacity(self.n_targets);
        self.draw(number, n_seeds, |target, seeds| {
            drawn.push((target, seeds.to_vec()));
        });
        drawn
    }
}
