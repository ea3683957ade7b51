//! PDFs by the real browser, and its life: started, replaced, ended with the function.

mod support;

use std::path::Path;
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::browser::{descendants, is_there};
use support::http::{Reply, get, post, send, wait_for};
use support::{Function, drawn, refused, start_bare};

const PAGE: &str = "<!DOCTYPE html><meta charset=utf-8><title>Invoice</title>\
    <style>h1 { background: #cde } p { break-after: page }</style>\
    <h1>Größe</h1><p>One<p>Two<script>document.body.append('by script ' + Math.random())</script>\
    <img src=hills.jpg><img src='missing.png'>";

/// A function with a browser, its temporary files in a folder of the test's.
fn start(folder: &Path, settings: &[(&str, &str)]) -> Function {
    let folder = folder.to_str().unwrap();
    let own = [("WORKLOAD", "pdf"), ("PDF_RENDERER", "chromium"), ("TMPDIR", folder), ("DRAIN_SECONDS", "0")];
    start_bare(&[&own, settings].concat())
}

fn holds(pdf: &[u8], text: &str) -> bool {
    pdf.windows(text.len()).any(|window| window == text.as_bytes())
}

/// A form with the page and a picture.
fn post_with_picture(function: &Function) -> Reply {
    let mut body = format!(
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"page.html\"\r\nContent-Type: text/html\r\n\r\n\
         {PAGE}\r\n--b\r\nContent-Disposition: form-data; name=\"a\"; filename=\"hills.jpg\"\r\n\
         Content-Type: image/jpeg\r\n\r\n"
    )
    .into_bytes();
    body.extend(drawn("drawn-hills.jpg"));
    body.extend(b"\r\n--b--\r\n");
    send(function.address, "POST", "/predict", &[("Content-Type", "multipart/form-data; boundary=b")], &body)
}

#[test]
fn the_same_page_gives_the_same_bytes_from_any_browser_and_beside_others() {
    if !is_there("the_same_page_gives_the_same_bytes_from_any_browser_and_beside_others") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let function = start(folder.path(), &[("CHROMIUM_DOCUMENTS", "3"), ("INFERENCE_THREADS", "2")]);
    let first = post(function.address, "/predict", PAGE.as_bytes());
    assert_eq!(first.status, 200, "{}", String::from_utf8_lossy(&first.body));
    assert_eq!(first.header("Content-Type"), Some("application/pdf"));
    assert_eq!(first.header("X-Pdf-Pages"), Some("3"));
    assert_eq!(first.header("X-Pdf-Renderer"), Some("chromium"));
    assert!(first.header("X-Pdf-Browser").is_some_and(|browser| browser.contains('/')));
    assert!(holds(&first.body, "/FontFile"), "fonts are embedded");
    // A4: 595.28 by 841.89 points; Chromium rounds to 1/100 inch.
    assert!(holds(&first.body, "/MediaBox [0 0 59"), "A4");
    assert!(!holds(&first.body, "/DCTDecode"), "the picture was not sent");

    let browsers = |function: &Function| descendants(function.id()).first().copied().unwrap();
    let browser = browsers(&function);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..3 {
                    assert_eq!(post(function.address, "/predict", PAGE.as_bytes()).body, first.body);
                }
            });
        }
    });
    wait_for("the end of the browser that had its share", || (!browser.is_alive()).then_some(()));

    let illustrated = post_with_picture(&function);
    assert_eq!(illustrated.status, 200);
    assert!(holds(&illustrated.body, "/DCTDecode"), "the JPEG is in the PDF");
}

#[test]
fn a_killed_browser_is_replaced_and_sigterm_leaves_no_process_and_no_file() {
    if !is_there("a_killed_browser_is_replaced_and_sigterm_leaves_no_process_and_no_file") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut function = start(folder.path(), &[("CHROMIUM_SANDBOX", "off")]);
    let before = descendants(function.id());
    kill(Pid::from_raw(before[0].id.cast_signed()), Signal::SIGKILL).unwrap();
    wait_for("the end of its children", || before.iter().all(|process| !process.is_alive()).then_some(()));
    let reply = post(function.address, "/predict", PAGE.as_bytes());
    assert_eq!((reply.status, reply.header("X-Pdf-Sandbox")), (200, Some("off")));

    let about = get(function.address, "/").json();
    assert!(about["uses"]["sandbox"].as_str().unwrap().starts_with("off: "), "{about}");
    let after = descendants(function.id());
    function.signal(Signal::SIGTERM);
    assert_eq!(function.wait().code(), Some(0));
    assert!(function.stderr().contains("without its own sandbox"), "it is said at the start");
    wait_for("the end of all processes", || after.iter().all(|process| !process.is_alive()).then_some(()));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "no file is left");
}

#[test]
fn a_killed_function_leaves_no_process_and_the_next_one_removes_its_files() {
    if !is_there("a_killed_function_leaves_no_process_and_the_next_one_removes_its_files") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut function = start(folder.path(), &[("PDF_RENDER_SECONDS", "600")]);
    let address = function.address;
    let caller = thread::spawn(move || {
        // Gets no answer.
        let _ = std::panic::catch_unwind(|| post(address, "/predict", b"<script>for (;;);</script>"));
    });
    wait_for("the script to run", || {
        let metrics = String::from_utf8(get(address, "/metrics").body).unwrap();
        metrics.contains("\nfunction_in_flight 1\n").then_some(())
    });
    let all = descendants(function.id());
    function.kill();
    wait_for("the end of all processes", || all.iter().all(|process| !process.is_alive()).then_some(()));
    caller.join().unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);

    let function = start(folder.path(), &[]);
    let folders: Vec<_> = std::fs::read_dir(folder.path()).unwrap().flatten().collect();
    let name = folders[0].file_name().into_string().unwrap();
    assert!(folders.len() == 1 && name.contains(&function.id().to_string()), "{folders:?}");
}

#[test]
fn without_a_browser_it_does_not_start_and_names_the_remedy() {
    let (code, line) =
        refused(&[("WORKLOAD", "pdf"), ("PDF_RENDERER", "chromium"), ("CHROMIUM", "/nowhere/browser")]);
    assert_eq!(code, Some(1));
    assert!(line.contains("CHROMIUM=/nowhere/browser: there is no such file"), "{line}");

    // A program that is no browser: what it said is shown.
    let (code, line) = refused(&[("WORKLOAD", "pdf"), ("PDF_RENDERER", "chromium"), ("CHROMIUM", "/bin/ls")]);
    assert_eq!(code, Some(1));
    assert!(line.contains("the browser ended") && line.contains("ls:"), "{line}");
}
