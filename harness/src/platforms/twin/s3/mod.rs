//! The twin's object storage: a small S3 server in a process of its own, in memory, on loopback.
//!
//! It stands in for the MinIO of a cluster, so that inputs by reference work on one machine and in
//! tests. It knows path-style addresses, signatures of version 4 in the header, and the operations
//! that the function and the harness need: objects (PUT, GET with ranges and conditions, HEAD,
//! DELETE), ListObjectsV2, CreateBucket, HeadBucket, ListBuckets. Multipart uploads, versions, access
//! lists, presigned URLs and bodies in signed chunks are refused as `NotImplemented`.
//!
//! Its credentials are made anew for each run. They come in on standard input, never on the command
//! line, and are written nowhere but into files that only this user can read.
//!
//! Map: `sigv4` verifies, `store` keeps, `xml` spells, `serve` answers, `process` is the harness's end.

mod process;
mod serve;
mod sigv4;
mod store;
mod xml;

use std::{io::BufRead as _, net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

pub use process::S3Process;
pub use serve::Server;
pub use store::Store;

/// Most bytes that all objects may have together, unless a test says otherwise.
pub const LIMIT_BYTES: usize = 1 << 30;
/// Region in its signatures; any would do.
pub const REGION: &str = "us-east-1";

/// Who may ask. Made by the machine for one run; shown nowhere.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// Access key id.
    pub access_key: String,
    /// Secret access key.
    pub secret_key: String,
}

impl Credentials {
    /// Random ones.
    pub fn random() -> Self {
        let hex = || format!("{:032x}", rand::random::<u128>());
        Self { access_key: format!("TWIN{}", &hex()[..16].to_uppercase()), secret_key: hex() + &hex()[..8] }
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<credentials>")
    }
}

/// What the server process is told: the first line of its standard input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Who may ask.
    pub credentials: Credentials,
    /// Buckets that are there from the start.
    pub buckets: Vec<String>,
    /// Most bytes of all objects together.
    pub limit_bytes: usize,
    /// Cores to stay on; empty: any.
    pub cores: Vec<usize>,
}

/// What it says on standard output once it listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listening {
    /// Where.
    pub address: SocketAddr,
}

/// The server process (`harness serve-s3`): serves until standard input ends, which is the end of
/// whoever started it.
///
/// # Errors
/// If the configuration is not understood or no port is free.
pub fn run() -> anyhow::Result<()> {
    let mut input = std::io::stdin().lock();
    let mut line = String::new();
    input.read_line(&mut line).context("standard input cannot be read")?;
    let config: Config = serde_json::from_str(&line).map_err(|_| {
        // Without the cause, which may quote the line.
        anyhow::anyhow!("the first line of standard input is no configuration of the object storage")
    })?;
    // Before any thread is started, so that all inherit it.
    if let Err(error) = super::confine(&config.cores) {
        eprintln!("the object storage could not be kept on cores {:?}: {error}", config.cores);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let store = Arc::new(Store::new(&config.buckets, config.limit_bytes));
    let server =
        runtime.block_on(Server::start(config.credentials, store)).context("no free port on loopback")?;
    println!("{}", serde_json::to_string(&Listening { address: server.address() })?);
    // The leash: whatever comes is nothing, its end is the end.
    for _ in input.lines() {}
    Ok(())
}

#[cfg(test)]
mod tests;
