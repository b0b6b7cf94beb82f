//! A server with one handler, in place of Plivo.

use std::net::TcpListener;

use actix_web::dev::ServerHandle;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{App, HttpServer};

/// Starts one on a free port, and returns its URL and a handle to stop it.
pub fn start<T: Send + Sync + 'static>(data: Data<T>, configure: fn(&mut ServiceConfig)) -> (String, ServerHandle) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = HttpServer::new(move || App::new().app_data(data.clone()).configure(configure))
        .workers(1)
        .disable_signals()
        .listen(listener)
        .unwrap()
        .run();
    let handle = server.handle();
    tokio::spawn(server);
    (url, handle)
}
