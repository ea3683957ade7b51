//! Just enough of ONNX's file format to write one graph: a protobuf message by hand.
//!
//! Field numbers and enum values are those of `onnx.proto`
//! (<https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>); the wire format is
//! <https://protobuf.dev/programming-guides/encoding/>. A dependency that writes protobuf would
//! bring a code generator for five messages.

/// `ModelProto.ir_version` of opset 13.
const IR_VERSION: u64 = 8;
/// Version of the default operator set.
const OPSET: u64 = 13;
/// `TensorProto.DataType.FLOAT`.
const FLOAT: u64 = 1;
/// `AttributeProto.AttributeType.INT` and `INTS`.
const ATTRIBUTE_INT: u64 = 2;
const ATTRIBUTE_INTS: u64 = 7;

/// A protobuf message that is being written.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    /// Base-128, the lowest seven bits first.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// A field of wire type 0.
    fn int(mut self, field: u64, value: u64) -> Self {
        self.varint(field << 3);
        self.varint(value);
        self
    }

    /// A repeated field of wire type 0, one entry a value.
    fn ints(self, field: u64, values: &[u32]) -> Self {
        values.iter().fold(self, |message, value| message.int(field, u64::from(*value)))
    }

    /// A field of wire type 2.
    fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(self, field: u64, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    fn message(self, field: u64, message: &Message) -> Self {
        self.bytes(field, &message.0)
    }
}

/// An axis of an input or output.
#[derive(Debug, Clone, Copy)]
pub(super) enum Axis<'a> {
    /// Free, with a name.
    Named(&'a str),
    /// Of this length.
    Fixed(u32),
}

/// A graph that is being written: `GraphProto`.
#[derive(Debug, Default)]
pub(super) struct Graph(Message);

/// A node's attribute.
#[derive(Debug, Clone, Copy)]
pub(super) enum Attribute<'a> {
    /// One number.
    Int(u32),
    /// Several.
    Ints(&'a [u32]),
}

impl Graph {
    /// Adds a `NodeProto` (field 1) with one output.
    pub(super) fn node(&mut self, op: &str, inputs: &[&str], output: &str, attributes: &[(&str, Attribute)]) {
        let node = inputs.iter().fold(Message::default(), |node, input| node.text(1, input));
        let node = node.text(2, output).text(3, output).text(4, op);
        let node = attributes.iter().fold(node, |node, (name, value)| {
            let attribute = Message::default().text(1, name);
            node.message(
                5,
                &match value {
                    Attribute::Int(value) => attribute.int(3, u64::from(*value)).int(20, ATTRIBUTE_INT),
                    Attribute::Ints(values) => attribute.ints(8, values).int(20, ATTRIBUTE_INTS),
                },
            )
        });
        self.edit(|graph| graph.message(1, &node));
    }

    /// Adds constant floats: a `TensorProto` (field 5) with raw little-endian data.
    pub(super) fn constant(&mut self, name: &str, shape: &[u32], values: &[f32]) {
        let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let tensor = Message::default().ints(1, shape).int(2, FLOAT).text(8, name).bytes(9, &raw);
        self.edit(|graph| graph.message(5, &tensor));
    }

    /// Declares an input: a `ValueInfoProto` (field 11).
    pub(super) fn input(&mut self, name: &str, axes: &[Axis]) {
        self.edit(|graph| graph.message(11, &value_info(name, axes)));
    }

    /// Declares an output: a `ValueInfoProto` (field 12).
    pub(super) fn output(&mut self, name: &str, axes: &[Axis]) {
        self.edit(|graph| graph.message(12, &value_info(name, axes)));
    }

    /// The file: a `ModelProto` around the graph.
    pub(super) fn into_model(self, name: &str, about: &str) -> Vec<u8> {
        let graph = self.0.text(2, name);
        let opset = Message::default().text(1, "").int(2, OPSET);
        Message::default()
            .int(1, IR_VERSION)
            .text(2, "serverless-testbed")
            .text(6, about)
            .message(7, &graph)
            .message(8, &opset)
            .0
    }

    fn edit(&mut self, add: impl FnOnce(Message) -> Message) {
        self.0 = add(std::mem::take(&mut self.0));
    }
}

/// `ValueInfoProto { name, type: TypeProto { tensor_type: { elem_type, shape } } }`.
fn value_info(name: &str, axes: &[Axis]) -> Message {
    let shape = axes.iter().fold(Message::default(), |shape, axis| {
        let dimension = match axis {
            Axis::Fixed(length) => Message::default().int(1, u64::from(*length)),
            Axis::Named(name) => Message::default().text(2, name),
        };
        shape.message(1, &dimension)
    });
    let tensor = Message::default().int(1, FLOAT).message(2, &shape);
    Message::default().text(1, name).message(2, &Message::default().message(1, &tensor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_texts_are_encoded_as_in_protobuf_s_own_examples() {
        // From the encoding guide: field 1 = 150 is 08 96 01; field 2 = "testing" is 12 07 ....
        assert_eq!(Message::default().int(1, 150).0, [0x08, 0x96, 0x01]);
        assert_eq!(Message::default().text(2, "testing").0, *b"\x12\x07testing");
        assert_eq!(Message::default().ints(1, &[1, 300]).0, [0x08, 1, 0x08, 0xac, 0x02]);
    }
}
