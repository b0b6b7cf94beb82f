//! Liquid, as far as the flow uses it: `{{Start.http.params.to}}` and `{% if … %}`.
//!
//! minijinja's syntax agrees with Liquid's in that part: output, `if`, `else`, `==`, `!=`, `and`, `or`. An unset
//! variable renders empty, as on the canvas.

use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde_json::{Map, Value};

/// Renders the texts of a flow.
pub(super) struct Liquid(Environment<'static>);

/// How the values of variables are escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escaping {
    None,
    Xml,
}

impl Liquid {
    pub(super) fn new() -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Chainable);
        // A JSON null counts as unset; minijinja would write `none`.
        environment.set_formatter(|out, state, value| {
            if value.is_none() { Ok(()) } else { minijinja::escape_formatter(out, state, value) }
        });
        environment.set_auto_escape_callback(|name| if name == "xml" { AutoEscape::Html } else { AutoEscape::None });
        Self(environment)
    }

    /// Fills in the variables; the result is empty when the text cannot be rendered.
    pub(super) fn render(&self, escaping: Escaping, text: &str, variables: &Map<String, Value>) -> String {
        let name = if escaping == Escaping::Xml { "xml" } else { "text" };
        self.0.render_named_str(name, text, variables).unwrap_or_else(|error| {
            tracing::warn!(error = error.kind().to_string(), "text of the flow not rendered");
            String::new()
        })
    }

    /// The syntax error of a text, if it has one.
    pub(super) fn syntax_error(&self, text: &str) -> Option<String> {
        self.0.template_from_str(text).err().map(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn render(escaping: Escaping, text: &str) -> String {
        let Value::Object(variables) =
            json!({ "Start": { "http": { "params": { "to": "1<2", "empty": "", "null": null } } } })
        else {
            panic!("an object");
        };
        Liquid::new().render(escaping, text, &variables)
    }

    #[test]
    fn an_unset_variable_renders_empty() {
        assert_eq!(
            render(Escaping::None, "[{{Start.http.params.ref}}{{Start.http.params.null}}{{Nowhere.at.all}}]"),
            "[]"
        );
        let fallback = "{% if Start.http.params.empty and Start.http.params.empty != \"\" %}a{% else %}b{% endif %}";
        assert_eq!(render(Escaping::None, fallback), "b");
    }

    #[test]
    fn values_are_escaped_in_xml_only() {
        assert_eq!(render(Escaping::None, "{{Start.http.params.to}}"), "1<2");
        assert_eq!(render(Escaping::Xml, "<p>{{Start.http.params.to}}</p>"), "<p>1&lt;2</p>");
    }
}
