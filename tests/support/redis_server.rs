//! A real `redis-server` for one test, on a free port, in a directory of its own. It ends with the test.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// What the server is started as.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Standalone,
    Cluster,
    Sentinel,
}

/// A running server.
pub(crate) struct RedisServer {
    /// The port on 127.0.0.1.
    pub(crate) port: u16,
    kind: Kind,
    dir: PathBuf,
    args: Vec<String>,
    child: Option<Child>,
}

impl RedisServer {
    /// One server.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// One server, with more arguments (`["--requirepass", "secret"]`).
    pub(crate) fn start_with(args: &[&str]) -> Self {
        Self::launch(Kind::Standalone, args)
    }

    /// A cluster of one node with all slots. It refuses commands across slots.
    pub(crate) fn start_cluster() -> Self {
        Self::start_cluster_with(&[])
    }

    /// The same, with more arguments.
    pub(crate) fn start_cluster_with(args: &[&str]) -> Self {
        let cluster = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];
        let server = Self::launch(Kind::Cluster, &[&cluster, args].concat());
        server.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
        server.wait_for("a cluster that is up", || server.command(&["CLUSTER", "INFO"]).contains("cluster_state:ok"));
        server
    }

    /// Three primaries, each with a third of the slots. The others keep answering if one is down.
    pub(crate) fn start_cluster_of_three() -> [Self; 3] {
        let args =
            ["--cluster-enabled", "yes", "--cluster-node-timeout", "5000", "--cluster-require-full-coverage", "no"];
        let servers = [(); 3].map(|()| Self::launch(Kind::Cluster, &args));
        for (n, (server, slots)) in
            servers.iter().zip([["0", "5460"], ["5461", "10922"], ["10923", "16383"]]).enumerate()
        {
            server.command(&["CLUSTER", "ADDSLOTSRANGE", slots[0], slots[1]]);
            server.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(n + 1).to_string()]);
        }
        for other in &servers[1..] {
            servers[0].command(&["CLUSTER", "MEET", "127.0.0.1", &other.port.to_string()]);
        }
        for server in &servers {
            server.wait_for("three nodes that know each other", || {
                let info = server.command(&["CLUSTER", "INFO"]);
                let is_whole = info.contains("cluster_slots_assigned:16384") && info.contains("cluster_size:3");
                is_whole && info.contains("cluster_state:ok")
            });
        }
        servers
    }

    /// A node of the cluster of `primary` that replicates it, with more arguments.
    pub(crate) fn start_cluster_replica_of(primary: &Self, args: &[&str]) -> Self {
        let args = [&["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"], args].concat();
        let server = Self::launch(Kind::Cluster, &args);
        server.command(&["CLUSTER", "MEET", "127.0.0.1", &primary.port.to_string()]);
        let id = primary.command(&["CLUSTER", "MYID"]);
        server.wait_for("a node that knows its primary", || server.command(&["CLUSTER", "REPLICATE", &id]) == "OK");
        server.wait_until_in_sync_with(primary);
        server
    }

    /// A replica of `primary` that has its data, with more arguments.
    pub(crate) fn start_replica_of(primary: &Self, args: &[&str]) -> Self {
        let server = Self::start_with(args);
        server.command(&["REPLICAOF", "127.0.0.1", &primary.port.to_string()]);
        server.wait_until_in_sync_with(primary);
        server
    }

    /// Until its first receipt the primary takes a replica that has the data for one that does not keep up, with a lag of 0.
    fn wait_until_in_sync_with(&self, primary: &Self) {
        let port = format!("port={},state=online", self.port);
        self.wait_for("a replica that its primary counts", || {
            self.command(&["INFO", "replication"]).contains("master_link_status:up")
                && primary.command(&["INFO", "replication"]).contains(&port)
        });
    }

    /// Stops the replication to every replica, which stay configured as replicas.
    pub(crate) fn cut_off_replicas(&self) {
        self.command(&["ACL", "SETUSER", "default", "-psync", "-sync"]);
        self.command(&["CLIENT", "KILL", "TYPE", "replica"]);
    }

    /// Whether the server is a primary. One that changes its role closes its connections.
    pub(crate) fn is_primary(&self) -> bool {
        self.try_command(&["ROLE"]).is_ok_and(|answer| answer.contains("master"))
    }

    /// Stops the process, which keeps its connections, until [`Self::resume`].
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Ends [`Self::freeze`].
    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.child.as_ref().expect("it runs").id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().expect("kill runs").success());
    }

    /// A sentinel that watches `master` under the name `main`.
    pub(crate) fn start_sentinel(master: &Self) -> Self {
        Self::start_sentinel_with(master.port, &[])
    }

    /// A sentinel that watches the master at `port`, with more arguments.
    pub(crate) fn start_sentinel_with(port: u16, args: &[&str]) -> Self {
        let server = Self::launch(Kind::Sentinel, args);
        server.command(&["SENTINEL", "MONITOR", "main", "127.0.0.1", &port.to_string(), "1"]);
        server
    }

    fn launch(kind: Kind, args: &[&str]) -> Self {
        // Another test may take the port between `free_port` and the start of the server.
        for _ in 0..20 {
            let port = free_port();
            let dir = std::env::temp_dir().join(format!("phlo2fa-test-redis-{}-{port}", std::process::id()));
            std::fs::create_dir_all(&dir).expect("a directory for redis-server");
            let args = args.iter().map(|&arg| arg.to_owned()).collect();
            let mut server = Self { port, kind, dir, args, child: None };
            if server.spawn() {
                return server;
            }
        }
        panic!("redis-server did not start on any of 20 ports");
    }

    /// Starts the process and returns whether it listens.
    fn spawn(&mut self) -> bool {
        let mut command = Command::new("redis-server");
        if self.kind == Kind::Sentinel {
            let config = self.dir.join("sentinel.conf");
            std::fs::write(&config, "").expect("a configuration for the sentinel");
            command.arg(config).arg("--sentinel");
        } else {
            command.args(["--save", "", "--appendonly", "no"]);
        }
        command.args(["--bind", "127.0.0.1", "--daemonize", "no", "--port", &self.port.to_string()]);
        command.arg("--dir").arg(&self.dir).args(&self.args);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap_or_else(|error| {
            panic!("these tests need redis-server in the PATH ({error}): `make test` installs it, or apt-get install redis-server")
        });
        self.child = Some(child);
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(10) {
            if self.child.as_mut().is_some_and(|child| !matches!(child.try_wait(), Ok(None))) {
                return false;
            }
            if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// A URL that reaches it.
    pub(crate) fn url(&self) -> String {
        match self.kind {
            Kind::Standalone => format!("redis://127.0.0.1:{}", self.port),
            Kind::Cluster => format!("redis+cluster://127.0.0.1:{}", self.port),
            Kind::Sentinel => format!("redis+sentinel://127.0.0.1:{}/main", self.port),
        }
    }

    /// Kills the server, as a crash would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("redis-server can be ended");
            child.wait().expect("redis-server ends");
        }
    }

    /// Kills the server and starts it again on the same port, empty.
    pub(crate) fn restart(&mut self) {
        self.kill();
        assert!(self.spawn(), "redis-server did not start again on port {}", self.port);
        if self.kind == Kind::Cluster {
            self.wait_for("a cluster that is up", || self.command(&["CLUSTER", "INFO"]).contains("cluster_state:ok"));
        }
    }

    /// Runs one command over a connection of its own and returns its answer; a list has one line for each part.
    pub(crate) fn command(&self, words: &[&str]) -> String {
        self.try_command(words).expect("redis-server answers")
    }

    /// The same, with an error if the server closes the connection, as when it changes its role.
    pub(crate) fn try_command(&self, words: &[&str]) -> std::io::Result<String> {
        read_answer(&mut BufReader::new(self.send(words)))
    }

    /// Sends one command over a connection of its own, without waiting for the answer.
    pub(crate) fn send(&self, words: &[&str]) -> TcpStream {
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request += &format!("${}\r\n{word}\r\n", word.len());
        }
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("redis-server listens");
        stream.write_all(request.as_bytes()).expect("redis-server accepts a command");
        stream
    }

    /// Every key with its value.
    pub(crate) fn everything(&self) -> String {
        let mut all = String::new();
        for key in self.command(&["KEYS", "*"]).lines() {
            let read: &[&str] = match self.command(&["TYPE", key]).as_str() {
                "string" => &["GET", key],
                "list" => &["LRANGE", key, "0", "-1"],
                "zset" => &["ZRANGE", key, "0", "-1"],
                "hash" => &["HGETALL", key],
                "set" => &["SMEMBERS", key],
                // It expired between the two commands.
                "none" => continue,
                kind => panic!("{key} is a {kind}, which these tests cannot read"),
            };
            all += &format!("{key} {}\n", self.command(read));
        }
        all
    }

    /// The keys without a TTL.
    pub(crate) fn everlasting(&self) -> Vec<String> {
        let script = "local stay = {} for _, key in ipairs(redis.call('KEYS', '*')) do \
            if redis.call('PTTL', key) == -1 then stay[#stay + 1] = key end end return stay";
        self.command(&["EVAL", script, "0"]).lines().map(str::to_owned).collect()
    }

    fn wait_for(&self, expected: &str, mut is_reached: impl FnMut() -> bool) {
        let start = Instant::now();
        while !is_reached() {
            assert!(start.elapsed() < Duration::from_secs(20), "waited in vain for {expected}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// A free port below those of outgoing connections, so that it stays free while its server is down.
pub(crate) fn free_port() -> u16 {
    // A cluster node also listens on the port 10,000 above its own.
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 9000).unwrap_or_default();
    loop {
        let port = 11_000 + (start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed))) % 10_000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

fn read_answer(from: &mut impl BufRead) -> std::io::Result<String> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    let (kind, rest) = line.trim_end().split_at_checked(1).expect("redis-server answers in its protocol");
    Ok(match (kind, rest.parse::<usize>()) {
        ("$", Ok(length)) => {
            let mut text = vec![0; length + 2];
            from.read_exact(&mut text)?;
            String::from_utf8_lossy(&text[..length]).into_owned()
        }
        ("*", Ok(parts)) => (0..parts).map(|_| read_answer(from)).collect::<Result<Vec<_>, _>>()?.join("\n"),
        ("$" | "*", Err(_)) => String::new(),
        _ => rest.to_owned(),
    })
}
