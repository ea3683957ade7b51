//! Failures by outcome, a group of bars an outcome, a bar a subject, as shares of the requests.

use super::{
    Anchor, Area, Content, Document, Ink, Key, Picture, Sample, Sheet,
    canvas::{Canvas, Drawn, LABEL, MARGIN, WIDTH},
    extent,
};
use crate::{
    analyse::summary::CellSummary,
    record::Outcome,
    reports::{format, outline},
};

const BAR: f64 = 20.0;
const BAR_LEFT: f64 = 210.0;
/// Room to the right of the longest bar for its figures.
const FIGURES: f64 = 250.0;

pub(super) fn draw(document: &Document) -> Picture {
    let subjects = &document.summary.subjects;
    let groups: Vec<Group> =
        document.experiment.load.iter().map(|load| group(document, &load.name)).collect();
    if groups.iter().all(|group| group.requests.iter().sum::<u64>() == 0) {
        return Ok(None);
    }
    let height = groups.iter().map(|group| group.height(subjects.len())).sum::<f64>() + 10.0;
    let shares = groups.iter().flat_map(|group| {
        let of = |counts: &[u64]| {
            counts.iter().zip(&group.requests).map(|(n, all)| share(*n, *all)).collect::<Vec<_>>()
        };
        group.failures.iter().flat_map(|(_, counts)| of(counts)).collect::<Vec<_>>()
    });
    let longest = extent(shares).map_or(1.0, |(_, high)| high);
    let any = groups.iter().any(|group| !group.failures.is_empty());
    let key = |(i, subject): (usize, &String)| Key {
        label: subject.clone(),
        ink: Ink::Subject(i),
        sample: Sample::Bar,
    };

    let title = "Failures by outcome".to_owned();
    let sheet = Sheet {
        title: title.clone(),
        subtitle: "Requests of the VALID trials without a correct answer, as a share of the requests."
            .to_owned(),
        legend: if any { subjects.iter().enumerate().map(key).collect() } else { Vec::new() },
        body_height: height,
        notes: Vec::new(),
        twin: document.summary.twin,
    };
    let svg = sheet.draw(|canvas| {
        let mut y = canvas.top;
        for group in &groups {
            group.draw(canvas, y, longest, subjects)?;
            y += group.height(subjects.len());
        }
        Ok(())
    })?;
    let words: Vec<String> = groups.iter().map(|group| group.words(subjects)).collect();
    Ok(Some(Content { title, alt: words.join(" "), svg }))
}

/// The failures of one load point.
struct Group {
    load: String,
    /// Requests by subject.
    requests: Vec<u64>,
    /// Outcomes that occurred, each with its count by subject.
    failures: Vec<(Outcome, Vec<u64>)>,
}

fn group(document: &Document, load: &str) -> Group {
    let cells: Vec<Vec<&CellSummary>> =
        document.summary.subjects.iter().map(|subject| document.valid(subject, load)).collect();
    let sum = |of: &dyn Fn(&CellSummary) -> u64| -> Vec<u64> {
        cells.iter().map(|cells| cells.iter().map(|cell| of(cell)).sum()).collect()
    };
    let counts = |outcome: Outcome| sum(&|cell| cell.outcomes.get(outcome.name()).copied().unwrap_or(0));
    let failures = Outcome::ALL
        .into_iter()
        .filter(|outcome| *outcome != Outcome::Ok)
        .map(|outcome| (outcome, counts(outcome)))
        .filter(|(_, counts)| counts.iter().any(|count| *count > 0))
        .collect();
    Group { load: load.to_owned(), requests: sum(&|cell| cell.requests), failures }
}

impl Group {
    fn height(&self, subjects: usize) -> f64 {
        let rows = self.failures.len() as f64 * (subjects as f64 * BAR + 14.0);
        34.0 + if self.failures.is_empty() { 28.0 } else { rows }
    }

    fn draw(&self, canvas: &Canvas, top: f64, longest: f64, subjects: &[String]) -> Drawn {
        canvas.text((MARGIN, top + 18.0), &self.load, LABEL, Ink::Text, Anchor::Start)?;
        let mut y = top + 36.0;
        if self.failures.is_empty() {
            return canvas.text((MARGIN + 18.0, y + 8.0), &self.none(), LABEL, Ink::Muted, Anchor::Start);
        }
        for (outcome, counts) in &self.failures {
            let middle = y + subjects.len() as f64 * BAR / 2.0;
            canvas.text(
                (BAR_LEFT - 10.0, middle),
                outline::outcome_title(*outcome),
                LABEL,
                Ink::Text,
                Anchor::End,
            )?;
            for (i, (count, requests)) in counts.iter().zip(&self.requests).enumerate() {
                let room = WIDTH - BAR_LEFT - FIGURES;
                let right = BAR_LEFT
                    + (room * share(*count, *requests) / longest).max(if *count > 0 { 2.0 } else { 0.0 });
                let bar = Area { left: BAR_LEFT, top: y + 2.0, right, bottom: y + BAR - 2.0 };
                canvas.bar(bar, Ink::Subject(i), 1.0)?;
                let figures = format::part(*count, *requests);
                canvas.text((right + 8.0, y + BAR / 2.0), &figures, LABEL - 1.0, Ink::Text, Anchor::Start)?;
                y += BAR;
            }
            y += 14.0;
        }
        Ok(())
    }

    fn none(&self) -> String {
        match self.requests.iter().sum() {
            0 => "no VALID trial".to_owned(),
            all => format!("no failures among {} requests", format::count(all)),
        }
    }

    fn words(&self, subjects: &[String]) -> String {
        if self.failures.is_empty() {
            return format!("{}: {}.", self.load, self.none());
        }
        let of = |(outcome, counts): &(Outcome, Vec<u64>)| {
            let each = subjects.iter().zip(counts.iter().zip(&self.requests));
            let each: Vec<_> = each.map(|(s, (n, all))| format!("{s} {}", format::part(*n, *all))).collect();
            format!("{}: {}", outline::outcome_title(*outcome), each.join(", "))
        };
        let failures: Vec<_> = self.failures.iter().map(of).collect();
        format!("{}: {}.", self.load, failures.join("; "))
    }
}

fn share(some: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { some as f64 / all as f64 }
}
