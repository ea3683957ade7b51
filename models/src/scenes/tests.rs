//! Same seed, same bytes; captions are true of the pixels; splits share nothing.

use std::collections::HashSet;

use image::RgbImage;

use super::things::{Colour, Shape};
use super::*;
use crate::places::sha256_hex;

const SEED: u64 = 7;

/// What is to be seen in a scene, undrawn, and its caption.
fn described(split: Split, index: u32) -> (Scene, String) {
    let scene = Scene::new(split, &mut stream(split, SEED, index));
    let caption = scene.caption();
    (scene, caption)
}

/// The colour of a thing in the picture: the nearest to the mean of the pixels that it covers, as far
/// as nothing covers them in turn.
fn seen_colour(scene: &Scene, at: usize, picture: &RgbImage) -> Colour {
    let covers = |placed: &Placed, x: i32, y: i32| {
        let (cosine, sine) = placed.turn;
        let (across, down) = ((x - placed.x) * 1000 / placed.radius, (y - placed.y) * 1000 / placed.radius);
        let (u, v) = (across * cosine + down * sine, down * cosine - across * sine);
        placed.thing.shape.holds(u / 1024, v / 1024)
    };
    let (mut sum, mut count) = ([0; 3], 0);
    for (x, y, pixel) in picture.enumerate_pixels() {
        let (x, y) = (x.cast_signed(), y.cast_signed());
        if covers(&scene.things[at], x, y) && !scene.things[..at].iter().any(|front| covers(front, x, y)) {
            count += 1;
            (0..3).for_each(|channel| sum[channel] += i32::from(pixel.0[channel]));
        }
    }
    let mean = sum.map(|sum| sum / count);
    let distance = |colour: &Colour| -> i32 {
        let rgb = colour.rgb();
        (0..3).map(|channel| (mean[channel] - i32::from(rgb[channel])).pow(2)).sum()
    };
    *Colour::ALL.iter().min_by_key(|colour| distance(colour)).unwrap()
}

#[test]
fn the_same_seed_draws_the_same_bytes_for_ever() {
    let scenes = held_out(PAYLOAD_SEED, 3).unwrap();
    assert_eq!(scenes, held_out(PAYLOAD_SEED, 3).unwrap());
    let all: Vec<u8> = scenes.iter().flat_map(|scene| scene.jpeg.clone()).collect();
    let seen: Vec<_> = scenes.iter().map(|scene| (scene.name.as_str(), scene.caption.as_str())).collect();
    assert_eq!(
        (seen, sha256_hex(&all).as_str()),
        (
            vec![
                ("scene-held-out-2026-0.jpg", "a large purple circle on black"),
                ("scene-held-out-2026-1.jpg", "a small purple circle inside a large orange square on grey"),
                ("scene-held-out-2026-2.jpg", "a large orange star above a large purple cross on black"),
            ],
            "4c1727b921b7b4a0b57c74282bdad64ad8ecd79bacd0e85e74bb3cb507e86e67",
        )
    );
}

#[test]
fn captions_name_the_colours_that_the_pixels_have() {
    for (split, index) in Split::ALL.into_iter().flat_map(|split| (0..20).map(move |index| (split, index))) {
        let (scene, _) = described(split, index);
        let drawn = draw(split, SEED, index).unwrap();
        let picture = image::load_from_memory(&drawn.jpeg).unwrap().to_rgb8();
        for at in 0..scene.things.len() {
            let colour = seen_colour(&scene, at, &picture);
            assert_eq!(colour, scene.things[at].thing.colour, "{} {}", drawn.name, drawn.caption);
            assert!(drawn.caption.contains(colour.word()));
        }
        let corner = picture.get_pixel(0, 0).0.map(i32::from);
        let ground = match corner.iter().sum::<i32>() / 3 {
            ..75 => Ground::Black,
            75..180 => Ground::Grey,
            180.. => Ground::White,
        };
        assert!(drawn.caption.ends_with(&format!(" on {}", ground.word())), "{} {corner:?}", drawn.caption);
    }
}

#[test]
fn captions_say_how_the_things_lie() {
    let mut seen = HashSet::new();
    for index in 0..300 {
        let (scene, caption) = described(Split::Training, index);
        let of = |at: usize| scene.things[at];
        let things = scene.things.len();
        if caption.contains(" left of ") {
            let (first, second) = (of(0), of(1));
            assert!(first.x + first.radius < second.x - second.radius, "{caption}");
            assert!(second.x - first.x > 2 * (second.y - first.y).abs(), "{caption}");
            seen.insert("left of");
        } else if caption.contains(" above ") {
            let (first, second) = (of(0), of(1));
            assert!(first.y + first.radius < second.y - second.radius, "{caption}");
            assert!(second.y - first.y > 2 * (second.x - first.x).abs(), "{caption}");
            seen.insert("above");
        } else if caption.contains(" inside ") {
            let (inner, outer) = (of(0), of(1));
            let off = (outer.x - inner.x).pow(2) + (outer.y - inner.y).pow(2);
            let room = if outer.thing.shape == Shape::Ring { 560 } else { 760 } * outer.radius / 1000;
            assert!(off.isqrt() + inner.radius <= room, "{caption}");
            seen.insert("inside");
        } else if let Some(number) = ["two", "three", "four"].iter().position(|&n| caption.starts_with(n)) {
            assert_eq!(things, number + 2, "{caption}");
            for (at, one) in scene.things.iter().enumerate() {
                assert_eq!(one.thing, of(0).thing);
                let apart = scene.things[..at].iter().map(|other| {
                    ((other.x - one.x).pow(2) + (other.y - one.y).pow(2)).isqrt() - other.radius - one.radius
                });
                assert!(apart.into_iter().all(|gap| gap > 0), "{caption}");
            }
            seen.insert("group");
        } else {
            assert_eq!(things, 1, "{caption}");
            seen.insert("alone");
        }
        for placed in &scene.things {
            let (x, y, radius) = (placed.x, placed.y, placed.radius);
            let side = render::SIDE;
            assert!(x >= radius && y >= radius && x + radius < side && y + radius < side, "{caption}");
            assert_eq!(radius >= 40, placed.thing.large, "{caption}");
            let several = scene.arrangement == Arrangement::Group;
            assert!(caption.contains(&placed.thing.words(several)), "{caption}");
        }
    }
    assert_eq!(seen.len(), 5, "{seen:?}");
}

#[test]
fn no_caption_is_longer_than_the_captioner_may_say() {
    // As ViT-GPT2, 16 tokens, of which the first starts and the last ends the caption.
    let longest = (0..300).map(|index| described(Split::HeldOut, index).1.split(' ').count()).max();
    assert_eq!(longest, Some(12));
}

#[test]
fn splits_and_seeds_share_no_picture() {
    let splits = Split::ALL.into_iter().flat_map(|split| [1, 2].map(|seed| (split, seed)));
    let pictures: Vec<_> = splits
        .flat_map(|(split, seed)| (0..10).map(move |index| draw(split, seed, index).unwrap().jpeg))
        .collect();
    let different: HashSet<_> = pictures.iter().collect();
    assert_eq!(different.len(), pictures.len());
}

#[test]
fn novel_combinations_are_seen_in_their_own_split_alone() {
    for index in 0..200 {
        for split in Split::ALL {
            let (scene, caption) = described(split, index);
            let novel = scene.things.iter().any(|placed| placed.thing.is_novel());
            assert_eq!(novel, split == Split::NovelCombinations, "{caption}");
        }
    }
}
