//! The workload around a renderer that makes a PDF of as many pages as the page says.

use super::count::tests::pdf_of;
use super::*;

struct Made;

impl Renderer for Made {
    fn name(&self) -> &'static str {
        "made"
    }

    fn about(&self) -> Map<String, Value> {
        Map::new()
    }

    fn render(&self, page: &Page, _limits: &Limits) -> Result<Vec<u8>, WorkloadError> {
        // So many pages, or one on paper of so many points.
        let (count, paper) = page.html.split_once(' ').unwrap_or((&page.html, "595 842"));
        Ok(pdf_of(&[
            "<</Pages 2 0 R>>",
            &format!("<</Count {count}/MediaBox[0 0 {paper}]/Kids[3 0 R]>>"),
            "<<>>",
        ]))
    }
}

fn answer(html: &'static str, pdf_bytes: usize) -> Result<Answer, WorkloadError> {
    let limits = Limits { render: Duration::from_secs(1), pages: 3, pdf_bytes };
    Pdf { renderer: Box::new(Made), limits }.handle(&Input::from(html.as_bytes()), &Query::default())
}

#[test]
fn the_answer_is_the_pdf_with_its_pages_and_its_renderer_in_headers() {
    let answer = answer("2", 1000).unwrap();
    let document = answer.document.unwrap();
    assert_eq!(document.content_type, "application/pdf");
    assert!(document.bytes.starts_with(b"%PDF-"));
    let expected = [("x-pdf-pages", "2".to_owned()), ("x-pdf-renderer", "made".to_owned())];
    assert_eq!(answer.headers, expected);
    let stages: Vec<_> = answer.stages.iter().map(|(name, _)| *name).collect();
    assert_eq!(stages, ["read", "render", "count"]);
}

#[test]
fn a_pdf_beyond_its_limits_is_refused_with_the_setting() {
    let refusal = |html, pdf_bytes| match answer(html, pdf_bytes) {
        Err(WorkloadError::TooLarge(text)) => text,
        other => panic!("{other:?}"),
    };
    assert!(refusal("4", 1000).contains("4 pages; the limit is 3 (PDF_MAX_PAGES)"));
    assert!(refusal("2", 100).contains("(PDF_MAX_BYTES)"));
}

#[test]
fn a_page_that_names_other_paper_than_a4_is_refused() {
    assert!(answer("1 842 595", 1000).is_ok(), "across");
    let Err(WorkloadError::Unsupported(text)) = answer("1 612 792", 1000) else { panic!("letter is taken") };
    assert!(text.contains("paper of 216 by 279 mm") && text.contains("@page"), "{text}");
}

#[test]
fn what_is_no_whole_pdf_is_the_renderers_fault() {
    assert!(matches!(answer("none", 1000), Err(WorkloadError::Internal(text)) if text.contains("made")));
}
