//! The report as one Markdown file that links the plots beside it.

use std::fmt::Write;

use super::{
    Document, Plot,
    outline::{self, Block, Entry, Table},
};

/// Renders the report; plots are linked as `plots/NAME.svg`.
pub fn render(document: &Document, plots: &[Plot]) -> String {
    let mut out =
        format!("# {}\n\nRun `{}`\n", escaped(&document.summary.title), code(&document.summary.run_id));
    for warning in outline::warnings(document) {
        let _ = write!(out, "\n> **{}**\n", escaped(&warning));
    }
    for section in outline::sections(document, plots) {
        let _ = write!(out, "\n## {}\n", escaped(&section.title));
        for block in &section.blocks {
            out.push('\n');
            out.push_str(&spelt(block, plots));
            out.push('\n');
        }
    }
    out
}

fn spelt(block: &Block, plots: &[Plot]) -> String {
    match block {
        Block::Text(text) => escaped(text),
        Block::Warning(text) => format!("> **{}**", escaped(text)),
        Block::Answer { question, sentence, .. } => {
            format!("**{}**\n\n{}", escaped(question), escaped(sentence))
        }
        Block::List(points) => lines(points, |point| format!("- {}", escaped(point))),
        Block::Terms(terms) => {
            lines(terms, |(term, text)| format!("- **{}**: {}", escaped(term), escaped(text)))
        }
        Block::Table(table) => spelt_table(table),
        Block::Plot(name) => plots
            .iter()
            .find(|plot| plot.name == *name)
            .map_or_else(String::new, |plot| format!("![{}](plots/{}.svg)", escaped(&plot.alt), plot.name)),
        Block::Command(command) => format!("```\n{}\n```", command.replace("```", "")),
    }
}

fn lines<T>(items: &[T], line: impl Fn(&T) -> String) -> String {
    items.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn spelt_table(table: &Table) -> String {
    if table.rows.is_empty() {
        return format!("{} There are none.", escaped(&table.caption));
    }
    let row = |entries: Vec<String>| format!("| {} |", entries.join(" | "));
    let rule = |i: usize| if table.numeric && i > 0 { "---:" } else { "---" }.to_owned();
    let mut all = vec![
        row(table.columns.iter().map(|column| escaped(column)).collect()),
        row((0..table.columns.len()).map(rule).collect()),
    ];
    all.extend(table.rows.iter().map(|r| row(r.entries.iter().map(entry).collect())));
    format!("{}\n\n{}", escaped(&table.caption), all.join("\n"))
}

fn entry(entry: &Entry) -> String {
    let main = escaped(&entry.main);
    entry.detail.as_ref().map_or(main.clone(), |detail| format!("{main} ({})", escaped(detail)))
}

/// Text that a Markdown reader shows as it is, on one line.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => out.push(' '),
            '\\' | '|' | '*' | '`' | '[' | ']' | '<' => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    out
}

/// Text between backticks.
fn code(text: &str) -> String {
    text.replace(['`', '\n'], " ")
}
