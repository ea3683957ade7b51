//! The documents: made from the seed, so that everybody sends the same bytes. Page breaks are asked
//! for, and what lies between two of them fits on a page: the number of pages is known beforehand,
//! whatever renders them.

use std::fmt::Write as _;

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::picture::{self, Colour};
use crate::workloads::Size;

/// Documents of a size: a renderer that answers from a cache would have to keep them all.
const DOCUMENTS: u64 = 4;
/// Pages of a report: contents, and a chapter each.
const REPORT_PAGES: u32 = 20;

/// A page of HTML, and what a right PDF of it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// What people call it.
    pub name: String,
    /// The page.
    pub html: String,
    /// PNG files that it refers to, by name.
    pub assets: Vec<(String, Vec<u8>)>,
    /// Pages of A4.
    pub pages: u32,
    /// Words that its text holds, at least one a page.
    pub words: Vec<String>,
}

/// The documents of a size. The same seed makes the same ones.
pub fn documents(size: Size, seed: u64) -> Vec<Document> {
    let one = |number: u64| {
        let writer = Writer::new(seed.wrapping_mul(31).wrapping_add(number));
        match size {
            Size::Test => letter(writer, number),
            Size::Small => invoice(writer, number),
            Size::Large => report(writer, number),
        }
    };
    (1..=DOCUMENTS).map(one).collect()
}

