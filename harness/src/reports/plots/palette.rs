//! Colours and dashes. Subjects differ by both, or have labels beside them, so that no reader needs the colour.
//!
//! The colours are those of Okabe and Ito ("Color Universal Design", 2008), darkened a little where
//! they would vanish on white, and lightened for dark pages.

use plotters::style::RGBColor;

/// What something is drawn with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    /// Text and axes.
    Text,
    /// Text that is read second.
    Muted,
    /// Grid lines.
    Grid,
    /// The background.
    Paper,
    /// The twin's label.
    Warning,
    /// A subject, by its position in the report.
    Subject(usize),
    /// A stage of a start, by its position.
    Stage(usize),
    /// Text on a stage.
    OnStage,
}

/// An ink's colour on white paper and its name as a CSS variable.
struct Colour {
    ink: Ink,
    light: (u8, u8, u8),
    dark: &'static str,
    variable: &'static str,
}

/// Subjects with looks of their own; more than these share looks and are told apart by labels.
const LOOKS: usize = 4;

/// Stages with colours of their own.
const STAGES: usize = 6;

const COLOURS: [Colour; 6 + LOOKS + STAGES] = [
    Colour { ink: Ink::Text, light: (0x1B, 0x1F, 0x24), dark: "#e9ecef", variable: "--plot-text" },
    Colour { ink: Ink::Muted, light: (0x57, 0x5F, 0x67), dark: "#a9b1ba", variable: "--plot-muted" },
    Colour { ink: Ink::Grid, light: (0xDE, 0xE2, 0xE6), dark: "#363c43", variable: "--plot-grid" },
    Colour { ink: Ink::Paper, light: (0xFF, 0xFF, 0xFF), dark: "#16191d", variable: "--plot-paper" },
    Colour { ink: Ink::Warning, light: (0x8A, 0x3B, 0x00), dark: "#ffb26b", variable: "--plot-warning" },
    Colour { ink: Ink::Subject(0), light: (0x00, 0x72, 0xB2), dark: "#56b4e9", variable: "--plot-a" },
    Colour { ink: Ink::Subject(1), light: (0xD5, 0x5E, 0x00), dark: "#ff8a3d", variable: "--plot-b" },
    Colour { ink: Ink::Subject(2), light: (0x00, 0x8A, 0x65), dark: "#2fd0a0", variable: "--plot-c" },
    Colour { ink: Ink::Subject(3), light: (0xB0, 0x5A, 0x8C), dark: "#e6a3ca", variable: "--plot-d" },
    Colour { ink: Ink::OnStage, light: (0x10, 0x14, 0x18), dark: "#101418", variable: "--plot-on-stage" },
    Colour { ink: Ink::Stage(0), light: (0xB4, 0xBC, 0xC6), dark: "#8b96a3", variable: "--plot-s0" },
    Colour { ink: Ink::Stage(1), light: (0x7A, 0xC4, 0xF0), dark: "#7ac4f1", variable: "--plot-s1" },
    Colour { ink: Ink::Stage(2), light: (0xF0, 0xB4, 0x3C), dark: "#f0b43d", variable: "--plot-s2" },
    Colour { ink: Ink::Stage(3), light: (0x6F, 0xCF, 0xAE), dark: "#6fcfaf", variable: "--plot-s3" },
    Colour { ink: Ink::Stage(4), light: (0xE3, 0xA0, 0xC4), dark: "#e3a0c5", variable: "--plot-s4" },
    Colour { ink: Ink::Stage(5), light: (0xF2, 0xE2, 0x6B), dark: "#f2e26c", variable: "--plot-s5" },
];

/// Dash and gap lengths of bold lines, by subject, in pixels.
const DASHES: [&[u32]; LOOKS] = [&[], &[9, 4], &[2, 4], &[12, 4, 2, 4]];

/// Width of the lines that carry a subject's dashes, pixels.
pub(super) const BOLD_PX: f64 = 2.8;

/// The shape of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker {
    /// A circle.
    Circle,
    /// A square standing on its corner.
    Diamond,
}

impl Ink {
    /// The colour on white paper.
    pub(super) fn rgb(self) -> RGBColor {
        let (r, g, b) = self.colour().light;
        RGBColor(r, g, b)
    }

    fn colour(self) -> &'static Colour {
        let ink = match self {
            Self::Subject(i) => Self::Subject(i % LOOKS),
            Self::Stage(i) => Self::Stage(i % STAGES),
            other => other,
        };
        COLOURS.iter().find(|colour| colour.ink == ink).unwrap_or(&COLOURS[0])
    }
}

impl Colour {
    /// As plotters writes it.
    fn attribute(&self) -> String {
        let (r, g, b) = self.light;
        format!("\"#{r:02X}{g:02X}{b:02X}\"")
    }
}

/// Gives bold lines the dashes of their subject, which the drawing library cannot write.
/// `unit` is how many drawing units make a pixel.
pub(super) fn dash(svg: String, unit: f64) -> String {
    let width = (BOLD_PX * unit).round();
    COLOURS.iter().fold(svg, |svg, colour| {
        let Ink::Subject(i) = colour.ink else { return svg };
        if DASHES[i].is_empty() {
            return svg;
        }
        let lengths: Vec<_> = DASHES[i].iter().map(|px| (f64::from(*px) * unit).to_string()).collect();
        let line = format!("stroke={} stroke-width=\"{width}\"", colour.attribute());
        svg.replace(&line, &format!("{line} stroke-dasharray=\"{}\"", lengths.join(" ")))
    })
}

/// Replaces fixed colours by CSS variables, for pages that know light and dark.
pub(super) fn with_variables(svg: &str) -> String {
    COLOURS.iter().fold(svg.to_owned(), |svg, colour| {
        svg.replace(&colour.attribute(), &format!("\"var({})\"", colour.variable))
    })
}

/// The CSS declarations of the variables: for light pages, and for dark ones.
pub fn css_variables() -> (String, String) {
    let declare = |value: fn(&Colour) -> String| {
        let one = |colour: &Colour| format!("{}:{}", colour.variable, value(colour));
        COLOURS.iter().map(one).collect::<Vec<_>>().join(";")
    };
    (declare(|colour| colour.attribute().replace('"', "")), declare(|colour| colour.dark.to_owned()))
}
