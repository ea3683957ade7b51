//! The sheet that plots are drawn on: title, legend, panels, notes, and the twin's label.
//!
//! Everything is given in pixels. plotters places whole units only, so a pixel is divided into
//! [`UNITS`], and the SVG's view box scales them back.

use std::io;

use plotters::{
    coord::{Shift, cartesian::Cartesian2d, ranged1d::BoldPoints},
    drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea},
    element::{Circle, PathElement, Polygon, Rectangle, Text},
    prelude::SVGBackend,
    style::{
        Color, FontTransform, IntoFont, RGBAColor, ShapeStyle, TextStyle,
        text_anchor::{HPos, Pos, VPos},
    },
};

use super::{
    axis::Axis,
    palette::{BOLD_PX, Ink, Marker, dash},
    text::{shortened, width, wrapped},
};

/// Drawing units in a pixel.
const UNITS: f64 = 10.0;
/// Points of a line that are closer than this to the one before are left out, drawing units.
const CLOSE: i32 = 5;
/// Width of every plot, pixels.
pub(super) const WIDTH: f64 = 760.0;
/// Space at the left and right edge, pixels.
pub(super) const MARGIN: f64 = 16.0;
/// Font size of axes and legends: readable at half size.
pub(super) const LABEL: f64 = 16.0;
/// Font size of notes.
const NOTE: f64 = 14.0;
const TITLE: f64 = 21.0;
/// Left edge of panels with numbers at their y axis.
pub(super) const PANEL_LEFT: f64 = 76.0;
/// Right edge of panels.
pub(super) const PANEL_RIGHT: f64 = WIDTH - 22.0;
const FONT: &str = "DejaVu Sans, Verdana, sans-serif";
/// plotters divides font sizes by this before it writes them.
const FONT_DIVISOR: f64 = 1.24;

/// The twin's label, as short as a plot needs it.
const TWIN_LINE: &str = "Twin: a stand-in on one machine. Says nothing about a real cluster.";

/// Drawing failed. It writes to memory, so this is a fault of the plot.
pub(super) type DrawError = DrawingAreaErrorKind<io::Error>;
pub(super) type Drawn = Result<(), DrawError>;

/// What surrounds the panels.
#[derive(Debug, Clone, Default)]
pub(super) struct Sheet {
    /// What is shown, with its unit.
    pub(super) title: String,
    /// How it was pooled.
    pub(super) subtitle: String,
    /// What lines and markers stand for.
    pub(super) legend: Vec<Key>,
    /// Height of the part with the panels, pixels.
    pub(super) body_height: f64,
    /// What must be known to read it.
    pub(super) notes: Vec<String>,
    /// Whether a twin made the figures.
    pub(super) twin: bool,
}

/// One entry of a legend.
#[derive(Debug, Clone)]
pub(super) struct Key {
    /// Its words.
    pub(super) label: String,
    /// Its colour.
    pub(super) ink: Ink,
    /// How it is drawn.
    pub(super) sample: Sample,
}

/// How a legend shows its entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sample {
    /// A bold line.
    Line,
    /// A thin line: a trial.
    Thin,
    /// A thin line: a trial that does not count.
    Faded,
    /// A thin line at full strength.
    Fine,
    /// A bar.
    Bar,
    /// A point.
    Point(Marker),
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stroke {
    ink: Ink,
    width_px: f64,
    alpha: f64,
}

impl Stroke {
    /// A subject's main line.
    pub(super) fn bold(ink: Ink) -> Self {
        Self { ink, width_px: BOLD_PX, alpha: 1.0 }
    }

    /// A single trial; a fainter one if it does not count.
    pub(super) fn trial(ink: Ink, valid: bool) -> Self {
        if valid {
            Self { ink, width_px: 1.3, alpha: 0.55 }
        } else {
            Self { ink: Ink::Muted, width_px: 1.3, alpha: 0.5 }
        }
    }

    /// A thin line at full strength.
    pub(super) fn fine(ink: Ink) -> Self {
        Self::plain(ink, 1.3)
    }

    /// A line of the given width.
    pub(super) fn plain(ink: Ink, width_px: f64) -> Self {
        Self { ink, width_px, alpha: 1.0 }
    }

    fn style(self) -> ShapeStyle {
        ShapeStyle {
            color: colour(self.ink, self.alpha),
            filled: false,
            stroke_width: (self.width_px * UNITS).round() as u32,
        }
    }
}

/// Where text stands relative to its point.
#[derive(Debug, Clone, Copy)]
pub(super) enum Anchor {
    /// To the right of it, its middle at the point's height.
    Start,
    /// Around it.
    Middle,
    /// To the left of it.
    End,
}

/// A rectangle in pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Area {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

/// The sheet while it is being drawn on.
pub(super) struct Canvas<'b> {
    root: DrawingArea<SVGBackend<'b>, Shift>,
    /// Where the body begins.
    pub(super) top: f64,
}

/// A coordinate system on the sheet.
pub(super) struct Panel<'b> {
    plane: DrawingArea<SVGBackend<'b>, Cartesian2d<Axis, Axis>>,
}

