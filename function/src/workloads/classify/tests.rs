//! The workload as a whole, on pictures made here and, where they are found, on the real ones.

use std::io::Cursor;
use std::path::PathBuf;
use std::time::Instant;

use bytes::Bytes;
use image::{DynamicImage, ImageFormat, RgbImage};

use super::*;

const FORMATS: [ImageFormat; 5] =
    [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Gif];

const MAX_PIXELS: u64 = 1_000_000;

/// Coloured noise on a slope: no compressor makes it so small that half of it is all of it.
fn drawing(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let noise =
            (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)).wrapping_mul(2_246_822_519) >> 27;
        image::Rgb([(x * 3) as u8, (y * 5) as u8, (noise * 4) as u8])
    })
}

fn encoded(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    picture.into().write_to(&mut file, format).unwrap();
    file.into_inner()
}

#[test]
fn every_format_is_read() {
    for format in FORMATS {
        let picture = picture::decode(&encoded(drawing(40, 30), format), MAX_PIXELS).unwrap();
        assert_eq!((picture.width, picture.height, picture.pixels.len()), (40, 30, 3600), "{format:?}");
        if matches!(format, ImageFormat::Png | ImageFormat::WebP | ImageFormat::Bmp) {
            assert_eq!(picture.pixels, drawing(40, 30).into_raw(), "{format:?}");
        }
    }
}

#[test]
fn a_truncated_picture_is_damaged_and_never_answered() {
    for format in FORMATS {
        let file = encoded(drawing(120, 90), format);
        for length in [file.len() / 4, file.len() / 2, file.len() * 3 / 4] {
            let result = picture::decode(&file[..length], MAX_PIXELS);
            assert!(
                matches!(result, Err(WorkloadError::Damaged(_))),
                "{format:?}, {length} of {} bytes: {:?}",
                file.len(),
                result.map(|picture| picture.width)
            );
        }
    }
}

#[test]
fn what_is_no_picture_is_unsupported() {
    for body in [&b"hello"[..], b"<html></html>", b"%PDF-1.7", &[0xFF], b"II*\0\x08\0\0\0"] {
        assert!(matches!(picture::decode(body, MAX_PIXELS), Err(WorkloadError::Unsupported(_))), "{body:?}");
    }
}

#[test]
fn a_pixel_bomb_is_refused_from_its_header() {
    for format in FORMATS {
        let file = encoded(drawing(101, 100), format);
        assert!(picture::decode(&file, 10_100).is_ok(), "{format:?}");
        assert!(matches!(picture::decode(&file, 10_099), Err(WorkloadError::TooLarge(_))), "{format:?}");
    }
    // A PNG that claims 60,000 x 60,000 pixels and holds none: decoding it would be damage.
    let mut bomb = encoded(drawing(1, 1), ImageFormat::Png);
    bomb[16..24].copy_from_slice(&[0, 0, 0xEA, 0x60, 0, 0, 0xEA, 0x60]);
    let checksum = crc32(&bomb[12..29]);
    bomb[29..33].copy_from_slice(&checksum.to_be_bytes());
    assert!(matches!(picture::decode(&bomb, 50_000_000), Err(WorkloadError::TooLarge(_))));
}

/// The checksum of PNG chunks (ISO 3309), bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 * (crc & 1)))
    })
}

#[test]
fn alpha_is_dropped_and_grey_and_deep_pictures_become_rgb() {
    let decode = |picture: DynamicImage| {
        picture::decode(&encoded(picture, ImageFormat::Png), MAX_PIXELS).unwrap().pixels
    };
    let transparent = image::RgbaImage::from_pixel(1, 1, image::Rgba([10, 20, 30, 0]));
    assert_eq!(decode(transparent.into()), [10, 20, 30]);
    assert_eq!(decode(image::GrayImage::from_pixel(1, 1, image::Luma([77])).into()), [77, 77, 77]);
    let deep = image::ImageBuffer::from_pixel(1, 1, image::Rgb([0x1234_u16, 0x8080, 0xFFFF]));
    assert_eq!(decode(DynamicImage::ImageRgb16(deep)), [0x12, 0x80, 0xFF]);
    let deep_grey = image::ImageBuffer::from_pixel(1, 1, image::Luma([0x8080_u16]));
    assert_eq!(decode(DynamicImage::ImageLuma16(deep_grey)), [0x80, 0x80, 0x80]);
}

/// The real model and pictures, or a line that says why a test does nothing.
fn real_data(test: &str) -> Option<(Model, Vec<u8>, PathBuf)> {
    let found = std::env::var_os("MODELS_DIR").zip(std::env::var_os("PICTURES_DIR")).and_then(
        |(models, pictures)| {
            let model =
                Manifest::builtin().unwrap().models.into_iter().find(|model| model.name == REAL_MODEL)?;
            let onnx = std::fs::read(PathBuf::from(models).join(&model.file)).ok()?;
            let pictures = PathBuf::from(pictures);
            pictures.join(EXPECTED).is_file().then_some((model, onnx, pictures))
        },
    );
    if found.is_none() {
        eprintln!("SKIPPED {test}: needs MODELS_DIR and PICTURES_DIR");
    }
    found
}

/// The model that the expected answers were computed with.
const REAL_MODEL: &str = "mobilenetv2-1.0-224";
const EXPECTED: &str = "expected_top5.json";

