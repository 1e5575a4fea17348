//! Samples that take turns in memory, as capture devices give them, into planes of their own. Each version reads a row once
//! and in whole vectors: the memory of a capture device may be uncached.

/// Four bytes for each two luma samples, as in UYVY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LumaAt {
    /// Y C Y C.
    Even,
    /// C Y C Y.
    Odd,
}

type PackedFn = fn(&[u8], LumaAt, &mut [u8], &mut [u8], &mut [u8]);
type PairsFn = fn(&[u8], &mut [u8], &mut [u8]);

/// One version of the kernels of this file.
#[derive(Clone, Copy)]
pub(super) struct Unpack {
    pub(super) packed: PackedFn,
    pub(super) pairs: PairsFn,
}

pub(super) mod scalar {
    use super::{LumaAt, Unpack};

    pub(in super::super) const UNPACK: Unpack = Unpack { packed, pairs };

    pub(in super::super) fn packed(row: &[u8], at: LumaAt, luma: &mut [u8], first: &mut [u8], second: &mut [u8]) {
        let chroma = first.iter_mut().zip(second);
        for ((quad, luma), (first, second)) in row.as_chunks::<4>().0.iter().zip(luma.chunks_mut(2)).zip(chroma) {
            let samples;
            (samples, *first, *second) = match at {
                LumaAt::Even => ([quad[0], quad[2]], quad[1], quad[3]),
                LumaAt::Odd => ([quad[1], quad[3]], quad[0], quad[2]),
            };
            // The last of an odd width stands alone.
            luma.copy_from_slice(&samples[..luma.len()]);
        }
    }

