//! A decoder at work on one picture: what it remembers from step to step, for several sequences at a time.

use anyhow::Context as _;
use tract_onnx::prelude::*;

use super::engine::{Engine, Graph, IDS, PAST, PRESENT, SEEN, Seen, internal};
use super::search::NextLogits;
use crate::workloads::WorkloadError;

/// A decoder that says what an encoder saw.
#[derive(Debug)]
pub struct Decoding<'a> {
    engine: &'a Engine,
    seen: Seen,
    /// What was seen, once for each sequence.
    seen_by_all: Option<TValue>,
    /// Keys and values by the names of the graph's inputs, from the last step; empty without a cache.
    remembered: Vec<TValue>,
}

impl<'a> Decoding<'a> {
    pub(super) fn new(engine: &'a Engine, seen: Seen) -> Self {
        Self { engine, seen, seen_by_all: None, remembered: Vec::new() }
    }

    fn step(&mut self, sequences: &[Vec<u32>], parents: &[usize]) -> TractResult<Vec<Vec<f32>>> {
        let engine = self.engine;
        let later = engine.later.as_ref().filter(|_| !parents.is_empty());
        let graph = later.unwrap_or(&engine.first);
        if later.is_some() {
            for kept in &mut self.remembered {
                *kept = of_parents(kept, parents)?;
            }
        }
        let ids = ids(sequences, later.is_some())?;
        let seen = self.seen_by(sequences.len())?;
        let mut remembered = self.remembered.iter();
        let inputs = graph.inputs.iter().map(|name| match name.as_str() {
            IDS => Ok(ids.clone()),
            SEEN => Ok(seen.clone()),
            _ => remembered.next().cloned().context("nothing is remembered"),
        });
        let inputs = inputs.collect::<TractResult<_>>()?;
        let outputs = graph.plan.run(inputs)?;
        let rows = last_rows(outputs.first().context("no output")?)?;
        if let Some(later) = &engine.later {
            self.remembered = keep(later, graph, &outputs, &self.remembered)?;
        }
        Ok(rows)
    }

    fn seen_by(&mut self, sequences: usize) -> TractResult<TValue> {
        match &self.seen_by_all {
            Some(seen) if seen.shape()[0] == sequences => Ok(seen.clone()),
            _ => {
                let all = Tensor::stack_tensors(0, &vec![&self.seen.0; sequences])?.into_tvalue();
                Ok(self.seen_by_all.insert(all).clone())
            }
        }
    }
}

impl NextLogits for Decoding<'_> {
    type Error = WorkloadError;

    fn next(&mut self, sequences: &[Vec<u32>], parents: &[usize]) -> Result<Vec<Vec<f32>>, WorkloadError> {
        self.step(sequences, parents).map_err(|error| internal(&error))
    }
}

/// What the next step needs, in the order of its inputs. What this step does not give anew stays.
fn keep(later: &Graph, graph: &Graph, outputs: &[TValue], remembered: &[TValue]) -> TractResult<Vec<TValue>> {
    let past = later.inputs.iter().filter_map(|name| name.strip_prefix(PAST));
    past.enumerate()
        .map(|(index, name)| {
            let given = graph.outputs.iter().position(|output| output.strip_prefix(PRESENT) == Some(name));
            let kept = match given {
                Some(position) => outputs.get(position),
                None => remembered.get(index),
            };
            kept.cloned().with_context(|| format!("nothing is remembered as {name}"))
        })
        .collect()
}

/// `[sequences, tokens]`: all tokens, or the last ones alone.
fn ids(sequences: &[Vec<u32>], last_alone: bool) -> TractResult<TValue> {
    let tokens = if last_alone { 1 } else { sequences.first().map_or(0, Vec::len) };
    let ids: Vec<i64> = sequences
        .iter()
        .flat_map(|sequence| &sequence[sequence.len() - tokens..])
        .map(|&id| i64::from(id))
        .collect();
    Ok(Tensor::from_shape(&[sequences.len(), tokens], &ids)?.into_tvalue())
}

/// The rows of `parents` along the first axis.
fn of_parents(kept: &TValue, parents: &[usize]) -> TractResult<TValue> {
    if kept.shape()[0] == parents.len() && parents.iter().enumerate().all(|(index, parent)| index == *parent)
    {
        return Ok(kept.clone());
    }
    let rows: Vec<Tensor> =
        parents.iter().map(|&parent| kept.slice(0, parent, parent + 1)).collect::<TractResult<_>>()?;
    Ok(Tensor::stack_tensors(0, &rows)?.into_tvalue())
}

/// Logits after the last token of each sequence, from `[sequences, tokens, vocabulary]`.
fn last_rows(logits: &TValue) -> TractResult<Vec<Vec<f32>>> {
    let [_, tokens, vocabulary] = logits.shape()[..] else {
        anyhow::bail!("the logits have the shape {:?}", logits.shape())
    };
    let logits = logits.try_as_plain_ram()?;
    let sequences = logits.as_slice::<f32>()?.chunks_exact((tokens * vocabulary).max(1));
    Ok(sequences.map(|sequence| sequence[(tokens - 1) * vocabulary..].to_vec()).collect())
}
