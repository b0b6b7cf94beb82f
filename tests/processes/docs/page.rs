//! [`blocks`]: the command blocks of a page, each with the output that the page shows for it.

use std::process::{Command, Stdio};

/// What runs a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Shell,
    Python,
    Node,
}

/// The output that a page shows.
pub struct Shown {
    pub text: String,
    pub is_json: bool,
}

/// Commands, and the output that follows them on the page.
pub struct Block {
    pub language: Language,
    pub commands: String,
    pub shown: Option<Shown>,
}

impl Language {
    fn of(tag: &str) -> Option<Self> {
        match tag {
            "sh" | "bash" | "shell" | "console" => Some(Self::Shell),
            "python" | "py" => Some(Self::Python),
            "js" | "javascript" | "node" => Some(Self::Node),
            _ => None,
        }
    }

    /// Whether its program is there. Where CI says that it must be, it is taken to be.
    pub fn is_installed(self) -> bool {
        let (program, required) = match self {
            Self::Shell => return true,
            Self::Python => ("python3", "REQUIRE_SDK"),
            Self::Node => ("node", "REQUIRE_NODE"),
        };
        let version = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        let is_there = version.is_ok_and(|status| status.success());
        if !is_there {
            println!("{program} is not installed: its blocks are left out");
        }
        is_there || std::env::var(required).is_ok_and(|value| value == "1")
    }
}

/// Every command block of a page, in order. A block of another language shows the output of the commands before it.
pub fn blocks(page: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(tag) = line.trim_start().strip_prefix("```") else { continue };
        let indent = line.len() - line.trim_start().len();
        let body = lines.by_ref().take_while(|line| line.trim() != "```");
        let body: String = body.map(|line| line.get(indent..).unwrap_or_default().to_owned() + "\n").collect();
        match (Language::of(tag), found.last_mut()) {
            (Some(language), _) => found.push(Block { language, commands: body, shown: None }),
            (None, Some(last)) if last.shown.is_none() && matches!(tag, "json" | "text") => {
                last.shown = Some(Shown { text: body, is_json: tag == "json" });
            }
            (None, _) => assert!(matches!(tag, "json" | "text" | "mermaid" | "html"), "a block in {tag:?} is not run"),
        }
    }
    found
}
