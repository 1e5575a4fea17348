//! What the receiver says of its input: whether a signal is there, and of which kind.

use super::device::Device;
use crate::frame::Loss;
use nix::errno::Errno;
use v4l::v4l_sys as sys;

/// A signal as a receiver measures it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Timings {
    pub width: u32,
    /// Rows of a whole picture.
    pub height: u32,
    pub interlaced: bool,
    /// Samples per second, blanking included; 0 where it is not told.
    pixel_clock: u64,
    /// Samples of a whole picture, blanking included.
    total: u64,
}

/// What a look at the input found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Signal {
    /// Something arrives, of this kind where the device knows kinds.
    Present(Option<Timings>),
    /// Nothing that can be used does.
    Absent(Loss),
}

impl Timings {
    #[allow(unsafe_code)]
    pub(super) fn of(raw: &sys::v4l2_dv_timings) -> Option<Self> {
        if raw.type_ != sys::V4L2_DV_BT_656_1120 {
            return None;
        }
        // SAFETY: the type tells that this member was filled; the copy, out of a packed struct, is of plain integers.
        let bt = unsafe { raw.__bindgen_anon_1.bt };
        let sum = |parts: [u32; 4]| parts.into_iter().map(u64::from).sum::<u64>();
        let interlaced = bt.interlaced & sys::V4L2_DV_INTERLACED != 0;
        let second = if interlaced { sum([bt.il_vfrontporch, bt.il_vsync, bt.il_vbackporch, 0]) } else { 0 };
        let wide = sum([bt.width, bt.hfrontporch, bt.hsync, bt.hbackporch]);
        let tall = sum([bt.height, bt.vfrontporch, bt.vsync, bt.vbackporch]) + second;
        Some(Self { width: bt.width, height: bt.height, interlaced, pixel_clock: bt.pixelclock, total: wide * tall })
    }

    /// Nanoseconds from picture to picture.
    pub(super) fn interval_ns(&self) -> Option<u64> {
        let ns = u128::from(self.total) * 1_000_000_000;
        ns.checked_div(u128::from(self.pixel_clock)).and_then(|ns| u64::try_from(ns).ok()).filter(|&ns| ns > 0)
    }

    /// Whether both are one signal. Receivers measure clocks to some parts in a thousand; pictures of 24 and 25 per second
    /// are 4 % apart.
    pub(super) fn fits(&self, other: &Timings) -> bool {
        let size = |timings: &Timings| (timings.width, timings.height, timings.interlaced);
        let near = match (self.interval_ns(), other.interval_ns()) {
            (Some(one), Some(other)) => one.abs_diff(other) <= one / 100,
            (None, None) => true,
            _ => false,
        };
        size(self) == size(other) && near
    }
}

/// No signal that can be used.
const STATUS: [(u32, Loss); 3] = [
    (sys::V4L2_IN_ST_NO_POWER, Loss::NoPower),
    (sys::V4L2_IN_ST_NO_SIGNAL | sys::V4L2_IN_ST_NO_CARRIER, Loss::NoSignal),
    (
        sys::V4L2_IN_ST_NO_H_LOCK | sys::V4L2_IN_ST_NO_V_LOCK | sys::V4L2_IN_ST_NO_STD_LOCK | sys::V4L2_IN_ST_NO_SYNC,
        Loss::NoLock,
    ),
];

/// What it all means. `query`: of QUERY_DV_TIMINGS; `status`: of the input; `power`: pins with 5 V, where it is told.
pub(super) fn judge(query: Result<Option<Timings>, Errno>, status: u32, power: Option<i32>) -> Signal {
    let told = STATUS.into_iter().find(|(bits, _)| status & bits != 0).map(|(_, loss)| loss);
    match query {
        Err(Errno::ENOLINK) if power == Some(0) => Signal::Absent(Loss::NoPower),
        Err(Errno::ENOLINK) if told == Some(Loss::NoPower) => Signal::Absent(Loss::NoPower),
        Err(Errno::ENOLINK) => Signal::Absent(Loss::NoSignal),
        // A receiver that is busy with a change has no lock yet.
        Err(Errno::ENOLCK | Errno::EBUSY | Errno::EAGAIN) => Signal::Absent(Loss::NoLock),
        Err(Errno::ERANGE) => Signal::Absent(Loss::OutOfRange),
        // Cameras, USB sticks and analogue inputs have no such timings.
        Err(_) | Ok(None) => told.map_or(Signal::Present(None), Signal::Absent),
        // Measured just now: newer than the status.
        Ok(Some(timings)) => Signal::Present(Some(timings)),
    }
}

