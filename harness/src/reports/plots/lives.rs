//! The lives of the replicas of one trial, a bar each, over the time since the deploy call.

use super::{
    Anchor, Area, Content, Document, Ink, Picture, Sheet,
    axis::Axis,
    canvas::{Canvas, Drawn, Key, LABEL, MARGIN, PANEL_RIGHT, Panel, Sample},
    phases::{legend, stage_ink},
    text::shortened,
};
use crate::{analyse::lives::ReplicaLife, collect::timeline::Phase, reports::format};

const ROW: f64 = 46.0;
const BAR: f64 = 14.0;
const HEAD: f64 = 30.0;
/// More replicas of one subject than these are counted, not drawn.
const MOST: usize = 12;

/// One subject's replicas in its first trial that was watched.
struct Group<'a> {
    subject: &'a str,
    position: usize,
    trial: u32,
    lives: Vec<ReplicaLife>,
    hidden: usize,
}

pub(super) fn draw(document: &Document) -> Picture {
    let groups: Vec<Group> = document
        .summary
        .subjects
        .iter()
        .enumerate()
        .filter_map(|(position, subject)| {
            let watched = document.lives(subject).into_iter();
            let (trial, mut lives) = watched.into_iter().find(|(_, lives)| !lives.is_empty())?;
            let hidden = lives.len().saturating_sub(MOST);
            lives.truncate(MOST);
            Some(Group { subject, position, trial, lives, hidden })
        })
        .collect();
    let end_s = groups.iter().flat_map(|group| &group.lives).map(end_ms).fold(0.0, f64::max) / 1e3;
    if groups.is_empty() || end_s <= 0.0 {
        return Ok(None);
    }
    let rows: usize = groups.iter().map(|group| group.lives.len()).sum();
    let height = groups.len() as f64 * HEAD + rows as f64 * ROW + 62.0;
    let title = "Lives of the replicas".to_owned();
    let stages = groups.iter().flat_map(|g| &g.lives).flat_map(ReplicaLife::stages).map(|stage| stage.to);
    let mut keys = legend(stages);
    keys.push(Key { label: "serving".to_owned(), ink: Ink::Grid, sample: Sample::Bar });
    keys.push(Key { label: "ending".to_owned(), ink: Ink::Muted, sample: Sample::Bar });
    let hidden = groups.iter().filter(|group| group.hidden > 0);
    let sheet = Sheet {
        title: title.clone(),
        subtitle: "One trial of each subject, from the deploy call to the end of the last pod. Serving: from the end \
                   of the start until told to end."
            .to_owned(),
        legend: keys,
        body_height: height,
        notes: hidden
            .map(|g| format!("{}: {} more are not drawn.", g.subject, format::plural(g.hidden, "replica")))
            .collect(),
        twin: document.summary.twin,
    };
    let svg = sheet.draw(|canvas| {
        let area = Area {
            left: MARGIN,
            top: canvas.top + 8.0,
            right: PANEL_RIGHT,
            bottom: canvas.top + height - 50.0,
        };
        let x = Axis::linear(0.0, end_s, 8);
        let panel = canvas.panel(area, (x, "seconds since the deploy call"), (Axis::bare(0.0, 1.0), ""))?;
        let mut top = area.top;
        for group in &groups {
            let head = format!("{}, trial {}", group.subject, group.trial);
            let ink = Ink::Subject(group.position);
            canvas.text((MARGIN + 6.0, top + HEAD / 2.0), &head, LABEL, ink, Anchor::Start)?;
            top += HEAD;
            for life in &group.lives {
                row(canvas, &panel, life, top)?;
                top += ROW;
            }
        }
        Ok(())
    })?;
    let words = groups.iter().map(|group| {
        let ready = group.lives.iter().filter(|life| life.at_ms(Phase::Ready).is_some()).count();
        let of = format::plural(group.lives.len() + group.hidden, "replica");
        format!("{}, trial {}: {of}, {ready} of those drawn became ready.", group.subject, group.trial)
    });
    Ok(Some(Content { title, alt: words.collect::<Vec<_>>().join(" "), svg }))
}

fn row(canvas: &Canvas, panel: &Panel, life: &ReplicaLife, top: f64) -> Drawn {
    let restarts = match life.restarts {
        0 => String::new(),
        1 => ", restarted once".to_owned(),
        n => format!(", restarted {n} times"),
    };
    let name = format!("{}{restarts}", shortened(&life.replica, LABEL - 2.0, 480.0));
    canvas.text((MARGIN + 6.0, top + 9.0), &name, LABEL - 2.0, Ink::Muted, Anchor::Start)?;
    let bar = |from_ms: f64, to_ms: f64, ink: Ink| {
        let x = |ms: f64| panel.at((ms / 1e3).max(0.0), 0.0).0;
        let area = Area { left: x(from_ms), top: top + 20.0, right: x(to_ms), bottom: top + 20.0 + BAR };
        canvas.bar(area, ink, 1.0)
    };
    let mut at = Phase::START.iter().find_map(|phase| life.at_ms(*phase)).unwrap_or(0.0);
    let end = end_ms(life);
    let ending = life.at_ms(Phase::Terminating).unwrap_or(end);
    for stage in life.stages() {
        bar(at, at + stage.ms, stage_ink(stage.to))?;
        at += stage.ms;
    }
    if life.at_ms(Phase::Ready).is_some() && ending > at {
        bar(at, ending, Ink::Grid)?;
    }
    if end > ending {
        bar(ending.max(at), end, Ink::Muted)?;
    }
    Ok(())
}

fn end_ms(life: &ReplicaLife) -> f64 {
    life.phases.values().map(|at| at.ms).fold(0.0, f64::max)
}
