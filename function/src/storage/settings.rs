//! Where the object storage is and who we are there: environment variables, checked at the start.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use actix_web::http::Uri;

use crate::config::ConfigError;

/// Settings of the object storage. The secrets in it are shown nowhere, not even by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// `S3_ENDPOINT`, without a slash at its end.
    pub endpoint: String,
    /// `S3_REGION`.
    pub region: String,
    /// `S3_ALLOWED_BUCKETS`: all that references may name.
    pub buckets: Vec<String>,
    /// `AWS_ACCESS_KEY_ID`.
    pub access_key_id: String,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret_access_key: String,
    /// `S3_CA_FILE`: certificates (PEM) to trust beside the public ones.
    pub ca_file: Option<PathBuf>,
    /// `S3_TIMEOUT_SECONDS`: one transfer with all its retries.
    pub timeout: Duration,
    /// `S3_RETRIES` of a transfer.
    pub retries: usize,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .field("buckets", &self.buckets)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// Reads them; none where `S3_ALLOWED_BUCKETS` is not set, and then nothing else is looked at.
    ///
    /// # Errors
    /// The first bad value, with what is expected instead. A secret's value is not in it.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, ConfigError> {
        let text =
            |name: &str| lookup(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let Some(buckets) = text("S3_ALLOWED_BUCKETS") else { return Ok(None) };
        if cfg!(not(feature = "storage")) {
            let expected = "nothing: this function was built without its feature 'storage'";
            return Err(ConfigError::new("S3_ALLOWED_BUCKETS", buckets, expected));
        }
        let number = |name: &'static str, most: u32, default: u32| match text(name) {
            None => Ok(default),
            Some(value) => value
                .parse()
                .ok()
                .filter(|number| *number <= most)
                .ok_or_else(|| ConfigError::new(name, value, format!("a whole number from 0 to {most}"))),
        };
        let timeout_seconds = number("S3_TIMEOUT_SECONDS", 3600, 10)?;
        if timeout_seconds == 0 {
            return Err(ConfigError::new("S3_TIMEOUT_SECONDS", "0", "a whole number from 1 to 3600"));
        }
        Ok(Some(Self {
            endpoint: endpoint(text("S3_ENDPOINT"))?,
            region: region(text("S3_REGION"))?,
            buckets: allowed_buckets(&buckets)?,
            access_key_id: secret(&text, "AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY_ID_FILE")?,
            secret_access_key: secret(&text, "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY_FILE")?,
            ca_file: text("S3_CA_FILE").map(PathBuf::from),
            timeout: Duration::from_secs(timeout_seconds.into()),
            retries: number("S3_RETRIES", 10, 2)? as usize,
        }))
    }
}

/// The storage's address: scheme and authority, nothing else.
fn endpoint(value: Option<String>) -> Result<String, ConfigError> {
    const EXPECTED: &str =
        "the storage's address without a path or a login, such as http://minio.minio.svc:9000";
    let value = value.unwrap_or_default();
    let refuse = |shown: &str| Err(ConfigError::new("S3_ENDPOINT", shown, EXPECTED));
    let Ok(uri) = value.parse::<Uri>() else { return refuse(&value) };
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return refuse("(an address with a login)");
    }
    let plain = matches!(uri.scheme_str(), Some("http" | "https"))
        && uri.host().is_some_and(|host| !host.is_empty())
        && matches!(uri.path(), "" | "/")
        && uri.query().is_none();
    if plain { Ok(value.trim_end_matches('/').to_owned()) } else { refuse(&value) }
}

/// The region goes into signatures, slash-separated.
fn region(value: Option<String>) -> Result<String, ConfigError> {
    let value = value.unwrap_or_else(|| "us-east-1".to_owned());
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if value.len() <= 64 && value.bytes().all(fits) {
        return Ok(value);
    }
    Err(ConfigError::new("S3_REGION", value, "letters, digits, '-' and '_', such as us-east-1"))
}

/// Names of buckets, separated by commas.
fn allowed_buckets(list: &str) -> Result<Vec<String>, ConfigError> {
    let fits = |name: &str| {
        // Amazon S3 User Guide, "General purpose bucket naming rules", as far as a URL is concerned.
        (3..=63).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.')
            && name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
            && !name.contains("..")
    };
    let buckets: Vec<String> = list.split(',').map(|name| name.trim().to_owned()).collect();
    if buckets.iter().all(|name| fits(name)) {
        return Ok(buckets);
    }
    let expected = "names of buckets separated by commas, each of 3 to 63 of a-z, 0-9, '-' and '.'";
    Err(ConfigError::new("S3_ALLOWED_BUCKETS", list, expected))
}

