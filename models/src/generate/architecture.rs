//! MobileNetV2 1.0 at 224 px as a list of convolutions.
//!
//! Source: Sandler et al., "MobileNetV2: Inverted residuals and linear bottlenecks", CVPR 2018,
//! table 2; padding as TensorFlow's SAME does it for even sizes.

/// Side of the input, pixels.
pub(crate) const SIDE: u32 = 224;
/// Outputs: a background class and the 1000 of ImageNet.
pub(crate) const OUTPUTS: u32 = 1001;

/// Rows of table 2: expansion, output channels, repetitions, stride of the first.
const BOTTLENECKS: [(u32, u32, u32, u32); 7] = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
];

/// What follows a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// ReLU6: clipping to 0..=6.
    Relu6,
    /// Nothing: the linear end of a bottleneck, or the classifier.
    Nothing,
    /// The sum with the bottleneck's input.
    AddBottleneckInput,
    /// ReLU6, then the mean over the picture.
    Relu6AndPool,
}

/// One convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Convolution {
    /// Input channels of a group.
    pub(crate) channels_in: u32,
    /// Output channels.
    pub(crate) channels_out: u32,
    /// Side of the kernel.
    pub(crate) kernel: u32,
    /// Step, pixels.
    pub(crate) stride: u32,
    /// Groups: 1, or as many as channels where it is depthwise.
    pub(crate) groups: u32,
    /// Side of the output, pixels.
    pub(crate) side_out: u32,
    /// What follows.
    pub(crate) then: Then,
}

impl Convolution {
    /// Shape of the weights.
    pub(crate) fn shape(&self) -> [u32; 4] {
        [self.channels_out, self.channels_in, self.kernel, self.kernel]
    }

    /// Weights of one output channel.
    pub(crate) fn fan_in(&self) -> u32 {
        self.channels_in * self.kernel * self.kernel
    }

    /// Padding: top, left, bottom, right.
    pub(crate) fn pads(&self) -> [u32; 4] {
        match (self.kernel, self.stride) {
            (1, _) => [0; 4],
            (_, 1) => [1; 4],
            _ => [0, 0, 1, 1],
        }
    }

    /// Multiply-accumulate operations for one picture.
    #[cfg(test)]
    pub(crate) fn multiply_accumulates(&self) -> u64 {
        u64::from(self.channels_out * self.fan_in()) * u64::from(self.side_out).pow(2)
    }
}

/// The convolutions in the order of the graph.
pub(crate) fn convolutions() -> Vec<Convolution> {
    let mut build = Builder { side: SIDE, layers: Vec::new() };
    build.full(3, 32, 3, 2);
    let mut channels = 32;
    for (expansion, channels_out, repetitions, first_stride) in BOTTLENECKS {
        for repetition in 0..repetitions {
            let stride = if repetition == 0 { first_stride } else { 1 };
            let inner = channels * expansion;
            if expansion > 1 {
                build.full(channels, inner, 1, 1);
            }
            build.depthwise(inner, stride);
            let residual = stride == 1 && channels == channels_out;
            build.full(inner, channels_out, 1, 1).then =
                if residual { Then::AddBottleneckInput } else { Then::Nothing };
            channels = channels_out;
        }
    }
    build.full(channels, 1280, 1, 1).then = Then::Relu6AndPool;
    build.side = 1;
    build.full(1280, OUTPUTS, 1, 1).then = Then::Nothing;
    build.layers
}

struct Builder {
    side: u32,
    layers: Vec<Convolution>,
}

impl Builder {
    fn full(&mut self, from: u32, to: u32, kernel: u32, stride: u32) -> &mut Convolution {
        self.push(Convolution {
            channels_in: from,
            channels_out: to,
            kernel,
            stride,
            groups: 1,
            side_out: 0,
            then: Then::Relu6,
        })
    }

    fn depthwise(&mut self, channels: u32, stride: u32) -> &mut Convolution {
        self.push(Convolution {
            channels_in: 1,
            channels_out: channels,
            kernel: 3,
            stride,
            groups: channels,
            side_out: 0,
            then: Then::Relu6,
        })
    }

    fn push(&mut self, layer: Convolution) -> &mut Convolution {
        self.side = self.side.div_ceil(layer.stride);
        let at = self.layers.len();
        self.layers.push(Convolution { side_out: self.side, ..layer });
        &mut self.layers[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_as_many_as_torchvision_states() {
        // torchvision's mobilenet_v2 has 3,504,872: it holds scale and shift of each batch
        // normalisation, which here are folded into the weights and a bias, and no background class
        // (1280 weights and a bias).
        let layers = convolutions();
        let (classifier, features) = layers.split_last().unwrap();
        let features: u32 = features.iter().map(|c| c.channels_out * (c.fan_in() + 2)).sum();
        let classifier = classifier.channels_out * (classifier.fan_in() + 1);
        assert_eq!(features + classifier, 3_504_872 + 1281);
    }

    #[test]
    fn multiply_accumulates_are_as_many_as_the_paper_states() {
        // "300M" in the paper's table 4.
        let count: u64 = convolutions().iter().map(Convolution::multiply_accumulates).sum();
        assert_eq!((count + 500_000) / 1_000_000, 301, "{count}");
    }

    #[test]
    fn layers_are_as_many_as_the_paper_states() {
        let layers = convolutions();
        let residuals = layers.iter().filter(|c| c.then == Then::AddBottleneckInput).count();
        let depthwise = layers.iter().filter(|c| c.groups > 1).count();
        assert_eq!((layers.len(), residuals, depthwise), (53, 10, 17));
        assert_eq!(layers[layers.len() - 2].side_out, 7);
    }
}
