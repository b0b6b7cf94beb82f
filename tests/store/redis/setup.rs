//! Settings of the server.

use phlo_2fa::store::Store;

use crate::connect;
use crate::redis_server::RedisServer;

#[tokio::test]
async fn settings_that_lose_data_yield_warnings() {
    let server = RedisServer::start();
    let store = connect(&server.url());
    assert!(store.warnings().await.concat().contains("appendonly yes"));
    server.command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    assert!(store.warnings().await.concat().contains("maxmemory-policy noeviction"));
    server.command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    server.command(&["CONFIG", "SET", "appendonly", "yes"]);
    assert_eq!(store.warnings().await, Vec::<String>::new());
}
