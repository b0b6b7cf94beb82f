//! `init`: writes a complete `.env` with fresh secrets.
//!
//! The secrets go to the file alone and are not shown. What only a person knows is asked on the terminal.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use phlo_2fa::config::{FRESH_SECRETS, QUESTIONS, Question, settings_file};

use super::output::{print_note, print_question, print_with_notes};
use super::process::stop_signals;
use super::terminal::{Terminal, read_line};

/// Options of `init`.
#[derive(Args)]
pub struct InitArgs {
    /// Ask nothing: what only you know stays a comment, to be filled in.
    #[arg(long)]
    yes: bool,
    /// Replace the file if there is one.
    #[arg(long)]
    force: bool,
    /// Write this file; `-` is standard output, which needs --yes.
    #[arg(long, value_name = "FILE", default_value = ".env")]
    out: PathBuf,
}

type Answers = BTreeMap<&'static str, String>;

/// Asks, then writes the file in one step: a question that is interrupted leaves no file.
pub async fn run(args: InitArgs) -> anyhow::Result<()> {
    let InitArgs { yes, force, out } = args;
    let is_stdout = out == Path::new("-");
    anyhow::ensure!(yes || !is_stdout, "--out - needs --yes: the questions and the file would mix");
    anyhow::ensure!(force || is_stdout || !out.exists(), "{}", taken(&out));
    let answers = if yes { Answers::new() } else { ask_on_terminal().await? };
    let file = settings_file(&answers);
    if is_stdout {
        return print_with_notes(&file, &[]);
    }
    write(&out, &file, force)?;
    for line in report(&out, &answers) {
        print_note(&line);
    }
    Ok(())
}

fn taken(out: &Path) -> String {
    format!("{} exists, and is left as it is: --out names another file, --force replaces it", out.display())
}

async fn ask_on_terminal() -> anyhow::Result<Answers> {
    let terminal = Terminal::of_stdin().context("there is no terminal to ask on: --yes asks nothing")?;
    print_note("Enter leaves a question for later.\n");
    let (stopped, _) = stop_signals();
    let answered = tokio::select! {
        answered = tokio::task::spawn_blocking(|| QUESTIONS.iter().filter_map(|one| ask(one).transpose()).collect()) => answered?,
        () = stopped => Err(anyhow::anyhow!("\ninterrupted: nothing is written")),
    };
    // An interrupted hidden question has left the terminal silent.
    drop(terminal);
    answered
}

/// Asks until the answer is accepted; `None` without one.
fn ask(question: &Question) -> anyhow::Result<Option<(&'static str, String)>> {
    loop {
        // Before the question: an answer may come at once.
        let hidden = if question.is_secret { Some(Terminal::hide_input()?) } else { None };
        print_question(&format!("{}, {}", question.variable, question.text));
        let answer = read_line().context("no more answers: nothing is written")?;
        drop(hidden);
        if answer.is_empty() {
            return Ok(None);
        }
        match question.check(&answer) {
            Ok(()) => return Ok(Some((question.variable, answer))),
            Err(problem) => print_note(&format!("  {} {problem}", question.variable)),
        }
    }
}

/// Writes the file for its owner alone. It is complete, or not there.
fn write(out: &Path, text: &str, force: bool) -> anyhow::Result<()> {
    let part = part_of(out);
    let open = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part);
    let written = open().and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        // A link fails where a rename would replace.
        if force { fs::rename(&part, out) } else { fs::hard_link(&part, out) }
    });
    let _ = fs::remove_file(&part);
    match written {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => anyhow::bail!(taken(out)),
        written => written.with_context(|| format!("{} cannot be written", out.display())),
    }
}

fn part_of(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(format!(".{}", std::process::id()));
    name.into()
}

/// What the file has, what it lacks, and what comes next.
fn report(out: &Path, answers: &Answers) -> Vec<String> {
    let is_missing = |question: &&Question| !question.is_optional && !answers.contains_key(question.variable);
    let missing: Vec<&str> = QUESTIONS.iter().filter(is_missing).map(|question| question.variable).collect();
    let mut lines = vec![format!(
        "Wrote {}, which only you can read, with fresh secrets: {}.",
        out.display(),
        FRESH_SECRETS.join(", ")
    )];
    if missing.is_empty() {
        lines.push("Next: docker compose up -d, or phlo-2fa beside a Redis; then phlo-2fa doctor.".to_owned());
    } else {
        let demo =
            if answers.contains_key("PLIVO_AUTH_ID") { "" } else { " Until then docker compose up runs the demo." };
        lines.push(format!("To fill in: {}.{demo}", missing.join(", ")));
    }
    lines
}
