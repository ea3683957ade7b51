//! Rows as Arrow columns and back: the one place that knows the record files' schema.

use std::sync::Arc;

use polars_arrow::{
    array::{Array, BooleanArray, PrimitiveArray, StaticArray, Utf8Array, Utf8ViewArray},
    datatypes::{ArrowDataType, ArrowSchema, ArrowSchemaRef, Field, Metadata},
    types::NativeType,
};

use crate::record::{Outcome, Record, ServerTimings};

/// Columns of one batch.
pub(super) type Columns = Vec<Box<dyn Array>>;

/// Name, type, whether it may be absent, and unit of each column, in the order of the file.
const COLUMNS: [(&str, ArrowDataType, bool, &str); 22] = [
    ("call_id", ArrowDataType::UInt64, false, "1"),
    ("scheduled_ns", ArrowDataType::UInt64, false, "ns"),
    ("sent_ns", ArrowDataType::UInt64, false, "ns"),
    ("connected_ns", ArrowDataType::UInt64, true, "ns"),
    ("first_byte_ns", ArrowDataType::UInt64, true, "ns"),
    ("done_ns", ArrowDataType::UInt64, false, "ns"),
    ("status", ArrowDataType::UInt32, false, "HTTP status, 0 = no answer"),
    ("outcome", ArrowDataType::Utf8, false, "name"),
    ("bytes_sent", ArrowDataType::UInt32, false, "bytes"),
    ("bytes_received", ArrowDataType::UInt32, false, "bytes"),
    ("payload", ArrowDataType::UInt32, false, "index"),
    ("endpoint", ArrowDataType::UInt32, false, "index"),
    ("connection", ArrowDataType::UInt32, false, "number"),
    ("instance", ArrowDataType::Utf8, true, "instance id/boot id"),
    ("cold", ArrowDataType::Boolean, false, "first answer of its instance"),
    ("server_queue_us", ArrowDataType::UInt32, true, "us"),
    ("server_decode_us", ArrowDataType::UInt32, true, "us"),
    ("server_preprocess_us", ArrowDataType::UInt32, true, "us"),
    ("server_inference_us", ArrowDataType::UInt32, true, "us"),
    ("server_total_us", ArrowDataType::UInt32, true, "us"),
    ("server_download_us", ArrowDataType::UInt32, true, "us"),
    ("server_upload_us", ArrowDataType::UInt32, true, "us"),
];

/// The schema of the record files; each field's metadata names its unit.
pub(super) fn schema() -> ArrowSchemaRef {
    let fields = COLUMNS.iter().map(|(name, dtype, nullable, unit)| {
        let unit = Metadata::from([("unit".into(), (*unit).into())]);
        Field::new((*name).into(), dtype.clone(), *nullable).with_metadata(unit)
    });
    Arc::new(fields.collect::<ArrowSchema>())
}

/// Columns of rows, in the schema's order.
pub(super) fn encode(rows: &[Record]) -> Columns {
    fn some<T: NativeType>(rows: &[Record], get: impl Fn(&Record) -> T) -> Box<dyn Array> {
        PrimitiveArray::from_vec(rows.iter().map(get).collect()).boxed()
    }
    fn maybe<T: NativeType>(rows: &[Record], get: impl Fn(&Record) -> Option<T>) -> Box<dyn Array> {
        rows.iter().map(get).collect::<PrimitiveArray<T>>().boxed()
    }
    let server = |get: fn(&ServerTimings) -> u32| maybe(rows, move |row| row.server.as_ref().map(get));
    vec![
        some(rows, |row| row.call_id),
        some(rows, |row| row.scheduled_ns),
        some(rows, |row| row.sent_ns),
        maybe(rows, |row| row.connected_ns),
        maybe(rows, |row| row.first_byte_ns),
        some(rows, |row| row.done_ns),
        some(rows, |row| u32::from(row.status)),
        Utf8Array::<i32>::from_iter_values(rows.iter().map(|row| row.outcome.name())).boxed(),
        some(rows, |row| row.bytes_sent),
        some(rows, |row| row.bytes_received),
        some(rows, |row| u32::from(row.payload)),
        some(rows, |row| u32::from(row.endpoint)),
        some(rows, |row| row.connection),
        rows.iter().map(|row| row.instance.as_deref()).collect::<Utf8Array<i32>>().boxed(),
        BooleanArray::from_slice(rows.iter().map(|row| row.cold).collect::<Vec<_>>()).boxed(),
        server(|timings| timings.queue_us),
        server(|timings| timings.decode_us),
        server(|timings| timings.preprocess_us),
        server(|timings| timings.inference_us),
        server(|timings| timings.total_us),
        server(|timings| timings.download_us),
        server(|timings| timings.upload_us),
    ]
}

