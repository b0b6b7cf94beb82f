//! The OpenAPI documents and the pages of problems, compared with the code's own tables and with what the service answers.

use std::collections::BTreeSet;

use phlo_2fa::http::{ErrorCode, openapi};
use serde_json::{Value, json};

use crate::support::TestApp;

fn words(schema: &str) -> BTreeSet<String> {
    let document = openapi::document();
    let values = document["components"]["schemas"][schema]["enum"].as_array().unwrap().clone();
    values.iter().map(|value| value.as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_error_code_is_in_the_documents() {
    let codes: BTreeSet<String> = ErrorCode::ALL.iter().map(|code| code.as_str().to_owned()).collect();
    assert_eq!(words("ErrorCode"), codes);
    let documents = [openapi::document(), openapi::callbacks()];
    for code in ErrorCode::ALL {
        let example = documents.iter().find_map(|document| document["components"]["examples"].get(code.as_str()));
        // No operation of the document has a method that its path lacks.
        let Some(example) = example.or((*code == ErrorCode::MethodNotAllowed).then_some(&Value::Null)) else {
            panic!("{code:?} is a problem of no operation")
        };
        if !example.is_null() {
            assert_eq!(example["value"]["status"], code.status().as_u16());
        }
    }
}

#[test]
fn every_body_has_an_example_and_every_time_its_format() {
    for document in [openapi::document(), openapi::callbacks()] {
        let is_callback_by_get = |path: &str, method: &str| path.starts_with("/plivo/") && method == "get";
        for (path, method, operation) in openapi::operations(&document) {
            // The same as its POST.
            if is_callback_by_get(path, method) {
                continue;
            }
            for body in operation["requestBody"]["content"].as_object().into_iter().flatten().map(|(_, body)| body) {
                assert!(body["example"].is_object(), "{method} {path}");
            }
            for (status, answer) in operation["responses"].as_object().unwrap() {
                for (media, content) in answer["content"].as_object().into_iter().flatten() {
                    let has_example = !content["example"].is_null() || !content["examples"].is_null();
                    assert!(has_example, "{method} {path} {status} {media}");
                }
            }
        }
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            for (field, of) in schema["properties"].as_object().into_iter().flatten() {
                let is_time =
                    field == "at" || field == "timestamp" || field.ends_with("_at") || field.ends_with("_until");
                assert_eq!(of["format"] == "date-time", is_time, "{name}.{field}");
            }
        }
    }
    let first = openapi::text(&openapi::document());
    let first = String::from_utf8_lossy(&first).into_owned();
    let place = |id: &str| first.find(&format!("\"operationId\": \"{id}\"")).unwrap();
    assert!(first.matches("\"operationId\"").count() > 15);
    assert_eq!(first.find("\"operationId\""), Some(place("create_verification")));
}

/// Sends each example of a request, and compares the fields of each answer with those of its example.
#[tokio::test(flavor = "multi_thread")]
async fn every_example_of_the_document_runs() {
    let app = TestApp::spawn().await;
    let document = openapi::document();
    let mut id = String::new();
    for (path, method, operation) in openapi::operations(&document) {
        let operation_id = operation["operationId"].as_str().unwrap();
        if path.starts_with("/v1/") && operation_id != "follow_verification" {
            let example = &operation["requestBody"]["content"]["application/json"]["example"];
            let query = if operation_id == "list_failed_webhooks" { "?status=failed" } else { "" };
            let request = app.request(&method.to_uppercase(), &(path.replace("{id}", &id) + query));
            let answer = app.send(if method == "post" { request.json(example) } else { request }).await;
            if operation_id == "create_verification" {
                assert_eq!(answer.status, 201, "{answer:?}");
                id = answer.id().to_owned();
            }
            let answered_well = answer.status < 300;
            // The creation's text was a moment ago, and a later example cancels it. The app has no receiver of webhooks.
            let is_refused_here = [
                "request_attempt",
                "report_activity",
                "check_code_by_number",
                "report_feedback",
                "test_webhook",
                "replay_webhook",
            ];
            assert!(answered_well || is_refused_here.contains(&operation_id), "{method} {path}: {answer:?}");
            if answered_well {
                let schema =
                    &operation["responses"][answer.status.to_string()]["content"]["application/json"]["schema"];
                let name = schema["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
                assert_fits(&document, name, &answer.body);
            }
        }
    }
}

/// Asserts that an answer has every required field of its schema and no other than its fields.
fn assert_fits(document: &Value, name: &str, body: &Value) {
    let schema = &document["components"]["schemas"][name];
    let fields = schema["properties"].as_object().unwrap();
    for required in schema["required"].as_array().unwrap() {
        assert!(body.get(required.as_str().unwrap()).is_some(), "{name} lacks {required}: {body}");
    }
    for field in body.as_object().unwrap().keys() {
        assert!(fields.contains_key(field), "{name} has {field}: {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_type_of_every_problem_is_a_page_that_explains_it() {
    let app = TestApp::spawn().await;
    let all = app.send(app.keyless("GET", "/problems")).await;
    assert_eq!(all.body.as_array().unwrap().len(), ErrorCode::ALL.len());
    for code in ErrorCode::ALL {
        let explained = app.send(app.keyless("GET", &code.path())).await;
        assert_eq!((explained.status, explained.code()), (200, code.as_str()));
        assert_eq!((&explained.body["type"], explained.header("vary")), (&json!(code.path()), "Accept"));
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        let page = app.keyless("GET", &code.path()).header("Accept", browser).send().await.unwrap();
        assert!(page.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
        let html = page.text().await.unwrap();
        assert!(html.contains(&format!("<h1>{}</h1>", code.title())) && html.contains(code.as_str()), "{html}");
    }
    app.send(app.keyless("GET", "/problems/no-such-problem")).await.assert_problem(404, "not_found");
    let json_first = app.keyless("GET", "/problems").header("Accept", "application/json, text/html;q=0.5");
    assert!(app.send(json_first).await.body.is_array());
}
