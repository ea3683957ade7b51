//! Encoder and decoder in tract. The decoder's graphs are made for any number of sequences, and for any
//! number of tokens where those before are not remembered.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use tract_onnx::pb::ModelProto;
use tract_onnx::pb::tensor_shape_proto::dimension::Value as DimensionValue;
use tract_onnx::pb::type_proto::Value as TypeValue;
use tract_onnx::prelude::*;

use super::decoding::Decoding;
use super::merged::{self, Branch};
use crate::workloads::WorkloadError;

const ENCODER: &str = "encoder_model.onnx";
const DECODER: &str = "decoder_model.onnx";
const WITH_PAST: &str = "decoder_with_past_model.onnx";
const MERGED: &str = "decoder_model_merged.onnx";

pub(super) const IDS: &str = "input_ids";
pub(super) const SEEN: &str = "encoder_hidden_states";
const LOGITS: &str = "logits";
/// What begins the name of a tensor that the decoder takes from the step before ...
pub(super) const PAST: &str = "past_key_values.";
/// ... and the name of the tensor that it leaves for the next one.
pub(super) const PRESENT: &str = "present.";

/// A graph, made ready to run, and what goes in and comes out.
#[derive(Debug)]
pub(super) struct Graph {
    pub(super) plan: Arc<TypedSimplePlan>,
    pub(super) inputs: Vec<String>,
    pub(super) outputs: Vec<String>,
}

/// A model made ready. Runs on the calling thread, and may be run on several at the same time.
#[derive(Debug)]
pub struct Engine {
    encoder: Graph,
    shape: [usize; 4],
    /// From a whole sequence to what follows. With a cache it is for the first token alone.
    pub(super) first: Graph,
    /// From one token more and what is remembered.
    pub(super) later: Option<Graph>,
}

/// What the encoder saw: `[1, places, width]`.
#[derive(Debug, Clone)]
pub struct Seen(pub(super) Tensor);

impl Engine {
    /// Makes the files in `folder` ready for pictures of this size. `remember`: whether keys and values are
    /// kept from step to step, where the model has a graph for that; else each step computes the whole
    /// sequence again.
    ///
    /// # Errors
    /// If a file is missing or unfit.
    pub fn load(folder: &Path, width: u32, height: u32, remember: bool) -> anyhow::Result<Self> {
        let shape = [1, 3, height as usize, width as usize];
        let encoder = encoder(&read(&folder.join(ENCODER))?, shape).context(ENCODER)?;
        let seen = encoder.plan.model().output_fact(0)?.shape.clone();
        let seen = seen.as_concrete().context("the encoder's output has no fixed shape")?.to_vec();
        let [1, places, vector] = seen[..] else { bail!("the encoder's output has the shape {seen:?}") };

        let exists = |file: &str| folder.join(file).is_file();
        let decoder = |file: &str, branch: Option<Branch>, tokens: Tokens| -> anyhow::Result<Graph> {
            let mut proto = read(&folder.join(file))?;
            if let Some(branch) = branch {
                proto = merged::branch(proto, branch)?;
            }
            decoder(&proto, [places, vector], tokens).context(file.to_owned())
        };
        let (first, later) = match () {
            () if remember && exists(DECODER) && exists(WITH_PAST) => {
                (decoder(DECODER, None, Tokens::First)?, Some(decoder(WITH_PAST, None, Tokens::Later)?))
            }
            () if remember && exists(MERGED) => (
                decoder(MERGED, Some(Branch::First), Tokens::First)?,
                Some(decoder(MERGED, Some(Branch::Later), Tokens::Later)?),
            ),
            () if exists(DECODER) => (decoder(DECODER, None, Tokens::All)?, None),
            () if exists(MERGED) => (decoder(MERGED, Some(Branch::First), Tokens::All)?, None),
            () => bail!("there is neither {DECODER} nor {MERGED}"),
        };
        if let Some(later) = &later {
            for past in later.inputs.iter().filter_map(|name| name.strip_prefix(PAST)) {
                ensure!(
                    first.outputs.contains(&format!("{PRESENT}{past}")),
                    "the decoder gives no {PRESENT}{past} for its next step"
                );
            }
        }
        Ok(Self { encoder, shape, first, later })
    }

    /// Whether keys and values are kept from step to step.
    pub fn has_cache(&self) -> bool {
        self.later.is_some()
    }

    /// An input for the encoder that `write` fills in: 3 x height x width values, zero at first.
    ///
    /// # Errors
    /// Those of `write`, or if there is no memory for it.
    pub fn input(
        &self,
        write: impl FnOnce(&mut [f32]) -> Result<(), WorkloadError>,
    ) -> Result<Tensor, WorkloadError> {
        let mut tensor = Tensor::zero::<f32>(&self.shape).map_err(|error| internal(&error))?;
        let mut view = tensor.try_as_plain_ram_mut().map_err(|error| internal(&error))?;
        write(view.as_slice_mut().map_err(|error| internal(&error))?)?;
        Ok(tensor)
    }

