//! `doctor`: checks a deployment and prints the findings.

use std::time::Duration;

use clap::{ArgGroup, Args};
use phlo_2fa::doctor::{self, DoctorOptions, Finding, UnhealthyDeployment};

use super::env;
use super::env_file::{EnvFile, UNREADABLE};
use super::output::{print_error, print_line};

/// Options of `doctor`.
#[derive(Args)]
#[command(group = ArgGroup::new("trial").args(["send", "call"]).multiple(true))]
pub struct DoctorArgs {
    /// Also run the PHLO once, with a mode that the documented flow ignores and the source number as destination: it
    /// reaches no user.
    #[arg(long)]
    run: bool,
    /// Also verify this number by a real text through the running service, and show the reports about it.
    #[arg(long, value_name = "+NUMBER")]
    send: Option<String>,
    /// Also verify this number by a real call, which reads a code out, and show the reports about it.
    #[arg(long, value_name = "+NUMBER")]
    call: Option<String>,
    /// Seconds to watch each of these verifications at most.
    #[arg(long, default_value_t = 60, requires = "trial")]
    watch: u64,
    /// Print the findings as one JSON array.
    #[arg(long)]
    json: bool,
}

/// Prints all findings; fails when one is wrong, and accepts warnings.
pub async fn run(args: &DoctorArgs, env_file: EnvFile) -> anyhow::Result<()> {
    if env_file == EnvFile::Unreadable {
        print_error(&anyhow::anyhow!(UNREADABLE));
    }
    let (send, call) = (args.send.clone(), args.call.clone());
    let options = DoctorOptions { run: args.run, send, call, watch: Duration::from_secs(args.watch) };
    let mut findings: Vec<Finding> = Vec::new();
    let mut print = |finding: &Finding| {
        if args.json { findings.push(finding.clone()) } else { print_line(&finding.to_string()) }
    };
    let counts = doctor::examine(env(), &options, &mut print).await;
    print_line(&if args.json { serde_json::to_string_pretty(&findings)? } else { counts.to_string() });
    if counts.is_healthy() { Ok(()) } else { Err(UnhealthyDeployment(counts).into()) }
}
