//! The paper of a PDF: both renderers print on A4, so that their figures are about the same pages.

use super::count::{CountError, Dictionary, Table, page_tree};

/// Shorter and longer edge of A4 (ISO 216), in points: 210 mm by 297 mm.
const A4_POINTS: [f64; 2] = [210.0 * POINTS_A_MM, 297.0 * POINTS_A_MM];
const POINTS_A_MM: f64 = 72.0 / 25.4;
/// Renderers round to points, or to hundredths of an inch.
const ROUNDING_POINTS: f64 = 1.5;
/// Nodes of a page tree that are looked at; one with a circle in it would have more.
const MOST_NODES: usize = 100_000;

/// Width and height of a page that is not on A4, upright or across; in mm. None if there is no such page.
///
/// # Errors
/// If the page tree cannot be read, or a page has no paper.
pub fn other_than_a4(pdf: &[u8]) -> Result<Option<[f64; 2]>, CountError> {
    let (table, root) = page_tree(pdf)?;
    let papers = papers(&table, root).ok_or(CountError::NoPageTree)?;
    let other = papers.into_iter().find(|paper| !is_a4(*paper));
    Ok(other.map(|paper| paper.map(|points| points / POINTS_A_MM)))
}

/// Width and height of each page's paper; what a page does not say, the nodes above it do (ISO 32000-1,
/// 7.7.3.4).
fn papers(table: &Table<'_>, root: usize) -> Option<Vec<[f64; 2]>> {
    let mut found = Vec::new();
    let mut open = vec![(root, None)];
    for _ in 0..MOST_NODES {
        let Some((number, inherited)) = open.pop() else { return Some(found) };
        let node = table.object(number)?;
        let paper = paper(&node).or(inherited);
        let Some(kids) = node.array_of(b"/Kids") else {
            found.push(paper?);
            continue;
        };
        // References are written `12 0 R`.
        for kid in kids.chunks_exact(3) {
            open.push((std::str::from_utf8(kid[0]).ok()?.parse().ok()?, paper));
        }
    }
    None
}

fn paper(node: &Dictionary<'_>) -> Option<[f64; 2]> {
    let corners = node.array_of(b"/MediaBox")?;
    let corners: Vec<f64> =
        corners.iter().filter_map(|text| std::str::from_utf8(text).ok()?.parse().ok()).collect();
    let [left, bottom, right, top] = corners.try_into().ok()?;
    Some([right - left, top - bottom])
}

fn is_a4([width, height]: [f64; 2]) -> bool {
    let edges = [width.min(height), width.max(height)];
    edges.iter().zip(A4_POINTS).all(|(edge, wanted)| (edge - wanted).abs() <= ROUNDING_POINTS)
}

#[cfg(test)]
mod tests {
    use super::super::count::tests::pdf_of;
    use super::*;

    const CATALOGUE: &str = "<</Pages 2 0 R>>";

    #[test]
    fn every_page_is_looked_at_wherever_its_paper_is_named() {
        let of = |last: &str| {
            let tree = "<</Kids [3 0 R 4 0 R]/Count 3/MediaBox [0 0 595 842]>>";
            let below = "<</Kids[5 0 R 6 0 R]>>";
            let across = "<</Type/Page/MediaBox[0 0 841.92 595.32]>>";
            other_than_a4(&pdf_of(&[CATALOGUE, tree, "<</Type/Page>>", below, across, last]))
        };
        assert_eq!(of("<</Type/Page>>"), Ok(None));
        let [width, height] = of("<</Type/Page/MediaBox [0 0 612 792]>>").unwrap().unwrap();
        assert_eq!(format!("{width:.0} by {height:.0}"), "216 by 279");
        assert!(of("<</Type/Page/MediaBox [10 10 595 842]>>").unwrap().is_some(), "from corner to corner");
    }

    #[test]
    fn a_page_without_paper_and_a_tree_with_a_circle_are_no_pdf() {
        let of = |tree| other_than_a4(&pdf_of(&[CATALOGUE, tree]));
        assert_eq!(of("<</Type/Page>>"), Err(CountError::NoPageTree));
        assert_eq!(of("<</Kids[2 0 R]>>"), Err(CountError::NoPageTree));
    }
}
