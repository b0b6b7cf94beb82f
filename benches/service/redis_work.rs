//! How much a Redis has done, without what it costs to ask.

use crate::redis_server::RedisServer;

/// Reads from clients, commands with those inside scripts, and the processor seconds of the server.
#[derive(Clone, Copy)]
pub struct RedisWork {
    pub reads: u64,
    pub commands: u64,
    pub processor_seconds: f64,
}

impl RedisWork {
    /// What was done during `work`.
    pub fn during(redis: &RedisServer, work: impl FnOnce()) -> Self {
        // Two readings without work between them show what a reading costs.
        let (first, before) = (Self::read(redis), Self::read(redis));
        work();
        let after = Self::read(redis);
        let since = |now: u64, then: u64, earlier: u64| (now - then).saturating_sub(then - earlier);
        Self {
            reads: since(after.reads, before.reads, first.reads),
            commands: since(after.commands, before.commands, first.commands),
            processor_seconds: after.processor_seconds - before.processor_seconds,
        }
    }

    fn read(redis: &RedisServer) -> Self {
        let info = redis.command(&["INFO", "everything"]);
        let field = |line: &str, name: &str| line.strip_prefix(name)?.split(',').next()?.parse::<u64>().ok();
        let reads = info.lines().find_map(|line| field(line, "total_reads_processed:"));
        let calls = info.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(':'));
        let commands = calls.filter_map(|(_, figures)| field(figures, "calls=")).sum();
        let seconds = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.parse::<f64>().ok());
        let [user, system] = ["used_cpu_user:", "used_cpu_sys:"].map(|name| seconds(name).expect("Redis' own time"));
        Self { reads: reads.expect("Redis 6 or newer"), commands, processor_seconds: user + system }
    }
}
