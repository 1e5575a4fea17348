//! Live inputs from real senders: MPEG-TS over UDP, HLS over HTTP, SRT, standard input, a stream that stops.

use crate::support::{Daemon, Mosquitto, Running, Subscriber, ffmpeg, free_tcp_port, free_udp_port, picket, ran, text};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Footage that moves, with a tone; black from 3 s to 6 s.
fn footage(folder: &Path, seconds: u32, more: &[&str], name: &str) -> String {
    let path = folder.join(name).display().to_string();
    let length = seconds.to_string();
    let mut arguments = vec![
        "-f",
        "lavfi",
        "-i",
        "testsrc2=s=640x360:r=25",
        "-f",
        "lavfi",
        "-i",
        "sine=f=600:r=48000",
        "-t",
        &length,
        "-vf",
        "drawbox=c=black:t=fill:enable='between(t,3,5.99)',format=yuv420p",
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
        "-g",
        "25",
        "-bf",
        "0",
        "-c:a",
        "mp2",
    ];
    arguments.extend_from_slice(more);
    arguments.push(&path);
    ffmpeg(&arguments);
    path
}

/// Sends a file in real time.
fn send(file: &str, to: &[&str]) -> Running {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-re", "-i", file, "-c", "copy"]).args(to);
    Running::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))
}

#[test]
fn udp_is_watched_lost_and_found_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = footage(folder.path(), 8, &[], "clip.ts");
    let broker = Mosquitto::start(folder.path());
    let subscriber = Subscriber::start(broker.port);
    let port = free_udp_port();
    let url = format!("udp://127.0.0.1:{port}");
    let daemon =
        Daemon::new(Some(broker.port), &format!("[[source]]\nid = \"u\"\ninput = \"{url}\"\nreopen_after = \"2s\"\n"));
    let mut running = daemon.start();
    let most = Duration::from_secs(30);
    let to = format!("{url}?pkt_size=1316");
    drop(std::thread::spawn({
        let (file, to) = (file.clone(), to.clone());
        move || {
            std::thread::sleep(Duration::from_secs(1));
            let mut sender = send(&file, &["-f", "mpegts", &to]);
            std::thread::sleep(Duration::from_secs(10));
            sender.kill();
        }
    }));
    subscriber.wait_for("/u/event", most, |event| event["defect"] == "black" && event["state"] == "raised");
    subscriber.wait_for("/u/event", most, |event| event["defect"] == "black" && event["state"] == "cleared");
    subscriber.wait_for("/u/event", most, |event| event["defect"] == "stream_loss" && event["state"] == "raised");
    let _again = send(&file, &["-f", "mpegts", &to]);
    subscriber.wait_for("/u/event", most, |event| event["defect"] == "stream_loss" && event["state"] == "cleared");
    let state =
        subscriber.wait_for("/u/state", most, |state| state["verdict"] == "ok" && state["fps"].as_f64() > Some(20.0));
    assert_eq!(state["format"], "640x360 h264, 48000 Hz 1 ch mp2");
    assert!(running.stop().success(), "{}", daemon.log());
}

/// Serves the files of a folder: as much of HTTP as HLS players need.
fn serve(folder: std::path::PathBuf) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let folder = folder.clone();
            std::thread::spawn(move || {
                let mut request = Vec::new();
                let mut buffer = [0; 2048];
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    request.extend_from_slice(&buffer[..length]);
                    if request.windows(4).any(|end| end == b"\r\n\r\n") {
                        break;
                    }
                }
                let line = String::from_utf8_lossy(&request).into_owned();
                let name = line.split(' ').nth(1).unwrap_or("/").trim_start_matches('/').to_owned();
                let (code, body) = match std::fs::read(folder.join(&name)) {
                    Ok(body) => ("200 OK", body),
                    Err(_) => ("404 Not Found", Vec::new()),
                };
                let head = format!("HTTP/1.1 {code}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
            });
        }
    });
    port
}

