//! What a process has used, from `/proc`.

use std::fs;

/// A process of this machine.
#[derive(Clone, Copy)]
pub struct Process(pub u32);

impl Process {
    /// Processor seconds so far, of all threads that live.
    pub fn processor_seconds(self) -> f64 {
        // utime and stime in `stat` count whole hundredths; `schedstat` begins with nanoseconds.
        let tasks = fs::read_dir(format!("/proc/{}/task", self.0)).expect("the process lives");
        let nanos = tasks.filter_map(|task| {
            let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        nanos.sum::<u64>() as f64 / 1e9
    }

    /// Resident memory in MiB.
    pub fn resident_mib(self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).expect("the process lives");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        let kib: f64 = line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number");
        kib / 1024.0
    }
}