/// Rows of columns, whatever their order; `names` are those of the file.
pub(super) fn decode(names: &[String], columns: &[Box<dyn Array>]) -> Result<Vec<Record>, String> {
    let find = |name: &str| {
        let found = names.iter().position(|candidate| candidate == name).and_then(|i| columns.get(i));
        found.map(AsRef::as_ref).ok_or_else(|| format!("the column {name} is missing"))
    };
    let long = |name| numbers::<u64>(find(name)?, name);
    let short = |name| numbers::<u32>(find(name)?, name);
    let (call_id, scheduled, sent) = (long("call_id")?, long("scheduled_ns")?, long("sent_ns")?);
    let (connected, first_byte, done) = (long("connected_ns")?, long("first_byte_ns")?, long("done_ns")?);
    let (status, outcomes) = (short("status")?, find("outcome")?);
    let (bytes_sent, bytes_received) = (short("bytes_sent")?, short("bytes_received")?);
    let (payload, endpoint, connection) = (short("payload")?, short("endpoint")?, short("connection")?);
    let (queue, decode) = (short("server_queue_us")?, short("server_decode_us")?);
    let (preprocess, inference) = (short("server_preprocess_us")?, short("server_inference_us")?);
    let total = short("server_total_us")?;
    // Runs of older versions knew no transfers.
    let later = |name: &'static str| names.iter().any(|known| known == name).then(|| short(name)).transpose();
    let (download, upload) = (later("server_download_us")?, later("server_upload_us")?);
    let or_none =
        |column: Option<&PrimitiveArray<u32>>, row| column.and_then(|column| column.get(row)).unwrap_or(0);
    let cold =
        find("cold")?.as_any().downcast_ref::<BooleanArray>().ok_or("the column cold is no boolean")?;
    let instances = find("instance")?;
    let mut last_instance: Option<Arc<str>> = None;

    (0..call_id.len())
        .map(|row| {
            let name = text(outcomes, row)?;
            let outcome = Outcome::ALL.into_iter().find(|outcome| name == Some(outcome.name()));
            let narrow = |array: &PrimitiveArray<u32>| u16::try_from(array.value(row)).unwrap_or(u16::MAX);
            Ok(Record {
                call_id: call_id.value(row),
                scheduled_ns: scheduled.value(row),
                sent_ns: sent.value(row),
                connected_ns: connected.get(row),
                first_byte_ns: first_byte.get(row),
                done_ns: done.value(row),
                status: narrow(status),
                outcome: outcome.ok_or_else(|| format!("row {row} has an unknown outcome"))?,
                bytes_sent: bytes_sent.value(row),
                bytes_received: bytes_received.value(row),
                payload: narrow(payload),
                endpoint: narrow(endpoint),
                connection: connection.value(row),
                instance: text(instances, row)?.map(|name| shared(&mut last_instance, name)),
                cold: cold.value(row),
                server: total.get(row).map(|total_us| ServerTimings {
                    queue_us: queue.value(row),
                    decode_us: decode.value(row),
                    preprocess_us: preprocess.value(row),
                    inference_us: inference.value(row),
                    download_us: or_none(download, row),
                    upload_us: or_none(upload, row),
                    total_us,
                }),
            })
        })
        .collect()
}

fn numbers<'a, T: NativeType>(array: &'a dyn Array, name: &str) -> Result<&'a PrimitiveArray<T>, String> {
    array.as_any().downcast_ref().ok_or_else(|| format!("the column {name} has another type"))
}

/// A string: the stream holds plain ones, and polars turns Parquet's into views.
fn text(array: &dyn Array, row: usize) -> Result<Option<&str>, String> {
    if let Some(plain) = array.as_any().downcast_ref::<Utf8Array<i32>>() {
        return Ok(plain.get(row));
    }
    let views = array.as_any().downcast_ref::<Utf8ViewArray>().ok_or("a column of names is no text")?;
    Ok(views.get(row))
}

/// Neighbouring rows mostly name the same instance: they share its name.
fn shared(last: &mut Option<Arc<str>>, name: &str) -> Arc<str> {
    match last {
        Some(known) if known.as_ref() == name => Arc::clone(known),
        _ => Arc::clone(last.insert(name.into())),
    }
}