#[test]
fn the_real_pictures_get_the_expected_answers() {
    let Some((model, onnx, pictures)) = real_data("the_real_pictures_get_the_expected_answers") else {
        return;
    };
    let workload = Classify::from_onnx(&model, &onnx, 50_000_000).unwrap();
    let expected = std::fs::read_to_string(pictures.join(EXPECTED)).unwrap();
    let expected: Map<String, Value> = serde_json::from_str(&expected).unwrap();
    assert!(!expected.is_empty());
    let confidence = |one: &Value| one["confidence"].as_f64().unwrap();
    let mut furthest = 0.0_f64;
    for (name, expected) in &expected {
        let file = std::fs::read(pictures.join(name)).unwrap();
        let answer =
            workload.handle(&Input::from(Bytes::from(file)), &Query::parse("top=1000").unwrap()).unwrap();
        let found = answer.body["predictions"].as_array().unwrap();
        let expected = expected.as_array().unwrap();
        let place =
            |one: &Value| found.iter().position(|other| other["class_id"] == one["class_id"]).unwrap();
        for one in expected {
            let other = &found[place(one)];
            assert_eq!(other["label"], one["label"]);
            let difference = (confidence(other) - confidence(one)).abs();
            furthest = furthest.max(difference);
            assert!(difference <= 0.02, "{name}: expected {one}, found {other}");
        }
        for (rank, one) in expected.iter().enumerate() {
            let clearly_less =
                expected[rank..].iter().filter(|other| confidence(one) - confidence(other) > 0.01);
            for other in clearly_less {
                assert!(place(one) < place(other), "{name}: {other} came before {one}");
            }
        }
        // Only classes whose confidence is as close to the fifth's may push one out of the top 5.
        let fifth = expected.last().map_or(0.0, confidence);
        for other in &found[..expected.len()] {
            let known = expected.iter().any(|one| one["class_id"] == other["class_id"]);
            assert!(known || confidence(other) - fifth <= 0.01, "{name}: {other} is not expected");
        }
    }
    eprintln!("furthest confidence from the expected one: {furthest:.5}");
}

#[test]
fn one_picture_alone_and_in_a_batch_give_the_same_answer() {
    let manifest = Manifest::builtin().unwrap();
    let drawn = ["drawn-stripes.jpg", "drawn-hills.jpg", "drawn-grid.jpg"]
        .map(|name| picture::decode(&models::draw::draw(name).unwrap().unwrap(), MAX_PIXELS).unwrap());
    let model = manifest.model("mobilenetv2-generated").unwrap();
    alone_and_in_a_batch(model, &models::generate::mobilenetv2(), &drawn);
}

#[test]
fn one_real_picture_alone_and_in_a_batch_give_the_same_answer() {
    let Some((model, onnx, pictures)) =
        real_data("one_real_picture_alone_and_in_a_batch_give_the_same_answer")
    else {
        return;
    };
    let read =
        |name: &str| picture::decode(&std::fs::read(pictures.join(name)).unwrap(), 50_000_000).unwrap();
    alone_and_in_a_batch(&model, &onnx, &[read("cat.jpg"), read("parrot.jpg"), read("bird.bmp")]);
}

fn alone_and_in_a_batch(model: &Model, onnx: &[u8], pictures: &[picture::Picture]) {
    let preprocessor = Preprocessor::new(&model.input).unwrap();
    let logits = |engine: &Engine, pictures: &[picture::Picture]| {
        let input = engine.input(|values| {
            let length = values.len() / pictures.len();
            pictures
                .iter()
                .zip(values.chunks_exact_mut(length))
                .try_for_each(|(picture, values)| preprocessor.write(picture, 50_000_000, values))
        });
        engine.run(input.unwrap()).unwrap()
    };
    let alone = Engine::load(onnx, model, 1).unwrap();
    let together = logits(&Engine::load(onnx, model, pictures.len()).unwrap(), pictures);
    let outputs = together.len() / pictures.len();
    for (picture, together) in pictures.iter().zip(together.chunks_exact(outputs)) {
        let alone = logits(&alone, std::slice::from_ref(picture));
        let confidences = |logits: &[f32]| rank::top_classes(logits, model.output.class_offset, 5);
        for ((class, one), (other_class, other)) in confidences(&alone).into_iter().zip(confidences(together))
        {
            assert_eq!(class, other_class);
            // Sums in another order differ in the last digits of single precision.
            assert!((one - other).abs() < 1e-4, "class {class}: {one} alone, {other} in a batch");
        }
    }
}

/// Not a test of right or wrong: prints what each stage costs on the real pictures. Run with
/// `cargo test --release -p function stage_costs -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn stage_costs() {
    let Some((model, onnx, pictures)) = real_data("stage_costs") else {
        return;
    };
    let workload = Classify::from_onnx(&model, &onnx, 50_000_000).unwrap();
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    for name in ["cat.jpg", "parrot.jpg", "bird.bmp", "grace_hopper.png"] {
        let file = std::fs::read(pictures.join(name)).unwrap();
        let picture = picture::decode(&file, 50_000_000).unwrap();
        let input = Input::from(Bytes::from(file));
        let mut stages: Map<String, Value> = Map::new();
        let answers: Vec<_> = (0..41).map(|_| workload.handle(&input, &Query::default()).unwrap()).collect();
        for (index, (stage, _)) in answers[0].stages.iter().enumerate() {
            let times = answers.iter().map(|answer| answer.stages[index].1.as_secs_f64() * 1e3).collect();
            stages.insert((*stage).to_owned(), format!("{:.2} ms", median(times)).into());
        }
        let source = RgbImage::from_raw(picture.width, picture.height, picture.pixels).unwrap();
        let triangle = median(
            (0..11)
                .map(|_| {
                    let start = Instant::now();
                    let filter = image::imageops::FilterType::Triangle;
                    std::hint::black_box(image::imageops::resize(&source, 224, 224, filter));
                    start.elapsed().as_secs_f64() * 1e3
                })
                .collect(),
        );
        let (width, height) = source.dimensions();
        eprintln!("{name} ({width} x {height}): {stages:?}; image's own Triangle resize {triangle:.2} ms");
    }
}
