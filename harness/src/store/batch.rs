//! Rows as a piece of bytes and back, to send them from one process to another: an Arrow IPC stream
//! of one batch, as record files are of many.

use polars_arrow::io::ipc::read::{StreamReader, StreamState, read_stream_metadata};

use super::{columns, stream::RecordFile};
use crate::record::Record;

/// Rows as bytes.
///
/// # Errors
/// In words, if they cannot be encoded.
pub fn to_bytes(rows: &[Record]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut file = RecordFile::begin(&mut bytes)?;
    file.append(rows)?;
    file.finish()?;
    drop(file);
    Ok(bytes)
}

/// The rows again.
///
/// # Errors
/// In words, if the bytes are no such stream.
pub fn from_bytes(bytes: &[u8]) -> Result<Vec<Record>, String> {
    let mut bytes = std::io::Cursor::new(bytes);
    let metadata = read_stream_metadata(&mut bytes).map_err(|error| error.to_string())?;
    let names: Vec<String> = metadata.schema.iter_names().map(ToString::to_string).collect();
    let mut rows = Vec::new();
    for batch in StreamReader::new(bytes, metadata, None) {
        match batch.map_err(|error| error.to_string())? {
            StreamState::Some(batch) => rows.append(&mut columns::decode(&names, batch.arrays())?),
            StreamState::Waiting => return Err("the stream of records ends early".to_owned()),
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Outcome, ServerTimings};

    #[test]
    fn rows_survive_the_way() {
        let row = Record {
            call_id: 7,
            scheduled_ns: 1,
            sent_ns: 2,
            connected_ns: Some(3),
            first_byte_ns: None,
            done_ns: 4,
            status: 200,
            outcome: Outcome::WrongAnswer,
            bytes_sent: 5,
            bytes_received: 6,
            payload: 7,
            endpoint: 8,
            connection: 9,
            instance: Some("a/b".into()),
            cold: true,
            server: Some(ServerTimings { total_us: 10, ..ServerTimings::default() }),
        };
        let rows = vec![row.clone(), Record { call_id: 8, instance: None, server: None, ..row }];
        let bytes = to_bytes(&rows).unwrap();
        assert_eq!(from_bytes(&bytes).unwrap(), rows);
        assert!(from_bytes(&bytes[..bytes.len() / 2]).is_err());
        assert!(from_bytes(b"nonsense").is_err());
        assert_eq!(from_bytes(&to_bytes(&[]).unwrap()).unwrap(), []);
    }
}
