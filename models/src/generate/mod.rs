//! The generated model: MobileNetV2's graph with seeded random weights, for machines without the
//! real ones. Right in cost (same operations on the same shapes), meaningless in its answers.
//!
//! # The weights
//! Random networks tend to give every picture the same answer, or to shrink or blow up their
//! numbers from layer to layer. Two choices prevent both:
//! - weights are uniform with mean 0 and variance 1/fan-in, which keeps the variance of the
//!   numbers from layer to layer (LeCun et al., "Efficient backprop", 1998, section 4.6; He et
//!   al., ICCV 2015, arrive at 2/fan-in where half of the numbers are clipped, which here few are);
//! - each bias puts the input of ReLU6 at the middle of its range, 3, and takes the mean of the
//!   layer's own input out again, so that what differs between pictures survives to the end.
//!
//! The classifier's seed is one of 1500 tried (`models/scripts/confirm_generated.py --choose 1500`): on
//! the drawn pictures it gives six different classes, and the first lies clearly before the second on
//! each, so that the last digits, in which engines differ, cannot swap them. The same script confirms
//! that with ONNX Runtime.
//!
//! # Always the same bytes
//! Only integers and the operations that IEEE 754 rounds exactly (`+ - * / sqrt`) are used, so
//! that the file's sha256 is the same on every machine.

mod architecture;
mod onnx;

use architecture::{Convolution, OUTPUTS, SIDE, Then};
use onnx::{Attribute, Axis, Graph};

use crate::random::Uniform;

/// Seed of the layers that see the picture.
const FEATURES_SEED: u64 = 1;
/// Seed of the classifier, the last layer.
const CLASSIFIER_SEED: u64 = 1063;
/// Spread of the logits: large enough for confidences that differ clearly.
const CLASSIFIER_GAIN: f32 = 8.0;
/// Middle of ReLU6's range.
const MIDDLE: f32 = 3.0;

/// The generated model as an ONNX file of about 14 MB. Takes some tens of milliseconds.
pub fn mobilenetv2() -> Vec<u8> {
    let layers = architecture::convolutions();
    let classifier = layers.len() - 1;
    let mut graph = Graph::default();
    graph.input("input", &[Axis::Named("batch"), Axis::Fixed(3), Axis::Fixed(SIDE), Axis::Fixed(SIDE)]);
    graph.output("logits", &[Axis::Named("batch"), Axis::Fixed(OUTPUTS)]);
    graph.constant("zero", &[], &[0.0]);
    graph.constant("six", &[], &[6.0]);

    let mut current = "input".to_owned();
    let mut bottleneck_input = String::new();
    // Mean of the numbers that the next layer takes.
    let mut mean_in = 0.0;
    for (at, layer) in layers.iter().enumerate() {
        let (seed, gain) =
            if at == classifier { (CLASSIFIER_SEED, CLASSIFIER_GAIN) } else { (FEATURES_SEED, 1.0) };
        let clipped = matches!(layer.then, Then::Relu6 | Then::Relu6AndPool);
        let mean_out = if clipped { MIDDLE } else { 0.0 };
        let weights = weights(layer, Uniform::new(seed, at as u64), gain);
        let biases: Vec<f32> = weights
            .chunks(layer.fan_in() as usize)
            .map(|of_channel| mean_out - mean_in * of_channel.iter().sum::<f32>())
            .collect();
        let convolved = format!("conv{at}");
        convolution(&mut graph, layer, [&current, &convolved], &weights, &biases);
        current = convolved;
        mean_in = mean_out;

        if clipped {
            let out = format!("relu{at}");
            graph.node("Clip", &[&current, "zero", "six"], &out, &[]);
            current = out;
        }
        match layer.then {
            Then::Relu6AndPool => {
                graph.node("GlobalAveragePool", &[&current], "pool", &[]);
                current = "pool".into();
            }
            Then::AddBottleneckInput => {
                let out = format!("add{at}");
                graph.node("Add", &[&current, &bottleneck_input], &out, &[]);
                current = out;
            }
            Then::Relu6 | Then::Nothing => {}
        }
        if !clipped {
            bottleneck_input.clone_from(&current);
        }
    }
    graph.node("Flatten", &[&current], "logits", &[("axis", Attribute::Int(1))]);
    graph.into_model("mobilenetv2-generated", "Seeded random weights: right in cost, meaningless in answers")
}

/// Uniform with variance `gain`^2 / fan-in: a uniform on [-1, 1) has variance 1/3.
fn weights(layer: &Convolution, mut uniform: Uniform, gain: f32) -> Vec<f32> {
    let scale = gain * (3.0 / layer.fan_in() as f32).sqrt();
    (0..layer.channels_out * layer.fan_in()).map(|_| uniform.next() * scale).collect()
}

fn convolution(
    graph: &mut Graph,
    layer: &Convolution,
    [from, to]: [&str; 2],
    weights: &[f32],
    biases: &[f32],
) {
    let (weights_name, biases_name) = (format!("{to}.weights"), format!("{to}.biases"));
    graph.constant(&weights_name, &layer.shape(), weights);
    graph.constant(&biases_name, &[layer.channels_out], biases);
    let attributes = [
        ("group", Attribute::Int(layer.groups)),
        ("kernel_shape", Attribute::Ints(&[layer.kernel; 2])),
        ("pads", Attribute::Ints(&layer.pads())),
        ("strides", Attribute::Ints(&[layer.stride; 2])),
    ];
    graph.node("Conv", &[from, &weights_name, &biases_name], to, &attributes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Manifest;
    use crate::places::sha256_hex;

    #[test]
    fn the_generated_model_has_the_bytes_that_the_manifest_says() {
        let manifest = Manifest::builtin().unwrap();
        let entry = manifest.models.iter().find(|model| model.generated).unwrap();
        let made = mobilenetv2();
        assert_eq!((made.len() as u64, sha256_hex(&made)), (entry.bytes, entry.sha256.clone()));
    }

    #[test]
    fn weights_have_the_variance_that_keeps_the_signal() {
        let layer = &architecture::convolutions()[51];
        let weights = weights(layer, Uniform::new(1, 51), 1.0);
        let variance = weights.iter().map(|w| f64::from(*w).powi(2)).sum::<f64>() / weights.len() as f64;
        let expected = 1.0 / f64::from(layer.fan_in());
        assert!((variance / expected - 1.0).abs() < 0.01, "{variance} against {expected}");
    }
}
