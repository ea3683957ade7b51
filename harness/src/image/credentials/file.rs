//! A credentials file of Docker or podman.

use std::{collections::BTreeMap, ffi::OsStr, path::Path};

use serde::Deserialize;

use super::{ImageError, LoginKind, Secret, base64, helper};

/// How `docker login` names Docker Hub.
const HUB_KEY: &str = "https://index.docker.io/v1/";
/// Names of Docker Hub.
const HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];
/// User name that says that the secret is an identity token.
const TOKEN_USER: &str = "<token>";

/// What of the file matters here.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AuthFile {
    auths: BTreeMap<String, Entry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: String,
}

/// One registry's entry. No `Debug`: it holds secrets.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

impl AuthFile {
    /// The login for a repository: a helper for this registry, an entry, or the general helper.
    pub(super) fn look_up(
        &self,
        registry: &str,
        repository: &str,
        path: &Path,
        helpers: Option<&OsStr>,
    ) -> Result<Option<LoginKind>, ImageError> {
        let fitting = |key: &str| match_length(key, registry, repository);
        if let Some((key, program)) = self
            .cred_helpers
            .iter()
            .filter(|(key, _)| fitting(key).is_some())
            .max_by_key(|(key, _)| fitting(key))
        {
            return helper::ask(program, key, helpers);
        }
        // The most particular entry that says anything; where a general helper is used they are empty.
        let entry = self
            .auths
            .iter()
            .filter(|(key, auth)| fitting(key).is_some() && !auth.is_empty())
            .max_by_key(|(key, _)| fitting(key));
        if let Some((key, auth)) = entry {
            return auth.login().map(Some).ok_or_else(|| {
                ImageError::Credentials(format!(
                    "the entry for {key} in {} cannot be read; log in again with `docker login {registry}`",
                    path.display()
                ))
            });
        }
        if self.creds_store.is_empty() {
            return Ok(None);
        }
        let key = if HUB.contains(&registry) { HUB_KEY } else { registry };
        helper::ask(&self.creds_store, key, helpers)
    }
}

impl Entry {
    fn is_empty(&self) -> bool {
        [&self.auth, &self.username, &self.password, &self.identitytoken, &self.registrytoken]
            .iter()
            .all(|field| field.is_empty())
    }

    fn login(&self) -> Option<LoginKind> {
        if !self.identitytoken.is_empty() {
            return Some(LoginKind::IdentityToken(Secret::new(&self.identitytoken)));
        }
        if !self.registrytoken.is_empty() {
            return Some(LoginKind::RegistryToken(Secret::new(&self.registrytoken)));
        }
        if self.auth.is_empty() {
            return (!self.username.is_empty()).then(|| from_pair(&self.username, &self.password));
        }
        let pair = String::from_utf8(base64::decode(&self.auth)?).ok()?;
        // Docker's own files may end in NUL bytes.
        let (username, password) = pair.trim_end_matches('\0').split_once(':')?;
        Some(from_pair(username, password))
    }
}

/// A pair of user and secret, or a token where the user says so.
pub(super) fn from_pair(username: &str, secret: &str) -> LoginKind {
    if username == TOKEN_USER {
        return LoginKind::IdentityToken(Secret::new(secret));
    }
    LoginKind::Password { username: username.into(), password: Secret::new(secret) }
}

/// How many characters of the repository a key names, if it is for it at all: podman's keys may be
/// `REGISTRY/NAMESPACE`, Docker's may be URLs that end in `/v1/` or `/v2/`.
fn match_length(key: &str, registry: &str, repository: &str) -> Option<usize> {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let (host, path) = key.split_once('/').unwrap_or((key, ""));
    let path = path.trim_matches('/');
    let same_host = host == registry || (HUB.contains(&host) && HUB.contains(&registry));
    if !same_host {
        return None;
    }
    if path.is_empty() || path == "v1" || path == "v2" {
        return Some(0);
    }
    let rest = repository.strip_prefix(path)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(path.len())
}
