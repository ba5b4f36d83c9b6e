//! Servers that run on Java: fetched once into `target/test-servers`, started on free ports of 127.0.0.1, and ended
//! with this process.
//!
//! No destructor runs for statics, nor when the process is killed, so each server hangs on a pipe: a shell holds the
//! reading end, and when it sees the end of it (this process is gone) it ends the server and removes its files. The
//! same shell takes orders over the pipe: it is the server's parent, so it never signals another process by mistake.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{self, Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{RUNTIME, say, variable};

pub(crate) const KAFKA_VERSION: &str = "4.3.1";
pub(crate) const REGISTRY_VERSION: &str = "3.3.3";
/// A cold start on a small machine that compiles at the same time.
const START_LIMIT: Duration = Duration::from_secs(120);
/// One question to a server that may still be starting.
const PROBE_LIMIT: Duration = Duration::from_secs(2);
/// `$0` is the server's directory, the rest its command; the orders are `start` and the names of signals. Those that end
/// the server are carried out when it has ended.
const HANG_ON_PIPE: &str = r#"
while read -r order; do
    case $order in
        start) "$@" >>"$0/log" 2>&1 </dev/null & server=$! ;;
        KILL|TERM) kill -$order $server; wait $server ;;
        *) kill -$order $server ;;
    esac
    echo carried out
done
kill -KILL $server; wait $server; rm -rf "$0""#;

/// A server that can be started; it ends when this is dropped or the process ends.
pub(crate) struct Server {
    shell: Child,
    /// The writing end of the pipe, and where the shell says that an order was carried out.
    pipe: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    dir: PathBuf,
}

impl Server {
    /// Of `program`, whose directory this is from now on; it does not run yet.
    pub(crate) fn new(dir: PathBuf, mut shell: Command, program: &Path, args: &[&str]) -> Server {
        let words = File::create(dir.join("shell")).expect("a file for what the shell says");
        shell.args(["-c", HANG_ON_PIPE]).arg(&dir).arg(program).args(args);
        let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(words).spawn().expect("sh runs");
        let pipe = (shell.stdin.take().expect("a pipe"), BufReader::new(shell.stdout.take().expect("a pipe")));
        Server { shell, pipe: Mutex::new(pipe), dir }
    }

    /// Where its files are.
    #[allow(dead_code, reason = "only the integration tests look at them")]
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its process, while it runs.
    #[allow(dead_code, reason = "only the load bench asks")]
    pub(crate) fn pid(&self) -> Option<u32> {
        let shell = self.shell.id();
        let children = fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    }

    /// `start`, or a signal: `KILL`, `TERM`, `STOP`, `CONT`. Waits until it is carried out.
    pub(crate) fn order(&self, order: &str) {
        let mut pipe = self.pipe.lock().expect("the pipe");
        writeln!(pipe.0, "{order}").expect("the shell lives");
        let mut done = String::new();
        pipe.1.read_line(&mut done).expect("the shell lives");
        assert_eq!(done, "carried out\n", "{order}");
    }
}

/// Where fetched servers are kept from run to run.
pub(crate) fn test_servers() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target directory");
    target.join("test-servers")
}

/// A port that was free a moment ago, and below those that the kernel gives to outgoing connections (from 32768 on):
/// while nothing listens on it, one of those could take it, or even connect to itself.
pub(crate) fn free_port() -> u16 {
    const FIRST: u32 = 15_000;
    const COUNT: u32 = 15_000;
    static TRIED: AtomicU32 = AtomicU32::new(0);
    // Another run begins elsewhere; a prime step, so that two that follow each other part.
    let begin = process::id().wrapping_mul(7919);
    let next = || begin.wrapping_add(TRIED.fetch_add(1, Ordering::Relaxed)) % COUNT + FIRST;
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (0..COUNT).filter_map(|_| u16::try_from(next()).ok()).find(free).expect("a free port")
}

/// Any will do, the same for every run.
const CLUSTER_ID: &str = "4L6g3nShT-eMCtK--X86sw";

