//! SVG to PNG, with the embedded font: the same picture on machines without any.

use std::sync::{Arc, LazyLock};

use resvg::{
    tiny_skia::{Pixmap, Transform},
    usvg::{Options, Tree, fontdb::Database},
};

/// Largest picture that is drawn, pixels; a scale beyond it is a slip of the keyboard.
const MAX_PIXELS: f32 = 50e6;

/// Subset of DejaVu Sans; `harness/assets/fonts/README.md` says how it was made.
static FONT: &[u8] = include_bytes!("../../assets/fonts/DejaVuSans-subset.ttf");

static FONTS: LazyLock<Arc<Database>> = LazyLock::new(|| {
    let mut fonts = Database::new();
    fonts.load_font_data(FONT.to_vec());
    fonts.set_sans_serif_family("DejaVu Sans");
    Arc::new(fonts)
});

/// Why a picture could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PngError {
    /// The text is not SVG.
    #[error("this is not an SVG picture ({0}); rebuild it with 'harness report'")]
    NotSvg(#[from] resvg::usvg::Error),
    /// The scale yields no picture, or one too large.
    #[error("scale {scale} makes a picture of {width:.0} x {height:.0} pixels; choose one between 0.1 and 4")]
    Scale {
        /// What was asked.
        scale: f32,
        /// Pixels across.
        width: f32,
        /// Pixels down.
        height: f32,
    },
    /// The picture could not be encoded.
    #[error("the PNG could not be encoded ({0}); keep the SVG instead")]
    Encode(String),
}

/// Draws an SVG picture as PNG at `scale` times its size.
///
/// # Errors
/// When the text is not SVG, or the scale is out of reason.
pub fn render(svg: &str, scale: f32) -> Result<Vec<u8>, PngError> {
    let options =
        Options { fontdb: FONTS.clone(), font_family: "DejaVu Sans".to_owned(), ..Options::default() };
    let tree = Tree::from_str(svg, &options)?;
    let (width, height) = ((tree.size().width() * scale).ceil(), (tree.size().height() * scale).ceil());
    let pixmap = (width * height <= MAX_PIXELS).then(|| Pixmap::new(width as u32, height as u32)).flatten();
    let mut pixmap = pixmap.ok_or(PngError::Scale { scale, width, height })?;
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixmap.as_mut());
    pixmap.encode_png().map_err(|error| PngError::Encode(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SVG: &str = r#"<svg xmlns="http://www.w3.org/2000/svg" width="200" height="50">
        <text x="5" y="40" font-family="DejaVu Sans, Verdana, sans-serif" font-size="36">p95 ≥ µs</text></svg>"#;

    #[test]
    fn text_is_drawn_with_the_embedded_font_alone() {
        let pixels = |svg: &str| {
            let png = render(svg, 1.0).unwrap();
            let drawn = Pixmap::decode_png(&png).unwrap();
            assert_eq!((drawn.width(), drawn.height()), (200, 50));
            drawn.pixels().iter().filter(|pixel| pixel.alpha() > 0).count()
        };
        assert!(pixels(SVG) > 500);
        assert_eq!(pixels(&SVG.replace("p95 ≥ µs", "")), 0);
    }

    #[test]
    fn a_scale_enlarges_the_picture_and_an_absurd_one_is_refused() {
        let png = render(SVG, 2.0).unwrap();
        assert_eq!(Pixmap::decode_png(&png).unwrap().width(), 400);
        for scale in [0.0, -1.0, 1e6, f32::NAN] {
            assert!(matches!(render(SVG, scale), Err(PngError::Scale { .. })), "{scale}");
        }
        assert!(matches!(render("<p>", 1.0), Err(PngError::NotSvg(_))));
    }
}
