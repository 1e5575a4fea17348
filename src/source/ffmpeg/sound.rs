//! From decoded sound to interleaved samples of full scale 1.0.

use ff::format::Sample;
use ffmpeg_next as ff;

/// Appends the samples of `sound`, interleaved. False when the format is unknown.
pub(super) fn interleave(sound: &ff::frame::Audio, into: &mut Vec<f32>) -> bool {
    // Full scale of a signed n-bit sample is 2^(n-1) (AES17).
    match sound.format() {
        Sample::U8(_) => append::<u8>(sound, into, |s| (f32::from(s) - 128.0) / 128.0),
        Sample::I16(_) => append::<i16>(sound, into, |s| f32::from(s) / 32_768.0),
        Sample::I32(_) => append::<i32>(sound, into, |s| (f64::from(s) / 2_147_483_648.0) as f32),
        Sample::F32(_) => append::<f32>(sound, into, |s| s),
        Sample::F64(_) => append::<f64>(sound, into, |s| s as f32),
        Sample::I64(_) | Sample::None => return false,
    }
    true
}

fn append<T>(sound: &ff::frame::Audio, into: &mut Vec<f32>, scale: impl Fn(T) -> f32)
where
    T: Copy + ff::util::frame::audio::Sample + 'static,
{
    let channels = usize::from(sound.channels());
    // Broken float sound must not turn sums into NaN.
    let clean = |s: T| Some(scale(s)).filter(|s| s.is_finite()).unwrap_or(0.0);
    if sound.is_packed() {
        into.extend(bytes_as::<T>(sound, 0, sound.samples() * channels).map(clean));
    } else {
        let start = into.len();
        into.resize(start + sound.samples() * channels, 0.0);
        for channel in 0..channels {
            for (n, sample) in bytes_as::<T>(sound, channel, sound.samples()).enumerate() {
                into[start + n * channels + channel] = clean(sample);
            }
        }
    }
}

/// The first `count` samples of plane `index`.
#[allow(unsafe_code)]
fn bytes_as<T: Copy + 'static>(sound: &ff::frame::Audio, index: usize, count: usize) -> impl Iterator<Item = T> {
    // `Audio::plane` panics for packed formats of more than one channel, so the samples are read here.
    // SAFETY: FFmpeg guarantees that `extended_data` holds one pointer per plane (one for packed formats), each to at
    // least `nb_samples` (times channels, if packed) samples of the frame's format, aligned for it; the caller passes
    // `T` after the format and `count` after that rule, and the frame outlives the returned iterator.
    let samples: &[T] = unsafe {
        let plane = *(*sound.as_ptr()).extended_data.add(index);
        if plane.is_null() { &[] } else { std::slice::from_raw_parts(plane.cast::<T>(), count) }
    };
    samples.iter().copied()
}
