//! Pages that try to reach a network or a file, or to never end: `fixtures/pdf/hostile`. Each
//! says in its first line what it tries and what Chromium makes of it. Whatever the renderer, nothing
//! is reached, each gets an answer in time, and an honest page beside them is rendered.

mod support;

use std::collections::VecDeque;
use std::fs::{self, OpenOptions};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use support::http::{Reply, post, wait_for};
use support::{Function, start_bare};

/// Pages at the same time.
const SIDE_BY_SIDE: usize = 4;

const RENDER_LIMIT: Duration = Duration::from_secs(8);

/// What a page may reach for; touched by nobody, one hopes.
struct Canaries {
    tcp: TcpListener,
    udp: UdpSocket,
    /// A named pipe: who opens it to read wakes the thread that opens it to write.
    file: PathBuf,
    touched: AtomicUsize,
    over: AtomicBool,
}

impl Canaries {
    fn new(folder: &Path) -> Self {
        let file = folder.join("canary.txt");
        mkfifo(&file, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        Self {
            tcp: TcpListener::bind("127.0.0.1:0").unwrap(),
            udp: UdpSocket::bind("127.0.0.1:0").unwrap(),
            file,
            touched: AtomicUsize::new(0),
            over: AtomicBool::new(false),
        }
    }

    /// Counts touches while `work` runs.
    fn watch(&self, work: impl FnOnce()) -> usize {
        thread::scope(|scope| {
            scope.spawn(|| self.count(|| self.tcp.accept().map(drop)));
            scope.spawn(|| self.count(|| self.udp.recv(&mut [0; 8]).map(drop)));
            scope.spawn(|| self.count(|| OpenOptions::new().write(true).open(&self.file).map(drop)));
            // A failure must not wait for the canaries.
            let outcome = catch_unwind(AssertUnwindSafe(work));
            let touched = self.touched.load(Ordering::SeqCst);
            // Each of them is touched once, to end its thread and to prove that it would have told.
            self.over.store(true, Ordering::SeqCst);
            TcpStream::connect(self.tcp.local_addr().unwrap()).unwrap();
            UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"x", self.udp.local_addr().unwrap()).unwrap();
            drop(fs::File::open(&self.file).unwrap());
            wait_for("the canaries to tell", || {
                (self.touched.load(Ordering::SeqCst) == touched + 3).then_some(())
            });
            outcome.map(|()| touched)
        })
        .unwrap_or_else(|panic| resume_unwind(panic))
    }

    fn count(&self, mut touch: impl FnMut() -> std::io::Result<()>) {
        while !self.over.load(Ordering::SeqCst) {
            touch().unwrap();
            self.touched.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A page with the canaries' addresses.
    fn fill_in(&self, page: &str) -> String {
        let (tcp, udp) = (self.tcp.local_addr().unwrap(), self.udp.local_addr().unwrap());
        page.replace("{tcp}", &tcp.to_string())
            .replace("{port}", &tcp.port().to_string())
            .replace("{udp}", &udp.to_string())
            .replace("{file}", self.file.to_str().unwrap())
    }
}

/// The pages, by name.
fn corpus() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pdf/hostile");
    let mut pages: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_stem().unwrap().to_string_lossy().into_owned(), fs::read_to_string(path).unwrap())
        })
        .collect();
    pages.sort();
    assert!(pages.len() > 20, "the corpus is there");
    pages
}

/// Held shared by each page on its way, and alone by one that is sent again.
static ROOM: RwLock<()> = RwLock::new(());

/// Sends a page; once more if the browser ended under it, which another page may be guilty of: then
/// without neighbours.
fn render(function: &Function, page: &str) -> Reply {
    let send = || {
        let sent_at = Instant::now();
        let reply = post(function.address, "/predict", page.as_bytes());
        assert!(sent_at.elapsed() < 3 * RENDER_LIMIT, "it took {:?}: {page:.200}", sent_at.elapsed());
        reply
    };
    let reply = {
        let _shared = ROOM.read().unwrap_or_else(PoisonError::into_inner);
        send()
    };
    if reply.status == 500 && String::from_utf8_lossy(&reply.body).contains("the browser ended") {
        let _alone = ROOM.write().unwrap_or_else(PoisonError::into_inner);
        return send();
    }
    reply
}

/// Sends each hostile page, and an honest one after it; `judge` looks at the answer to the first.
fn send_all(function: &Function, canaries: &Canaries, judge: impl Fn(&str, &str, &Reply) + Sync) {
    let pages = Mutex::new(VecDeque::from(corpus()));
    let next = || pages.lock().unwrap().pop_front();
    thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                while let Some((name, page)) = next() {
                    let reply = render(function, &canaries.fill_in(&page));
                    judge(&name, &page, &reply);
                    let honest = render(function, "<p>honest");
                    assert_eq!(honest.status, 200, "after {name}: {}", String::from_utf8_lossy(&honest.body));
                }
            });
        }
    });
}

fn start(renderer: &str, folder: &Path, settings: &[(&str, &str)]) -> Function {
    let seconds = RENDER_LIMIT.as_secs().to_string();
    let folder = folder.to_str().unwrap();
    let own = [
        ("WORKLOAD", "pdf"),
        ("PDF_RENDERER", renderer),
        ("PDF_RENDER_SECONDS", &seconds),
        ("INFERENCE_THREADS", "4"),
        ("TMPDIR", folder),
    ];
    start_bare(&[&own, settings].concat())
}

#[test]
fn a_browser_reaches_nothing_for_a_page_and_is_cut_in_time() {
    if !support::browser::is_there("a_browser_reaches_nothing_for_a_page_and_is_cut_in_time") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let canaries = Canaries::new(folder.path());
    // Without the namespace, in which there is nothing to reach: the other fences must hold alone.
    let function = start("chromium", folder.path(), &[("CHROMIUM_NAMESPACE", "off")]);
    let touched = canaries.watch(|| {
        send_all(&function, &canaries, |name, page, reply| {
            let text = String::from_utf8_lossy(&reply.body);
            let expected = page.lines().next().and_then(|line| line.split("chromium: ").nth(1)).unwrap();
            match (expected.trim_end_matches(" -->"), reply.status) {
                ("pdf", 200) | ("limit", 413) | ("either", 200 | 413) => {}
                (expected, status) => panic!("{name}: expected {expected}, got {status}: {text}"),
            }
        });
    });
    assert_eq!(touched, 0, "a page reached something");
}

#[test]
fn the_native_renderer_reaches_nothing_for_a_page_and_is_cut_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let canaries = Canaries::new(folder.path());
    let function = start("native", folder.path(), &[]);
    let touched = canaries.watch(|| {
        send_all(&function, &canaries, |name, _, reply| {
            let text = String::from_utf8_lossy(&reply.body);
            assert!(matches!(reply.status, 200 | 413 | 422), "{name}: {} {text}", reply.status);
        });
    });
    assert_eq!(touched, 0, "a page reached something");
}
