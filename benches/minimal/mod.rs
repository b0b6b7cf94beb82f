//! The least that a verification can cost: one write and one request for a creation, one read for a check.
//!
//! It speaks create and check as the service does, and nothing else: no limits, no record, no checks of its input. Redis
//! and HTTP clients are used as they come. The service is compared with it.

use actix_web::web::{Data, Json, Path};
use actix_web::{App, HttpResponse, HttpServer, web};
use deadpool_redis::redis::AsyncCommands;
use deadpool_redis::{Config, Pool, PoolConfig, Runtime};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

/// As many connections as the service's pool has by default.
const POOL_SIZE: usize = 16;
const CODE_TTL_SECONDS: u64 = 600;

struct Clients {
    redis: Pool,
    http: reqwest::Client,
    plivo_url: String,
}

#[derive(Deserialize)]
struct CreateBody {
    to: String,
    code: String,
}

#[derive(Deserialize)]
struct CheckBody {
    code: String,
}

/// Serves on `address` until it is killed.
#[actix_web::main]
pub async fn serve(address: &str, redis_url: &str, plivo_url: &str) -> std::io::Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = Config::from_url(redis_url);
    config.pool = Some(PoolConfig::new(POOL_SIZE));
    let clients = Data::new(Clients {
        redis: config.create_pool(Some(Runtime::Tokio1)).expect("a URL of a Redis"),
        http: reqwest::Client::new(),
        plivo_url: format!("{plivo_url}/v1/Account/MADEMO/Message/"),
    });
    let app = move || {
        App::new()
            .app_data(clients.clone())
            .route("/livez", web::get().to(HttpResponse::Ok))
            .route("/v1/verifications", web::post().to(create))
            .route("/v1/verifications/{id}/checks", web::post().to(check))
    };
    HttpServer::new(app).bind(address)?.run().await
}

async fn create(clients: Data<Clients>, body: Json<CreateBody>) -> HttpResponse {
    let id = Uuid::new_v4().to_string();
    {
        // Returned to the pool before the request to Plivo.
        let mut redis = clients.redis.get().await.expect("a connection to Redis");
        let _: () = redis.set_ex(key(&id), &body.code, CODE_TTL_SECONDS).await.expect("a write to Redis");
    }
    let text = json!({ "src": "+14155550199", "dst": body.to, "text": format!("{} is your code.", body.code) });
    let sent = clients.http.post(&clients.plivo_url).json(&text).send().await.expect("an answer of Plivo");
    sent.bytes().await.expect("a body from Plivo");
    HttpResponse::Created().json(json!({ "id": id, "status": "pending" }))
}

async fn check(clients: Data<Clients>, id: Path<String>, body: Json<CheckBody>) -> HttpResponse {
    let mut redis = clients.redis.get().await.expect("a connection to Redis");
    let code: Option<String> = redis.get(key(&id)).await.expect("a read from Redis");
    let result = if code.as_ref() == Some(&body.code) { "verified" } else { "incorrect" };
    HttpResponse::Ok().json(json!({ "result": result }))
}

fn key(id: &str) -> String {
    format!("minimal:{id}")
}
