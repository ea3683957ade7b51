//! A decoder with and without past keys in one file, as `optimum` merges them: one `If` chooses between two
//! graphs. Each is taken out as a model of its own, so that the engine never sees the choice.

use anyhow::{Context as _, ensure};
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto};

/// The input that chooses.
const CHOICE: &str = "use_cache_branch";

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Branch {
    /// For the first token: nothing is remembered yet.
    First,
    /// For later tokens.
    Later,
}

/// Takes one branch out.
///
/// # Errors
/// If the file is not of this form.
pub fn branch(mut proto: ModelProto, branch: Branch) -> anyhow::Result<ModelProto> {
    let graph = proto.graph.as_mut().context("it holds no graph")?;
    let at = graph
        .node
        .iter()
        .position(|node| node.op_type == "If" && node.input == [CHOICE])
        .with_context(|| format!("it has no choice by '{CHOICE}'"))?;
    let choice = graph.node.remove(at);
    let name = match branch {
        Branch::First => "else_branch",
        Branch::Later => "then_branch",
    };
    let chosen = choice
        .attribute
        .into_iter()
        .find(|attribute| attribute.name == name)
        .and_then(|attribute| attribute.g)
        .with_context(|| format!("its choice has no {name}"))?;
    ensure!(choice.output.len() == chosen.output.len(), "its {name} has another number of outputs");
    graph.node.extend(chosen.node);
    graph.initializer.extend(chosen.initializer);
    for (outer, inner) in choice.output.into_iter().zip(chosen.output) {
        if outer != inner.name {
            graph.node.push(NodeProto {
                name: format!("{outer}.taken_out"),
                op_type: "Identity".into(),
                input: vec![inner.name],
                output: vec![outer],
                ..NodeProto::default()
            });
        }
    }
    drop_unused_inputs(graph);
    Ok(proto)
}

/// Inputs of the other branch would be asked for.
fn drop_unused_inputs(graph: &mut GraphProto) {
    let GraphProto { node, input, .. } = graph;
    input.retain(|input| node.iter().any(|node| node.input.contains(&input.name)));
}

/// Names of a model's inputs, less those that have a value in the file.
///
/// # Errors
/// If it holds no graph.
pub fn inputs(proto: &ModelProto) -> anyhow::Result<impl Iterator<Item = &str>> {
    let graph = proto.graph.as_ref().context("it holds no graph")?;
    let given = |name: &str| graph.initializer.iter().any(|tensor| tensor.name == name);
    Ok(graph.input.iter().map(|input| input.name.as_str()).filter(move |name| !given(name)))
}

/// Names of a model's outputs.
///
/// # Errors
/// If it holds no graph.
pub fn outputs(proto: &ModelProto) -> anyhow::Result<impl Iterator<Item = &str>> {
    let graph = proto.graph.as_ref().context("it holds no graph")?;
    Ok(graph.output.iter().map(|output| output.name.as_str()))
}
