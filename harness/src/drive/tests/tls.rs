//! TLS, and HTTP/2 by ALPN, with certificates made for these tests alone.

use std::{
    convert::Infallible,
    net::TcpListener,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
};

use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::*;

/// The certificate of an authority that nobody but these tests trusts; its key is thrown away.
static AUTHORITY: &[u8] = include_bytes!("tls/authority.der");
/// What it signed: a certificate for 127.0.0.1, until 2051.
static SERVER: &[u8] = include_bytes!("tls/server.der");
static SERVER_KEY: &[u8] = include_bytes!("tls/server-key.der");

/// The roots, and the tests' authority.
pub fn and_test_authority(mut roots: rustls::RootCertStore) -> rustls::RootCertStore {
    roots.add(CertificateDer::from(AUTHORITY)).unwrap();
    roots
}

/// A TLS server that speaks what ALPN agreed on; it counts its connections.
fn spawn(protocols: &[&str]) -> (String, Arc<AtomicUsize>) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(SERVER_KEY));
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(SERVER)], key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("https://{}/path", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, counted) = (acceptor.clone(), Arc::clone(&counted));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    counted.fetch_add(1, SeqCst);
                    let two = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    let service = service_fn(async |request: Request<Incoming>| {
                        let version = format!("{:?}", request.version());
                        let length = request.into_body().collect().await.unwrap().to_bytes().len();
                        let response = Response::builder().header("x-boot-id", format!("{version} {length}"));
                        Ok::<_, Infallible>(response.body(Full::new(Bytes::from_static(b"ok"))).unwrap())
                    });
                    let io = TokioIo::new(stream);
                    if two {
                        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                        let _ = server.serve_connection(io, service).await;
                    } else {
                        let _ =
                            hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
                    }
                });
            }
        });
    });
    (url, connections)
}

fn with_body(url: &str, plan: Plan, connections: ConnectionPolicy) -> Load {
    let payload = Payload { name: "p".into(), content_type: String::new(), body: vec![b'x'; 30_000].into() };
    Load { method: hyper::Method::POST, payloads: [payload].into(), connections, ..load(url, plan) }
}

#[tokio::test]
async fn http1_over_tls_keeps_its_connections() {
    let (url, connections) = spawn(&[]);
    let (audit, records) = play_to_the_end(with_body(&url, closed(2, 20), ConnectionPolicy::default())).await;
    assert_eq!(outcomes(&records), [Outcome::Ok]);
    assert_eq!((audit.connections_opened, connections.load(SeqCst)), (2, 2));
    assert!(records.iter().all(|record| record.instance.as_deref() == Some("/HTTP/1.1 30000")));
    let opened = records.iter().filter(|record| record.connected_ns > Some(record.sent_ns)).count();
    assert_eq!(opened, 2, "the handshake is part of the time to connect");
}

#[tokio::test]
async fn http1_over_tls_with_a_connection_for_each_request() {
    let (url, connections) = spawn(&["http/1.1"]);
    let policy = ConnectionPolicy { reuse: Reuse::PerRequest, ..ConnectionPolicy::default() };
    let (audit, records) = play_to_the_end(with_body(&url, constant(200.0, 8), policy)).await;
    assert_eq!(outcomes(&records), [Outcome::Ok]);
    assert_eq!((audit.connections_opened, connections.load(SeqCst)), (8, 8));
}

#[tokio::test]
async fn http2_is_agreed_upon_by_alpn() {
    let (url, connections) = spawn(&["h2", "http/1.1"]);
    let policy = ConnectionPolicy { protocol: Protocol::Http2, ..ConnectionPolicy::default() };
    let (audit, records) = play_to_the_end(with_body(&url, constant(400.0, 20), policy)).await;
    assert_eq!(outcomes(&records), [Outcome::Ok]);
    assert_eq!((audit.connections_opened, connections.load(SeqCst)), (1, 1));
    assert!(records.iter().all(|record| record.instance.as_deref() == Some("/HTTP/2.0 30000")));
}

#[tokio::test]
async fn a_server_without_http2_is_named_as_such() {
    for protocols in [&[][..], &["http/1.1"]] {
        let (url, _) = spawn(protocols);
        let policy = ConnectionPolicy { protocol: Protocol::Http2, ..ConnectionPolicy::default() };
        let (audit, records) = play_to_the_end(with_body(&url, closed(1, 1), policy)).await;
        assert_eq!(outcomes(&records), [Outcome::Connect]);
        let failure = audit.first_failure.unwrap();
        assert!(failure.contains("does not speak HTTP/2"), "{failure}");
    }
}
