//! From random numbers to things in their places, such that the caption is true and the only one.

use super::Split;
use super::render::SIDE;
use super::things::{Colour, NOVEL, Shape, Thing};
use crate::random::Stream;

/// How the things of a scene lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrangement {
    /// One thing.
    Alone,
    /// The first left of the second. Right of is never said: one scene, one caption.
    LeftOf,
    /// The first above the second. Below is never said.
    Above,
    /// The first inside the second.
    Inside,
    /// Two to four things that look the same.
    Group,
}

/// A thing in its place. Lengths are pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) thing: Thing,
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) radius: i32,
    /// Cosine and sine of the angle by which it is turned, in 1024ths.
    pub(super) turn: (i32, i32),
}

/// Radii of small things, pixels.
const SMALL: (i32, i32) = (20, 27);
/// Radii of large things, pixels.
const LARGE: (i32, i32) = (44, 56);
/// Radii of large things that hold another, pixels.
const HOLDING: (i32, i32) = (72, 92);
/// Least distance between things, and to the edge, pixels.
const GAP: i32 = 6;
/// 0, 4, 8 and 12 degrees: less than would make a square another shape.
const TURNS: [(i32, i32); 4] = [(1024, 0), (1022, 71), (1014, 143), (1002, 213)];
/// Things of a group lie in cells of this side, pixels: three by three of them.
const CELL: i32 = SIDE / 3;

/// Draws an arrangement and its things, in the order in which the caption names them.
pub(super) fn arrange(split: Split, random: &mut Stream) -> (Arrangement, Vec<Placed>) {
    use Arrangement::{Above, Alone, Group, Inside, LeftOf};
    // Relations are harder than single things, so they come more often.
    let arrangement = random.pick([Alone, LeftOf, LeftOf, Above, Above, Inside, Group]);
    let things = match arrangement {
        Alone => alone(split, random),
        LeftOf | Above => pair(split, arrangement == Above, random),
        Inside => inside(split, random),
        Group => group(split, random),
    };
    (arrangement, things)
}

fn alone(split: Split, random: &mut Stream) -> Vec<Placed> {
    let large = random.pick([false, true]);
    let thing = first_thing(split, large, random);
    let radius = radius(thing, random);
    let mut within = || random.between(radius + GAP, SIDE - radius - GAP);
    let (x, y) = (within(), within());
    vec![placed(thing, (x, y), radius, random)]
}

/// Two different things, the first left of the second, or above it.
fn pair(split: Split, above: bool, random: &mut Stream) -> Vec<Placed> {
    let sizes = (random.pick([false, true]), random.pick([false, true]));
    let first = first_thing(split, sizes.0, random);
    let second = loop {
        let second = familiar_thing(sizes.1, &Shape::ALL, random);
        if second != first {
            break second;
        }
    };
    let (first_radius, second_radius) = (radius(first, random), radius(second, random));
    let apart = first_radius + second_radius + GAP;
    let first_at = random.between(first_radius + GAP, SIDE - second_radius - GAP - apart);
    let second_at = random.between(first_at + apart, SIDE - second_radius - GAP);
    // Across the relation they lie closer than along it, so that nothing else is as true.
    let margin = first_radius.max(second_radius) + GAP;
    let across = random.between(margin, SIDE - margin);
    let slant = (second_at - first_at) / 3;
    let other = random.between((across - slant).max(margin), (across + slant).min(SIDE - margin));
    let at = |along, across| if above { (across, along) } else { (along, across) };
    vec![
        placed(first, at(first_at, across), first_radius, random),
        placed(second, at(second_at, other), second_radius, random),
    ]
}

/// A small thing inside a large one of another colour.
fn inside(split: Split, random: &mut Stream) -> Vec<Placed> {
    let inner = first_thing(split, false, random);
    let outer = loop {
        let outer = familiar_thing(true, &Shape::ROOMY, random);
        if outer.colour != inner.colour {
            break outer;
        }
    };
    let (inner_radius, outer_radius) = (radius(inner, random), random.between(HOLDING.0, HOLDING.1));
    let mut within = || random.between(outer_radius + GAP, SIDE - outer_radius - GAP);
    let (x, y) = (within(), within());
    // A ring's hole has 0.56 of its radius: 40 pixels, and 27 are the most that lie in it.
    let off = 6;
    let inner_at = (x + random.between(-off, off), y + random.between(-off, off));
    vec![placed(inner, inner_at, inner_radius, random), placed(outer, (x, y), outer_radius, random)]
}

/// Two to four small things alike, each in a cell of its own.
fn group(split: Split, random: &mut Stream) -> Vec<Placed> {
    let thing = first_thing(split, false, random);
    let count = random.between(2, 4) as usize;
    let mut cells: Vec<i32> = Vec::new();
    while cells.len() < count {
        let cell = random.between(0, 8);
        if !cells.contains(&cell) {
            cells.push(cell);
        }
    }
    cells
        .iter()
        .map(|cell| {
            let radius = radius(thing, random);
            let play = CELL / 2 - radius - GAP / 2;
            let mut within = |cell: i32| CELL * cell + CELL / 2 + random.between(-play, play);
            let at = (within(cell % 3), within(cell / 3));
            placed(thing, at, radius, random)
        })
        .collect()
}

/// The thing that is named first: the one that is novel where the split asks for it.
fn first_thing(split: Split, large: bool, random: &mut Stream) -> Thing {
    if split == Split::NovelCombinations {
        let (colour, shape) = random.pick(NOVEL);
        Thing { large, colour, shape }
    } else {
        familiar_thing(large, &Shape::ALL, random)
    }
}

/// A thing whose colour and shape meet in training.
fn familiar_thing(large: bool, shapes: &[Shape], random: &mut Stream) -> Thing {
    loop {
        let shape = shapes[usize::from(random.below(shapes.len() as u8))];
        let thing = Thing { large, colour: random.pick(Colour::ALL), shape };
        if !thing.is_novel() {
            return thing;
        }
    }
}

fn radius(thing: Thing, random: &mut Stream) -> i32 {
    let (least, most) = if thing.large { LARGE } else { SMALL };
    random.between(least, most)
}

fn placed(thing: Thing, (x, y): (i32, i32), radius: i32, random: &mut Stream) -> Placed {
    let (cosine, sine) = random.pick(TURNS);
    Placed { thing, x, y, radius, turn: (cosine, sine * random.pick([-1, 1])) }
}
