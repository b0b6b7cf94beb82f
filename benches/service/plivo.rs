//! A Plivo that accepts every text and call at once.

use std::net::TcpListener;

use uuid::Uuid;

use crate::wire::Wire;

/// Serves in the background until the process ends; returns its URL.
pub fn serve(port: u16) -> String {
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("a port for the local Plivo");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || answer_all(Wire::new(stream)));
        }
    });
    url
}

fn answer_all(mut wire: Wire) {
    while let Some(answer) = wire.receive(|request| answer(request.first_line)) {
        wire.send(answer.as_bytes());
    }
}

/// What the Message API, the Call API or the PHLO runner answers.
fn answer(first_line: &str) -> String {
    let id = Uuid::new_v4();
    let (status, body) = if first_line.contains("/Message/") {
        ("202 Accepted", format!(r#"{{"api_id":"{id}","message":"message(s) queued","message_uuid":["{id}"]}}"#))
    } else if first_line.contains("/phlo/") {
        ("201 Created", format!(r#"{{"api_id":"{id}","phlo_run_id":"{id}","message":"'message_uuid': ['{id}']"}}"#))
    } else {
        ("201 Created", format!(r#"{{"api_id":"{id}","message":"call fired","request_uuid":"{id}"}}"#))
    };
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
}