/// What a JVM is told that shares a small machine with many tests.
pub(crate) const SMALL_JVM: &[&str] = &["-Xmx384m", "-XX:+UseSerialGC"];

/// An Apache Kafka node, with its directory and port.
pub(crate) struct Kafka {
    pub(crate) server: Server,
    /// As `kafka.bootstrap_servers` has it.
    pub(crate) address: String,
    /// Its back door, for clients that are to reach it by way of something else.
    #[allow(dead_code, reason = "only the fault suite comes that way")]
    pub(crate) back_door: String,
    program: KafkaProgram,
    /// What its storage is made with.
    format: Vec<String>,
}

impl Kafka {
    /// Of a directory and `properties` that say all of its configuration; it only has to be started. `format` are the
    /// arguments for making its storage, `jvm` those of its JVM.
    pub(crate) fn prepare(
        program: &KafkaProgram,
        dir: PathBuf,
        properties: &str,
        [address, back_door]: [SocketAddr; 2],
        format: &[&str],
        jvm: &[&str],
    ) -> Kafka {
        let config = dir.join("server.properties");
        fs::write(&config, properties).expect("server.properties");
        let config = config.display().to_string();
        let args = [jvm, &["-cp", &program.class_path, "kafka.Kafka", &config]].concat();
        let server = Server::new(dir, Command::new("sh"), &program.java, &args);
        let format = [&["-c", &config, "--ignore-formatted"], format].concat();
        let format = format.into_iter().map(String::from).collect();
        let (address, back_door) = (address.to_string(), back_door.to_string());
        let kafka = Kafka { server, address, back_door, program: program.clone(), format };
        kafka.format();
        kafka
    }

    /// Starts it, for the first time or again on what it had, and waits until it listens.
    pub(crate) fn start(&self) -> Result<(), String> {
        self.server.order("start");
        up("Kafka listens", &self.server.dir, || TcpStream::connect(&self.address).ok().map(drop))
    }

    /// Gives it an empty disk. It must not run.
    #[allow(dead_code, reason = "only the fault suite takes a disk away")]
    pub(crate) fn wipe(&self) {
        fs::remove_dir_all(self.server.dir.join("data")).expect("its data");
        self.format();
    }

    fn format(&self) {
        let formatted = Command::new(&self.program.java)
            .args(["-cp", &self.program.class_path, "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID])
            .args(&self.format)
            .output()
            .expect("java runs");
        assert!(formatted.status.success(), "StorageTool: {}", String::from_utf8_lossy(&formatted.stderr));
    }
}

/// Apache Kafka as it was fetched, and a Java to run it.
#[derive(Clone)]
pub(crate) struct KafkaProgram {
    java: PathBuf,
    class_path: String,
}

impl KafkaProgram {
    /// Where Java finds its classes, and those of Kafka's client.
    #[allow(dead_code, reason = "only the integration tests run programs of their own with it")]
    pub(crate) fn class_path(&self) -> &str {
        &self.class_path
    }

    /// Fetched, where it was not yet; or what is missing.
    pub(crate) fn get() -> Result<KafkaProgram, String> {
        let java = java(17)?;
        let libs = test_servers().join(format!("kafka-{KAFKA_VERSION}"));
        if !complete(&libs) {
            let pom = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/kafka/pom.xml");
            fetch(&format!("Apache Kafka {KAFKA_VERSION}"), &libs, |into| {
                maven(&["-f", pom, "dependency:copy-dependencies", "-DincludeScope=runtime"], "outputDirectory", into)
            })?;
        }
        Ok(KafkaProgram { java, class_path: format!("{}/*", libs.display()) })
    }
}

/// Makes a Kafka of one node that only has to be started, or says what is missing. Whoever comes by its back door is told
/// to find it at `front`. `properties` are further lines of its configuration, in which `{listeners}` and `{advertised}` stand
/// for what it has anyway; `format` are further arguments for making its storage, `jvm` those of its JVM.
pub(crate) fn prepare_kafka(
    name: &str,
    front: Option<SocketAddr>,
    properties: &str,
    format: &[&str],
    jvm: &[&str],
) -> Result<Kafka, String> {
    let program = KafkaProgram::get()?;
    let dir = fresh_dir(name);
    let [address, back_door, controller] = [(); 3].map(|()| local_address());
    let front = front.unwrap_or(back_door);
    let text = kafka_properties(&dir, 1, [address, back_door, front, controller])
        + &format!("controller.quorum.bootstrap.servers={controller}\n");
    let listeners = format!("PLAINTEXT://{address},BACK_DOOR://{back_door},CONTROLLER://{controller}");
    let advertised = format!("PLAINTEXT://{address},BACK_DOOR://{front}");
    let properties = properties.replace("{listeners}", &listeners).replace("{advertised}", &advertised);
    let format = [&["--standalone"], format].concat();
    Ok(Kafka::prepare(&program, dir, &(text + &properties), [address, back_door], &format, jvm))
}

/// A port of 127.0.0.1 that was free a moment ago.
pub(crate) fn local_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port()))
}

