//! The order of operations in a document: tools show them as they come, and `serde_json` sorts them by path.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

/// The operations of a document with their paths and methods: by path in this order, POST before GET.
pub fn operations<'a>(document: &'a Value, order: &[String]) -> Vec<(&'a str, &'a str, &'a Value)> {
    let place = |path: &str| order.iter().position(|known| known == path).unwrap_or(order.len());
    let mut all: Vec<_> = document["paths"]
        .as_object()
        .into_iter()
        .flatten()
        .flat_map(|(path, item)| {
            item.as_object().into_iter().flatten().map(move |(method, of)| (path.as_str(), method.as_str(), of))
        })
        .collect();
    all.sort_by_key(|(path, method, _)| (place(path), *path, *method != "post"));
    all
}

/// A document as JSON, with its operations in order: tools show them as they come.
pub fn ordered<'a>(document: &'a Value, order: &[String]) -> impl Serialize + use<'a> {
    let mut paths: Vec<(&str, Vec<(&str, &Value)>)> = Vec::new();
    for (path, method, operation) in operations(document, order) {
        match paths.last_mut().filter(|(last, _)| *last == path) {
            Some((_, methods)) => methods.push((method, operation)),
            None => paths.push((path, vec![(method, operation)])),
        }
    }
    OrderedDocument { document, paths }
}

struct OrderedDocument<'a> {
    document: &'a Value,
    paths: Vec<(&'a str, Vec<(&'a str, &'a Value)>)>,
}

impl Serialize for OrderedDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct InOrder<'a, T>(&'a [(&'a str, T)]);
        impl<T: Serialize> Serialize for InOrder<'_, T> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
            }
        }
        let paths: Vec<_> = self.paths.iter().map(|(path, methods)| (*path, InOrder(methods))).collect();
        let mut map = serializer.serialize_map(None)?;
        for name in ["openapi", "info", "servers", "tags"] {
            map.serialize_entry(name, &self.document[name])?;
        }
        map.serialize_entry("paths", &InOrder(&paths))?;
        map.serialize_entry("components", &self.document["components"])?;
        map.end()
    }
}
