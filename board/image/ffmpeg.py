"""A small FFmpeg for the box: Debian's source, cross-compiled, LGPL, with what the contract's inputs need and nothing else.

Debian's own libraries bring 133 others along (X, audio servers, encoders). The sonames are the same, so the daemon that was linked
against Debian's runs with these.
"""
import hashlib
import os
import shutil
from pathlib import Path

import debs

TRIPLE = "aarch64-linux-gnu"
DEMUXERS = "mpegts mpegps mov matroska flv live_flv hls dash rtsp rtp sdp h264 hevc mpegvideo m4v mjpeg aac ac3 eac3 mp3 wav ogg"
PROTOCOLS = "file pipe udp rtp srtp tcp tls http https httpproxy crypto data hls rtmp rtmps rtmpt libsrt"
DECODERS = ("h264 hevc mpeg1video mpeg2video mpeg4 vp8 vp9 mjpeg h264_v4l2m2m hevc_v4l2m2m mpeg2_v4l2m2m mpeg4_v4l2m2m vp8_v4l2m2m vp9_v4l2m2m "
            "aac aac_latm mp2 mp2float mp3 mp3float ac3 eac3 opus vorbis flac s302m pcm_s16le pcm_s16be pcm_s24le pcm_s24be pcm_s32le pcm_s32be "
            "pcm_u8 pcm_f32le pcm_f32be pcm_alaw pcm_mulaw pcm_bluray pcm_dvd")
PARSERS = "h264 hevc mpegvideo mpeg4video vp8 vp9 mjpeg aac aac_latm mpegaudio ac3 opus vorbis flac"
FILTERS = "h264_mp4toannexb hevc_mp4toannexb aac_adtstoasc extract_extradata mpeg4_unpack_bframes vp9_superframe_split null"
# What it is linked with; libxml2 (for DASH) is built here too, as Debian's wants 30 MB of ICU.
SYSROOT = ("libgnutls28-dev libgnutls30 nettle-dev libnettle8 libhogweed6 libgmp-dev libgmp10 libidn2-dev libidn2-0 libunistring2 libunistring-dev "
           "libp11-kit-dev libp11-kit0 libtasn1-6-dev libtasn1-6 libffi8 libsrt-gnutls-dev libsrt1.5-gnutls libssl-dev libstdc++6 zlib1g zlib1g-dev").split()
XML_WITHOUT = ("c14n catalog debug docbook ftp http html icu iconv iso8859x legacy lzma modules python reader regexps schemas schematron threads "
               "writer xinclude xpath xptr zlib").split()


def options(xml):
    listed = {"demuxer": DEMUXERS, "protocol": PROTOCOLS, "decoder": DECODERS, "parser": PARSERS, "bsf": FILTERS}
    parts = [f"--enable-{kind}={','.join(names.split())}" for kind, names in listed.items()]
    return ["--enable-cross-compile", f"--cross-prefix={TRIPLE}-", "--arch=aarch64", "--target-os=linux", "--prefix=/usr", f"--libdir=/usr/lib/{TRIPLE}",
            "--pkg-config=pkg-config", "--disable-static", "--enable-shared", "--disable-autodetect", "--disable-everything", "--disable-programs",
            "--disable-doc", "--disable-debug", "--disable-avdevice", "--disable-avfilter", "--disable-postproc", "--enable-network", "--enable-gnutls",
            "--enable-libsrt", "--enable-zlib", "--enable-v4l2-m2m", "--enable-libxml2",
            f"--extra-cflags=-I{xml}/include/libxml2 -I../sysroot/usr/include -I../sysroot/usr/include/{TRIPLE}",
            f"--extra-ldflags=-L../sysroot/usr/lib/{TRIPLE} -Wl,-rpath-link,../sysroot/usr/lib/{TRIPLE} -Wl,-z,relro,-z,now", *parts]


def build_xml(work, apt, jobs):
    """A static libxml2 in work/xml."""
    apt.source("libxml2", work)
    source = work / "libxml2"
    words = [f"--host={TRIPLE}", f"--prefix={work}/xml", "--disable-shared", "--with-pic", *(f"--without-{name}" for name in XML_WITHOUT)]
    environment = dict(os.environ, CFLAGS="-O2 -ffunction-sections")
    debs.run("./configure", "-q", *words, cwd=source, env=environment)
    # Debian's patches touch Makefile.am, and make would want automake again.
    make = ("make", "-s", *(f"{tool}=:" for tool in ("ACLOCAL", "AUTOCONF", "AUTOHEADER", "AUTOMAKE")))
    debs.run(*make, f"-j{jobs}", "libxml2.la", cwd=source, timeout=1200)
    debs.run(*make, "install-libLTLIBRARIES", "install-pkgconfigDATA", cwd=source)
    debs.run(*make, "-C", "include/libxml", "install", cwd=source)


def compile_all(work, apt, jobs):
    sysroot = work / "sysroot"
    debs.unpack(apt.fetch(apt.candidates(SYSROOT)), sysroot)
    build_xml(work, apt, jobs)
    apt.source("ffmpeg", work)
    source = work / "ffmpeg"
    environment = dict(os.environ, PKG_CONFIG_SYSROOT_DIR="", PKG_CONFIG_LIBDIR=f"{work}/pkgconfig")
    # pkg-config's own sysroot would be put before libxml2's paths too: the few files are rewritten instead.
    (work / "pkgconfig").mkdir()
    for file in sorted((sysroot / "usr/lib" / TRIPLE / "pkgconfig").glob("*.pc")):
        (work / "pkgconfig" / file.name).write_text(file.read_text().replace("=/usr", "=../sysroot/usr"))
    shutil.copy(work / "xml/lib/pkgconfig/libxml-2.0.pc", work / "pkgconfig")
    text = (work / "pkgconfig/libxml-2.0.pc").read_text()
    (work / "pkgconfig/libxml-2.0.pc").write_text(text.replace(f"{work}/xml", "../xml"))
    debs.run("./configure", *options("../xml"), cwd=source, env=environment)
    debs.run("make", "-s", f"-j{jobs}", cwd=source, timeout=3000)
    debs.run("make", "-s", "install-libs", f"DESTDIR={work}/out", cwd=source)


def get(cache, apt, jobs=2):
    """The folder with usr/lib/…/libav*.so.*, built where there is none for this version and this recipe; what it says of itself."""
    version = f"{apt.source_version('ffmpeg')} {apt.source_version('libxml2')}"
    recipe = hashlib.sha256(version.encode() + Path(__file__).read_bytes()).hexdigest()[:12]
    ready = cache / f"ffmpeg-{recipe}"
    about = f"ffmpeg {version.split()[0]}, libxml2 {version.split()[1]}, LGPL, own build"
    if (ready / "usr").is_dir():
        return ready, about
    work = cache / "ffmpeg-part"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    work = work.resolve()
    compile_all(work, apt, jobs)
    libraries = work / "out/usr/lib" / TRIPLE
    for file in sorted(libraries.rglob("*")):
        if file.suffix == ".pc" or file.name == "pkgconfig" or file.name.endswith(".so"):
            if file.is_dir():
                shutil.rmtree(file)
            elif file.exists() or file.is_symlink():
                file.unlink()
        elif file.is_file() and not file.is_symlink():
            debs.run(f"{TRIPLE}-strip", "--strip-unneeded", file)
    (work / "out").rename(ready)
    shutil.rmtree(work)
    return ready, about