const STYLE: &str = "@page { size: A4; margin: 18mm }
body { font-family: sans-serif; font-size: 10.5pt; line-height: 1.4; color: #222; margin: 0 }
h1 { color: #1d4f7c; font-size: 20pt; margin: 0 0 8pt 0 }
h2 { color: #1d4f7c; font-size: 14pt; margin: 10pt 0 4pt 0 }
p { margin: 0 0 7pt 0 }
table { border-collapse: collapse; width: 100%; margin: 6pt 0 }
th { background: #1d4f7c; color: #ffffff; text-align: left; padding: 3pt 5pt }
td { border-bottom: 1px solid #c9d3dc; padding: 2.5pt 5pt }
.number { text-align: right }
.note { background: #fdf3d8; border-left: 4px solid #d99a1c; padding: 5pt 8pt; margin: 6pt 0 }
.reference { color: #777777; font-size: 8.5pt }
.new-page { break-before: page; page-break-before: always }
img { width: 300pt; height: 168.75pt }";

const WORDS: [&str; 48] = [
    "the",
    "platform",
    "answers",
    "requests",
    "after",
    "cold",
    "start",
    "and",
    "latency",
    "grows",
    "with",
    "load",
    "each",
    "replica",
    "holds",
    "memory",
    "while",
    "traffic",
    "rises",
    "until",
    "scaling",
    "decides",
    "on",
    "another",
    "instance",
    "queue",
    "length",
    "shows",
    "how",
    "much",
    "work",
    "waits",
    "measured",
    "values",
    "differ",
    "between",
    "runs",
    "by",
    "noise",
    "small",
    "compared",
    "to",
    "effect",
    "of",
    "network",
    "placement",
    "in",
    "cluster",
];

const COLOURS: [Colour; 4] = [[29, 79, 124], [168, 73, 38], [60, 122, 64], [112, 72, 140]];

/// Writes one document.
struct Writer {
    random: StdRng,
    html: String,
    assets: Vec<(String, Vec<u8>)>,
    words: Vec<String>,
    pages: u32,
}

impl Writer {
    fn new(seed: u64) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            html: String::new(),
            assets: Vec::new(),
            words: Vec::new(),
            pages: 1,
        }
    }

    fn add(&mut self, html: &str) {
        self.html.push_str(html);
        self.html.push('\n');
    }

    /// Text that a right PDF has to hold.
    fn marked(&mut self, text: &str) -> String {
        self.words.push(text.to_owned());
        text.to_owned()
    }

    /// A paragraph of so many words.
    fn paragraph(&mut self, words: usize) {
        let mut text = String::new();
        let mut sentence = 0;
        for _ in 0..words {
            let word = WORDS[self.random.random_range(0..WORDS.len())];
            if sentence == 0 {
                text.push_str(&word[..1].to_uppercase());
                text.push_str(&word[1..]);
            } else {
                text.push(' ');
                text.push_str(word);
            }
            sentence += 1;
            if sentence >= 8 && self.random.random_ratio(1, 4) {
                text.push_str(". ");
                sentence = 0;
            }
        }
        let _ = writeln!(self.html, "<p>{}.</p>", text.trim_end().trim_end_matches('.'));
    }

    /// A line at the end of a page; without it the page is not whole.
    fn reference(&mut self) {
        let code = format!("REF{:06}", self.random.random_range(0..1_000_000));
        let code = self.marked(&code);
        let _ = writeln!(self.html, "<p class=\"reference\">{code}</p>");
    }

    fn new_page(&mut self, heading: &str) {
        self.pages += 1;
        let heading = self.marked(heading);
        let _ = writeln!(self.html, "<h1 class=\"new-page\">{heading}</h1>");
    }

    fn chart(&mut self) -> Vec<u8> {
        let values: Vec<f64> = (0..12).map(|_| self.random.random_range(0.1..1.0)).collect();
        let colour = COLOURS[self.random.random_range(0..COLOURS.len())];
        picture::chart(&values, colour, &mut self.random)
    }

    fn document(self, name: String, title: &str) -> Document {
        let html = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
             <style>\n{STYLE}\n</style>\n</head>\n<body>\n{}</body>\n</html>\n",
            self.html
        );
        Document { name, html, assets: self.assets, pages: self.pages, words: self.words }
    }
}

/// One page of text.
fn letter(mut w: Writer, number: u64) -> Document {
    let heading = w.marked("Measurement notes");
    w.add(&format!("<h1>{heading}</h1>"));
    for _ in 0..3 {
        w.paragraph(55);
    }
    w.add("<h2>What was done</h2>\n<ul>");
    for item in ["Deployed one replica", "Sent requests at a fixed rate", "Kept every answer"] {
        w.add(&format!("<li>{item}</li>"));
    }
    w.add("</ul>\n<p>Figures in <b>bold</b> are medians, those in <i>italics</i> are bounds.</p>");
    w.paragraph(55);
    w.reference();
    w.document(format!("letter-{number}"), "Letter")
}

/// Two pages: a table of what is to be paid, and terms.
fn invoice(mut w: Writer, number: u64) -> Document {
    w.add(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"120\" height=\"40\" viewBox=\"0 0 120 40\">\
         <rect width=\"120\" height=\"40\" rx=\"6\" fill=\"#1d4f7c\"/><circle cx=\"22\" cy=\"20\" r=\"11\" \
         fill=\"#d99a1c\"/><path d=\"M44 28 L62 12 L80 24 L106 10\" stroke=\"#ffffff\" stroke-width=\"3\" \
         fill=\"none\"/></svg>",
    );
    let heading = format!("Invoice INV{:05}", w.random.random_range(0..100_000));
    let heading = w.marked(&heading);
    w.add(&format!("<h1>{heading}</h1>\n<p>Example Computing Ltd<br>12 Loopback Road<br>Testbed</p>"));
    w.add("<table>\n<tr><th>Item</th><th class=\"number\">Hours</th><th class=\"number\">Price</th><th class=\"number\">Amount</th></tr>");
    let mut total = 0;
    for line in 1..=22 {
        let item = WORDS[w.random.random_range(0..WORDS.len())];
        let (hours, price) = (w.random.random_range(1..40), w.random.random_range(20..90));
        total += hours * price;
        w.add(&format!(
            "<tr><td>{line}. Time on {item}</td><td class=\"number\">{hours}</td><td class=\"number\">{price}.00</td>\
             <td class=\"number\">{}.00</td></tr>",
            hours * price
        ));
    }
    w.add("</table>");
    let total = w.marked(&format!("Total {total}.00"));
    w.add(&format!("<p class=\"note\"><b>{total}</b>, payable within 30 days</p>"));
    w.new_page("Terms");
    let stamp = picture::base64(&w.chart());
    w.add(&format!("<p><img alt=\"hours\" src=\"data:image/png;base64,{stamp}\"></p>\n<ol>"));
    for _ in 0..5 {
        w.add("<li>");
        w.paragraph(25);
        w.add("</li>");
    }
    w.add("</ol>");
    w.reference();
    w.document(format!("invoice-{number}"), "Invoice")
}

/// Contents, then a chapter a page with a picture of its own.
fn report(mut w: Writer, number: u64) -> Document {
    let heading = w.marked("Annual report");
    w.add(&format!("<h1>{heading}</h1>\n<ol>"));
    for chapter in 1..REPORT_PAGES {
        w.add(&format!("<li>Chapter {chapter}</li>"));
    }
    w.add("</ol>");
    w.reference();
    for chapter in 1..REPORT_PAGES {
        w.new_page(&format!("Chapter {chapter}"));
        w.paragraph(70);
        let picture = w.chart();
        let name = format!("chart-{chapter}.png");
        w.add(&format!("<p><img alt=\"chart\" src=\"{name}\"></p>"));
        w.assets.push((name, picture));
        w.add("<table>\n<tr><th>Quarter</th><th class=\"number\">Requests</th><th class=\"number\">p99, ms</th></tr>");
        for quarter in 1..=4 {
            let (requests, p99) = (w.random.random_range(1000..100_000), w.random.random_range(10..900));
            w.add(&format!(
                "<tr><td>Q{quarter}</td><td class=\"number\">{requests}</td><td class=\"number\">{p99}</td></tr>"
            ));
        }
        w.add("</table>");
        w.add("<div class=\"note\">");
        w.paragraph(20);
        w.add("</div>");
        w.paragraph(60);
        w.reference();
    }
    w.document(format!("report-{number}"), "Report")
}
