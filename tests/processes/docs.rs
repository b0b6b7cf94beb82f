//! The command blocks of the pages that people follow: each is run against the demo, and its output is the one that the
//! page shows. Without Python or Node their blocks are left out, and the test says so.

mod answer;
mod page;

use std::process::Command;

use self::page::{Block, Language, blocks};
use crate::world::{Process, free_port, until};

/// What the pages call the demo.
const SHOWN_ADDRESS: &str = "127.0.0.1:8080";
/// The block that starts the demo. The test has started it already, and compares what it has printed.
const START: &str = "make demo";
/// Ends the output of one block.
const END: char = '\u{1e}';

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_readme_print_what_it_shows() {
    follow("README.md").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_quickstart_print_what_it_shows() {
    follow("docs/quickstart.md").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_integration_guide_print_what_it_shows() {
    follow("docs/integrate.md").await;
}

/// Runs every command of a page, in order, in one shell, against a demo of its own.
async fn follow(path: &str) {
    let text = std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let blocks = blocks(&text);
    assert!(blocks.len() > 2, "{path}: its commands were not found");
    let (demo, address) = start_demo().await;
    let blocks: Vec<&Block> = blocks.iter().filter(|block| block.language.is_installed()).collect();
    let script: String = blocks.iter().map(|block| in_shell(block)).collect();
    let script = script.replace(SHOWN_ADDRESS, &address);
    let ran = tokio::task::spawn_blocking(move || {
        let time_limit = ["120", "bash", "-euo", "pipefail", "-c", &script];
        Command::new("timeout").args(time_limit).env("NO_PROXY", "*").env("no_proxy", "*").output().unwrap()
    });
    let ran = ran.await.unwrap();
    let (out, err) = (String::from_utf8(ran.stdout).unwrap(), String::from_utf8_lossy(&ran.stderr).into_owned());
    assert!(ran.status.success(), "{path}: a command failed after\n{out}\n{err}");
    let outputs: Vec<&str> = out.split_terminator(END).collect();
    assert_eq!(outputs.len(), blocks.len(), "{path}: {out}\n{err}");
    let printed = demo.output();
    for (block, output) in blocks.iter().zip(outputs) {
        let output = if block.commands.trim() == START { &printed } else { output };
        let Some(shown) = &block.shown else { continue };
        if let Err(why) = answer::compare(shown, output) {
            panic!("{path}: {why}\n--- commands\n{}--- shown\n{}--- printed\n{output}", block.commands, shown.text);
        }
    }
}

/// The commands of a block for the shell that runs the whole page.
fn in_shell(block: &Block) -> String {
    let Block { language, commands, .. } = block;
    let commands = match language {
        Language::Shell if commands.trim() == START => String::new(),
        Language::Shell => commands.clone(),
        Language::Python => format!("python3 - <<'BLOCK'\n{commands}BLOCK\n"),
        Language::Node => format!("node --input-type=module - <<'BLOCK'\n{commands}BLOCK\n"),
    };
    format!("{commands}printf '\\036'\n")
}

/// Starts a demo, and returns it with its address.
pub(crate) async fn start_demo() -> (Process, String) {
    loop {
        let address = format!("127.0.0.1:{}", free_port());
        // The pages show a refused resend; on a busy machine the usual cooldown may be over by then.
        let env = [("BIND", address.as_str()), ("RESEND_COOLDOWN", "300")];
        let mut demo = Process::start(&["demo"], &env.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let mut has_ended = false;
        until("the demo prints its heading", async || {
            has_ended = demo.ended().is_some();
            has_ended || demo.output().contains("/handset/")
        })
        .await;
        if !has_ended {
            return (demo, address);
        }
        assert!(demo.log().contains("cannot listen"), "the demo ended:\n{}", demo.log());
    }
}