    /// What the encoder sees in an [`Engine::input`].
    ///
    /// # Errors
    /// If the engine fails, which is no fault of the picture.
    pub fn encode(&self, input: Tensor) -> Result<Seen, WorkloadError> {
        let run = || -> TractResult<Seen> {
            let seen = self.encoder.plan.run(tvec!(input.into_tvalue()))?;
            Ok(Seen(seen.into_iter().next().context("no output")?.into_tensor()))
        };
        run().map_err(|error| internal(&error))
    }

    /// The decoder, ready to say what is seen.
    pub fn decoding(&self, seen: Seen) -> Decoding<'_> {
        Decoding::new(self, seen)
    }
}

pub(super) fn internal(error: &TractError) -> WorkloadError {
    WorkloadError::Internal(format!("the inference engine failed: {error:#}"))
}

/// Which tokens a decoder's graph gets at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tokens {
    /// The whole sequence, as long as it is.
    All,
    /// One, the first.
    First,
    /// One, and what is remembered of those before.
    Later,
}

fn read(path: &Path) -> anyhow::Result<ModelProto> {
    let file = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    onnx()
        .proto_model_for_read(&mut &file[..])
        .with_context(|| format!("{} is no ONNX model", path.display()))
}

fn encoder(proto: &ModelProto, shape: [usize; 4]) -> anyhow::Result<Graph> {
    prepare(proto, vec![("pixel_values".into(), f32::fact(shape))], vec!["last_hidden_state".into()])
}

fn decoder(proto: &ModelProto, [places, vector]: [usize; 2], tokens: Tokens) -> anyhow::Result<Graph> {
    let symbols = SymbolScope::default();
    let any = |name: &str| -> TDim { symbols.sym(name).into() };
    let sequences = any("sequences");
    let now = if tokens == Tokens::All { any("tokens") } else { 1.to_dim() };

    let mut inputs = Vec::new();
    for name in merged::inputs(proto)? {
        let fact = match name {
            IDS => i64::fact([sequences.clone(), now.clone()]),
            SEEN => f32::fact([sequences.clone(), places.to_dim(), vector.to_dim()]),
            _ if name.starts_with(PAST) => {
                let [heads, width] = heads(proto, name)?;
                // Keys and values of the picture's places stay as they are.
                let length = if name.contains(".encoder.") { places.to_dim() } else { any("past") };
                f32::fact([sequences.clone(), heads.to_dim(), length, width.to_dim()])
            }
            other => bail!("its input '{other}' is not one that this program knows"),
        };
        inputs.push((name.to_owned(), fact));
    }
    ensure!(inputs.iter().any(|(name, _)| name == IDS), "it has no input '{IDS}'");
    let mut outputs = vec![LOGITS.to_owned()];
    if tokens != Tokens::All {
        outputs.extend(merged::outputs(proto)?.filter(|name| name.starts_with(PRESENT)).map(str::to_owned));
    }
    prepare_in(proto, inputs, outputs, symbols)
}

/// Number of heads and length of a vector in a tensor `[sequences, heads, tokens, vector]` that is remembered.
fn heads(proto: &ModelProto, name: &str) -> anyhow::Result<[usize; 2]> {
    let shape = || {
        let graph = proto.graph.as_ref()?;
        let input = graph.input.iter().find(|input| input.name == name)?;
        let TypeValue::TensorType(tensor) = input.r#type.as_ref()?.value.as_ref()?;
        let size = |index: usize| match tensor.shape.as_ref()?.dim.get(index)?.value.as_ref()? {
            DimensionValue::DimValue(size) => usize::try_from(*size).ok(),
            DimensionValue::DimParam(_) => None,
        };
        Some([size(1)?, size(3)?])
    };
    shape().with_context(|| format!("the file does not say how many heads '{name}' has"))
}

fn prepare(
    proto: &ModelProto,
    inputs: Vec<(String, TypedFact)>,
    outputs: Vec<String>,
) -> anyhow::Result<Graph> {
    prepare_in(proto, inputs, outputs, SymbolScope::default())
}

fn prepare_in(
    proto: &ModelProto,
    inputs: Vec<(String, TypedFact)>,
    outputs: Vec<String>,
    symbols: SymbolScope,
) -> anyhow::Result<Graph> {
    let template = InferenceModel { symbols, ..InferenceModel::default() };
    // Shapes that the file states would bring symbols of their own.
    let framework = onnx().with_ignore_value_info(true);
    let (names, facts): (Vec<String>, Vec<TypedFact>) = inputs.into_iter().unzip();
    let mut model = framework
        .model_for_proto_model_with_model_template(proto, template)?
        .with_input_names(&names)?
        .with_outputs_by_name(&outputs)?;
    for (index, fact) in facts.into_iter().enumerate() {
        model.set_input_fact(index, fact.into())?;
    }
    for index in 0..outputs.len() {
        model.set_output_fact(index, InferenceFact::default())?;
    }
    let plan = model.into_optimized()?.into_runnable()?;
    Ok(Graph { plan, inputs: names, outputs })
}
