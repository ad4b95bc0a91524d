//! A toy figure, declared in `core/figures/toy.rs` and named nowhere else, is told of a whole broker
//! everywhere. (What the native protocol sends is what is declared: `tests/http/troubles.rs`.)

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;

use crate::config::Settings;
use crate::core::figures;
use crate::runtime::StopHandle;
use crate::server;

fn get(addr: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(addr).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
    body.to_owned()
}

#[test]
fn a_toy_figure_is_in_metrics_json_and_table() {
    let dir = std::env::temp_dir().join(format!("leveret-toy-figure-{}", std::process::id()));
    let mut settings = Settings::default();
    let assignments = [
        format!("data={}", dir.display()),
        "http.listen=127.0.0.1:0".to_owned(),
        "native.listen=127.0.0.1:0".to_owned(),
        "kafka.listen=off".to_owned(),
        "cores=1".to_owned(),
        "journal.bytes=16 MiB".to_owned(),
        "disk.floor.bytes=0".to_owned(),
    ];
    for assignment in assignments {
        settings.apply_assignment(&assignment).expect("valid");
    }
    let stop = StopHandle::new().unwrap();
    let (handle, (told, ready)) = (stop.clone(), mpsc::channel());
    let broker = std::thread::spawn(move || {
        server::serve(&settings, &handle, None, |_, http| {
            told.send(http).unwrap();
        })
    });
    let http = ready.recv().expect("it starts");
    let http = http.expect("HTTP is on");

    let metrics = get(http, "/metrics");
    let line = "leveret_toy_ears{core=\"0\"} 2";
    assert!(metrics.lines().any(|l| l == line), "{metrics}");

    let json: serde_json::Value = serde_json::from_str(&get(http, "/api/v1/status")).unwrap();
    assert_eq!(json["cores"][0]["toy_ears"], 2, "{json}");

    let mut columns = figures::declared().filter_map(|figure| figure.column.as_ref());
    assert!(columns.any(|column| column.heading == "EARS"));

    stop.stop();
    assert!(
        broker
            .join()
            .expect("no panic")
            .expect("a clean end")
            .served
    );
    std::fs::remove_dir_all(dir).unwrap();
}
