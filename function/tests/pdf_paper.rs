//! Both renderers print on the same paper, with the same margins, and refuse the same pages.

mod support;

use std::process::{Command, Stdio};

use support::browser::is_there;
use support::http::post;
use support::start_bare;

/// Points of a millimetre.
const MM: f64 = 72.0 / 25.4;

/// A page with this in its style sheet, and a word in its corner.
fn page(style: &str) -> String {
    format!("<style>{style} html, body, p {{ margin: 0; padding: 0 }}</style><p>Corner")
}

/// How far from the paper's left edge the word begins, in mm; none without pdftotext.
fn corner_mm(pdf: &[u8]) -> Option<f64> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), pdf).unwrap();
    let output =
        Command::new("pdftotext").arg("-bbox").arg(file.path()).arg("-").stderr(Stdio::inherit()).output();
    let Ok(output) = output else {
        eprintln!("skipped where a page's text begins: no pdftotext (package poppler-utils)");
        return None;
    };
    let text = String::from_utf8(output.stdout).unwrap();
    let word = text.lines().find(|line| line.contains(">Corner<")).unwrap_or_else(|| panic!("{text}"));
    let x = word.split("xMin=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    Some(x.parse::<f64>().unwrap() / MM)
}

fn check(renderer: &str) {
    let folder = tempfile::tempdir().unwrap();
    let function = start_bare(&[
        ("WORKLOAD", "pdf"),
        ("PDF_RENDERER", renderer),
        ("TMPDIR", folder.path().to_str().unwrap()),
        ("DRAIN_SECONDS", "0"),
    ]);
    let print = |style: &str| post(function.address, "/predict", page(style).as_bytes());
    for (style, margin_mm) in [
        ("", 20.0),
        ("@page { margin: 40mm }", 40.0),
        ("@page { size: A4; margin: 10mm }", 10.0),
        ("@page { size: A4 landscape }", 20.0),
    ] {
        let reply = print(style);
        assert_eq!(reply.status, 200, "{renderer}, '{style}': {}", String::from_utf8_lossy(&reply.body));
        let Some(corner) = corner_mm(&reply.body) else { continue };
        assert!((corner - margin_mm).abs() < 1.0, "{renderer}, '{style}': {corner:.1} mm");
    }
    for style in ["@page { size: letter }", "@page { size: A5 }", "@page { size: 500mm 300mm; margin: 0 }"] {
        let reply = print(style);
        let text = String::from_utf8_lossy(&reply.body);
        assert_eq!(reply.status, 415, "{renderer}, '{style}': {text}");
        assert!(text.contains("paper is A4 here"), "{text}");
    }
}

#[test]
#[cfg(feature = "pdf-native")]
fn the_native_renderer_prints_on_a4_with_the_documented_margins() {
    check("native");
}

#[test]
fn chromium_prints_on_a4_with_the_documented_margins() {
    if is_there("chromium_prints_on_a4_with_the_documented_margins") {
        check("chromium");
    }
}