impl Sheet {
    /// Draws everything: first what surrounds the body, then the body.
    ///
    /// # Errors
    /// When the body cannot be drawn.
    pub(super) fn draw(&self, body: impl FnOnce(&Canvas) -> Drawn) -> Result<String, DrawError> {
        let room = WIDTH - 2.0 * MARGIN;
        let title = wrapped(&self.title, TITLE, room);
        let subtitle = wrapped(&self.subtitle, NOTE, room);
        let notes: Vec<String> = self.notes.iter().flat_map(|note| wrapped(note, NOTE, room)).collect();
        let legend = place_legend(&self.legend, room);
        let legend_rows = legend.last().map_or(0.0, |(_, row)| row + 1.0);

        let head = 14.0 + title.len() as f64 * 27.0 + subtitle.len() as f64 * 20.0 + legend_rows * 25.0;
        let foot = notes.len() as f64 * 20.0 + if self.twin { 24.0 } else { 4.0 } + 10.0;
        let height = (head + self.body_height + foot).ceil();
        let mut svg = String::new();
        {
            let size = ((WIDTH * UNITS) as u32, (height * UNITS) as u32);
            let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            let canvas = Canvas { root: area, top: head };
            let mut y = 14.0;
            for line in &title {
                y += 27.0;
                canvas.text((MARGIN, y - 14.0), line, TITLE, Ink::Text, Anchor::Start)?;
            }
            for line in &subtitle {
                y += 20.0;
                canvas.text((MARGIN, y - 10.0), line, NOTE, Ink::Muted, Anchor::Start)?;
            }
            for (key, (x, row)) in self.legend.iter().zip(&legend) {
                canvas.key(key, MARGIN + x, y + 13.0 + row * 25.0)?;
            }
            body(&canvas)?;
            let mut y = head + self.body_height;
            for line in &notes {
                y += 20.0;
                canvas.text((MARGIN, y - 10.0), line, NOTE, Ink::Muted, Anchor::Start)?;
            }
            if self.twin {
                canvas.text((MARGIN, y + 14.0), TWIN_LINE, NOTE, Ink::Warning, Anchor::Start)?;
            }
            canvas.root.present()?;
        }
        Ok(finished(&svg, height))
    }
}

/// Offset across and row of each entry.
pub(super) fn place_legend(keys: &[Key], room: f64) -> Vec<(f64, f64)> {
    let (mut x, mut row) = (0.0, 0.0);
    let place = |key: &Key| {
        let needed = 50.0 + width(&key.label, LABEL).min(room - 50.0) + 22.0;
        if x > 0.0 && x + needed - 22.0 > room {
            (x, row) = (0.0, row + 1.0);
        }
        let at = (x, row);
        x += needed;
        at
    };
    keys.iter().map(place).collect()
}

/// Scales units back to pixels, adds the background and the dashes.
fn finished(svg: &str, height: f64) -> String {
    let body = svg.find('>').map_or(svg, |end| &svg[end + 1..]);
    let (w, h) = (WIDTH * UNITS, height * UNITS);
    let head = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {w} {h}\" \
         stroke-linejoin=\"round\">\n<rect width=\"{w}\" height=\"{h}\" fill=\"#FFFFFF\"/>"
    );
    dash(head + body, UNITS)
}

impl<'b> Canvas<'b> {
    /// A line of text; it is shortened where the sheet ends.
    pub(super) fn text(&self, at: (f64, f64), text: &str, size: f64, ink: Ink, anchor: Anchor) -> Drawn {
        let (h, room) = match anchor {
            Anchor::Start => (HPos::Left, WIDTH - 4.0 - at.0),
            Anchor::Middle => (HPos::Center, 2.0 * (WIDTH - at.0).min(at.0)),
            Anchor::End => (HPos::Right, at.0 - 4.0),
        };
        let colour = ink.rgb();
        let style = TextStyle::from((FONT, size * FONT_DIVISOR * UNITS).into_font())
            .color(&colour)
            .transform(FontTransform::None)
            .pos(Pos::new(h, VPos::Center));
        self.root.draw(&Text::new(shortened(text, size, room), units(at), style))
    }

    /// A line through points.
    pub(super) fn line(&self, points: &[(f64, f64)], stroke: Stroke) -> Drawn {
        let points: Vec<_> = points.iter().copied().map(units).collect();
        self.root.draw(&PathElement::new(points, stroke.style()))
    }

    /// A filled rectangle.
    pub(super) fn bar(&self, area: Area, ink: Ink, alpha: f64) -> Drawn {
        let corners = [units((area.left, area.top)), units((area.right, area.bottom))];
        self.root.draw(&Rectangle::new(corners, colour(ink, alpha).filled()))
    }

