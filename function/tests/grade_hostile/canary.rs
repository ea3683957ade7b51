//! What no submission may reach: a process, files, and servers on every kind of address. Afterwards they say
//! whether anybody was there.

use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::{fs, process};

use tempfile::TempDir;

const UNTOUCHED: &str = "untouched";
/// What is in the secret file, as an unknown type of C: a compiler that reads it quotes it.
const SECRET_OF_FILE: &str = "kept_in_a_file_9d1c";
/// What is in the function's environment.
pub const SECRET_OF_ENVIRONMENT: &str = "kept_in_the_environment_77ae";

pub struct Canary {
    /// A folder in which everybody may write.
    pub outside: PathBuf,
    /// A file in it that everybody may write.
    pub file: PathBuf,
    /// A file that everybody may read.
    pub secret_file: PathBuf,
    /// The function's folder for temporary files.
    pub temporary: PathBuf,
    pub socket: PathBuf,
    pub abstract_name: String,
    /// Of TCP and of UDP.
    pub port: u16,
    /// A program that got what it wanted says this; nobody can guess it before.
    pub mark: String,
    process: Child,
    tcp: TcpListener,
    udp: UdpSocket,
    unix: [UnixListener; 2],
    kernel_objects: Vec<String>,
    _folder: TempDir,
}

impl Canary {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        let open = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        // Submissions may run as another user, who has to be able to get to their own folder.
        open(&base, 0o755);
        let (outside, temporary) = (base.join("outside"), base.join("temporary"));
        for folder in [&outside, &temporary] {
            fs::create_dir(folder).unwrap();
            open(folder, 0o777);
        }
        let (file, secret_file) = (outside.join("canary"), base.join("secret"));
        fs::write(&file, UNTOUCHED).unwrap();
        open(&file, 0o666);
        fs::write(&secret_file, format!("{SECRET_OF_FILE} secret;\n")).unwrap();
        let (tcp, udp) = one_port();
        tcp.set_nonblocking(true).unwrap();
        udp.set_nonblocking(true).unwrap();
        let socket = base.join("socket");
        let mark = format!("{:016x}", rand::random::<u64>());
        let abstract_name = format!("canary-{mark}");
        let address = SocketAddr::from_abstract_name(&abstract_name).unwrap();
        let unix = [UnixListener::bind(&socket).unwrap(), UnixListener::bind_addr(&address).unwrap()];
        open(&socket, 0o777);
        for listener in &unix {
            listener.set_nonblocking(true).unwrap();
        }
        Self {
            port: tcp.local_addr().unwrap().port(),
            process: Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap(),
            kernel_objects: kernel_objects(),
            outside,
            file,
            secret_file,
            temporary,
            socket,
            abstract_name,
            mark,
            tcp,
            udp,
            unix,
            _folder: folder,
        }
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What is wrong with an answer's text.
    pub fn faults_in(&self, answer: &str) -> Vec<String> {
        let mut faults: Vec<String> = answer
            .match_indices(&format!("{}: ", self.mark))
            .map(|(at, mark)| {
                let what = answer[at + mark.len()..].split(['\\', '"', '\n']).next();
                format!("it got what it wanted: {}", what.unwrap_or_default())
            })
            .collect();
        for secret in [SECRET_OF_FILE, SECRET_OF_ENVIRONMENT] {
            if answer.contains(secret) {
                faults.push(format!("the answer tells a secret: {secret}"));
            }
        }
        faults
    }

    /// What somebody did to it since it was asked last.
    pub fn faults(&mut self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut fault = |what: &str| faults.push(what.to_owned());
        if fs::read_to_string(&self.file).ok().as_deref() != Some(UNTOUCHED) {
            fault("the canary's file was changed");
            let _ = fs::write(&self.file, UNTOUCHED);
        }
        for folder in ["/tmp", "/var/tmp", "/dev/shm", "/run/lock", "/dev/mqueue"] {
            let left = Path::new(folder).join(format!("left-{}", self.mark));
            if fs::remove_file(&left).is_ok() {
                fault(&format!("{} was left", left.display()));
            }
        }
        if fs::read_dir(&self.outside).unwrap().count() != 1 {
            fault("something was left outside");
            let _ = fs::remove_file(self.outside.join(format!("left-{}", self.mark)));
        }
        if self.process.try_wait().unwrap().is_some() {
            fault("the canary's process was killed");
            self.process = Command::new("sleep").arg("600").spawn().unwrap();
        }
        if self.tcp.accept().is_ok() {
            fault("a TCP connection");
        }
        let mut datagram = [0; 16];
        if !matches!(self.udp.recv(&mut datagram), Err(error) if error.kind() == ErrorKind::WouldBlock) {
            fault("a datagram");
        }
        if self.unix.iter().any(|listener| listener.accept().is_ok()) {
            fault("a connection of a UNIX socket");
        }
        let objects = kernel_objects();
        if objects != self.kernel_objects {
            fault("shared memory, a semaphore or a queue was left in the kernel");
            self.kernel_objects = objects;
        }
        faults
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The same port of TCP and UDP.
fn one_port() -> (TcpListener, UdpSocket) {
    for _ in 0..100 {
        let tcp = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()) {
            return (tcp, udp);
        }
    }
    panic!("no port is free for both TCP and UDP");
}

/// System V objects, which live on without a process: kind and identifier.
fn kernel_objects() -> Vec<String> {
    let ids = |kind: &str| {
        let table = fs::read_to_string(format!("/proc/sysvipc/{kind}")).unwrap_or_default();
        let id = |line: &str| line.split_whitespace().nth(1).map(|id| format!("{kind} {id}"));
        table.lines().skip(1).filter_map(id).collect::<Vec<_>>()
    };
    ["shm", "sem", "msg"].into_iter().flat_map(ids).collect()
}

/// Processes below this one but for those named: identifier, state and command.
pub fn descendants(but: &[u32]) -> Vec<String> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        // The command stands in brackets and may hold anything.
        let Some((command, rest)) = stat.rsplit_once(')') else { continue };
        let mut fields = rest.split_whitespace();
        let (state, parent) =
            (fields.next().unwrap_or("?"), fields.next().and_then(|p| p.parse::<u32>().ok()));
        let command = command.split_once('(').map_or("", |(_, command)| command);
        parents.push((pid, parent.unwrap_or(0), format!("{pid} {state} {command}")));
    }
    let mut found = vec![process::id()];
    let mut next = 0;
    while next < found.len() {
        let parent = found[next];
        found.extend(parents.iter().filter(|(_, of, _)| *of == parent).map(|(pid, ..)| *pid));
        next += 1;
    }
    let is_ours = |pid: &u32| *pid != process::id() && !but.contains(pid);
    let named = |pid: &u32| parents.iter().find(|(known, ..)| known == pid).map(|(.., text)| text.clone());
    found.iter().filter(|pid| is_ours(pid)).filter_map(named).collect()
}
