"""The clips of the evaluation: a table of the small set, and a larger set drawn from the same recipes with other contents and codings."""
import random
from fractions import Fraction

import hearing
import lineup
import negatives as clean
import recipes as bad
from clip import MPEG2, X264, X265, Clip, Coding
from footage import CONTENTS

CODECS = {"h264": X264, "hevc": X265, "mpeg2": MPEG2}
RATES = {"23.976": Fraction(24000, 1001), "29.97": Fraction(30000, 1001), "59.94": Fraction(60000, 1001), "12.5": Fraction(25, 2)}

# id, recipe, its settings, contents, WxH@rate, codec:quality[:gop in s][:slices], sound
SMALL = (
    ("black_pure", bad.black, {}, "palace", "640x360@25", "h264:22", "music"),
    ("black_sensor", bad.black, dict(luma=19, noise=7), "bikes", "720x576@25", "mpeg2:4000:0.5", "street"),
    ("black_lifted", bad.black, dict(luma=23), "card", "854x480@30", "hevc:26", "chords"),
    ("solid_green", bad.solid_colour, {}, "bunny", "640x360@24", "h264:24", "speech"),
    ("solid_blue", bad.solid_colour, dict(yuv=(41, 240, 110)), "people", "704x576@25", "mpeg2:3500:0.5", "chords"),
    ("solid_grey", bad.solid_colour, dict(yuv=(126, 128, 128)), "clouds", "640x360@50", "h264:23", ""),
    ("bars_hd", bad.colour_bars, dict(tone=True), "band", "640x360@25", "h264:22", "concert"),
    ("bars_pal", bad.colour_bars, dict(source="pal75bars", noise=8), "fruits", "720x576@25", "mpeg2:4000:0.5", "street"),
    ("freeze_exact", bad.freeze, {}, "bikes", "640x272@25", "h264:23", "street"),
    ("freeze_exact_hevc", bad.freeze, {}, "nebula", "960x540@29.97", "hevc:27:4", "chords"),
    ("freeze_noise", bad.freeze, dict(noise=6), "face", "640x480@29.97", "h264:20", "speech"),
    ("freeze_snowy", bad.freeze, dict(noise=16), "mural", "640x360@25", "h264:19:1", ""),
    ("freeze_clock", bad.freeze, dict(overlay=bad.CLOCK), "cup", "640x480@25", "h264:24", "chords"),
    ("freeze_ticker", bad.freeze, dict(overlay=bad.TICKER), "street", "854x480@25", "mpeg2:3000:0.5", "speech"),
    ("freeze_pulse", bad.keyframe_pulse, {}, "bunny", "640x360@24", "h264:160:1", "music"),
    ("freeze_to_end", bad.freeze, dict(at_end=True), "tree", "640x480@15", "h264:24", "street"),
    ("lose_h264", bad.lost_packets, {}, "palace", "640x360@25", "h264:23:2", "speech"),
    ("lose_h264_slices", bad.lost_packets, dict(share=0.05), "bikes", "640x272@25", "h264:22:2:6", "street"),
    ("lose_h264_720", bad.lost_packets, dict(share=0.02, bursts=4), "bunny", "1280x720@24", "h264:24:2:4", "music"),
    ("lose_hevc", bad.lost_packets, {}, "fruits", "640x360@25", "hevc:26:2", "chords"),
    ("lose_mpeg2", bad.lost_packets, dict(share=0.02), "people", "704x576@25", "mpeg2:3500:1", "street"),
    ("flip_h264", bad.flipped_bits, {}, "cup", "640x480@25", "h264:22:2:4", "speech"),
    ("flip_mpeg2", bad.flipped_bits, dict(share=0.02), "street", "720x576@25", "mpeg2:4000:0.5", "chords"),
    ("flip_hevc", bad.flipped_bits, dict(share=0.05), "nebula", "640x360@25", "hevc:25:2", ""),
    ("burned_lose_h264", bad.lost_packets, dict(burned=True), "bikes", "640x272@25", "h264:23:2", "street"),
    ("burned_lose_h264_bare", bad.lost_packets, dict(burned=True, concealed=False), "mural", "640x360@25", "h264:23:2:6", "chords"),
    ("burned_flip_mpeg2", bad.flipped_bits, dict(burned=True), "face", "352x288@25", "mpeg2:1500:0.5", "speech"),
    ("burned_lose_mpeg2", bad.lost_packets, dict(burned=True, share=0.02), "band", "640x458@24", "mpeg2:3000:0.5", "concert"),
    ("burned_lose_hevc", bad.lost_packets, dict(burned=True), "tree", "640x480@25", "hevc:25:2", ""),
    ("drawn_displaced", bad.drawn_blocks, {}, "palace", "640x360@25", "h264:20", "music"),
    ("drawn_green", bad.drawn_blocks, dict(look="green"), "ocean", "1280x720@24", "h264:22", "music"),
    ("drawn_grey", bad.drawn_blocks, dict(look="grey"), "people", "752x560@12.5", "h264:21", ""),
    ("blur_soft", bad.blur, dict(sigma=2.6), "street", "960x540@25", "h264:22", "street"),
    ("blur_strong", bad.blur, dict(sigma=6), "people", "752x560@12.5", "h264:22", "chords"),
    ("blur_hevc", bad.blur, dict(sigma=3.6), "mural", "640x360@25", "hevc:25", ""),
    ("mono_full", bad.monochrome, {}, "fruits", "640x360@25", "h264:22", "speech"),
    ("mono_faint", bad.monochrome, dict(saturation=0.04), "bunny", "640x360@24", "mpeg2:3000:0.5", "music"),
    ("noise_gaussian", bad.noise, dict(strength=55), "cup", "640x480@25", "h264:20", "chords"),
    ("noise_snow", bad.noise, dict(look="snow"), "band", "640x458@24", "mpeg2:5000:0.5", "concert"),
    ("noise_impulses", bad.noise, dict(look="impulses", strength=22), "palace", "640x360@25", "h264:20", ""),
    ("levels_over", bad.video_levels, {}, "bikes", "640x272@25", "h264:22", "street"),
    ("levels_under", bad.video_levels, dict(look="under"), "mural", "640x360@25", "h264:22", "chords"),
    ("levels_illegal", bad.video_levels, dict(look="illegal"), "hotel", "1280x720@25", "h264:23", ""),
    ("letterbox_masked", bad.letterbox, {}, "bunny", "1280x720@24", "h264:23", "music"),
    ("letterbox_shrunk", bad.letterbox, dict(look="shrunk", share=0.1), "people", "752x560@12.5", "h264:22", "street"),
    ("letterbox_pillar", bad.letterbox, dict(look="pillar", share=0.125), "street", "640x360@25", "mpeg2:3000:0.5", ""),
    ("flash_luma", bad.flashing, dict(hz=6), "cup", "640x480@25", "h264:22", "chords"),
    ("flash_red", bad.flashing, dict(look="red", hz=4.5), "band", "640x458@24", "h264:22", "concert"),
    ("flash_part", bad.flashing, dict(hz=8, area=0.4), "fruits", "960x540@50", "h264:23", ""),
    ("comb_people", bad.combing, {}, "bikes", "640x272@25", "h264:21", "street"),
    ("comb_mpeg2", bad.combing, {}, "mural", "720x576@25", "mpeg2:5000:0.5", "chords"),
    ("field_order", bad.field_order, {}, "street", "720x576@25", "mpeg2:5000:0.5", "speech"),
    ("tearing_pan", bad.tearing, {}, "mural", "640x360@25", "h264:21", "music"),
    ("tearing_filmed", bad.tearing, dict(late=3), "cup", "640x480@25", "h264:22", "street"),
    ("drop_repeat", bad.repeats, {}, "palace", "640x360@25", "h264:22", "speech"),
    ("drop_repeat_long", bad.repeats, dict(run=4, period=9), "bikes", "640x272@50", "h264:23", "street"),
    ("drop_missing", bad.missing, {}, "fruits", "640x360@25", "h264:22", "chords"),
    ("drop_missing_mpeg2", bad.missing, dict(run=4, period=20), "bunny", "640x360@24", "hevc:26", "music"),
    ("clock_forward", bad.clock_jump, dict(seconds=8.0), "street", "640x360@25", "h264:24", "music"),
    ("clock_back", bad.clock_jump, dict(seconds=-2.2), "people", "752x560@12.5", "h264:24:1", "street"),
    ("format_smaller", bad.other_format, {}, "palace", "640x360@25", "h264:23", "chords"),
    ("format_wider", bad.other_format, dict(size="720x576"), "cup", "640x480@25", "mpeg2:3500:0.5", "speech"),
    ("loss_all", bad.lost_stream, {}, "bikes", "640x272@25", "h264:23:1", "street"),
    ("loss_video", bad.lost_stream, dict(which="video"), "fruits", "640x360@25", "mpeg2:3000:0.5", "music"),
    ("loss_audio", bad.lost_stream, dict(which="audio"), "bunny", "640x360@24", "h264:23", "music"),
    ("silence_zero", hearing.silence, {}, "ocean", "320x240@24", "h264:26", "music"),
    ("silence_floor", hearing.silence, dict(floor=-72), "meadow", "320x240@25", "h264:26", "street"),
    ("channel_zero", hearing.channel_loss, {}, "weave", "320x240@25", "h264:28", "chords"),
    ("channel_floor", hearing.channel_loss, dict(floor=-70), "people", "376x280@12.5", "h264:26", "concert"),
    ("clip_hard", hearing.clipping, {}, "lace", "320x240@25", "h264:26", "music"),
    ("clip_low", hearing.clipping, dict(decibels=18, ceiling=0.9), "bunny", "320x240@24", "mpeg2:800:0.5", "speech"),
    ("phase_music", hearing.phase, {}, "tree", "320x240@15", "h264:26", "music"),
    ("phase_speech", hearing.phase, {}, "face", "352x288@25", "h264:26", "speech"),
    ("dropout_gaps", hearing.dropouts, {}, "clouds", "320x240@25", "h264:26", "concert"),
    ("dropout_stuck", hearing.dropouts, dict(look="stuck"), "cup", "320x240@25", "h264:26", "music"),
    ("dropout_clicks", hearing.clicks, {}, "people", "376x280@12.5", "h264:26", "speech"),
    ("loud_up", hearing.loudness, dict(decibels=12), "tree", "320x240@15", "h264:27", "street", 22.0),
    ("loud_down", hearing.loudness, dict(decibels=-14), "meadow", "320x240@25", "h264:27", "music", 22.0),
    ("sync_late", lineup.line_up, dict(late_ms=160), "people", "752x560@25", "h264:23", "street", 12.0),
    ("sync_early", lineup.line_up, dict(late_ms=-95), "fruits", "640x360@50", "h264:24", "street", 12.0),
    ("sync_late_mid", lineup.line_up, dict(late_ms=250, mid=True), "street", "720x576@25", "mpeg2:4000:0.5", "street", 14.0),
    ("sync_early_mid", lineup.line_up, dict(late_ms=-120, mid=True), "cup", "640x480@29.97", "hevc:26", "street", 14.0),
    ("neg_night", clean.night, {}, "people", "752x560@12.5", "h264:22", "street"),
    ("neg_band", clean.plain, {}, "band", "640x458@24", "h264:24", "concert"),
    ("neg_ocean", clean.plain, {}, "ocean", "1280x720@24", "h264:24", "music"),
    ("neg_fade_black", clean.fade_black, {}, "bikes", "640x272@25", "h264:23", "street"),
    ("neg_fade_white", clean.fade_colour, {}, "palace", "640x360@25", "mpeg2:3000:0.5", "chords"),
    ("neg_fade_blue", clean.fade_colour, dict(colour="blue"), "bunny", "640x360@24", "h264:23", "music"),
    ("neg_quick_cuts", clean.quick_cuts, {}, "bikes bunny cup street band fruits", "640x360@25", "h264:23", "music"),
    ("neg_credits", clean.credits_roll, {}, "card", "854x480@25", "h264:22", "music"),
    ("neg_slate", clean.slate, {}, "bikes", "640x360@25", "h264:23", "music"),
    ("neg_pan", clean.plain, {}, "hotel", "1920x1080@25", "h264:25", "street", 8.0),
    ("neg_pan_50", clean.plain, {}, "street", "960x540@50", "hevc:27", "speech"),
    ("neg_zoom", clean.plain, {}, "nebula", "960x540@59.94", "h264:24", "chords", 8.0),
    ("neg_fixed_camera", clean.grain, dict(strength=7), "tree", "640x480@15", "h264:23", "street"),
    ("neg_fixed_low", clean.plain, {}, "people", "752x560@12.5", "h264:40", "street"),
    ("neg_low_rate", clean.plain, {}, "bikes", "640x272@25", "h264:41", "street"),
    ("neg_low_rate_mpeg2", clean.plain, {}, "mural", "640x360@25", "mpeg2:450:0.5", "chords"),
    ("neg_film_grain", clean.grain, dict(strength=18), "cup", "640x480@25", "h264:22", "music"),
    ("neg_confetti", clean.confetti, {}, "palace", "640x360@25", "h264:22", "music"),
    ("neg_grid", clean.grid_screen, {}, "card", "640x360@25", "h264:22", ""),
    ("neg_weave", clean.plain, {}, "weave", "640x360@50", "h264:24", "chords"),
    ("neg_pauses", clean.pauses, {}, "face", "352x288@29.97", "h264:24", "speech"),
    ("neg_quiet", clean.quiet, {}, "meadow", "640x360@25", "h264:24", "music"),
    ("neg_mono_sound", clean.mono_sound, {}, "clouds", "640x360@25", "mpeg2:2500:0.5", "concert"),
    ("neg_interlaced", clean.interlaced, {}, "street", "720x576@25", "mpeg2:5000:0.5", "speech"),
    ("neg_interlaced_h264", clean.interlaced, {}, "bikes", "640x272@25", "h264:22", "street"),
    ("neg_12fps", clean.plain, {}, "bunny", "640x360@12.5", "h264:24", "music"),
    ("neg_twos", clean.on_twos, {}, "bunny", "640x360@24", "h264:23", "music"),
    ("neg_camera_flashes", clean.photo_flashes, {}, "people", "752x560@12.5", "h264:23", "street"),
    ("neg_green_screen", clean.green_screen, {}, "face", "640x360@25", "h264:22", "speech"),
    ("neg_old_film", clean.black_and_white, {}, "bikes", "640x480@24", "h264:22", "speech"),
    ("neg_wrap", clean.wrapped, {}, "fruits", "640x360@25", "h264:23", "chords"),
    ("neg_splice", clean.signalled_splice, {}, "lace", "640x360@25", "h264:23", "music"),
    ("neg_pillarboxed", clean.pillarboxed, {}, "mural", "854x480@25", "h264:23", "street"),
    ("neg_dark_edges", clean.dark_edges, {}, "fruits", "640x360@25", "h264:23", "music"),
    ("neg_line_up", lineup.in_time, {}, "bikes", "640x272@25", "h264:23", "street"),
    ("neg_line_up_late", lineup.in_time, dict(late_ms=40), "mural", "640x360@29.97", "hevc:26", "street"),
    ("neg_flashes_claps", lineup.by_chance, {}, "people", "752x560@12.5", "h264:23", "street", 14.0),
    ("neg_talk", clean.plain, {}, "face", "352x288@29.97", "h264:24", "speech", 14.0),
)