/// Looks at the input. `receiver`: the node that knows timings; `input`: which of the device's.
pub(super) fn look(device: &Device, receiver: &Device, input: u32) -> Result<Signal, Errno> {
    let status = device.input_status(input)?;
    let query = match receiver.query_timings() {
        Err(Errno::ENODEV) => return Err(Errno::ENODEV),
        Ok(raw) => Ok(Timings::of(&raw)),
        Err(error) => Err(error),
    };
    let power = query.is_err().then(|| receiver.control(sys::V4L2_CID_DV_RX_POWER_PRESENT)).flatten();
    Ok(judge(query, status, power))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CEA-861 1280x720p60 and 1920x1080i50, without what does not matter.
    fn timings(interlaced: bool, pixel_clock: u64) -> Timings {
        #[allow(unsafe_code)]
        // SAFETY: plain integers.
        let mut raw: sys::v4l2_dv_timings = unsafe { std::mem::zeroed() };
        #[allow(unsafe_code)]
        // SAFETY: plain integers.
        let mut bt: sys::v4l2_bt_timings = unsafe { std::mem::zeroed() };
        (bt.width, bt.hfrontporch, bt.hsync, bt.hbackporch) = (1280, 110, 40, 220);
        (bt.height, bt.vfrontporch, bt.vsync, bt.vbackporch) = (720, 5, 5, 20);
        bt.interlaced = u32::from(interlaced);
        (bt.il_vfrontporch, bt.il_vsync, bt.il_vbackporch) = (5, 5, 20);
        bt.pixelclock = pixel_clock;
        raw.__bindgen_anon_1.bt = bt;
        Timings::of(&raw).expect("it has timings")
    }

    #[test]
    fn rates_come_of_the_pixel_clock() {
        assert_eq!(timings(false, 74_250_000).interval_ns(), Some(16_666_666));
        assert_eq!(timings(true, 74_250_000).interval_ns(), Some(16_666_666 * 780 / 750 + 1));
        assert_eq!(timings(false, 0).interval_ns(), None);
    }

    #[test]
    fn what_a_receiver_measures_a_little_off_is_the_same_signal() {
        let (fast, slow) = (timings(false, 74_250_000), timings(false, 74_175_824));
        assert!(fast.fits(&slow), "59.94 and 60 Hz");
        assert!(!fast.fits(&timings(false, 37_125_000)) && !fast.fits(&timings(true, 74_250_000)));
        // 1080i50 and 1080i60 have one pixel clock and other blanking.
        assert!(!fast.fits(&Timings { total: fast.total * 6 / 5, ..fast }));
        assert!(!fast.fits(&timings(false, 0)));
    }

    #[test]
    fn states_of_an_input_are_told_apart() {
        let (good, none) = (Ok(Some(timings(false, 74_250_000))), Err(Errno::ENOTTY));
        let absent = |query, status, power| match judge(query, status, power) {
            Signal::Absent(loss) => Some(loss),
            Signal::Present(_) => None,
        };
        assert_eq!(absent(good, 0, None), None);
        assert_eq!(absent(good, sys::V4L2_IN_ST_NO_H_LOCK, None), None, "the status is older than the measurement");
        assert_eq!(absent(Err(Errno::ENOLINK), sys::V4L2_IN_ST_NO_SIGNAL, Some(1)), Some(Loss::NoSignal));
        assert_eq!(absent(Err(Errno::ENOLINK), 0, Some(0)), Some(Loss::NoPower));
        assert_eq!(absent(Err(Errno::ENOLINK), sys::V4L2_IN_ST_NO_POWER, None), Some(Loss::NoPower));
        assert_eq!(absent(Err(Errno::ENOLCK), 0x100, None), Some(Loss::NoLock));
        assert_eq!(absent(Err(Errno::ERANGE), 0x100, None), Some(Loss::OutOfRange));
        assert_eq!(absent(none, 0, None), None, "a USB stick");
        assert_eq!(absent(none, sys::V4L2_IN_ST_NO_SIGNAL, None), Some(Loss::NoSignal), "an analogue input");
        assert_eq!(absent(none, sys::V4L2_IN_ST_NO_SYNC, None), Some(Loss::NoLock));
        assert_eq!(absent(none, sys::V4L2_IN_ST_NO_COLOR, None), None, "black and white is a picture");
    }
}
