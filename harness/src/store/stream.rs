//! The record file that grows while a cell runs: an Arrow IPC stream, one batch a write, no footer.
//! A kill loses at most the batch that is being written.

use std::{
    fs::File,
    io::{BufReader, Write},
    path::Path,
    sync::Arc,
};

use polars_arrow::{
    datatypes::{ArrowSchemaRef, Metadata},
    io::ipc::{
        read::{StreamMetadata, StreamReader, StreamState, read_stream_metadata},
        write::{StreamWriter, WriteOptions},
    },
    record_batch::RecordBatchT,
};

use super::{SCHEMA_VERSION, StoreError, columns, files};
use crate::record::Record;

/// Key of the format's version in the stream's metadata.
const VERSION_KEY: &str = "schema_version";

/// Writes rows to an Arrow IPC stream. Nothing is buffered: what `append` returned for is with the
/// kernel, and survives the process.
pub struct RecordFile<W: Write = File> {
    writer: StreamWriter<W>,
    schema: ArrowSchemaRef,
    failed: Option<String>,
}

impl RecordFile {
    /// Begins a new file.
    ///
    /// # Errors
    /// When it exists already or cannot be written.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        let file = File::create_new(path).map_err(files::io(path))?;
        Self::begin(file).map_err(|cause| files::format(path, cause))
    }
}

impl<W: Write> RecordFile<W> {
    /// Begins a stream with its schema.
    pub(super) fn begin(writer: W) -> Result<Self, String> {
        let mut writer = StreamWriter::new(writer, WriteOptions { compression: None });
        let version = (VERSION_KEY.into(), SCHEMA_VERSION.to_string().as_str().into());
        writer.set_custom_schema_metadata(Arc::new(Metadata::from([version])));
        let schema = columns::schema();
        writer.start(&schema, None).map_err(|error| error.to_string())?;
        Ok(Self { writer, schema, failed: None })
    }

    /// Appends rows as one batch.
    ///
    /// # Errors
    /// When the disk refuses, in words; from then on always, since a torn batch cannot be followed
    /// by another one.
    pub fn append(&mut self, rows: &[Record]) -> Result<(), String> {
        if let Some(failure) = &self.failed {
            return Err(failure.clone());
        }
        if rows.is_empty() {
            return Ok(());
        }
        let batch = RecordBatchT::try_new(rows.len(), Arc::clone(&self.schema), columns::encode(rows));
        batch.and_then(|batch| self.writer.write(&batch, None)).map_err(|error| {
            let failure = error.to_string();
            self.failed = Some(failure.clone());
            failure
        })
    }

    /// Marks the end of the stream.
    ///
    /// # Errors
    /// When the disk refuses, or has refused before.
    pub fn finish(&mut self) -> Result<(), String> {
        match &self.failed {
            Some(failure) => Err(failure.clone()),
            None => self.writer.finish().map_err(|error| error.to_string()),
        }
    }
}

/// Refuses a stream that a newer harness wrote. One whose beginning is torn passes: reading it says so.
///
/// # Errors
/// When the file cannot be opened, or a newer harness wrote it.
pub(super) fn check(path: &Path) -> Result<(), StoreError> {
    let mut file = BufReader::new(File::open(path).map_err(files::io(path))?);
    read_stream_metadata(&mut file).map_or(Ok(()), |metadata| known(path, &metadata))
}

fn known(path: &Path, metadata: &StreamMetadata) -> Result<(), StoreError> {
    let found = version(metadata).ok_or_else(|| files::format(path, "it names no schema version"))?;
    if found > SCHEMA_VERSION { Err(StoreError::Newer { path: path.to_owned(), found }) } else { Ok(()) }
}

/// Hands the rows of a stream over, batch by batch. Returns what was found damaged, in words:
/// a torn end is left out.
///
/// # Errors
/// When the file cannot be opened, a newer harness wrote it, or `take` refuses.
pub(super) fn read(
    path: &Path,
    mut take: impl FnMut(Vec<Record>) -> Result<(), StoreError>,
) -> Result<Option<String>, StoreError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut file = BufReader::new(File::open(path).map_err(files::io(path))?);
    let metadata = match read_stream_metadata(&mut file) {
        Ok(metadata) => metadata,
        Err(error) => {
            return Ok(Some(format!("{name}: its beginning is torn, no record was read ({error})")));
        }
    };
    known(path, &metadata)?;
    let names: Vec<String> = metadata.schema.iter_names().map(ToString::to_string).collect();
    let mut rows = 0usize;
    let torn = |rows: usize, cause: &str| {
        Some(format!(
            "{name}: its last batch is torn and left out; {rows} records before it were read ({cause})"
        ))
    };
    for batch in StreamReader::new(file, metadata, None) {
        let batch = match batch {
            // The end of the file without an end mark: it was cut between two batches.
            Ok(StreamState::Waiting) => return Ok(None),
            Ok(StreamState::Some(batch)) => batch,
            Err(error) => return Ok(torn(rows, &error.to_string())),
        };
        match columns::decode(&names, batch.arrays()) {
            Ok(records) => {
                rows += records.len();
                take(records)?;
            }
            Err(cause) => return Ok(torn(rows, &cause)),
        }
    }
    Ok(None)
}

fn version(metadata: &StreamMetadata) -> Option<u32> {
    metadata.custom_schema_metadata.as_ref()?.get(VERSION_KEY)?.parse().ok()
}
