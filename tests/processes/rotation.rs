//! Secrets are replaced in a running service.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use phlo_2fa::plivo::signature;
use serde_json::json;

use crate::support::client;
use crate::support::receiver::{Receiver, SECRET};
use crate::world::{API_KEY, AUTH_TOKEN, CALLBACK_SECRET, Plivo, SECRET_KEY, Service, pause, plivo_listener, until};

const NEW_API_KEY: &str = "another-api-key-of-these-tests-0123456789";
/// 32 bytes each.
const NEW_SECRET_KEY: &str = "YW5vdGhlci1zZWNyZXQtZm9yLXRoZXNlLXRlc3RzISE=";
const OLD_SECRET_KEY: &str = "YW4tb2xkZXItc2VjcmV0LWZvci10aGVzZS10ZXN0cyE=";

/// A service that reads its secrets from files.
struct World {
    service: Service,
    folder: PathBuf,
    _plivo: Plivo,
    reloads: AtomicUsize,
}

impl World {
    async fn start(name: &str, files: &[(&str, &str)]) -> Self {
        Self::start_with(name, files, &[]).await
    }

    async fn start_with(name: &str, files: &[(&str, &str)], more: &[(&str, &str)]) -> Self {
        let folder = std::env::temp_dir().join(format!("phlo-2fa-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (listener, plivo_url) = plivo_listener();
        let mut settings: Vec<(String, String)> =
            [("REDIS_URL", "memory://"), ("PLIVO_API_URL", &plivo_url), ("PLIVO_PHLO_URL", &plivo_url)]
                .iter()
                .chain(more)
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
        for (name, value) in files {
            let file = folder.join(name);
            std::fs::write(&file, value).unwrap();
            settings.extend([
                ((*name).to_owned(), String::new()),
                (format!("{name}_FILE"), file.to_str().unwrap().to_owned()),
            ]);
        }
        let settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let service = Service::start(&settings).await;
        let plivo = Plivo::serve(listener, &service.url, 50.0);
        Self { service, folder, _plivo: plivo, reloads: AtomicUsize::new(0) }
    }

    /// Replaces a file atomically, as rotation tools do.
    fn write(&self, name: &str, value: &str) {
        let beside = self.folder.join(format!("{name}.new"));
        std::fs::write(&beside, value).unwrap();
        std::fs::rename(beside, self.folder.join(name)).unwrap();
    }

    /// Sends SIGHUP, and waits until the log has this event of the reload.
    async fn reload(&self, event: &str) {
        self.service.process.signal("HUP");
        let expected = self.reloads.fetch_add(1, Ordering::Relaxed) + 1;
        let is_logged = |log: &str| log.matches("\"secrets_").count() >= expected && log.contains(event);
        until(event, async || is_logged(&self.service.process.log())).await;
    }

    async fn status_with(&self, key: &str) -> u16 {
        let get = client().get(format!("{}/v1/verifications", self.service.url)).bearer_auth(key);
        get.send().await.unwrap().status().as_u16()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_key_is_replaced_under_load_and_no_request_fails() {
    let world = World::start("api-keys", &[("API_KEYS", &format!("shop:{API_KEY}"))]).await;
    let (key, stop) = (Arc::new(Mutex::new(API_KEY)), Arc::new(AtomicBool::new(false)));
    let url = format!("{}/v1/verifications", world.service.url);
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let (key, stop, url, http) = (Arc::clone(&key), Arc::clone(&stop), url.clone(), client());
            tokio::spawn(async move {
                let mut answered = 0;
                while !stop.load(Ordering::Relaxed) {
                    let key = *key.lock().unwrap();
                    assert_eq!(http.get(&url).bearer_auth(key).send().await.unwrap().status(), 200, "after {answered}");
                    answered += 1;
                }
                answered
            })
        })
        .collect();
    pause().await;
    world.write("API_KEYS", &format!("shop:{API_KEY},shop:{NEW_API_KEY}"));
    world.reload("secrets_reloaded").await;
    assert_eq!((world.status_with(API_KEY).await, world.status_with(NEW_API_KEY).await), (200, 200));
    *key.lock().unwrap() = NEW_API_KEY;
    // Until requests with the old key are answered.
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.write("API_KEYS", &format!("shop:{NEW_API_KEY}"));
    world.reload("secrets_reloaded").await;
    assert_eq!((world.status_with(API_KEY).await, world.status_with(NEW_API_KEY).await), (401, 200));
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        assert!(caller.await.unwrap() > 0);
    }
    let log = world.service.process.log();
    assert!(log.contains("\"changed\":\"API_KEYS\""), "{log}");
    assert!(!log.contains(API_KEY) && !log.contains(NEW_API_KEY));
}

#[tokio::test(flavor = "multi_thread")]
async fn records_under_the_previous_key_are_readable_until_it_is_removed() {
    let files = [("SECRET_KEY", SECRET_KEY), ("SECRET_KEY_PREVIOUS", OLD_SECRET_KEY)];
    let world = World::start("secret-key", &files).await;
    let service = &world.service;
    let (checked, untouched) = ("+14155550103", "+14155560103");
    let own = |code: &str| json!({ "code": code, "escalation": "never" });
    let id = service.create(checked, own("042917")).await.id().to_owned();
    let unwritten = service.create(untouched, own("042917")).await.id().to_owned();

    for id in [&id, &unwritten] {
        // A later report would write the record under the new key.
        service.until(id, "sent", |v| v["attempts"][0]["status"] == "sent").await;
    }

    world.write("SECRET_KEY", NEW_SECRET_KEY);
    world.write("SECRET_KEY_PREVIOUS", SECRET_KEY);
    world.reload("secrets_reloaded").await;
    assert!(service.process.log().contains("\"changed\":\"SECRET_KEY,SECRET_KEY_PREVIOUS\""));
    let joined = service.send("POST", "/v1/verifications", json!({ "to": checked })).await;
    assert_eq!((joined.status, &joined.body["joined"]), (200, &json!(true)), "found by number: {joined:?}");
    assert_eq!(service.check(&id, "042917").await.body["result"], "verified");

    world.write("SECRET_KEY_PREVIOUS", OLD_SECRET_KEY);
    world.reload("secrets_reloaded").await;
    assert_eq!(service.read(&id).await["status"], "verified", "the check wrote it under the new key");
    assert_eq!(service.get(&format!("/v1/verifications/{unwritten}")).await.status, 503);
    // The old key again, with the new one as the previous.
    world.write("SECRET_KEY", SECRET_KEY);
    world.write("SECRET_KEY_PREVIOUS", NEW_SECRET_KEY);
    world.reload("secrets_reloaded").await;
    assert_eq!(service.read(&unwritten).await["status"], "pending");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_finished_rotation_changes_nothing() {
    let keys = format!("shop:{API_KEY}");
    let files = [("API_KEYS", &*keys), ("SECRET_KEY", SECRET_KEY), ("SECRET_KEY_PREVIOUS", OLD_SECRET_KEY)];
    let world = World::start("half-rotated", &files).await;
    let service = &world.service;
    let id = service.create("+14155550103", json!({ "escalation": "never" })).await.id().to_owned();
    world.write("SECRET_KEY", NEW_SECRET_KEY);
    world.write("API_KEYS", &format!("shop:{NEW_API_KEY}"));
    world.reload("secrets_refused").await;
    let log = service.process.log();
    assert!(log.contains("\"variable\":\"SECRET_KEY_PREVIOUS\"") && !log.contains("secrets_reloaded"), "{log}");
    assert!([SECRET_KEY, NEW_SECRET_KEY, OLD_SECRET_KEY].iter().all(|key| !log.contains(key)), "{log}");
    assert_eq!(service.read(&id).await["status"], "pending");
    assert_eq!(world.status_with(NEW_API_KEY).await, 401);

    world.write("SECRET_KEY_PREVIOUS", SECRET_KEY);
    world.reload("secrets_reloaded").await;
    assert_eq!((world.status_with(API_KEY).await, world.status_with(NEW_API_KEY).await), (401, 200));
    let read = client().get(format!("{}/v1/verifications/{id}", service.url)).bearer_auth(NEW_API_KEY).send().await;
    assert_eq!(read.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn plivos_token_and_the_callback_secret_are_replaced_without_a_restart() {
    let files =
        [("PLIVO_AUTH_TOKEN", "a-token-that-plivo-does-not-know"), ("CALLBACK_SECRET", "not-on-the-canvas-yet")];
    let world = World::start("plivo", &files).await;
    let service = &world.service;
    let refused = service.send("POST", "/v1/verifications", json!({ "to": "+14155550100", "channel": "sms" })).await;
    assert_eq!((refused.status, refused.code()), (502, "rejected_by_plivo"));
    let url = format!("{}/plivo/message", service.url);
    let signed = async |token: &str| {
        let signature = signature::sign(token, &signature::v3_payload("POST", &url, &[], "nonce"));
        let post = client().post(&url).header("X-Plivo-Signature-V3", signature);
        post.header("X-Plivo-Signature-V3-Nonce", "nonce").send().await.unwrap().status().as_u16()
    };
    let with_secret = async || service.status(&format!("/plivo/{CALLBACK_SECRET}/message")).await.unwrap();
    assert_eq!((signed(AUTH_TOKEN).await, with_secret().await), (401, 401));

    world.write("PLIVO_AUTH_TOKEN", AUTH_TOKEN);
    world.write("CALLBACK_SECRET", CALLBACK_SECRET);
    world.reload("secrets_reloaded").await;
    assert_eq!((signed(AUTH_TOKEN).await, with_secret().await), (200, 200));
    assert_eq!(signed("a-token-that-plivo-does-not-know").await, 401);
    service.create("+14155550100", json!({ "channel": "sms" })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_faulty_secret_file_changes_nothing_and_is_named() {
    let files = [("API_KEYS", format!("shop:{API_KEY}")), ("SECRET_KEY", SECRET_KEY.to_owned())];
    let files = files.each_ref().map(|(name, value)| (*name, value.as_str()));
    let world = World::start("wrong", &files).await;
    // This file is valid, but is not applied while the other is faulty.
    world.write("API_KEYS", &format!("shop:{NEW_API_KEY}"));
    for wrong in ["dG9vLXNob3J0LXRvLWJlLWEta2V5", "", "not base64 at all"] {
        world.write("SECRET_KEY", wrong);
        world.reload("secrets_refused").await;
        assert_eq!((world.status_with(API_KEY).await, world.status_with(NEW_API_KEY).await), (200, 401));
        assert!(wrong.is_empty() || !world.service.process.log().contains(wrong));
    }
    std::fs::remove_file(world.folder.join("SECRET_KEY")).unwrap();
    world.reload("secrets_refused").await;
    let log = world.service.process.log();
    assert!(log.contains("\"variable\":\"SECRET_KEY\"") && log.contains("\"variable\":\"SECRET_KEY_FILE\""), "{log}");
    assert!(!log.contains("secrets_reloaded") && !log.contains(NEW_API_KEY));
    assert_eq!(world.status_with(API_KEY).await, 200);

    world.write("SECRET_KEY", SECRET_KEY);
    world.reload("secrets_reloaded").await;
    assert_eq!((world.status_with(API_KEY).await, world.status_with(NEW_API_KEY).await), (401, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_are_signed_with_each_secret_while_they_are_replaced() {
    const NEW: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
    let receiver = Receiver::start();
    let settings = [("WEBHOOK_URL", &*receiver.url), ("WEBHOOK_ALLOW_PRIVATE", "true")];
    let world = World::start_with("webhooks", &[("WEBHOOK_SECRETS", SECRET)], &settings).await;
    let signed = async || {
        let tested = world.service.try_send("POST", "/v1/webhooks/test", json!({})).await.unwrap();
        assert_eq!(tested.body["delivered"], true, "{tested:?}");
        let taken = receiver.taken();
        let last = taken.last().unwrap();
        (last.is_signed_with(SECRET), last.is_signed_with(NEW))
    };
    assert_eq!(signed().await, (true, false));
    world.write("WEBHOOK_SECRETS", &format!("{NEW},{SECRET}"));
    world.reload("\"changed\":\"WEBHOOK_SECRETS\"").await;
    assert_eq!(signed().await, (true, true));
    world.write("WEBHOOK_SECRETS", NEW);
    world.reload("\"changed\":\"WEBHOOK_SECRETS\"").await;
    assert_eq!(signed().await, (false, true));
    assert!(!world.service.process.log().contains("whsec_"));
}
