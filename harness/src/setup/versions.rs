//! `versions.toml`: which version of everything that is downloaded, from where, and its checksum
//! where a public source has one. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::SetupError;

/// The file, as far as the driver reads it; scripts read the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Versions {
    /// Helm charts.
    #[serde(default)]
    charts: BTreeMap<String, Chart>,
    /// Manifests.
    #[serde(default)]
    manifests: BTreeMap<String, Manifest>,
    /// Programs of this machine.
    #[serde(default)]
    tools: BTreeMap<String, Tool>,
}

/// A Helm chart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chart {
    /// Address of the repository, `https://` or `oci://`.
    pub repository: String,
    /// Its name there.
    pub chart: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its archive, where a public source has it.
    pub sha256: Option<String>,
}

/// A manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Where it is.
    pub url: String,
    /// Its version, for the reader.
    #[serde(skip_serializing)]
    pub version: Option<String>,
    /// SHA-256, where a public source has it.
    pub sha256: Option<String>,
}

/// A program.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Tool {
    /// The version that this was made for.
    pub version: String,
    /// Where to read how it is installed.
    pub url: Option<String>,
}

impl Versions {
    /// Reads the file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(text: &str) -> Result<Self, SetupError> {
        let wrong = |cause: String| SetupError::File { file: super::VERSIONS_FILE.into(), cause };
        let versions: Self =
            toml::from_str(text).map_err(|error| wrong(crate::words::one_line(&error.to_string())))?;
        let charts = versions.charts.iter().map(|(key, chart)| (key, &chart.repository, &chart.sha256));
        let manifests =
            versions.manifests.iter().map(|(key, manifest)| (key, &manifest.url, &manifest.sha256));
        for (key, url, sha256) in charts.chain(manifests) {
            if !["https://", "http://", "oci://"].iter().any(|scheme| url.starts_with(scheme)) {
                return Err(wrong(format!("{key}: `{url}` is no address; it wants to begin with https://")));
            }
            let is_sum = |sum: &str| {
                sum.len() == 64 && sum.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
            };
            if let Some(sum) = sha256.as_deref().filter(|sum| !is_sum(sum)) {
                return Err(wrong(format!("{key}: `{sum}` is no SHA-256: 64 small hexadecimal digits")));
            }
        }
        Ok(versions)
    }

    /// A chart by its key.
    ///
    /// # Errors
    /// If there is none.
    pub fn chart(&self, key: &str) -> Result<&Chart, SetupError> {
        self.charts.get(key).ok_or_else(|| missing("charts", key))
    }

    /// A manifest by its key.
    ///
    /// # Errors
    /// If there is none.
    pub fn manifest(&self, key: &str) -> Result<&Manifest, SetupError> {
        self.manifests.get(key).ok_or_else(|| missing("manifests", key))
    }

    /// A program, if the file names it.
    pub fn tool(&self, name: &str) -> Option<&Tool> {
        self.tools.get(name)
    }

    /// Every key of a chart or manifest.
    #[cfg(test)]
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.charts.keys().chain(self.manifests.keys()).map(String::as_str)
    }
}

fn missing(table: &str, key: &str) -> SetupError {
    SetupError::File {
        file: super::VERSIONS_FILE.into(),
        cause: format!("[{table}] has no {key}, which components.toml names; add it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charts_manifests_and_tools_are_read_and_what_scripts_read_is_left_alone() {
        let sum = "0a".repeat(32);
        let text = format!(
            "[kubernetes]\nversion = \"1.36.5\"\n[tools.helm]\nversion = \"3.19.0\"\n\
             url = \"https://h.example\"\n[tools.helm.linux-amd64]\nsha256 = \"00\"\n[charts.metallb]\n\
             repository = \"https://x.example\"\nchart = \"metallb\"\nversion = \"1\"\n[manifests.serving]\n\
             url = \"https://y.example/s.yaml\"\nversion = \"2\"\nsha256 = \"{sum}\"\n"
        );
        let versions = Versions::read(&text).unwrap();
        assert_eq!(versions.chart("metallb").unwrap().version, "1");
        assert_eq!(versions.manifest("serving").unwrap().sha256, Some(sum));
        let helm = versions.tool("helm").unwrap();
        assert_eq!((helm.version.as_str(), helm.url.as_deref()), ("3.19.0", Some("https://h.example")));
        let said = versions.chart("nosuch").unwrap_err().to_string();
        assert_eq!(said, "versions.toml: [charts] has no nosuch, which components.toml names; add it");
    }

    #[test]
    fn an_address_or_a_sum_that_is_none_is_refused() {
        let read = |text: &str| Versions::read(text).unwrap_err().to_string();
        assert!(read("[manifests.a]\nurl = \"x.yaml\"").contains("a: `x.yaml` is no address"));
        let said = read("[manifests.a]\nurl = \"https://x\"\nsha256 = \"0A\"");
        assert!(said.contains("a: `0A` is no SHA-256"), "{said}");
    }
}
