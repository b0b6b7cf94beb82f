//! Liquid, as far as Plivo's canvas needs it: `{{Start.http.params.to}}` and `{% if … %}`.
//!
//! minijinja's syntax agrees with Liquid's in what the flow uses: output, `if`, `else`, `==`, `!=`,
//! `and`, `or`. What is not set renders empty, as on the canvas.

use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde_json::{Map, Value};

/// Renders the texts of a flow.
pub(super) struct Liquid(Environment<'static>);

/// What the rendered text is for, as values must be escaped in XML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Xml,
}

impl Liquid {
    pub(super) fn new() -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Chainable);
        // Null is unset in a JSON payload; minijinja would write `none`.
        environment.set_formatter(|out, state, value| {
            if value.is_none() { Ok(()) } else { minijinja::escape_formatter(out, state, value) }
        });
        environment.set_auto_escape_callback(|name| if name == "xml" { AutoEscape::Html } else { AutoEscape::None });
        Self(environment)
    }

    /// The text with its variables filled in; empty if it cannot be rendered.
    pub(super) fn render(&self, form: Form, text: &str, variables: &Map<String, Value>) -> String {
        let name = if form == Form::Xml { "xml" } else { "text" };
        self.0.render_named_str(name, text, variables).unwrap_or_else(|error| {
            tracing::warn!(error = error.kind().to_string(), "a text of the flow could not be rendered");
            String::new()
        })
    }

    /// What is wrong with a text's syntax, if anything.
    pub(super) fn fault(&self, text: &str) -> Option<String> {
        self.0.template_from_str(text).err().map(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn render(form: Form, text: &str) -> String {
        let Value::Object(variables) =
            json!({ "Start": { "http": { "params": { "to": "1<2", "empty": "", "null": null } } } })
        else {
            panic!("an object");
        };
        Liquid::new().render(form, text, &variables)
    }

    #[test]
    fn what_is_not_set_is_empty() {
        assert_eq!(render(Form::Text, "[{{Start.http.params.ref}}{{Start.http.params.null}}{{Nowhere.at.all}}]"), "[]");
        let fallback = "{% if Start.http.params.empty and Start.http.params.empty != \"\" %}a{% else %}b{% endif %}";
        assert_eq!(render(Form::Text, fallback), "b");
    }

    #[test]
    fn values_are_escaped_in_xml_and_nowhere_else() {
        assert_eq!(render(Form::Text, "{{Start.http.params.to}}"), "1<2");
        assert_eq!(render(Form::Xml, "<p>{{Start.http.params.to}}</p>"), "<p>1&lt;2</p>");
    }
}