FORMATS = ("320x240@25", "352x288@29.97", "640x360@25", "640x360@50", "640x480@30", "720x576@25", "854x480@23.976", "960x540@29.97", "1280x720@25", "1280x720@50", "1920x1080@25")
CODINGS = ("h264:20", "h264:23", "h264:26:4", "h264:28", "h264:24:1:4", "h264:22:2:8", "hevc:24", "hevc:28:4", "mpeg2:2500:0.5", "mpeg2:4000:0.5", "mpeg2:6000:1")
SOUND_NAMES = ("music", "concert", "speech", "chords", "street")


def plan(row):
    """A row of the table as a clip, with its defect planted."""
    name, recipe, settings, contents, form, coding, sound, *rest = row
    size, _, rate = form.partition("@")
    width, height = (int(n) for n in size.split("x"))
    codec, quality, *more = coding.split(":")
    fps = RATES.get(rate) or Fraction(rate)
    family = "negative" if name.startswith("neg_") else name.rsplit("#", 1)[0]
    clip = Clip(name.replace("#", "_"), family, [], width - width % 2, height - height % 2, fps, rest[0] if rest else 10.0,
                Coding(CODECS[codec], int(quality), float(more[0]) if more else 2.0, int(more[1]) if len(more) > 1 else 1), sound)
    chance = clip.chance
    pictures = round(clip.seconds * fps) + 8
    for content in contents.split():
        clip.shots.append((content, chance.randrange(0, 60), pictures))
    clip.sound_start = round(chance.uniform(0, 20), 2)
    if clip.negative:
        clip.hard = name.removeprefix("neg_").split("#")[0]
        clip.note = (recipe.__doc__ or "").split("\n")[0]
    recipe(clip, chance, **settings)
    if clip.labels:
        clip.family = clip.labels[0]["defect"]
    elif not clip.negative:
        clip.family = "block_corruption"  # labelled when it is made
    return clip


def larger(seed, times):
    """More rows: every recipe of the small set again, `times` times, with contents, formats and codings by the seed's dice."""
    chance = random.Random(seed)
    names = [n for n, c in CONTENTS.items()]
    for turn in range(times):
        for name, recipe, settings, contents, form, coding, sound, *rest in SMALL:
            loud = recipe.__module__ == "hearing"
            drawn = " ".join(chance.sample(names, len(contents.split())))
            bits = "h264:27" if loud else chance.choice([c for c in CODINGS if c.split(":")[0] == coding.split(":")[0]] if "lose" in name or "flip" in name or "pulse" in name else CODINGS)
            if "pulse" in name or "low_rate" in name or "fixed_low" in name or "interlaced" in name or "field" in name:
                bits, form_drawn = coding, form
            else:
                form_drawn = "320x240@25" if loud else chance.choice(FORMATS)
            yield (f"{name}#{turn + 1}", recipe, settings, drawn, form_drawn, bits, chance.choice(SOUND_NAMES) if sound else "", *rest)


def rows(full=False, seed=1, times=3):
    return list(SMALL) + (list(larger(seed, times)) if full else [])
