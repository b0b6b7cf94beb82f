//! `/docs/`: the API document as a page, with a form that sends each request. It loads nothing from elsewhere.

use minijinja::{Value as Shown, context};
use serde::Serialize;
use serde_json::Value;

use super::openapi;
use super::page::{HtmlPage, render};

/// The API key that the demo accepts.
const DEMO_KEY: &str = "demo";

/// An operation as the page shows it.
#[derive(Serialize)]
struct ShownOperation {
    id: String,
    method: String,
    path: String,
    summary: String,
    description: String,
    needs_key: bool,
    /// A stream does not end, so the page sends no request for it.
    can_be_sent: bool,
    parameters: Vec<ShownField>,
    body: Option<ShownBody>,
    answers: Vec<ShownAnswer>,
}

#[derive(Serialize)]
struct ShownBody {
    schema: String,
    example: String,
    fields: Vec<ShownField>,
}

#[derive(Serialize)]
struct ShownAnswer {
    status: String,
    description: String,
    schema: String,
    example: String,
    is_problem: bool,
}

/// A parameter or a field.
#[derive(Serialize)]
struct ShownField {
    name: String,
    place: String,
    kind: String,
    /// The schema of its own that it has, if any.
    schema: String,
    is_required: bool,
    text: String,
    values: Vec<String>,
}

#[derive(Serialize)]
struct ShownSchema {
    name: String,
    text: String,
    fields: Vec<ShownField>,
    values: Vec<String>,
}

/// Builds the page of a document.
pub fn page(document: &Value, is_demo: bool) -> HtmlPage {
    let operations = |tag: &Value| -> Vec<ShownOperation> {
        let all = openapi::operations(document);
        let of_tag = all.into_iter().filter(|(.., operation)| operation["tags"][0] == tag["name"]);
        of_tag.map(|(path, method, operation)| ShownOperation::of(document, path, method, operation)).collect()
    };
    let tags = document["tags"].as_array().map_or(&[][..], Vec::as_slice);
    let groups: Vec<_> = tags
        .iter()
        .map(|tag| context! { name => text(&tag["name"]), text => text(&tag["description"]), operations => operations(tag) })
        .collect();
    let schemas: Vec<_> =
        document["components"]["schemas"].as_object().into_iter().flatten().map(shown_schema).collect();
    HtmlPage::new(&render(
        include_str!("reference.html"),
        context! {
            about => text(&document["info"]["description"]), version => text(&document["info"]["version"]), groups, schemas,
            key => if is_demo { DEMO_KEY } else { "" }, is_demo, script => Shown::from_safe_string(include_str!("reference.js").to_owned()),
        },
    ))
}

impl ShownOperation {
    fn of(document: &Value, path: &str, method: &str, operation: &Value) -> Self {
        let content = &operation["requestBody"]["content"]["application/json"];
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let answers = operation["responses"].as_object().into_iter().flatten();
        Self {
            id: text(&operation["operationId"]),
            method: method.to_uppercase(),
            path: path.to_owned(),
            summary: text(&operation["summary"]),
            description: text(&operation["description"]),
            needs_key: operation["security"].as_array().is_some_and(|ways| !ways.is_empty()),
            can_be_sent: operation["responses"]["200"]["content"]["text/event-stream"].is_null(),
            parameters: parameters
                .map(|p| {
                    let mut field = shown_field(&text(&p["name"]), &p["schema"], p["required"] == true);
                    (field.place, field.text) = (text(&p["in"]), text(&p["description"]));
                    field
                })
                .collect(),
            body: content.is_object().then(|| {
                let name = reference(&content["schema"]);
                let schema = &document["components"]["schemas"][&name];
                ShownBody { fields: fields(schema), schema: name, example: pretty(&content["example"]) }
            }),
            answers: answers.map(|(status, answer)| ShownAnswer::of(status, answer)).collect(),
        }
    }
}

impl ShownAnswer {
    fn of(status: &str, answer: &Value) -> Self {
        let (media, content) = answer["content"]
            .as_object()
            .and_then(|all| all.iter().next())
            .map_or(("", &Value::Null), |(media, content)| (media.as_str(), content));
        Self {
            status: status.to_owned(),
            description: text(&answer["description"]),
            schema: reference(&content["schema"]),
            example: pretty(&content["example"]),
            is_problem: media == super::error::PROBLEM,
        }
    }
}

fn shown_schema((name, schema): (&String, &Value)) -> ShownSchema {
    ShownSchema {
        name: name.clone(),
        text: text(&schema["description"]),
        fields: fields(schema),
        values: values(schema),
    }
}

fn fields(schema: &Value) -> Vec<ShownField> {
    let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
    let all = schema["properties"].as_object().into_iter().flatten();
    let mut fields: Vec<_> =
        all.map(|(name, field)| shown_field(name, field, required.iter().any(|one| one == name))).collect();
    fields.sort_by_key(|field| !field.is_required);
    fields
}

fn shown_field(name: &str, schema: &Value, is_required: bool) -> ShownField {
    let inner =
        schema["oneOf"].as_array().and_then(|all| all.iter().find(|one| one["type"] != "null")).unwrap_or(schema);
    let kinds = match &inner["type"] {
        Value::Array(all) => all.iter().map(text).filter(|kind| kind != "null").collect::<Vec<_>>().join(" or "),
        kind => text(kind),
    };
    let item = reference(&inner["items"]);
    let schema_name = if item.is_empty() { reference(inner) } else { item };
    let kind = match (kinds.as_str(), inner["format"].as_str()) {
        ("string", Some("date-time")) => "date-time".to_owned(),
        ("array", _) => "array of".to_owned(),
        _ => kinds,
    };
    let described = [&schema["description"], &inner["description"]].into_iter().map(text).find(|text| !text.is_empty());
    ShownField {
        name: name.to_owned(),
        place: String::new(),
        kind,
        schema: schema_name,
        is_required,
        text: described.unwrap_or_default(),
        values: values(inner),
    }
}

fn values(schema: &Value) -> Vec<String> {
    schema["enum"].as_array().into_iter().flatten().map(text).collect()
}

/// The name of the schema that a reference leads to; empty if it is none.
fn reference(schema: &Value) -> String {
    text(&schema["$ref"]).rsplit('/').next().unwrap_or_default().to_owned()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// An example as it is shown: JSON with its lines, other text as it is.
fn pretty(example: &Value) -> String {
    match example {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value => serde_json::to_string_pretty(value).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::MessageBody;

    use super::*;

    #[test]
    fn the_page_shows_every_operation_and_schema_with_the_creation_first() {
        let document = openapi::document();
        for is_demo in [false, true] {
            let body = page(&document, is_demo).response().into_body().try_into_bytes().unwrap();
            let html = String::from_utf8(body.to_vec()).unwrap();
            let places: Vec<_> = openapi::operations(&document)
                .iter()
                .map(|(.., operation)| {
                    html.find(&format!("<section class=\"op\" id={}", operation["operationId"])).unwrap()
                })
                .collect();
            assert_eq!(places.iter().min(), places.first());
            for name in document["components"]["schemas"].as_object().unwrap().keys() {
                assert!(html.contains(&format!("id=\"schema-{name}\"")), "{name}");
            }
            assert!(!html.contains("href=\"#schema-\"") && !html.contains("{{") && !html.contains("swagger"));
            assert_eq!(html.contains(r#"id="key" value="demo""#), is_demo);
        }
    }
}