/// What every node has, whatever its quorum: its number, its directory, and where it listens.
pub(crate) fn kafka_properties(
    dir: &Path,
    node: usize,
    [address, back_door, front, controller]: [SocketAddr; 4],
) -> String {
    format!(
        "process.roles=broker,controller\nnode.id={node}\n\
         listeners=PLAINTEXT://{address},BACK_DOOR://{back_door},CONTROLLER://{controller}\n\
         advertised.listeners=PLAINTEXT://{address},BACK_DOOR://{front}\ncontroller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,BACK_DOOR:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         inter.broker.listener.name=PLAINTEXT\nlog.dirs={}/data\nnum.partitions=1\nauto.create.topics.enable=false\n\
         offsets.topic.replication.factor=1\noffsets.topic.num.partitions=1\n\
         transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
         transaction.state.log.num.partitions=1\ngroup.initial.rebalance.delay.ms=0\n\
         log.cleaner.dedupe.buffer.size=2097152\n",
        dir.display()
    )
}

/// Starts Apicurio; gives the address of its Confluent API, or what is missing.
pub(crate) fn start_registry() -> Result<(Server, String), String> {
    let java = java(21)?;
    let app = test_servers().join(format!("apicurio-{REGISTRY_VERSION}"));
    if !complete(&app) {
        fetch(&format!("Apicurio {REGISTRY_VERSION}"), &app, |into| {
            let artifact = format!("-Dartifact=io.apicurio:apicurio-registry-app:{REGISTRY_VERSION}:tar.gz:all");
            maven(&["dependency:copy", &artifact], "outputDirectory", into)?;
            let archive = into.join(format!("apicurio-registry-app-{REGISTRY_VERSION}-all.tar.gz"));
            run(Command::new("tar").arg("xzf").arg(&archive).arg("-C").arg(into))?;
            fs::remove_file(archive).map_err(|e| e.to_string())
        })?;
    }
    let jar = find_jar(&app).ok_or("no quarkus-run.jar in the archive")?;
    let first = try_registry(&java, &jar);
    // It has been seen not to come up once, on a machine where it came up before and after.
    let (server, url) = first.or_else(|words| {
        say(&format!("{words}\nanother try"));
        try_registry(&java, &jar)
    })?;
    Ok((server, url))
}

fn try_registry(java: &Path, jar: &Path) -> Result<(Server, String), String> {
    let dir = fresh_dir("registry");
    let (port, management) = (free_port(), free_port());
    let (port_arg, management_arg) =
        (format!("-Dquarkus.http.port={port}"), format!("-Dquarkus.management.port={management}"));
    let jar_name = jar.display().to_string();
    let args = [
        "-Xmx512m",
        "-XX:+UseSerialGC",
        "-Dquarkus.http.host=127.0.0.1",
        &port_arg,
        &management_arg,
        "-jar",
        &jar_name,
    ];
    let mut shell = Command::new("sh");
    shell.current_dir(jar.parent().expect("a directory"));
    let server = Server::new(dir, shell, java, &args);
    server.order("start");
    let url = format!("http://127.0.0.1:{port}/apis/ccompat/v7");
    let client = reqwest::Client::builder().no_proxy().timeout(PROBE_LIMIT).build().map_err(|e| e.to_string())?;
    up("Apicurio answers", &server.dir, || {
        let answer = RUNTIME.block_on(async { client.get(format!("{url}/subjects")).send().await }).ok()?;
        answer.status().is_success().then_some(())
    })?;
    Ok((server, url))
}

