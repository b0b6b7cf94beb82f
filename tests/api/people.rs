//! What the person who enters a code is told: `user_message`, in the language of the verification.

use serde_json::{Value, json};

use crate::silent::Silent;
use crate::support::{Answer, Setup, TestApp, wrong};

const CODE: &str = "042917";

async fn created(app: &TestApp, body: Value) -> Answer {
    let created = app.post("/v1/verifications", body).await;
    assert_eq!(created.status, 201, "{created:?}");
    created
}

fn told(answer: &Answer) -> &str {
    answer.body["user_message"].as_str().unwrap_or_else(|| panic!("no user_message in {answer:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_code_is_told_in_the_language_of_the_locale_with_the_tries_left() {
    let app = Silent::spawn().await;
    let id = app.open(json!({ "code": CODE, "locale": "de-DE" })).await.id().to_owned();
    let first = app.check(&id, &wrong(CODE)).await;
    assert_eq!((first.status, told(&first)), (200, "Falscher Code. Verbleibende Versuche: 4."));
    for _ in 0..3 {
        app.check(&id, &wrong(CODE)).await;
    }
    let last = app.check(&id, &wrong(CODE)).await;
    assert_eq!(last.body["status"], "max_checks_reached");
    assert_eq!(told(&last), "Zu viele falsche Codes. Fordern Sie einen neuen Code an.");
    let after = app.check(&id, CODE).await;
    after.assert_problem(429, "max_checks_reached");
    assert_eq!(told(&after), told(&last));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_locale_a_person_is_told_in_the_main_language_of_the_country() {
    let env = vec![("COUNTRIES", "*".into()), ("PLIVO_WAIT", "0".into())];
    let app = TestApp::spawn_with(Setup { env, ..Setup::default() }).await;
    for (to, message) in [
        ("+33612340103", "Code incorrect. Essais restants : 4."),
        ("+818012340103", "コードが違います。残り回数: 4。"),
        ("+919876540103", "कोड गलत है। बाकी प्रयास: 4।"),
        ("+14155550103", "Wrong code. Tries left: 4."),
    ] {
        created(&app, json!({ "to": to, "code": CODE })).await;
        let incorrect = app.post("/v1/checks", json!({ "to": to, "code": wrong(CODE) })).await;
        assert_eq!(told(&incorrect), message, "{incorrect:?}");
    }
    let unknown = app.post("/v1/checks", json!({ "to": "+33612340199", "code": CODE })).await;
    unknown.assert_problem(404, "verification_not_found");
    assert_eq!(told(&unknown), "Ce code n'est plus valable. Demandez-en un nouveau.");
}

#[tokio::test(flavor = "multi_thread")]
async fn text_that_is_no_code_is_told_in_the_language_of_the_verification() {
    let app = Silent::spawn().await;
    let id = app.open(json!({ "code": CODE, "locale": "es" })).await.id().to_owned();
    for code in ["04291", "042917O", "", "1234567890123"] {
        let refused = app.check(&id, code).await;
        refused.assert_problem(422, "invalid_code");
        assert_eq!(told(&refused), "Introduzca solo los dígitos del código.");
        assert!(refused.body["errors"][0]["detail"].as_str().unwrap().contains("6 ASCII digits"), "{refused:?}");
        let by_number = app.post("/v1/checks", json!({ "to": "+14155550103", "code": code })).await;
        by_number.assert_problem(422, "invalid_code");
        assert_eq!(told(&by_number), told(&refused));
    }
    let unknown = app.check("vrf_00000000000000000000000000000000ff", "letters").await;
    unknown.assert_problem(422, "invalid_code");
    assert_eq!(app.read(&id).await["checks_remaining"], 5, "none was counted");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_apps_verification_does_not_tell_its_language() {
    let app = Silent::spawn_with(vec![("API_KEYS", "demo:demo,other:another-apps-secret-of-thirty-two".into())]).await;
    let id = app.open(json!({ "code": CODE, "locale": "es" })).await.id().to_owned();
    let path = format!("/v1/verifications/{id}/checks");
    let request = app.keyless("POST", &path).bearer_auth("another-apps-secret-of-thirty-two");
    let refused = app.send(request.json(&json!({ "code": "letters" }))).await;
    refused.assert_problem(422, "invalid_code");
    assert_eq!(told(&refused), "Enter only the digits of the code.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_final_verification_a_wait_and_a_refused_creation_are_told_too() {
    let app = Silent::spawn_with(vec![("COUNTRIES", "US,DE".into())]).await;
    let id = app.open(json!({ "code": CODE, "locale": "fr" })).await.id().to_owned();
    let soon = app.attempt(&id, "sms").await;
    soon.assert_problem(429, "resend_cooldown");
    assert_eq!(told(&soon), format!("Attendez {} s puis réessayez.", soon.header("retry-after")));
    app.advance(301.0).await;
    let expired = app.check(&id, CODE).await;
    expired.assert_problem(410, "verification_expired");
    assert_eq!(told(&expired), "Ce code n'est plus valable. Demandez-en un nouveau.");
    assert_eq!(app.read(&id).await["user_message"], told(&expired), "a read says the same");
    for (body, status, code, message) in [
        (
            json!({ "to": "+393491234567" }),
            403,
            "country_not_allowed",
            "Questo numero non può essere verificato. Ne usi un altro.",
        ),
        (
            json!({ "to": "+499001234567" }),
            403,
            "destination_blocked",
            "Diese Nummer kann nicht bestätigt werden. Verwenden Sie eine andere.",
        ),
        (
            json!({ "to": "+1415", "locale": "pt" }),
            422,
            "invalid_number",
            "Este número de telefone não é válido. Verifique-o e tente novamente.",
        ),
    ] {
        let refused = app.post("/v1/verifications", body).await;
        refused.assert_problem(status, code);
        assert_eq!(told(&refused), message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_developer_is_told_of_a_developers_mistake() {
    let app = Silent::spawn().await;
    for body in [json!({ "to": "+14155550103", "ttl": 0 }), json!({}), json!({ "to": "+14155550103", "x": 1 })] {
        let refused = app.post("/v1/verifications", body).await;
        refused.assert_problem(422, "invalid_parameter");
        assert_eq!(refused.body.get("user_message"), None);
    }
    let keyless = app.send(app.keyless("GET", "/v1/verifications")).await;
    assert_eq!(keyless.body.get("user_message"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_parameter_is_said_once() {
    let app = Silent::spawn().await;
    for body in [json!({ "to": "+1415" }), json!({ "to": "+14155550103", "ttl": 0, "channel": "fax" }), json!([])] {
        let refused = app.post("/v1/verifications", body).await;
        let text = refused.body.to_string();
        for error in refused.body["errors"].as_array().unwrap() {
            assert_eq!(text.matches(error["detail"].as_str().unwrap()).count(), 1, "{text}");
        }
    }
}
