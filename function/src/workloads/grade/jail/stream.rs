//! What comes out of a pipe, a read at a time.

use std::io::{self, Read};
use std::os::fd::AsFd;

/// What comes out of a pipe.
pub(super) struct Stream {
    /// None after its end.
    pub pipe: Option<Box<dyn Pipe>>,
    /// What was read.
    pub bytes: Vec<u8>,
}

/// One end of a pipe.
pub(super) trait Pipe: Read + AsFd {}
impl<T: Read + AsFd> Pipe for T {}

impl Stream {
    pub(super) fn new(pipe: Option<impl Pipe + 'static>) -> Self {
        Self { pipe: pipe.map(|pipe| Box::new(pipe) as Box<dyn Pipe>), bytes: Vec::new() }
    }

    /// One read, which does not block where `poll` has said so.
    pub(super) fn read_some(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 << 10];
        if let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut buffer) {
                Ok(0) => self.pipe = None,
                Ok(read) => self.bytes.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