/// Waits for a server; gives the end of its log if it does not come, since its directory goes with it.
pub(crate) fn up(what: &str, dir: &Path, mut probe: impl FnMut() -> Option<()>) -> Result<(), String> {
    let started = Instant::now();
    while probe().is_none() {
        if started.elapsed() > START_LIMIT {
            let log = fs::read(dir.join("log")).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            let last = log.lines().count().saturating_sub(40);
            let tail: Vec<_> = log.lines().skip(last).collect();
            return Err(format!("not within {START_LIMIT:?}: {what}; the end of its log:\n{}", tail.join("\n")));
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// A server's directory; it goes with the server.
pub(crate) fn fresh_dir(name: &str) -> PathBuf {
    let dir = test_servers().join(format!("run-{}-{name}", process::id()));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).expect("a directory for the server");
    dir
}

/// Fetched to its end; what a broken run left behind is not.
fn complete(dir: &Path) -> bool {
    dir.join(".complete").exists()
}

fn fetch(what: &str, dir: &Path, get: impl FnOnce(&Path) -> Result<(), String>) -> Result<(), String> {
    say(&format!("fetching {what} to {}", dir.display()));
    let _ = fs::remove_dir_all(dir);
    fs::create_dir_all(dir).map_err(|e| e.to_string())?;
    get(dir)?;
    fs::write(dir.join(".complete"), "").map_err(|e| e.to_string())
}

fn maven(args: &[&str], directory_key: &str, into: &Path) -> Result<(), String> {
    run(Command::new("mvn").args(["-q", "-B"]).args(args).arg(format!("-D{directory_key}={}", into.display())))
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|e| format!("{name}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let words = [output.stdout, output.stderr].concat();
    Err(format!("{name} failed: {}", String::from_utf8_lossy(&words)))
}

fn find_jar(dir: &Path) -> Option<PathBuf> {
    let entries: Vec<_> = fs::read_dir(dir).ok()?.flatten().map(|e| e.path()).collect();
    let here = entries.iter().find(|path| path.ends_with("quarkus-run.jar")).cloned();
    here.or_else(|| entries.iter().filter(|path| path.is_dir()).find_map(|path| find_jar(path)))
}

/// Whether there is Maven, and a Java of at least `version` that `java` starts; or what is missing.
#[allow(dead_code, reason = "only the examples are built with it")]
pub(crate) fn available(version: u32) -> Result<(), String> {
    java(version)?;
    match java_version(Path::new("java")) {
        Some(found) if found >= version => Ok(()),
        _ => Err(format!("`java` is not Java {version} or later")),
    }
}

/// A Java of at least `version`: on the PATH, in `JAVA_HOME`, or where Linux distributions put them.
fn java(version: u32) -> Result<PathBuf, String> {
    if Command::new("mvn").arg("-v").output().is_err() || Command::new("java").arg("-version").output().is_err() {
        return Err("java or mvn is not on the PATH".into());
    }
    let home = variable("JAVA_HOME").map(|home| Path::new(&home).join("bin/java"));
    let installed = fs::read_dir("/usr/lib/jvm").into_iter().flatten().flatten().map(|e| e.path().join("bin/java"));
    let candidates = [PathBuf::from("java")].into_iter().chain(home).chain(installed);
    let found = candidates.into_iter().find(|java| java_version(java).is_some_and(|found| found >= version));
    found.ok_or_else(|| format!("no Java {version} or later"))
}

fn java_version(java: &Path) -> Option<u32> {
    let output = Command::new(java).arg("-version").output().ok()?;
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    words.split('"').nth(1)?.split(['.', '-']).next()?.parse().ok()
}
