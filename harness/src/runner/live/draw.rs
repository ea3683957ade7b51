//! Drawing the live screen: a pure function of a [`View`]. What matters most comes first, so that a
//! small terminal shows that.

use ratatui::{
    Frame,
    layout::Rect,
    style::{Style, Stylize as _},
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{
    meter::RECENT_S,
    view::{LoadView, View},
};

/// Eighths of a block, for the course of a rate.
const EIGHTHS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Width of the names at the left.
const NAME: usize = 10;
/// Longest bar of progress, characters.
const LONGEST_BAR: usize = 40;

/// Draws one state over the whole screen.
pub(super) fn draw(frame: &mut Frame, view: &View) {
    let area = frame.area();
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    let mut lines = head(view, width);
    if let Some(load) = &view.load {
        lines.push(Line::default());
        lines.extend(rates(load, width));
        lines.push(Line::default());
        lines.extend(times(load));
        lines.push(failures(load));
    }
    lines.extend(replicas(view));
    // The last line of the screen says how to stop.
    lines.truncate(height.saturating_sub(1).max(1));
    let room = height.saturating_sub(lines.len() + 2);
    let said = last_said(&view.said, width, room);
    if !said.is_empty() {
        lines.push(Line::default());
        lines.extend(said);
    }
    frame.render_widget(Paragraph::new(lines), area);
    if height > 1 {
        let foot = Rect { y: area.bottom() - 1, height: 1, ..area };
        let text = if view.stopping {
            "stopping: what is under way is awaited; Ctrl-C again ends at once"
        } else {
            "Ctrl-C stops; what was measured stays"
        };
        frame.render_widget(Paragraph::new(text.dim()), foot);
    }
}

fn head(view: &View, width: usize) -> Vec<Line<'static>> {
    let mut title = vec![Span::raw(view.title.clone()).bold()];
    title.extend(view.mark.iter().map(|mark| format!("  {mark}").yellow()));
    let mut lines = vec![Line::from(title)];
    if let Some(done) = view.done {
        let done = done.clamp(0.0, 1.0);
        let left = view.left.as_ref().map_or(String::new(), |left| format!("  {left} left"));
        let figures = format!(" {:>3.0} %{left}", 100.0 * done);
        let bar = width.saturating_sub(figures.chars().count()).min(LONGEST_BAR);
        let full = (done * bar as f64).round() as usize;
        lines.push(Line::from(vec![
            "█".repeat(full).green(),
            "░".repeat(bar - full).dark_gray(),
            Span::raw(figures),
        ]));
    }
    let playing = view.load.as_ref().filter(|load| load.playing);
    let course = playing.map_or(String::new(), |load| match load.length_s {
        Some(length_s) => format!(", {:.0} of {length_s:.0} s", load.elapsed_s.min(length_s)),
        None => format!(", {:.0} s", load.elapsed_s),
    });
    lines.push(Line::from(format!("{}{course}", view.doing).trim_start_matches(", ").to_owned()));
    lines
}

/// Offered and answered requests a second, now and over the last seconds, on one scale.
fn rates(load: &LoadView, width: usize) -> Vec<Line<'static>> {
    let most = load.answered.iter().chain(load.offered.iter().flatten()).max().copied().unwrap_or(0);
    let row = |name: &str, counts: &[u64], style: Style| {
        let recent = &counts[counts.len().saturating_sub(RECENT_S as usize)..];
        let rate = recent.iter().sum::<u64>() as f64 / recent.len().max(1) as f64;
        let figure = if counts.is_empty() { "-".to_owned() } else { format!("{rate:.1}/s") };
        let head = format!("{name:<NAME$}{figure:>12}  ");
        let room = width.saturating_sub(head.chars().count());
        let course = course(&counts[counts.len().saturating_sub(room)..], most);
        Line::from(vec![Span::raw(head), Span::styled(course, style)])
    };
    let mut lines = Vec::new();
    lines.extend(load.offered.as_deref().map(|offered| row("offered", offered, Style::new().dark_gray())));
    lines.push(row("answered", &load.answered, Style::new().cyan()));
    lines.push(Line::from(format!("{:<NAME$}{:>12}  {} under way", "sent", load.sent, load.under_way)));
    lines
}

/// A line of blocks: the highest one is `most`; nothing at all is a blank.
fn course(counts: &[u64], most: u64) -> String {
    let block = |&count: &u64| match (count, most) {
        (0, _) | (_, 0) => ' ',
        _ => EIGHTHS[((count * 8).div_ceil(most) as usize).clamp(1, 8) - 1],
    };
    counts.iter().map(block).collect()
}

fn times(load: &LoadView) -> Vec<Line<'static>> {
    let row = |name: String, times: &[Option<f64>; 3]| {
        let cells = times.map(|ms| ms.map_or(format!("{:>10}", "-"), |ms| format!("{ms:>10.2}")));
        Line::from(format!("{name:<NAME$}{}", cells.concat()))
    };
    let titles = ["p50", "p95", "p99"].map(|name| format!("{name:>10}")).concat();
    vec![
        Line::from(format!("{:<NAME$}{titles}   response time, ms", "").dark_gray()),
        row(format!("last {RECENT_S} s"), &load.recent_ms),
        row("so far".to_owned(), &load.whole_ms),
    ]
}

fn failures(load: &LoadView) -> Line<'static> {
    let name = format!("{:<NAME$}", "failures");
    if load.failures.is_empty() {
        return Line::from(format!("{name}  none"));
    }
    let counts: Vec<String> = load.failures.iter().map(|(name, count)| format!("{count} {name}")).collect();
    Line::from(vec![Span::raw(name), format!("  {}", counts.join(", ")).red()])
}

fn replicas(view: &View) -> Option<Line<'static>> {
    let each = view
        .replicas
        .iter()
        .map(|(subject, ready, desired)| format!("  {subject} {ready} of {desired} ready"));
    let all: String = each.collect();
    (!all.is_empty()).then(|| Line::from(format!("{:<NAME$}{all}", "replicas")))
}

/// The last lines said, as many rows as there is room for; long ones are folded.
fn last_said(said: &[String], width: usize, room: usize) -> Vec<Line<'static>> {
    let mut rows = Vec::new();
    for line in said.iter().rev() {
        let style = if line.contains("INVALID") || line.starts_with("error") {
            Style::new().red()
        } else {
            Style::new()
        };
        let folded: Vec<Line<'static>> =
            fold(line, width).into_iter().map(|row| Line::from(Span::styled(row, style))).collect();
        rows.extend(folded.into_iter().rev());
        if rows.len() >= room {
            break;
        }
    }
    rows.truncate(room);
    rows.reverse();
    rows
}

/// Breaks a line into rows at its spaces; a word that is wider than a row is cut.
fn fold(line: &str, width: usize) -> Vec<String> {
    let mut rows = vec![String::new()];
    for word in line.split_inclusive(' ') {
        let mut word: Vec<char> = word.chars().collect();
        while !word.is_empty() {
            let used = rows.last().map_or(0, |row| row.chars().count());
            let solid = word.iter().rev().skip_while(|c| **c == ' ').count();
            if used > 0 && used + solid > width {
                rows.push(String::new());
                continue;
            }
            let taken = word.len().min(width.max(1));
            let rest = word.split_off(taken);
            if let Some(row) = rows.last_mut() {
                row.extend(word);
            }
            word = rest;
        }
    }
    rows
}

#[cfg(test)]
#[path = "draw_tests.rs"]
mod tests;
