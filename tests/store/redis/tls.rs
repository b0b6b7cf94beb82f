//! TLS: `rediss://` trusts the authority in `REDIS_CA_FILE`, and refuses servers of other authorities.

use std::path::PathBuf;

use phlo_2fa::config::ExportConfig;
use phlo_2fa::store::redis::{CaCertificates, Redis};
use phlo_2fa::store::{OutageCause, Store, StoreError};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::drafts::*;
use crate::redis_server::{RedisServer, free_port};

/// An authority, and the files of a server whose certificate it has signed.
struct Authority {
    pem: String,
    dir: PathBuf,
}

impl Authority {
    fn new(name: &str) -> Self {
        Self::with_server_at(name, &["127.0.0.1", "localhost"])
    }

    fn with_server_at(name: &str, hosts: &[&str]) -> Self {
        // rustls refuses the certificate of an authority as that of a server, so that the server needs its own.
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.distinguished_name.push(DnType::CommonName, name);
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let server = CertificateParams::new(hosts.iter().map(|&host| host.to_owned()).collect::<Vec<_>>()).unwrap();
        let server = server.signed_by(&key, &ca).unwrap();
        let dir = std::env::temp_dir().join(format!("phlo2fa-test-tls-{}-{}", std::process::id(), free_port()));
        std::fs::create_dir_all(&dir).unwrap();
        for (file, text) in [("ca.pem", ca.pem()), ("server.pem", server.pem()), ("server.key", key.serialize_pem())] {
            std::fs::write(dir.join(file), text).unwrap();
        }
        Self { pem: ca.pem(), dir }
    }

    /// Arguments of a server that also listens for TLS on `port`.
    fn arguments(&self, port: u16) -> Vec<String> {
        let file = |name: &str| self.dir.join(name).to_string_lossy().into_owned();
        let arguments = [
            ("--tls-port", port.to_string()),
            ("--tls-cert-file", file("server.pem")),
            ("--tls-key-file", file("server.key")),
            ("--tls-ca-cert-file", file("ca.pem")),
            ("--tls-auth-clients", "no".to_owned()),
            ("--tls-replication", "yes".to_owned()),
        ];
        arguments.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect()
    }

    fn certificates(&self) -> CaCertificates {
        CaCertificates::from_pem(self.pem.as_bytes()).unwrap()
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Starts a server, with its plain port for the test and the TLS port for the store.
fn start(authority: &Authority, start: impl Fn(&[&str]) -> RedisServer) -> (RedisServer, u16) {
    let port = free_port();
    let arguments = authority.arguments(port);
    (start(&arguments.iter().map(String::as_str).collect::<Vec<_>>()), port)
}

/// The store works with the authority, and refuses the server without it and with another one.
async fn assert_that_only_the_authority_is_trusted(url: &str, authority: &Authority) {
    let connect = |ca: Option<&CaCertificates>| Redis::connect(&url.to_owned().into(), ca, 2).expect("a Redis URL");
    commit(&connect(Some(&authority.certificates())), &draft()).await;
    let other = Authority::new("another authority").certificates();
    for ca in [None, Some(&other)] {
        let error = connect(ca).ping().await.expect_err("a server of an unknown authority");
        // redis-rs does not say why no node of a cluster could be reached.
        let expected = [OutageCause::UntrustedCertificate, OutageCause::ConnectionLost];
        let expected = if url.contains("cluster") { &expected[1..] } else { &expected[..1] };
        assert!(matches!(&error, StoreError::Unavailable(cause) if expected.contains(cause)), "{url}: {error:?}");
    }
}

#[tokio::test]
async fn a_server_is_trusted_only_with_the_authority_that_signed_it() {
    let authority = Authority::new("the authority of the server");
    let (_server, port) = start(&authority, RedisServer::start_with);
    assert_that_only_the_authority_is_trusted(&format!("rediss://127.0.0.1:{port}"), &authority).await;
}

#[tokio::test]
async fn a_cluster_is_trusted_only_with_the_authority_that_signed_it() {
    let authority = Authority::new("the authority of the cluster");
    // Without tls-cluster a node announces its plain port alone.
    let cluster = |args: &[&str]| RedisServer::start_cluster_with(&[args, &["--tls-cluster", "yes"]].concat());
    let (_server, port) = start(&authority, cluster);
    assert_that_only_the_authority_is_trusted(&format!("rediss+cluster://127.0.0.1:{port}"), &authority).await;
}

#[tokio::test]
async fn a_sentinel_and_its_master_are_trusted_only_with_the_authority_that_signed_them() {
    let authority = Authority::new("the authority of the sentinel");
    let (_master, master_port) = start(&authority, RedisServer::start_with);
    let (_sentinel, port) = start(&authority, |args| RedisServer::start_sentinel_with(master_port, args));
    assert_that_only_the_authority_is_trusted(&format!("rediss+sentinel://127.0.0.1:{port}/main"), &authority).await;
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused() {
    let authority = Authority::with_server_at("the authority of the server", &["redis.example"]);
    let (_server, port) = start(&authority, RedisServer::start_with);
    let url = format!("rediss://127.0.0.1:{port}").into();
    let store = Redis::connect(&url, Some(&authority.certificates()), 2).unwrap();
    let error = store.ping().await.expect_err("the certificate names redis.example");
    assert!(matches!(error, StoreError::Unavailable(OutageCause::UntrustedCertificate)), "{error:?}");
}

#[tokio::test]
async fn redis_ca_file_names_the_authority() {
    let authority = Authority::new("the authority of the server");
    let (_server, port) = start(&authority, RedisServer::start_with);
    let read = |ca_file: &str| {
        let ca_file = authority.dir.join(ca_file).to_string_lossy().into_owned();
        let url = format!("rediss://127.0.0.1:{port}");
        let secret_key = "a2V5".repeat(12);
        let env = [("REDIS_URL", url), ("REDIS_CA_FILE", ca_file), ("SECRET_KEY", secret_key)];
        ExportConfig::read(env.map(|(name, value)| (name.to_owned(), value)), Some("shop"))
    };
    let config = read("ca.pem").unwrap();
    Redis::connect(&config.redis_url, config.redis_ca.as_ref(), 2).unwrap().ping().await.unwrap();
    for (wrong, problem) in [("missing.pem", "cannot be read"), ("server.key", "no certificate in PEM")] {
        let errors = read(wrong).expect_err(wrong).to_string();
        assert!(errors.starts_with("REDIS_CA_FILE names a file that ") && errors.contains(problem), "{errors}");
    }
}

#[tokio::test]
async fn the_roots_of_the_system_are_trusted() {
    let authority = Authority::new("an authority of the system");
    let (_server, port) = start(&authority, RedisServer::start_with);
    let export = |roots: &str| {
        std::process::Command::new(env!("CARGO_BIN_EXE_phlo-2fa"))
            .args(["export", "--app", "shop"])
            .env_clear()
            .env("REDIS_URL", format!("rediss://127.0.0.1:{port}"))
            .env("SECRET_KEY", "a2V5".repeat(12))
            // rustls-native-certs reads it as OpenSSL does.
            .env("SSL_CERT_FILE", authority.dir.join(roots))
            .output()
            .expect("the program starts")
    };
    let output = export("ca.pem");
    assert!(output.status.success(), "{output:?}");
    let output = export("missing.pem");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && errors.contains("certificate is not trusted"), "{errors}");
}
