//! From an endpoint's URL to what a connection needs; names are resolved once, at the start.

use std::{cell::Cell, net::SocketAddr, sync::Arc};

use hyper::{
    HeaderMap, Uri,
    header::{HOST, HeaderName, HeaderValue},
};
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use super::{DriveError, Endpoint, Protocol};

/// An endpoint, ready to be connected to.
pub(super) struct Target {
    /// Its addresses; connecting tries them in order.
    pub(super) addresses: Vec<SocketAddr>,
    /// The address that answered last: most hosts have a dead one at most once.
    pub(super) preferred: Cell<usize>,
    /// Host and port, for messages.
    pub(super) name: String,
    /// Path and query, as sent in the request line.
    pub(super) path: Uri,
    /// `Host` and the endpoint's own headers.
    pub(super) headers: HeaderMap,
    /// For https.
    pub(super) tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// The same before its name is resolved; `Send`, unlike a [`Target`].
#[derive(Clone)]
pub(super) struct Resolved {
    addresses: Vec<SocketAddr>,
    name: String,
    path: Uri,
    headers: HeaderMap,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl From<Resolved> for Target {
    fn from(resolved: Resolved) -> Self {
        let Resolved { addresses, name, path, headers, tls } = resolved;
        Self { addresses, preferred: Cell::new(0), name, path, headers, tls }
    }
}

impl Target {
    /// The address to try after so many that were tried in vain.
    pub(super) fn address(&self, tried: usize) -> SocketAddr {
        self.addresses[(self.preferred.get() + tried) % self.addresses.len()]
    }

    /// Remembers that the address after so many that were tried in vain has answered.
    pub(super) fn prefer(&self, tried: usize) {
        self.preferred.set((self.preferred.get() + tried) % self.addresses.len());
    }
}

/// Checks an endpoint and resolves its host name.
pub(super) async fn resolve(endpoint: &Endpoint, protocol: Protocol) -> Result<Resolved, DriveError> {
    let refuse = |cause: &str| DriveError::Url { url: endpoint.url.clone(), cause: cause.into() };
    let uri: Uri = endpoint
        .url
        .parse()
        .map_err(|_| refuse("it is not a URL; write for example http://127.0.0.1:8080/predict"))?;
    let https = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err(refuse("it must begin with http:// or https://")),
    };
    let authority = uri.authority().ok_or_else(|| refuse("it names no host"))?;
    if let Some((_secret, host)) = authority.as_str().rsplit_once('@') {
        return Err(DriveError::Url {
            url: format!("{host}{}", uri.path()),
            cause: "it carries a user name or password; send an Authorization header instead".into(),
        });
    }
    // IPv6 addresses stand in brackets in a URL, and without them everywhere else.
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let port = authority.port_u16().unwrap_or(if https { 443 } else { 80 });
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let path = path.parse().map_err(|_| refuse("its path cannot be sent"))?;
    let tls = if https {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| refuse("its host name cannot be used for TLS"))?;
        Some((connector(protocol).map_err(|cause| refuse(&cause))?, name))
    } else {
        None
    };
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, port))
        .await
        .map_err(|error| DriveError::Resolve { host: host.into(), cause: error.to_string() })?
        .collect();
    if addresses.is_empty() {
        return Err(DriveError::Resolve { host: host.into(), cause: "it has no address".into() });
    }
    let headers = headers(endpoint, authority.as_str(), &refuse)?;
    Ok(Resolved { addresses, name: format!("{host}:{port}"), path, headers, tls })
}

/// `Host`, unless the endpoint sets its own, and the endpoint's headers.
fn headers(
    endpoint: &Endpoint,
    authority: &str,
    refuse: &impl Fn(&str) -> DriveError,
) -> Result<HeaderMap, DriveError> {
    let mut headers = HeaderMap::new();
    headers.insert(HOST, HeaderValue::from_str(authority).map_err(|_| refuse("its host cannot be sent"))?);
    for (name, value) in &endpoint.headers {
        let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) else {
            return Err(refuse(&format!("its header '{name}' cannot be sent; check its name and value")));
        };
        if name == HOST {
            headers.insert(name, value);
        } else {
            headers.append(name, value);
        }
    }
    Ok(headers)
}

/// TLS with Mozilla's roots, without client certificates.
fn connector(protocol: Protocol) -> Result<TlsConnector, String> {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    #[cfg(test)]
    let roots = super::tests::and_test_authority(roots);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    if protocol == Protocol::Http2 {
        // A server that does not agree ends the handshake, rather than speak something else.
        config.alpn_protocols = vec![b"h2".to_vec()];
    }
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn resolved(url: &str, headers: &[(&str, &str)]) -> Result<Resolved, String> {
        let headers = headers.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        resolve(&Endpoint { url: url.into(), headers }, Protocol::Http1)
            .await
            .map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_url_becomes_address_path_and_host() {
        let target = resolved("http://127.0.0.1:8080/predict?top=5", &[]).await.unwrap();
        assert_eq!(target.addresses, ["127.0.0.1:8080".parse().unwrap()]);
        assert_eq!(target.path.to_string(), "/predict?top=5");
        assert_eq!(target.headers[HOST], "127.0.0.1:8080");
        let target = resolved("https://[::1]", &[]).await.unwrap();
        assert_eq!(target.addresses, ["[::1]:443".parse().unwrap()]);
        assert_eq!(target.path.to_string(), "/");
        assert!(target.tls.is_some());
    }

    #[tokio::test]
    async fn an_endpoints_own_host_header_wins() {
        let target = resolved("http://127.0.0.1/", &[("Host", "f.default.example.com")]).await.unwrap();
        let hosts: Vec<_> = target.headers.get_all(HOST).iter().collect();
        assert_eq!(hosts, ["f.default.example.com"]);
    }

    #[tokio::test]
    async fn what_cannot_be_used_is_refused_with_the_remedy() {
        let mut messages = Vec::new();
        for (url, headers) in [
            ("not a url", vec![]),
            ("127.0.0.1:8080", vec![]),
            ("ftp://127.0.0.1/", vec![]),
            ("http://user:secret@127.0.0.1/", vec![]),
            ("http://127.0.0.1/", vec![("a b", "c")]),
            ("http://127.0.0.1/", vec![("a", "line\nbreak")]),
        ] {
            messages.push(resolved(url, &headers).await.err().unwrap());
        }
        insta::assert_snapshot!(messages.join("\n"), @r"
        the URL 'not a url' cannot be used: it is not a URL; write for example http://127.0.0.1:8080/predict
        the URL '127.0.0.1:8080' cannot be used: it must begin with http:// or https://
        the URL 'ftp://127.0.0.1/' cannot be used: it must begin with http:// or https://
        the URL '127.0.0.1/' cannot be used: it carries a user name or password; send an Authorization header instead
        the URL 'http://127.0.0.1/' cannot be used: its header 'a b' cannot be sent; check its name and value
        the URL 'http://127.0.0.1/' cannot be used: its header 'a' cannot be sent; check its name and value
        ");
    }

    #[tokio::test]
    async fn an_unknown_host_is_named() {
        let error = resolved("http://no-such-host.invalid/", &[]).await.err().unwrap();
        assert!(error.starts_with("the host 'no-such-host.invalid' was not found"), "{error}");
    }
}
