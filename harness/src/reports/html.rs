//! The report as one HTML file that opens offline: no script, nothing loaded, light and dark.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    Document, Plot,
    outline::{self, Block, Entry, Section, Table, Tone},
    plots,
};

const STYLE: &str = include_str!("style.css");

/// Renders the report with the plots inside.
pub fn render(document: &Document, plots: &[Plot]) -> String {
    let summary = document.summary;
    let sections = outline::sections(document, plots);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (summary.title) " – " (summary.run_id) }
                style { (PreEscaped(style())) }
            }
            body {
                header {
                    h1 { (summary.title) }
                    p.run { "Run " code { (summary.run_id) } }
                    (warnings(document))
                }
                nav aria-label="Contents" {
                    ul { @for section in &sections { li { a href={ "#" (section.id) } { (section.title) } } } }
                }
                main { @for section in &sections { (spelt_section(section, plots)) } }
            }
        }
    }
    .into_string()
}

/// The style sheet with the plots' colours for light and dark pages.
fn style() -> String {
    let (light, dark) = plots::css_variables();
    format!(":root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n{STYLE}")
}

fn warnings(document: &Document) -> Markup {
    let all = outline::warnings(document);
    let banners = usize::from(document.summary.twin);
    html! {
        @for banner in all.iter().take(banners) { p.banner role="note" { (banner) } }
        @if all.len() > banners {
            ul.notices aria-label="Notices" { @for notice in all.iter().skip(banners) { li { (notice) } } }
        }
    }
}

fn spelt_section(section: &Section, plots: &[Plot]) -> Markup {
    html! {
        section id=(section.id) {
            h2 { (section.title) }
            @for block in &section.blocks { (spelt(block, plots)) }
        }
    }
}

fn spelt(block: &Block, plots: &[Plot]) -> Markup {
    html! {
        @match block {
            Block::Text(text) => p { (text) },
            Block::Warning(text) => p.banner role="note" { (text) },
            Block::Answer { question, sentence, decided } => {
                div.answer.decided[*decided] { p.question { (question) } p.sentence { (sentence) } }
            },
            Block::List(points) => ul { @for point in points { li { (point) } } },
            Block::Terms(terms) => dl { @for (term, text) in terms { dt { (term) } dd { (text) } } },
            Block::Table(table) => (spelt_table(table)),
            Block::Plot(name) => @if let Some(plot) = plots.iter().find(|plot| plot.name == *name) {
                figure id={ "plot-" (plot.name) } {
                    (PreEscaped(plot.for_page()))
                    figcaption { details { summary { (plot.title) ": in words" } p { (plot.alt) } } }
                }
            },
            Block::Command(command) => pre { code { (command) } },
        }
    }
}

fn spelt_table(table: &Table) -> Markup {
    html! {
        // Wide tables scroll in their box, which therefore must be reachable by keyboard.
        div.scroll tabindex="0" role="region" aria-label=(table.caption) {
            table.numeric[table.numeric] {
                caption { (table.caption) @if table.rows.is_empty() { " There are none." } }
                thead { tr { @for column in &table.columns { th scope="col" { (column) } } } }
                tbody {
                    @for row in &table.rows {
                        tr class=[tone(row.tone)] {
                            @for (i, entry) in row.entries.iter().enumerate() {
                                @if i == 0 { th scope="row" { (spelt_entry(entry)) } }
                                @else { td { (spelt_entry(entry)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn tone(tone: Tone) -> Option<&'static str> {
    match tone {
        Tone::Plain => None,
        Tone::Faded => Some("faded"),
        Tone::Marked => Some("marked"),
    }
}

fn spelt_entry(entry: &Entry) -> Markup {
    html! { (entry.main) @if let Some(detail) = &entry.detail { " " small { (detail) } } }
}
