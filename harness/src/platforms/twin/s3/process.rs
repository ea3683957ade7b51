//! The harness's end of the object storage process: start it, know where it is, end it for certain.

use std::{
    fs::{OpenOptions, Permissions},
    io::Write as _,
    net::SocketAddr,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, Command},
};

use super::{Config, Credentials, LIMIT_BYTES, Listening, REGION};
use crate::platforms::twin::placement;

/// How long it may take to listen. Generous: the machine may be busy.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A running object storage with one bucket, and the files that hold its credentials for the
/// functions. Dropping it ends it and takes the files away.
#[derive(Debug)]
pub struct S3Process {
    address: SocketAddr,
    credentials: Credentials,
    bucket: String,
    folder: PathBuf,
    _leash: ChildStdin,
    _child: Child,
}

impl S3Process {
    /// Starts `command serve-s3` with fresh credentials.
    ///
    /// # Errors
    /// In words, when it cannot be started or does not listen in time.
    pub async fn start(command: &Path, bucket: &str) -> Result<Self, String> {
        let credentials = Credentials::random();
        let config = Config {
            credentials: credentials.clone(),
            buckets: vec![bucket.to_owned()],
            limit_bytes: LIMIT_BYTES,
            cores: placement().rest,
        };
        let mut line = serde_json::to_string(&config).map_err(|error| error.to_string())?;
        line.push('\n');
        let mut child = Command::new(command)
            .arg("serve-s3")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{} cannot be started: {error}", command.display()))?;
        let (Some(mut leash), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("its standard input or output is missing".to_owned());
        };
        leash
            .write_all(line.as_bytes())
            .await
            .map_err(|error| format!("it took no configuration: {error}"))?;
        let mut lines = BufReader::new(output).lines();
        let first = tokio::time::timeout(START_LIMIT, lines.next_line())
            .await
            .map_err(|_| format!("it did not listen within {} s", START_LIMIT.as_secs()))?;
        let first = first.map_err(|error| error.to_string())?.unwrap_or_default();
        let Listening { address } =
            serde_json::from_str(&first).map_err(|_| "it ended before it listened".to_owned())?;
        let folder =
            keep(&credentials).map_err(|error| format!("its credentials cannot be kept: {error}"))?;
        Ok(Self { address, credentials, bucket: bucket.to_owned(), folder, _leash: leash, _child: child })
    }

    /// Its address, as clients are given it.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Who may ask.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Environment that lets a function use it. It names files: what is set here may be shown.
    pub fn function_environment(&self) -> Vec<(String, String)> {
        let file = |name: &str| self.folder.join(name).display().to_string();
        [
            ("S3_ENDPOINT", self.endpoint()),
            ("S3_REGION", REGION.to_owned()),
            ("S3_ALLOWED_BUCKETS", self.bucket.clone()),
            ("AWS_ACCESS_KEY_ID_FILE", file(ACCESS_KEY)),
            ("AWS_SECRET_ACCESS_KEY_FILE", file(SECRET_KEY)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }
}

impl Drop for S3Process {
    fn drop(&mut self) {
        // Without it the credentials of a storage that is gone lie in a folder that only this user reads.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

const ACCESS_KEY: &str = "access-key-id";
const SECRET_KEY: &str = "secret-access-key";

/// Writes the credentials where only this user can read them.
fn keep(credentials: &Credentials) -> std::io::Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("testbed-s3-{:032x}", rand::random::<u128>()));
    std::fs::create_dir(&folder)?;
    std::fs::set_permissions(&folder, Permissions::from_mode(0o700))?;
    for (name, text) in [(ACCESS_KEY, &credentials.access_key), (SECRET_KEY, &credentials.secret_key)] {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(folder.join(name))?;
        file.write_all(text.as_bytes())?;
    }
    Ok(folder)
}