    pub(in super::super) fn pairs(row: &[u8], first: &mut [u8], second: &mut [u8]) {
        for ((pair, first), second) in row.as_chunks::<2>().0.iter().zip(first).zip(second) {
            (*first, *second) = (pair[0], pair[1]);
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2 {
    use super::{LumaAt, Unpack, scalar};
    use std::arch::x86_64::*;

    pub(in super::super) const UNPACK: Unpack = Unpack { packed, pairs };

    /// Bytes that a step reads.
    const STEP: usize = 64;

    #[allow(unsafe_code)]
    fn packed(row: &[u8], at: LumaAt, luma: &mut [u8], first: &mut [u8], second: &mut [u8]) {
        // SAFETY: this function is only reached through `avx2::kernels()`, which looked for AVX2.
        unsafe {
            match at {
                LumaAt::Even => packed_avx2::<true>(row, luma, first, second),
                LumaAt::Odd => packed_avx2::<false>(row, luma, first, second),
            }
        }
    }

    #[target_feature(enable = "avx2")]
    fn packed_avx2<const EVEN: bool>(row: &[u8], luma: &mut [u8], first: &mut [u8], second: &mut [u8]) {
        let done = luma.len() / (STEP / 2) * STEP;
        let steps = row[..done].chunks_exact(STEP);
        let planes = luma
            .chunks_exact_mut(STEP / 2)
            .zip(first.chunks_exact_mut(STEP / 4))
            .zip(second.chunks_exact_mut(STEP / 4));
        for (step, ((luma, first), second)) in steps.zip(planes) {
            let (even, odd) = split(load(step, 0), load(step, 1));
            let (samples, chroma) = if EVEN { (even, odd) } else { (odd, even) };
            store(luma, samples);
            // Both halves of the same vector: each takes its own 16.
            let (cb, cr) = split(chroma, chroma);
            store_half(first, cb);
            store_half(second, cr);
        }
        let at = if EVEN { LumaAt::Even } else { LumaAt::Odd };
        scalar::packed(&row[done..], at, &mut luma[done / 2..], &mut first[done / 4..], &mut second[done / 4..]);
    }

    #[allow(unsafe_code)]
    fn pairs(row: &[u8], first: &mut [u8], second: &mut [u8]) {
        // SAFETY: this function is only reached through `avx2::kernels()`, which looked for AVX2.
        unsafe { pairs_avx2(row, first, second) }
    }

    #[target_feature(enable = "avx2")]
    fn pairs_avx2(row: &[u8], first: &mut [u8], second: &mut [u8]) {
        let done = first.len() / (STEP / 2) * STEP;
        let steps = row[..done].chunks_exact(STEP);
        let planes = first.chunks_exact_mut(STEP / 2).zip(second.chunks_exact_mut(STEP / 2));
        for (step, (first, second)) in steps.zip(planes) {
            let (even, odd) = split(load(step, 0), load(step, 1));
            store(first, even);
            store(second, odd);
        }
        scalar::pairs(&row[done..], &mut first[done / 2..], &mut second[done / 2..]);
    }

    /// Even and odd bytes of two vectors, in order.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn split(low: __m256i, high: __m256i) -> (__m256i, __m256i) {
        let mask = _mm256_set1_epi16(0xff);
        let even = _mm256_packus_epi16(_mm256_and_si256(low, mask), _mm256_and_si256(high, mask));
        let odd = _mm256_packus_epi16(_mm256_srli_epi16::<8>(low), _mm256_srli_epi16::<8>(high));
        // The halves of both vectors took turns.
        (_mm256_permute4x64_epi64::<0b11_01_10_00>(even), _mm256_permute4x64_epi64::<0b11_01_10_00>(odd))
    }

    /// Vector `n` of a step.
    #[target_feature(enable = "avx2")]
    #[inline]
    #[allow(unsafe_code)]
    fn load(step: &[u8], n: usize) -> __m256i {
        let bytes: &[u8] = &step[n * 32..][..32];
        // SAFETY: 32 bytes are there; the load has no alignment requirement.
        unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    #[allow(unsafe_code)]
    fn store(to: &mut [u8], samples: __m256i) {
        let to: &mut [u8] = &mut to[..32];
        // SAFETY: 32 bytes are there; the store has no alignment requirement.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), samples) }
    }

    /// The lower half.
    #[target_feature(enable = "avx2")]
    #[inline]
    #[allow(unsafe_code)]
    fn store_half(to: &mut [u8], samples: __m256i) {
        let to: &mut [u8] = &mut to[..16];
        // SAFETY: 16 bytes are there; the store has no alignment requirement.
        unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), _mm256_castsi256_si128(samples)) }
    }
}

#[cfg(target_arch = "aarch64")]
pub(super) mod neon {
    use super::{LumaAt, Unpack, scalar};
    use std::arch::aarch64::*;

    pub(in super::super) const UNPACK: Unpack = Unpack { packed, pairs };

    /// Bytes that a step of `packed` reads, and twice what one of `pairs` does.
    const STEP: usize = 64;

    #[allow(unsafe_code)]
    fn packed(row: &[u8], at: LumaAt, luma: &mut [u8], first: &mut [u8], second: &mut [u8]) {
        let done = luma.len() / (STEP / 2) * STEP;
        let steps = row[..done].chunks_exact(STEP);
        let planes = luma
            .chunks_exact_mut(STEP / 2)
            .zip(first.chunks_exact_mut(STEP / 4))
            .zip(second.chunks_exact_mut(STEP / 4));
        for (step, ((luma, first), second)) in steps.zip(planes) {
            // SAFETY: NEON is part of the baseline of every aarch64 Linux target; the chunks have 64, 32, 16 and 16 bytes.
            unsafe {
                let quad = vld4q_u8(step.as_ptr());
                let (samples, chroma) = match at {
                    LumaAt::Even => (uint8x16x2_t(quad.0, quad.2), (quad.1, quad.3)),
                    LumaAt::Odd => (uint8x16x2_t(quad.1, quad.3), (quad.0, quad.2)),
                };
                vst2q_u8(luma.as_mut_ptr(), samples);
                vst1q_u8(first.as_mut_ptr(), chroma.0);
                vst1q_u8(second.as_mut_ptr(), chroma.1);
            }
        }
        scalar::packed(&row[done..], at, &mut luma[done / 2..], &mut first[done / 4..], &mut second[done / 4..]);
    }

