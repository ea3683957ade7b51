//! The engine: `fullbleed`, with the fonts and the style sheet of this folder.

use fullbleed::{Asset as Resource, AssetBundle, AssetKind, FullBleed, FullBleedError};
use serde_json::{Map, Value, json};

use super::child::Refusal;
use crate::workloads::pdf::page::{Asset, Page};

/// What browsers do without being told (HTML, section 15), as far as the engine does not.
const STYLE: &str = include_str!("style.css");

/// The fonts, and under which names they stand in for the fonts of every PDF reader: the engine
/// falls back to those, and would not embed them. The generic families it finds by itself.
const FONTS: [(&[&str], &[u8]); 9] = [
    (&["DejaVuSans", "Helvetica"], include_bytes!("../../../../assets/fonts/DejaVuSans-subset.ttf")),
    (
        &["DejaVuSans-Bold", "Helvetica-Bold"],
        include_bytes!("../../../../assets/fonts/DejaVuSans-Bold-subset.ttf"),
    ),
    (
        &["DejaVuSans-Oblique", "Helvetica-Oblique"],
        include_bytes!("../../../../assets/fonts/DejaVuSans-Oblique-subset.ttf"),
    ),
    (
        &["DejaVuSans-BoldOblique", "Helvetica-BoldOblique"],
        include_bytes!("../../../../assets/fonts/DejaVuSans-BoldOblique-subset.ttf"),
    ),
    (&["DejaVuSerif", "Times-Roman"], include_bytes!("../../../../assets/fonts/DejaVuSerif-subset.ttf")),
    (
        &["DejaVuSerif-Bold", "Times-Bold", "Times-BoldItalic"],
        include_bytes!("../../../../assets/fonts/DejaVuSerif-Bold-subset.ttf"),
    ),
    (
        &["DejaVuSerif-Italic", "Times-Italic"],
        include_bytes!("../../../../assets/fonts/DejaVuSerif-Italic-subset.ttf"),
    ),
    (
        &["DejaVuSansMono", "Courier", "Courier-Oblique"],
        include_bytes!("../../../../assets/fonts/DejaVuSansMono-subset.ttf"),
    ),
    (
        &["DejaVuSansMono-Bold", "Courier-Bold", "Courier-BoldOblique"],
        include_bytes!("../../../../assets/fonts/DejaVuSansMono-Bold-subset.ttf"),
    ),
];

/// What renders.
pub fn about() -> Map<String, Value> {
    let fonts = FONTS.map(|(names, _)| names[0]);
    Map::from_iter([("engine".to_owned(), json!("fullbleed 2.5")), ("fonts".to_owned(), json!(fonts))])
}

/// Renders on A4 unless the page names another size, which is refused where pages are counted.
///
/// # Errors
/// If an asset is broken, or the engine fails.
pub fn render(page: &Page) -> Result<Vec<u8>, Refusal> {
    let mut resources = AssetBundle::default();
    let mut add = |name: &str, kind, bytes: &[u8], is_ours| {
        resources.add(Resource::new(name.to_owned(), kind, bytes.to_vec(), None, is_ours));
    };
    add("browser.css", AssetKind::Css, STYLE.as_bytes(), true);
    for (names, font) in FONTS {
        names.iter().for_each(|name| add(name, AssetKind::Font, font, true));
    }
    for asset in page.assets.iter().filter(|asset| is_used(page, asset)) {
        add(&asset.name, kind(asset), &asset.bytes, false);
    }
    let refused = |error| match error {
        FullBleedError::Asset(why) => Refusal::Damaged(format!("a file of the page cannot be used: {why}")),
        other => Refusal::Failed(other.to_string()),
    };
    let engine = FullBleed::builder().register_bundle(resources).build().map_err(refused)?;
    engine.render_to_buffer(&page.html, "").map_err(refused)
}

/// The engine applies every style sheet and every font that it has: it gets those that the page names.
fn is_used(page: &Page, asset: &Asset) -> bool {
    page.html.contains(&asset.name)
}

fn kind(asset: &Asset) -> AssetKind {
    let media = asset.content_type.split(';').next().unwrap_or_default().trim();
    match media {
        "text/css" => AssetKind::Css,
        "image/svg+xml" => AssetKind::Svg,
        _ if media.starts_with("font/") => AssetKind::Font,
        _ if media.starts_with("image/") => AssetKind::Image,
        _ => AssetKind::Other,
    }
}
