//! A callback as it is sent, and the ways to alter it.

use phlo_2fa::plivo::signature;
use serde_json::{Map, Value};

use crate::world::AUTH_TOKEN;

pub type Params = Vec<(String, String)>;

pub fn params(pairs: &[(&str, &str)]) -> Params {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

pub fn form(params: &Params) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish()
}

pub fn nonce() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

fn with_query(url: &str, params: &Params) -> String {
    let between = match (params.is_empty(), url.contains('?')) {
        (true, _) => "",
        (false, true) => "&",
        (false, false) => "?",
    };
    format!("{url}{between}{}", form(params))
}

/// A callback request.
#[derive(Clone, Debug)]
pub struct Wire {
    pub path: String,
    pub params: Params,
    headers: Vec<(String, String)>,
    is_json: bool,
    pub is_get: bool,
    has_separate_nonces: bool,
}

/// The service's answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub text: String,
}

impl Wire {
    pub fn of(path: &str, params: &Params) -> Self {
        Self {
            path: path.to_owned(),
            params: params.clone(),
            headers: Vec::new(),
            is_json: false,
            is_get: false,
            has_separate_nonces: false,
        }
    }

    /// The path of its kind that names no attempt.
    pub fn fixed_path(&self) -> &'static str {
        if self.path.contains("/message") { "/plivo/message" } else { "/plivo/call" }
    }

    /// Signs as Plivo does: in V2 and V3, with the token of the account and of its main account.
    pub fn signed(self, base: &str, path: &str, params: &Params) -> Self {
        self.signed_by(AUTH_TOKEN, base, path, params)
    }

    pub fn signed_by(mut self, token: &str, base: &str, path: &str, params: &Params) -> Self {
        let (url, nonce) = (format!("{base}{path}"), nonce());
        let v2_nonce = if self.has_separate_nonces { self::nonce() } else { nonce.clone() };
        let v3 = match self.is_get {
            true => signature::v3_payload("GET", &with_query(&url, params), &[], &nonce),
            false => signature::v3_payload("POST", &url, params, &nonce),
        };
        let v3 = signature::sign(token, &v3);
        let v2 = signature::sign(token, &signature::v2_payload(&url, &v2_nonce));
        for (version, signature, nonce) in [("V3", v3, nonce), ("V2", v2, v2_nonce)] {
            for name in [format!("X-Plivo-Signature-{version}"), format!("X-Plivo-Signature-Ma-{version}")] {
                self.headers.push((name, signature.clone()));
            }
            self.headers.push((format!("X-Plivo-Signature-{version}-Nonce"), nonce.clone()));
        }
        self
    }

    /// Replaces the parameters and keeps the headers.
    pub fn with_params(self, params: Params) -> Self {
        Self { params, ..self }
    }

    pub fn reversed(mut self) -> Self {
        self.params.reverse();
        self
    }

    pub fn at(self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self }
    }

    pub fn bearer(mut self, secret: &str) -> Self {
        self.headers.push(("Authorization".to_owned(), format!("Bearer {secret}")));
        self
    }

    /// Gives V2 and V3 a nonce each.
    pub fn with_separate_nonces(mut self) -> Self {
        self.has_separate_nonces = true;
        self
    }

    /// Moves the parameters to the query.
    pub fn get(mut self) -> Self {
        self.is_get = true;
        self
    }

    pub fn in_json(mut self) -> Self {
        self.is_json = true;
        self
    }

    /// Removes the headers whose name contains this part.
    pub fn without(mut self, part: &str) -> Self {
        self.headers.retain(|(name, _)| !name.contains(part));
        self
    }

    pub fn renamed(mut self, from: &str, to: &str) -> Self {
        self.headers.iter_mut().for_each(|(name, _)| *name = name.replace(from, to));
        self
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn with_nonce(mut self, nonce: &str) -> Self {
        self.headers
            .iter_mut()
            .filter(|(name, _)| name.ends_with("-Nonce"))
            .for_each(|(_, value)| *value = nonce.to_owned());
        self
    }

    pub fn with_v3(mut self, signature: &str) -> Self {
        self.headers
            .iter_mut()
            .filter(|(name, _)| name.ends_with("V3"))
            .for_each(|(_, value)| *value = signature.to_owned());
        self
    }

    pub async fn send(&self, http: &reqwest::Client, url: &str) -> Reply {
        let url = format!("{url}{}", self.path);
        let mut request = if self.is_get { http.get(with_query(&url, &self.params)) } else { http.post(url) };
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = if self.is_get {
            request
        } else if self.is_json {
            let fields: Map<String, Value> = self.params.iter().map(|(k, v)| (k.clone(), v.as_str().into())).collect();
            request.json(&fields)
        } else {
            request.header("Content-Type", "application/x-www-form-urlencoded").body(form(&self.params))
        };
        let answer = request.send().await.unwrap();
        Reply { status: answer.status().as_u16(), text: answer.text().await.unwrap() }
    }
}