    #[allow(unsafe_code)]
    fn pairs(row: &[u8], first: &mut [u8], second: &mut [u8]) {
        let done = first.len() / (STEP / 4) * (STEP / 2);
        let steps = row[..done].chunks_exact(STEP / 2);
        let planes = first.chunks_exact_mut(STEP / 4).zip(second.chunks_exact_mut(STEP / 4));
        for (step, (first, second)) in steps.zip(planes) {
            // SAFETY: NEON is part of the baseline of every aarch64 Linux target; the chunks have 32, 16 and 16 bytes.
            unsafe {
                let pairs = vld2q_u8(step.as_ptr());
                vst1q_u8(first.as_mut_ptr(), pairs.0);
                vst1q_u8(second.as_mut_ptr(), pairs.1);
            }
        }
        scalar::pairs(&row[done..], &mut first[done / 2..], &mut second[done / 2..]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Kernels, scalar};
    use super::*;

    fn bytes(count: usize, seed: usize) -> Vec<u8> {
        (0..count).map(|n| ((n + seed) * 167 + (n >> 5) * 31) as u8).collect()
    }

    type Planes = (Vec<u8>, Vec<u8>, Vec<u8>);

    fn packed(set: &Kernels, row: &[u8], at: LumaAt, width: usize) -> Planes {
        let half = width.div_ceil(2);
        let (mut luma, mut first, mut second) = (vec![9; width], vec![9; half], vec![9; half]);
        set.packed(row, at, &mut luma, &mut first, &mut second);
        (luma, first, second)
    }

    fn pairs(set: &Kernels, row: &[u8], width: usize) -> (Vec<u8>, Vec<u8>) {
        let (mut first, mut second) = (vec![9; width], vec![9; width]);
        set.pairs(row, &mut first, &mut second);
        (first, second)
    }

    #[test]
    fn every_version_agrees_with_the_reference_at_every_width() {
        for width in (1..300_usize).chain([719, 720, 1919, 1920, 8191, 8192]) {
            // Rows with room behind them, begun at any address.
            let row = bytes(width.div_ceil(2) * 4 + 1 + width % 40, width);
            for set in Kernels::available() {
                for at in [LumaAt::Even, LumaAt::Odd] {
                    let right = packed(&scalar::KERNELS, &row[1..], at, width);
                    assert_eq!(packed(&set, &row[1..], at, width), right, "{set:?} {at:?} {width}");
                    assert_eq!(
                        packed(&set, &row, at, width),
                        packed(&scalar::KERNELS, &row, at, width),
                        "{set:?} {width}"
                    );
                }
                assert_eq!(pairs(&set, &row, width), pairs(&scalar::KERNELS, &row, width), "{set:?} {width}");
            }
        }
    }

    #[test]
    fn samples_go_to_their_planes() {
        let row: Vec<u8> = (0..8).collect();
        for set in Kernels::available() {
            assert_eq!(packed(&set, &row, LumaAt::Even, 4), (vec![0, 2, 4, 6], vec![1, 5], vec![3, 7]));
            assert_eq!(packed(&set, &row, LumaAt::Odd, 4), (vec![1, 3, 5, 7], vec![0, 4], vec![2, 6]));
            assert_eq!(packed(&set, &row, LumaAt::Odd, 3), (vec![1, 3, 5], vec![0, 4], vec![2, 6]), "an odd width");
            assert_eq!(pairs(&set, &row, 4), (vec![0, 2, 4, 6], vec![1, 3, 5, 7]));
        }
    }

    #[test]
    #[should_panic(expected = "row")]
    fn a_row_that_is_too_short_is_our_mistake() {
        packed(&Kernels::detect(), &[0; 7], LumaAt::Even, 4);
    }
}
