//! The server as clients see it: object_store on one side, plain HTTP on the other.

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use object_store::{
    Attribute, GetOptions, GetRange, ObjectStore, ObjectStoreExt as _, PutOptions,
    aws::{AmazonS3, AmazonS3Builder},
    path::Path,
};

use super::*;

struct Running {
    server: Server,
    credentials: Credentials,
    store: Arc<Store>,
}

async fn start() -> Running {
    crate::crypto::choose_provider();
    let credentials = Credentials::random();
    let store = Arc::new(Store::new(&["inputs".into(), "results".into()], 1 << 20));
    let server = Server::start(credentials.clone(), Arc::clone(&store)).await.unwrap();
    Running { server, credentials, store }
}

impl Running {
    fn client(&self, bucket: &str, credentials: &Credentials) -> AmazonS3 {
        AmazonS3Builder::new()
            .with_endpoint(format!("http://{}", self.server.address()))
            .with_allow_http(true)
            .with_bucket_name(bucket)
            .with_region(REGION)
            .with_access_key_id(&credentials.access_key)
            .with_secret_access_key(&credentials.secret_key)
            .with_disable_bulk_delete(true)
            .build()
            .unwrap()
    }

    fn inputs(&self) -> AmazonS3 {
        self.client("inputs", &self.credentials)
    }
}

#[tokio::test]
async fn an_object_comes_back_as_it_was_whatever_its_key() {
    let running = start().await;
    let client = running.inputs();
    let keys = [
        "plain.jpg",
        "a/b/c",
        "a b+c&d=e",
        "ä/ö/ü.txt",
        "😀",
        "100%",
        "a%2Fb",
        "q?x=1#y",
        "~tilde!*'()",
        "back\\slash",
        "{}[]^`|\"<>",
        "...",
        "a:b@c;d,e$",
    ];
    for key in keys {
        let path = Path::parse(key).unwrap();
        let options = PutOptions {
            attributes: [(Attribute::ContentType, "image/jpeg")].into_iter().collect(),
            ..PutOptions::default()
        };
        client.put_opts(&path, key.to_owned().into(), options).await.unwrap_or_else(|e| panic!("{key}: {e}"));
        assert_eq!(running.store.get("inputs", key).unwrap().bytes, key.as_bytes(), "{key}");
        let found = client.get(&path).await.unwrap();
        assert_eq!(found.attributes.get(&Attribute::ContentType).unwrap().as_ref(), "image/jpeg");
        assert_eq!(found.bytes().await.unwrap(), key.as_bytes(), "{key}");
    }
    let listed: Vec<_> = client.list(None).try_collect().await.unwrap();
    let mut listed: Vec<&str> = listed.iter().map(|object| object.location.as_ref()).collect();
    listed.sort_unstable();
    let mut expected = keys;
    expected.sort_unstable();
    assert_eq!(listed, expected);
    for key in keys {
        client.delete(&Path::parse(key).unwrap()).await.unwrap();
    }
    assert_eq!(running.store.get("inputs", "plain.jpg"), Err(store::StoreError::NoSuchKey));
}

#[tokio::test]
async fn ranges_heads_and_conditions_are_served() {
    let running = start().await;
    let client = running.inputs();
    let path = Path::from("digits");
    let etag = client.put(&path, "0123456789".into()).await.unwrap().e_tag;
    assert_eq!(client.get_range(&path, 2..5).await.unwrap(), "234");
    let head = client.head(&path).await.unwrap();
    assert_eq!((head.size, &head.e_tag), (10, &etag));
    let wanted =
        |if_match| GetOptions { if_match, range: Some(GetRange::Suffix(3)), ..GetOptions::default() };
    let found = client.get_opts(&path, wanted(etag.clone())).await.unwrap();
    assert_eq!(found.bytes().await.unwrap(), "789");
    client.put(&path, "replaced".into()).await.unwrap();
    let changed = client.get_opts(&path, wanted(etag)).await.unwrap_err();
    assert!(matches!(changed, object_store::Error::Precondition { .. }), "{changed}");
}

#[tokio::test]
async fn who_has_no_key_or_the_wrong_one_gets_nothing_and_writes_nothing() {
    let running = start().await;
    running.inputs().put(&Path::from("k"), "x".into()).await.unwrap();
    let wrong = Credentials { secret_key: "wrong".into(), ..running.credentials.clone() };
    for credentials in [wrong, Credentials::random()] {
        let client = running.client("inputs", &credentials);
        let read = client.get(&Path::from("k")).await.unwrap_err();
        assert!(matches!(read, object_store::Error::PermissionDenied { .. }), "{read}");
        assert!(client.put(&Path::from("k"), "changed".into()).await.is_err());
        assert!(client.delete(&Path::from("k")).await.is_err());
    }
    let url = format!("http://{}/inputs/k", running.server.address());
    let unsigned = reqwest::get(url).await.unwrap();
    assert_eq!(unsigned.status().as_u16(), 403);
    assert!(unsigned.text().await.unwrap().contains("<Code>AccessDenied</Code>"));
    assert_eq!(running.store.get("inputs", "k").unwrap().bytes, "x");
}

#[tokio::test]
async fn what_is_not_there_or_does_not_fit_is_named() {
    let running = start().await;
    let gone = running.inputs().get(&Path::from("none")).await.unwrap_err();
    assert!(matches!(gone, object_store::Error::NotFound { .. }), "{gone}");
    let bucket = running.client("nowhere", &running.credentials).put(&Path::from("k"), "x".into()).await;
    assert!(bucket.unwrap_err().to_string().contains("NoSuchBucket"));
    // Two thirds of the limit twice.
    let large = || bytes::Bytes::from(vec![0_u8; 700_000]);
    let client = AmazonS3Builder::new()
        .with_endpoint(format!("http://{}", running.server.address()))
        .with_allow_http(true)
        .with_bucket_name("inputs")
        .with_access_key_id(&running.credentials.access_key)
        .with_secret_access_key(&running.credentials.secret_key)
        .with_retry(object_store::RetryConfig { max_retries: 0, ..object_store::RetryConfig::default() })
        .build()
        .unwrap();
    client.put(&Path::from("a"), large().into()).await.unwrap();
    let full = client.put(&Path::from("b"), large().into()).await.unwrap_err().to_string();
    assert!(full.contains("StorageFull"), "{full}");
    client.put(&Path::from("a"), large().into()).await.unwrap();
}

#[test]
fn credentials_are_random_and_never_shown() {
    let (one, two) = (Credentials::random(), Credentials::random());
    assert_ne!(one, two);
    assert_eq!((one.access_key.len(), one.secret_key.len()), (20, 40));
    let config = Config { credentials: one.clone(), buckets: Vec::new(), limit_bytes: 0, cores: Vec::new() };
    assert!(!format!("{config:?}").contains(&one.secret_key));
}
