//! What scenes are made of, and the words for it.

/// Shape of a thing. Its outline is given in thousandths of the thing's radius, `v` downwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Circle,
    Square,
    Triangle,
    Star,
    Cross,
    Ring,
}

/// Corners of an equilateral triangle.
const TRIANGLE: [(i32, i32); 3] = [(0, -1000), (866, 500), (-866, 500)];
/// Corners of a five-pointed star; the inner ones lie at 0.42 of the radius.
const STAR: [(i32, i32); 10] = [
    (0, -1000),
    (247, -340),
    (951, -309),
    (399, 130),
    (588, 809),
    (0, 420),
    (-588, 809),
    (-399, 130),
    (-951, -309),
    (-247, -340),
];

impl Shape {
    pub(super) const ALL: [Self; 6] =
        [Self::Circle, Self::Square, Self::Triangle, Self::Star, Self::Cross, Self::Ring];

    /// Those that another thing fits into.
    pub(super) const ROOMY: [Self; 3] = [Self::Circle, Self::Square, Self::Ring];

    /// The word for one, and for several.
    pub(super) const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Circle => ("circle", "circles"),
            Self::Square => ("square", "squares"),
            Self::Triangle => ("triangle", "triangles"),
            Self::Star => ("star", "stars"),
            Self::Cross => ("cross", "crosses"),
            Self::Ring => ("ring", "rings"),
        }
    }

    /// Whether a point belongs to the shape.
    pub(super) fn holds(self, u: i32, v: i32) -> bool {
        let distance_squared = u * u + v * v;
        let (shorter, longer) = (u.abs().min(v.abs()), u.abs().max(v.abs()));
        match self {
            Self::Circle => distance_squared <= 920 * 920,
            Self::Square => longer <= 760,
            Self::Triangle => inside(&TRIANGLE, u, v),
            Self::Star => inside(&STAR, u, v),
            Self::Cross => shorter <= 310 && longer <= 950,
            Self::Ring => (560 * 560..=960 * 960).contains(&distance_squared),
        }
    }
}

/// Whether a point lies in a polygon: a ray to the right crosses its outline an odd number of times
/// (Shimrat, "Algorithm 112: Position of point relative to polygon", CACM 1962).
fn inside(corners: &[(i32, i32)], u: i32, v: i32) -> bool {
    let ends = corners.iter().cycle().skip(1);
    let crossings = corners.iter().zip(ends).filter(|&(&(from_u, from_v), &(to_u, to_v))| {
        // Both sides multiplied by the edge's height, so that nothing is divided.
        let (height, left) = (to_v - from_v, (u - from_u) * (to_v - from_v));
        let crossing = (to_u - from_u) * (v - from_v);
        (from_v > v) != (to_v > v) && if height > 0 { left < crossing } else { left > crossing }
    });
    crossings.count() % 2 == 1
}

/// Colour of a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    Red,
    Green,
    Blue,
    Yellow,
    Orange,
    Purple,
}

impl Colour {
    pub(super) const ALL: [Self; 6] =
        [Self::Red, Self::Green, Self::Blue, Self::Yellow, Self::Orange, Self::Purple];

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Green => "green",
            Self::Blue => "blue",
            Self::Yellow => "yellow",
            Self::Orange => "orange",
            Self::Purple => "purple",
        }
    }

    pub(super) const fn rgb(self) -> [u8; 3] {
        match self {
            Self::Red => [208, 40, 44],
            Self::Green => [44, 152, 64],
            Self::Blue => [44, 84, 208],
            Self::Yellow => [232, 212, 48],
            Self::Orange => [236, 132, 32],
            Self::Purple => [140, 52, 168],
        }
    }
}

/// What a scene's things lie on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ground {
    White,
    Grey,
    Black,
}

impl Ground {
    pub(super) const ALL: [Self; 3] = [Self::White, Self::Grey, Self::Black];

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::White => "white",
            Self::Grey => "grey",
            Self::Black => "black",
        }
    }

    /// Its brightness in the middle of the picture, 0 to 255.
    pub(super) const fn brightness(self) -> i32 {
        match self {
            Self::White => 232,
            Self::Grey => 128,
            Self::Black => 24,
        }
    }
}

/// What a thing looks like, as the caption says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Thing {
    pub(super) large: bool,
    pub(super) colour: Colour,
    pub(super) shape: Shape,
}

/// Colours and shapes that never meet in training: each colour and each shape once, so that all of
/// them are known from other things.
pub(super) const NOVEL: [(Colour, Shape); 6] = [
    (Colour::Red, Shape::Star),
    (Colour::Green, Shape::Circle),
    (Colour::Blue, Shape::Ring),
    (Colour::Yellow, Shape::Cross),
    (Colour::Orange, Shape::Triangle),
    (Colour::Purple, Shape::Square),
];

impl Thing {
    /// Whether its colour and shape never meet in training.
    pub(super) fn is_novel(self) -> bool {
        NOVEL.contains(&(self.colour, self.shape))
    }

    /// Size, colour and shape, as one or several are called.
    pub(super) fn words(self, several: bool) -> String {
        let (one, many) = self.shape.words();
        let size = if self.large { "large" } else { "small" };
        format!("{size} {} {}", self.colour.word(), if several { many } else { one })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Thousandths of the square around the shape that it covers.
    fn cover(shape: Shape) -> i32 {
        let steps = || (-100..100).map(|step| step * 10 + 5);
        let points = steps().flat_map(|v| steps().map(move |u| (u, v)));
        points.map(|(u, v)| i32::from(shape.holds(u, v))).sum::<i32>() / 40
    }

    #[test]
    fn shapes_cover_what_geometry_says() {
        // In thousandths: pi 0.92^2 / 4; 0.76^2; 3 sqrt(3) / 16; a star of ten triangles with sides 1 and
        // 0.42 and 36 degrees between; two bars less their meeting; pi (0.96^2 - 0.56^2) / 4.
        let star = 10.0 * 0.5 * 0.42 * 36_f64.to_radians().sin() / 4.0 * 1000.0;
        for (shape, expected) in [
            (Shape::Circle, 665),
            (Shape::Square, 578),
            (Shape::Triangle, 325),
            (Shape::Star, star as i32),
            (Shape::Cross, (2 * 310 * 950 - 310 * 310) / 1000),
            (Shape::Ring, 478),
        ] {
            assert!((cover(shape) - expected).abs() <= 10, "{shape:?}: {} not {expected}", cover(shape));
        }
    }

    #[test]
    fn novel_combinations_name_each_colour_and_each_shape_once() {
        for colour in Colour::ALL {
            assert_eq!(NOVEL.iter().filter(|(novel, _)| *novel == colour).count(), 1, "{colour:?}");
        }
        for shape in Shape::ALL {
            assert_eq!(NOVEL.iter().filter(|(_, novel)| *novel == shape).count(), 1, "{shape:?}");
        }
    }
}