    /// A point.
    pub(super) fn marker(&self, at: (f64, f64), marker: Marker, ink: Ink, alpha: f64, radius: f64) -> Drawn {
        let style = colour(ink, alpha).filled();
        let (x, y) = at;
        let r = radius;
        let polygon = |corners: &[(f64, f64)]| {
            let corners: Vec<_> = corners.iter().map(|(dx, dy)| units((x + dx * r, y + dy * r))).collect();
            self.root.draw(&Polygon::new(corners, style))
        };
        match marker {
            Marker::Circle => self.root.draw(&Circle::new(units(at), (r * UNITS) as u32, style)),
            Marker::Diamond => polygon(&[(0.0, -1.35), (1.35, 0.0), (0.0, 1.35), (-1.35, 0.0)]),
        }
    }

    /// An entry of a legend, beginning at this point.
    pub(super) fn key(&self, key: &Key, x: f64, y: f64) -> Drawn {
        let line = [(x, y), (x + 40.0, y)];
        match key.sample {
            Sample::Line => self.line(&line, Stroke::bold(key.ink))?,
            Sample::Thin => self.line(&line, Stroke::trial(key.ink, true))?,
            Sample::Faded => self.line(&line, Stroke::trial(key.ink, false))?,
            Sample::Fine => self.line(&line, Stroke::fine(key.ink))?,
            Sample::Bar => {
                let area = Area { left: x, top: y - 7.0, right: x + 40.0, bottom: y + 7.0 };
                self.bar(area, key.ink, 1.0)?;
            }
            Sample::Point(marker) => self.marker((x + 30.0, y), marker, key.ink, 1.0, 5.0)?,
        }
        self.text((x + 48.0, y), &key.label, LABEL, Ink::Text, Anchor::Start)
    }

    /// A coordinate system with grid, ticks and titles. The y axis is named above the panel, where it
    /// reads without turning the head.
    pub(super) fn panel(&self, area: Area, x: (Axis, &str), y: (Axis, &str)) -> Result<Panel<'b>, DrawError> {
        let ((x, x_title), (y, y_title)) = (x, y);
        let (left, top) = units((area.left, area.top));
        let (right, bottom) = units((area.right, area.bottom));
        let plane = Cartesian2d::new(x.clone(), y.clone(), (left..right, bottom..top));
        let panel = Panel { plane: self.root.clone().apply_coord_spec(plane) };
        let grid = Stroke::plain(Ink::Grid, 1.0).style();
        panel.plane.draw_mesh(|backend, line| line.draw(backend, &grid), BoldPoints(1), BoldPoints(1))?;
        let frame = Stroke::plain(Ink::Muted, 1.2);
        let corners = [(area.left, area.top), (area.left, area.bottom), (area.right, area.bottom)];
        self.line(&corners, frame)?;

        for (value, label) in &y.ticks {
            let at = panel.at(x.range_low(), *value).1;
            self.text((area.left - 7.0, at), label, LABEL, Ink::Text, Anchor::End)?;
        }
        let mut free_from = f64::NEG_INFINITY;
        for (value, label) in &x.ticks {
            let at = panel.at(*value, y.range_low()).0;
            let half = width(label, LABEL) / 2.0;
            // A label that would touch its neighbour is left out; its grid line stays.
            if at - half < free_from || at + half > WIDTH {
                continue;
            }
            free_from = at + half + 8.0;
            self.text((at, area.bottom + 14.0), label, LABEL, Ink::Text, Anchor::Middle)?;
        }
        if !y_title.is_empty() {
            self.text((area.left, area.top - 13.0), y_title, LABEL, Ink::Muted, Anchor::Start)?;
        }
        if !x_title.is_empty() {
            let at = (area.right, area.bottom + 36.0);
            self.text(at, x_title, LABEL, Ink::Muted, Anchor::End)?;
        }
        Ok(panel)
    }
}

impl Panel<'_> {
    /// A line through points of the coordinate system, less those that nobody could tell apart.
    pub(super) fn line(&self, points: &[(f64, f64)], stroke: Stroke) -> Drawn {
        let mut kept: Vec<(f64, f64)> = Vec::new();
        let mut last: Option<(i32, i32)> = None;
        for (i, point) in points.iter().enumerate() {
            let at = self.plane.map_coordinate(point);
            let near = last.is_some_and(|p| (p.0 - at.0).abs() < CLOSE && (p.1 - at.1).abs() < CLOSE);
            if !near || i + 1 == points.len() {
                kept.push(*point);
                last = Some(at);
            }
        }
        self.plane.draw(&PathElement::new(kept, stroke.style()))
    }

    /// A vertical band.
    pub(super) fn band(&self, x: (f64, f64), y: (f64, f64)) -> Drawn {
        self.plane.draw(&Rectangle::new([(x.0, y.0), (x.1, y.1)], colour(Ink::Grid, 0.55).filled()))
    }

    /// Where a value stands on the sheet, pixels.
    pub(super) fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let (x, y) = self.plane.map_coordinate(&(x, y));
        (f64::from(x) / UNITS, f64::from(y) / UNITS)
    }
}

fn units((x, y): (f64, f64)) -> (i32, i32) {
    ((x * UNITS).round() as i32, (y * UNITS).round() as i32)
}

fn colour(ink: Ink, alpha: f64) -> RGBAColor {
    ink.rgb().mix(alpha)
}
