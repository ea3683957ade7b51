//! The documents, and what the judge takes for right: a PDF written here, with text behind a map.

use hyper::HeaderMap;

use super::*;
use crate::{drive::Judge, record::Outcome, workloads::Size};

/// A PDF of two pages in the shape that the renderers write; its second page says "Total 12".
fn pdf() -> Vec<u8> {
    let map = "beginbfrange <0001> <0003> <0054> endbfrange 2 beginbfchar <0004> <0061006C> <0005> <0020> endbfchar";
    let content = "BT /F1 10 Tf <0001> Tj [(\\000\\004) -20 <0005>] TJ /F2 9 Tf (1\\062) Tj ET";
    let objects = [
        "<</Type/Catalog/Pages 2 0 R>>".to_owned(),
        "<</Type/Pages/Count 2/Kids[3 0 R 4 0 R]>>".to_owned(),
        "<</Type /Page /Parent 2 0 R>>".to_owned(),
        "<</Type/Page/Contents[7 0 R]/Resources<</Font<</F1 5 0 R/F2 6 0 R>>>>>>".to_owned(),
        "<</Type/Font/Subtype/Type0/ToUnicode 8 0 R>>".to_owned(),
        "<</Type/Font/Subtype/Type1>>".to_owned(),
        format!("<</Length {}>>\nstream\n{content}\nendstream", content.len()),
        format!("<</Length {}>>\nstream\n{map}\nendstream", map.len()),
    ];
    let mut pdf = "%PDF-1.4\n".to_owned();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (i, object) in objects.iter().enumerate() {
        let at = format!("{:010} 00000 n \n", pdf.len());
        table.push_str(&at);
        pdf.extend([&format!("{} 0 obj\n", i + 1), object, "\nendobj\n"]);
    }
    let start = pdf.len();
    format!("{pdf}{table}trailer\n<</Root 1 0 R>>\nstartxref\n{start}\n%%EOF\n").into_bytes()
}

fn outcome(pages: u32, words: &[&str], named: Option<&'static str>, body: &[u8]) -> Outcome {
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    let judge = PdfJudge { expected: vec![Expected { pages, words }], reads_text: true };
    let headers: HeaderMap =
        named.into_iter().map(|n| ("x-pdf-pages".parse().unwrap(), n.parse().unwrap())).collect();
    judge.judge(0, 200, &headers, body).outcome
}

#[test]
fn a_whole_pdf_with_its_pages_and_words_is_right() {
    assert_eq!(outcome(2, &["Tal 12", "Tal"], Some("2"), &pdf()), Outcome::Ok);
}

#[test]
fn another_number_of_pages_another_text_or_a_cut_file_is_wrong() {
    let whole = pdf();
    for (pages, words, named, body) in [
        (3, "Tal", Some("3"), &whole[..]),
        (2, "Tal", Some("3"), &whole[..]),
        (2, "Tal", None, &whole[..]),
        (2, "Total", Some("2"), &whole[..]),
        (2, "Tal", Some("2"), &whole[..whole.len() - 8]),
        (2, "Tal", Some("2"), &whole[9..]),
    ] {
        assert_eq!(outcome(pages, &[words], named, body), Outcome::WrongAnswer, "{pages} {words} {named:?}");
    }
}

#[test]
fn the_same_seed_makes_the_same_documents_and_another_seed_others() {
    for size in [Size::Test, Size::Small, Size::Large] {
        let made = documents(size, 7);
        assert_eq!(made, documents(size, 7));
        assert_ne!(made, documents(size, 8));
        let bodies: std::collections::BTreeSet<_> = made.iter().map(|document| &document.html).collect();
        assert_eq!(bodies.len(), made.len(), "each is another");
    }
}

#[test]
fn every_size_has_its_pages_and_a_word_on_each() {
    for (size, pages) in [(Size::Test, 1), (Size::Small, 2), (Size::Large, 20)] {
        for document in documents(size, 1) {
            assert_eq!(document.pages, pages);
            assert!(document.words.len() >= pages as usize, "{:?}", document.words);
            assert!(document.assets.iter().all(|(name, _)| document.html.contains(name.as_str())));
        }
    }
}

#[test]
fn variants_with_different_renderers_are_refused_and_the_title_names_the_renderer() {
    let mut experiment = Experiment::default();
    experiment.choose_workload(crate::workloads::Kind::Pdf);
    experiment.function.env.insert(RENDERER.into(), "chromium".into());
    name_renderer(&mut experiment).unwrap();
    name_renderer(&mut experiment).unwrap();
    assert!(experiment.title.starts_with("HTML to PDF (chromium)"), "{}", experiment.title);
    let env = std::iter::once((RENDERER.to_owned(), "native".to_owned())).collect();
    experiment.variants = vec![crate::experiment::Variant { env, ..Default::default() }];
    let error = name_renderer(&mut Experiment { title: "HTML to PDF".into(), ..experiment }).unwrap_err();
    assert!(error.to_string().contains("a run of its own"), "{error}");
}