#[test]
fn hls_is_read_over_http() {
    let folder = tempfile::tempdir().expect("a folder");
    footage(folder.path(), 8, &["-f", "hls", "-hls_time", "2", "-hls_list_size", "0"], "live.m3u8");
    let port = serve(folder.path().to_owned());
    let output = ran(&["analyze", &format!("http://127.0.0.1:{port}/live.m3u8")]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    assert!(told.contains("1 black") && !told.contains("stream_loss  "), "{told}");
}

#[test]
fn standard_input_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = footage(folder.path(), 8, &[], "clip.ts");
    let bytes = std::fs::File::open(&file).expect("read");
    let piped = picket().args(["analyze", "--format", "ndjson", "-"]).stdin(bytes).output().expect("starts");
    let named = ran(&["analyze", "--format", "ndjson", &file]);
    let events = |bytes: &[u8]| {
        text(bytes).lines().filter(|line| line.contains("incident\",")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(events(&piped.stdout), events(&named.stdout));
    assert_eq!(events(&piped.stdout).len(), 2);
}

/// SRT is there when the linked FFmpeg has it, as Debian's does.
#[test]
fn srt_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = footage(folder.path(), 7, &[], "clip.ts");
    let port = free_udp_port();
    let listening = format!("srt://127.0.0.1:{port}?mode=listener");
    let _sender = send(&file, &["-f", "mpegts", &listening]);
    std::thread::sleep(Duration::from_millis(700));
    let output = ran(&["analyze", &format!("srt://127.0.0.1:{port}")]);
    assert!(text(&output.stdout).contains("1 black"), "{}{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn rtmp_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = footage(folder.path(), 7, &["-ar", "44100", "-c:a", "aac"], "clip.flv");
    let port = free_tcp_port();
    let url = format!("rtmp://127.0.0.1:{port}/live/x");
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-re", "-i", &file, "-c", "copy", "-listen", "1", "-f", "flv", &url]);
    let _sender = Running::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()));
    std::thread::sleep(Duration::from_millis(700));
    let output = ran(&["analyze", &url]);
    assert!(text(&output.stdout).contains("1 black"), "{}{}", text(&output.stdout), text(&output.stderr));
}

/// `--realtime` holds a file back to its own time.
#[test]
fn realtime_paces_a_file() {
    let began = std::time::Instant::now();
    let output = picket().args(["analyze", "--realtime", "pattern:clean"]).output().expect("starts");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(began.elapsed() >= Duration::from_secs(19), "20 s of media in {:?}", began.elapsed());
}

/// One RTSP session, RTP interleaved in TCP (RFC 2326, 10.12): relays what FFmpeg sends as RTP over UDP.
fn rtsp_server(file: String, folder: std::path::PathBuf) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        let packets = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback");
        let rtp = format!("rtp://127.0.0.1:{}", packets.local_addr().expect("an address").port());
        let sdp_file = folder.join("live.sdp").display().to_string();
        let _sender = send(&file, &["-an", "-bsf:v", "dump_extra", "-f", "rtp", "-sdp_file", &sdp_file, &rtp]);
        let sdp = crate::support::waited(Duration::from_secs(5), || {
            std::fs::read_to_string(&sdp_file).ok().filter(|sdp| sdp.contains("rtpmap"))
        });
        let sdp = sdp.expect("FFmpeg writes the session description").replace("SDP:\n", "") + "a=control:track1\r\n";
        let (mut stream, _) = listener.accept().expect("a client");
        let mut pending = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            pending.extend_from_slice(&buffer[..length]);
            while let Some(end) = pending.windows(4).position(|end| end == b"\r\n\r\n") {
                let request = String::from_utf8_lossy(&pending[..end]).into_owned();
                pending.drain(..end + 4);
                let number = request.lines().find_map(|line| line.strip_prefix("CSeq: ")).unwrap_or("0").to_owned();
                let (head, body) = match request.split(' ').next() {
                    Some("DESCRIBE") => {
                        (format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n", sdp.len()), sdp.as_str())
                    }
                    Some("SETUP") => {
                        ("Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 7\r\n".to_owned(), "")
                    }
                    Some("OPTIONS") => ("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n".to_owned(), ""),
                    _ => ("Session: 7\r\n".to_owned(), ""),
                };
                let _ = write!(stream, "RTSP/1.0 200 OK\r\nCSeq: {number}\r\n{head}\r\n{body}");
                if request.starts_with("PLAY") {
                    return relay(&packets, &mut stream);
                }
            }
        }
    });
    port
}

fn relay(packets: &std::net::UdpSocket, stream: &mut std::net::TcpStream) {
    packets.set_read_timeout(Some(Duration::from_secs(3))).expect("set");
    let mut buffer = [0; 2048];
    while let Ok(length) = packets.recv(&mut buffer) {
        let head = [b'$', 0, (length >> 8) as u8, length as u8];
        if stream.write_all(&head).and_then(|()| stream.write_all(&buffer[..length])).is_err() {
            return;
        }
    }
}

#[test]
fn rtsp_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = footage(folder.path(), 9, &[], "clip.ts");
    let port = rtsp_server(file, folder.path().to_owned());
    let output = ran(&["analyze", &format!("rtsp://127.0.0.1:{port}/live")]);
    assert!(text(&output.stdout).contains("1 black"), "{}{}", text(&output.stdout), text(&output.stderr));
}