/// A secret from the environment, or from the file that the environment names (a mounted Secret).
fn secret(
    text: &impl Fn(&str) -> Option<String>,
    name: &'static str,
    file_name: &'static str,
) -> Result<String, ConfigError> {
    if let Some(value) = text(name) {
        return Ok(value);
    }
    let expected = format!("the credential itself, or {file_name} with the path of a file that holds it");
    let Some(path) = text(file_name) else {
        return Err(ConfigError::new(name, "", expected));
    };
    let found = std::fs::read_to_string(&path).map(|found| found.trim().to_owned()).unwrap_or_default();
    if found.is_empty() {
        return Err(ConfigError::new(file_name, path, "a readable file that holds the credential"));
    }
    Ok(found)
}

#[cfg(all(test, feature = "storage"))]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 4] = [
        ("S3_ALLOWED_BUCKETS", "inputs, results"),
        ("S3_ENDPOINT", "http://127.0.0.1:9000/"),
        ("AWS_ACCESS_KEY_ID", "access"),
        ("AWS_SECRET_ACCESS_KEY", "hush-hush"),
    ];

    fn settings(changes: &[(&str, &str)]) -> Result<Option<Settings>, ConfigError> {
        Settings::from_lookup(|name| {
            let found = changes.iter().chain(&GOOD).find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn complaint(changes: &[(&str, &str)]) -> String {
        settings(changes).unwrap_err().to_string()
    }

    #[test]
    fn without_allowed_buckets_there_is_no_storage_whatever_else_is_set() {
        assert_eq!(settings(&[("S3_ALLOWED_BUCKETS", ""), ("S3_ENDPOINT", "nonsense")]), Ok(None));
    }

    #[test]
    fn values_are_taken_and_the_secret_is_shown_nowhere() {
        let found = settings(&[]).unwrap().unwrap();
        assert_eq!(found.endpoint, "http://127.0.0.1:9000");
        assert_eq!(found.buckets, ["inputs", "results"]);
        assert_eq!((found.region.as_str(), found.retries, found.timeout.as_secs()), ("us-east-1", 2, 10));
        assert_eq!(found.secret_access_key, "hush-hush");
        assert!(!format!("{found:?}").contains("hush"), "{found:?}");
    }

    #[test]
    fn a_secret_may_lie_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "from-a-file\n").unwrap();
        let path = path.display().to_string();
        let file = ("AWS_SECRET_ACCESS_KEY_FILE", path.as_str());
        let found = settings(&[("AWS_SECRET_ACCESS_KEY", ""), file]).unwrap().unwrap();
        assert_eq!(found.secret_access_key, "from-a-file");
        let gone = complaint(&[("AWS_SECRET_ACCESS_KEY", ""), ("AWS_SECRET_ACCESS_KEY_FILE", "no/such")]);
        assert!(gone.starts_with("AWS_SECRET_ACCESS_KEY_FILE=no/such: expected a readable file"), "{gone}");
        let none = complaint(&[("AWS_SECRET_ACCESS_KEY", "")]);
        assert!(none.contains("or AWS_SECRET_ACCESS_KEY_FILE"), "{none}");
    }

    #[test]
    fn a_bad_value_is_named_with_its_remedy_and_without_a_login() {
        for bad in
            ["", "minio:9000", "ftp://h", "http://", "http://h/path", "http://h/?x=1", "not an address"]
        {
            assert!(complaint(&[("S3_ENDPOINT", bad)]).contains("expected the storage's address"), "{bad}");
        }
        let login = complaint(&[("S3_ENDPOINT", "http://user:hush@h:9000")]);
        assert!(!login.contains("hush"), "{login}");
        for bad in ["a", "UPPER", "a/b", "one,,two", "a..b", "-ab"] {
            assert!(complaint(&[("S3_ALLOWED_BUCKETS", bad)]).contains("separated by commas"), "{bad}");
        }
        assert!(complaint(&[("S3_REGION", "a/b")]).contains("such as us-east-1"));
        assert!(complaint(&[("S3_RETRIES", "11")]).contains("from 0 to 10"));
        assert!(complaint(&[("S3_TIMEOUT_SECONDS", "0")]).contains("from 1 to 3600"));
    }
}
