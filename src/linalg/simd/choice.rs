//! Which paths a processor has, and which is taken.

use super::kernel::Numbers;
#[cfg(target_arch = "aarch64")]
use super::neon;
use super::{Path, portable};
#[cfg(target_arch = "x86_64")]
use super::{amx, avx2, avx512, avx512bf16, avx512vnni};
use crate::error::{Error, Result};

/// Environment variable that forces a path: `portable`, `avx2`, `avx512`, `neon`, `avx512bf16`, `amx`
/// or `avx512vnni`. `amx` and `avx512bf16` are for bfloat16 and screens, `avx512vnni` for screens alone;
/// what they cannot do takes the fastest path that can.
pub const SIMD_VARIABLE: &str = "KINATLAS_SIMD";

impl Path {
    /// Every path of this processor, the fastest first; the portable one is always there.
    pub fn all() -> Vec<Self> {
        let mut paths = Vec::with_capacity(3);
        #[cfg(target_arch = "x86_64")]
        {
            // `rows` converts half precision; every processor with AVX2 so far has F16C.
            let has_avx2 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("f16c");
            if has_avx2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512dq")
            {
                paths.push(Self(&avx512::KERNEL));
            }
            if has_avx2 {
                paths.push(Self(&avx2::KERNEL));
            }
        }
        #[cfg(target_arch = "aarch64")]
        paths.push(Self(&neon::KERNEL));
        paths.push(Self(&portable::KERNEL));
        paths
    }

    /// The paths of this processor that multiply bfloat16 themselves, the fastest first.
    pub fn in_pairs() -> Vec<Self> {
        #[cfg_attr(
            not(target_arch = "x86_64"),
            expect(unused_mut, reason = "none to add")
        )]
        let mut paths = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if amx::is_here() {
                paths.push(Self(&amx::KERNEL));
            }
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16") {
                paths.push(Self(&avx512bf16::KERNEL));
            }
        }
        paths
    }

    /// The paths of this processor that multiply integers of 8 bits.
    pub fn in_quads() -> Vec<Self> {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni") {
            return vec![Self(&avx512vnni::KERNEL)];
        }
        Vec::new()
    }

    /// The path the environment asks for, else the fastest.
    pub fn chosen() -> Result<Self> {
        let paths = Self::all();
        let asked = Self::asked()?.filter(|path| path.0.numbers == Numbers::Single);
        Ok(asked.unwrap_or(paths[0]))
    }

    /// The same for tokens that were rounded to bfloat16. Their products are exact in `f32`, so
    /// that every path serves.
    pub fn for_bf16() -> Result<Self> {
        let fastest = Self::in_pairs().first().copied();
        let asked = Self::asked()?.filter(|path| !path.reads_quads());
        Ok(asked.or(fastest).unwrap_or(Self::chosen()?))
    }

    /// The same for tokens that may be rounded in any way, as long as it is fast: AMX multiplies
    /// bfloat16 faster than other instructions integers.
    pub fn for_screens() -> Result<Self> {
        if let Some(asked) = Self::asked()? {
            return Ok(asked);
        }
        let rounded = Self::for_bf16()?;
        if rounded.name() == "amx" {
            return Ok(rounded);
        }
        Ok(Self::in_quads().first().copied().unwrap_or(rounded))
    }

    fn asked() -> Result<Option<Self>> {
        let mut paths = Self::in_pairs();
        paths.extend(Self::all());
        paths.extend(Self::in_quads());
        match std::env::var(SIMD_VARIABLE) {
            Ok(name) if !name.is_empty() => Self::named(&name, &paths).map(Some),
            _ => Ok(None),
        }
    }

    pub(super) fn named(name: &str, paths: &[Self]) -> Result<Self> {
        let here = paths.iter().map(|path| path.name());
        let here = here.collect::<Vec<_>>().join(", ");
        let found = paths.iter().find(|path| path.name() == name);
        found.copied().ok_or_else(|| {
            Error::UnknownName(match name {
                "avx512" | "avx2" | "neon" | "avx512bf16" | "amx" | "avx512vnni" => format!(
                    "{SIMD_VARIABLE} is '{name}', which this processor does not have; it has {here}"
                ),
                _ => format!(
                    "{SIMD_VARIABLE} is '{name}', expected one of portable, avx2, avx512, neon, \
                     avx512bf16, amx, avx512vnni, or nothing; this processor has {here}"
                ),
            })
        })
    }
}
