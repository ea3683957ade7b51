//! The native renderer through its processes: what it makes of pages, and what hostile ones get.

#![cfg(feature = "pdf-native")]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use function::workloads::WorkloadError;
use function::workloads::pdf::native::Native;
use function::workloads::pdf::page::{Asset, Page};
use function::workloads::pdf::{Limits, Renderer as _, count};

const LIMITS: Limits = Limits { render: Duration::from_mins(1), pages: 100, pdf_bytes: 10 << 20 };
const MEMORY_BYTES: u64 = 512 << 20;

/// A PNG of one red pixel.
const PIXEL: &[u8] = &[
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, 0x49, 0x48, 0x44, 0x52, 0, 0, 0, 1, 0, 0,
    0, 1, 8, 2, 0, 0, 0, 0x90, 0x77, 0x53, 0xde, 0, 0, 0, 0x0c, 0x49, 0x44, 0x41, 0x54, 0x08, 0xd7, 0x63,
    0xf8, 0xcf, 0xc0, 0, 0, 3, 1, 1, 0, 0x18, 0xdd, 0x8d, 0xb0, 0, 0, 0, 0, 0x49, 0x45, 0x4e, 0x44, 0xae,
    0x42, 0x60, 0x82,
];

fn native(memory_bytes: u64) -> Native {
    Native::new(env!("CARGO_BIN_EXE_function"), memory_bytes)
}

fn page(html: impl Into<String>) -> Page {
    Page { html: html.into(), assets: Vec::new() }
}

fn render(page: &Page) -> Vec<u8> {
    native(MEMORY_BYTES).render(page, &LIMITS).unwrap()
}

fn holds(pdf: &[u8], text: &str) -> bool {
    pdf.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn a_page_becomes_as_many_pages_as_it_breaks_into_and_the_same_bytes_each_time() {
    let page = page("<h1>One</h1><p>text</p><h1 style='break-before: page'>Two</h1><table><tr><td>x</table>");
    let pdf = render(&page);
    assert_eq!(count::pages(&pdf), Ok(2));
    assert_eq!(render(&page), pdf);
}

#[test]
fn pages_are_a4_and_no_font_is_left_to_the_reader() {
    let faces = "r <b>b</b> <i>i</i> <b><i>z</i></b>";
    let families = ["Arial", "Times", "Courier", "sans-serif", "serif", "monospace", "Nothing Like It"];
    let html = families.map(|family| format!("<p style='font-family: {family}'>{faces}</p>")).concat();
    let pdf = render(&page(html));
    assert!(holds(&pdf, "595.2"), "the width of A4 in points");
    assert!(holds(&pdf, "/FontFile2"));
    for name in ["Helvetica", "Times", "Courier"] {
        assert!(!holds(&pdf, name), "{name} would be the reader's own");
    }
}

#[test]
fn the_text_of_a_page_can_be_read_back() {
    let pdf = render(&page("<h1>Überschrift</h1><p>five ≤ six, and <b>bold</b></p>"));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), pdf).unwrap();
    let Ok(output) = Command::new("pdftotext").arg(file.path()).arg("-").stderr(Stdio::inherit()).output()
    else {
        eprintln!("skipped the_text_of_a_page_can_be_read_back: no pdftotext (package poppler-utils)");
        return;
    };
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("Überschrift") && text.contains("five ≤ six, and bold"), "{text}");
}

#[test]
fn assets_are_found_by_name_and_style_sheets_count() {
    let asset = |name: &str, content_type: &str, bytes: &'static [u8]| Asset {
        name: name.into(),
        content_type: content_type.into(),
        bytes: Bytes::from_static(bytes),
    };
    let html =
        "<link rel=stylesheet href='s.css'><p>a<img src='p.png' width=50 height=50></p><p class=n>b</p>";
    let bare = render(&page(html));
    let with = |asset| render(&Page { html: html.into(), assets: vec![asset] });
    assert!(holds(&with(asset("p.png", "image/png", PIXEL)), "/Image") && !holds(&bare, "/Image"));
    let broken = with(asset("s.css", "text/css", b".n { break-before: page }"));
    assert_eq!((count::pages(&bare), count::pages(&broken)), (Ok(1), Ok(2)));
    let unnamed = with(asset("other.css", "text/css", b".n { break-before: page }"));
    assert_eq!(count::pages(&unnamed), Ok(1));
}

#[test]
fn a_page_gets_no_file_of_the_machine_and_nothing_from_the_network() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("real.png"), PIXEL).unwrap();
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let server = listener.local_addr().unwrap();
    let hostile = |name: &str| {
        let path = dir.path().join(name).display().to_string();
        page(format!(
            "<style>@import 'file://{path}'; @import url(http://{server}/a.css); body {{ background: url({path}) }}\
             </style><link rel=stylesheet href='http://{server}/b.css'><img src='{path}' width=9 height=9>\
             <img src='file://{path}' width=9 height=9><img src='http://{server}/c.png' width=9 height=9>\
             <img src='http://169.254.169.254/latest/meta-data/'><iframe src='file:///etc/passwd'></iframe>\
             <object data='/etc/hostname'></object><embed src='{path}'><svg><image href='{path}'/></svg><p>end</p>"
        ))
    };
    // A file that is there makes no difference to one that is not.
    assert_eq!(render(&hostile("real.png")), render(&hostile("none.png")));
    assert!(listener.accept().is_err(), "nobody connected");
}

#[test]
fn pages_without_end_are_cut_at_the_time_limit() {
    let limits = Limits { render: Duration::from_secs(1), ..LIMITS };
    for html in ["<div>".repeat(200_000), "<table>".repeat(3000) + &"<tr><td>x".repeat(500_000)] {
        let start = Instant::now();
        let error = native(MEMORY_BYTES).render(&page(html), &limits).unwrap_err();
        assert!(matches!(&error, WorkloadError::TooLarge(_)), "{error}");
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    }
}

#[test]
fn a_page_that_needs_too_much_memory_is_refused() {
    let html = "<p>word</p>".repeat(200_000);
    let error = native(160 << 20).render(&page(html), &LIMITS).unwrap_err();
    assert!(matches!(&error, WorkloadError::TooLarge(text) if text.contains("PDF_MEMORY_MIB")), "{error}");
}

#[test]
fn a_pdf_longer_than_its_limit_is_refused() {
    let limits = Limits { pdf_bytes: 1000, ..LIMITS };
    let error = native(MEMORY_BYTES).render(&page("<p>text"), &limits).unwrap_err();
    assert!(matches!(&error, WorkloadError::TooLarge(text) if text.contains("PDF_MAX_BYTES")), "{error}");
}
