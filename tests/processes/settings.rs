//! Where settings come from, and what they do not come from.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use crate::commands::run;
use crate::world::{Directory, Process, defaults, until};

#[test]
fn the_env_file_is_read_from_the_working_directory_alone_and_the_log_says_so() {
    let directory = Directory::create();
    let child = directory.0.join("child");
    std::fs::create_dir(&child).unwrap();
    std::fs::write(directory.0.join(".env"), "LOG_FORMAT=nonsense\n").unwrap();
    let said = simulate_in(&child);
    assert!(said.contains("there is no .env in the working directory"), "{said}");
    assert!(!said.contains("LOG_FORMAT"), "{said}");

    let said = simulate_in(&directory.0);
    assert!(said.contains("LOG_FORMAT must be json or pretty"), "{said}");
    std::fs::write(directory.0.join(".env"), "LOG_FORMAT=json\n").unwrap();
    let said = simulate_in(&directory.0);
    assert!(said.contains("settings are also read from .env in the working directory"), "{said}");
    std::fs::write(directory.0.join(".env"), "not a line of it\n").unwrap();
    let said = simulate_in(&directory.0);
    assert!(said.contains("the .env file in the working directory cannot be read"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_misspelt_setting_and_a_brand_outside_gsm_7_are_named_at_start() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut env = defaults();
    env.extend(
        [
            ("BIND", taken.local_addr().unwrap().to_string().as_str()),
            ("PUBLIC_URL", "http://127.0.0.1:8080"),
            ("REDIS_URL", "memory://"),
            ("CODE_LENGHT", "8"),
            ("ESCALTION", "never"),
            ("BRAND", "Księgarnia"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let (_, out, _) = run(&["doctor"], &env).await;
    for part in ["did you mean CODE_LENGTH?", "did you mean ESCALATION?", "ę (U+0119)"] {
        assert!(out.contains(part), "{part}: {out}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_of_the_environment_is_used_for_plivo_only_if_the_settings_say_so() {
    let proxy = Proxy::serve();
    let examine = async |plivo_proxy: &str| {
        proxy.requests.lock().unwrap().clear();
        let mut env = defaults();
        env.retain(|(name, _)| !name.starts_with("PLIVO_API_URL") && !name.starts_with("PLIVO_PHLO_URL"));
        env.extend(
            [
                ("PLIVO_API_URL", "http://plivo.invalid"),
                ("PLIVO_PHLO_URL", "http://plivo.invalid"),
                ("PUBLIC_URL", "http://127.0.0.1:9"),
                ("REDIS_URL", "memory://"),
                ("HTTP_PROXY", &proxy.url),
                ("http_proxy", &proxy.url),
                ("ALL_PROXY", &proxy.url),
                ("PLIVO_PROXY", plivo_proxy),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        run(&["doctor"], &env).await;
        let requests = proxy.requests.lock().unwrap();
        requests.iter().filter(|line| line.contains("plivo.invalid")).count()
    };
    assert_eq!(examine("").await, 0);
    assert!(examine("environment").await > 0);
    assert!(examine(&proxy.url).await > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn faulty_settings_are_listed_once_and_waited_for_if_asked() {
    let mut service = Process::start(&["serve", "--wait-for-settings"], &[]);
    until("it waits", async || service.log().contains("The service does not run.")).await;
    let said = service.log();
    assert_eq!(said.lines().filter(|line| line.contains(" is missing; for example ")).count(), 6, "{said}");
    assert_eq!(service.ended(), None, "it waits for a signal");
    service.terminate();
    assert!(service.end().await.success());
    assert_eq!(service.log(), said);
}

/// The log of a local Plivo that cannot listen, and so ends at once.
fn simulate_in(directory: &Path) -> String {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_phlo-2fa"));
    command.arg("simulate-plivo").env_clear().current_dir(directory);
    let output = command.env("BIND", taken.local_addr().unwrap().to_string()).output().unwrap();
    String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap()
}

/// A proxy that notes request lines and refuses all requests.
struct Proxy {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn serve() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let noted = Arc::clone(&requests);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut line = String::new();
                if BufReader::new(&stream).read_line(&mut line).is_ok() {
                    noted.lock().unwrap().push(line);
                    let _ =
                        stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                }
            }
        });
        Self { url, requests }
    }
}
