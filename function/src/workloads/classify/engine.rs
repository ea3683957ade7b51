//! The model in tract: loaded from ONNX, given one shape, optimised, run.

use anyhow::Context as _;
use models::{Layout, Model};
use tract_onnx::prelude::*;

use crate::workloads::WorkloadError;

/// A model made ready for batches of one size. Runs on the calling thread, and may be run on
/// several at the same time.
#[derive(Debug)]
pub struct Engine {
    plan: Arc<TypedSimplePlan>,
    shape: [usize; 4],
}

/// A model's input, filled.
#[derive(Debug)]
pub struct Input(Tensor);

impl Engine {
    /// Makes `onnx` ready for batches of `batch` pictures.
    ///
    /// # Errors
    /// If it is no ONNX model, or not the one that `model` describes.
    pub fn load(mut onnx: &[u8], model: &Model, batch: usize) -> TractResult<Self> {
        let (width, height) = (model.input.width as usize, model.input.height as usize);
        let shape = match model.input.layout {
            Layout::Nchw => [batch, 3, height, width],
            Layout::Nhwc => [batch, height, width, 3],
        };
        let plan = tract_onnx::onnx()
            .model_for_read(&mut onnx)?
            .with_input_names([&model.input.name])?
            .with_outputs_by_name([&model.output.name])?
            .with_input_fact(0, f32::fact(shape).into())?
            // The file may give the batch a symbol of its own.
            .with_output_fact(0, InferenceFact::default())?
            .into_optimized()?
            .into_runnable()?;
        let outputs = model.output.class_offset + model.output.class_list()?.len();
        let fact = plan.model().output_fact(0)?;
        anyhow::ensure!(
            fact.shape.as_concrete() == Some(&[batch, outputs]),
            "the manifest describes {outputs} outputs for each picture, the file has {:?}",
            fact.shape
        );
        Ok(Self { plan, shape })
    }

    /// An input whose values `write` fills in place: picture after picture, each in the model's
    /// layout, all zero at first.
    ///
    /// # Errors
    /// Those of `write`, or if there is no memory for it.
    pub fn input(
        &self,
        write: impl FnOnce(&mut [f32]) -> Result<(), WorkloadError>,
    ) -> Result<Input, WorkloadError> {
        let mut tensor = Tensor::zero::<f32>(&self.shape).map_err(|error| internal(&error))?;
        let mut view = tensor.try_as_plain_ram_mut().map_err(|error| internal(&error))?;
        write(view.as_slice_mut().map_err(|error| internal(&error))?)?;
        Ok(Input(tensor))
    }

    /// The logits, picture after picture.
    ///
    /// # Errors
    /// If the engine fails, which is no fault of the input.
    pub fn run(&self, input: Input) -> Result<Vec<f32>, WorkloadError> {
        let run = || -> TractResult<Vec<f32>> {
            let outputs = self.plan.run(tvec!(input.0.into_tvalue()))?;
            let logits = outputs.first().context("no output")?;
            Ok(logits.try_as_plain_ram()?.as_slice::<f32>()?.to_vec())
        };
        run().map_err(|error| internal(&error))
    }
}

fn internal(error: &TractError) -> WorkloadError {
    WorkloadError::Internal(format!("the inference engine failed: {error:#}"))
}
