use std::path::{Path, PathBuf};

use super::*;
use crate::places::sha256_hex;
use crate::test_server::{Reply, Server, fetcher, refusing_url};

/// A directory of the user's, a cache, and a manifest of two small models: `first` that nobody
/// offers for download, and `second` from these URLs; and `made`, which our code makes.
struct World {
    root: tempfile::TempDir,
    manifest: Manifest,
}

impl World {
    fn new(urls: &[String]) -> Self {
        let mut manifest = Manifest::builtin().unwrap();
        let template = manifest.models[0].clone();
        let small = |name: &str, urls: &[String]| Model {
            name: name.into(),
            file: format!("{name}.onnx"),
            urls: urls.to_vec(),
            bytes: name.len() as u64,
            sha256: sha256_hex(name.as_bytes()),
            ..template.clone()
        };
        let made = manifest.models.iter().find(|model| model.generated).unwrap().clone();
        manifest.models = vec![made, small("first", &[]), small("second", urls)];
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("own")).unwrap();
        std::fs::create_dir_all(root.path().join("cache/models")).unwrap();
        Self { root, manifest }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn write(&self, path: &str, contents: &str) {
        std::fs::write(self.path(path), contents).unwrap();
    }

    fn places(&self) -> Places {
        Places {
            models_dir: Some(self.path("own")),
            pictures_dir: None,
            cache: Some(self.path("cache")),
            download: true,
        }
    }

    fn find(&self, name: Option<&str>, places: &Places) -> Result<FoundModel, LocateError> {
        find_model_with(&fetcher(), &self.manifest, name, places, &mut |_| ())
    }

    /// The message, with this test's directory taken out.
    fn message(&self, name: Option<&str>, places: &Places) -> String {
        let message = self.find(name, places).unwrap_err().to_string();
        message.replace(&*self.root.path().to_string_lossy(), "ROOT")
    }
}

fn found(result: Result<FoundModel, LocateError>, root: &Path) -> (String, Origin) {
    let found = result.unwrap();
    (found.path.strip_prefix(root).unwrap().to_string_lossy().into_owned(), found.origin)
}

#[test]
fn the_users_directory_comes_before_the_cache_and_the_cache_before_a_download() {
    let server = Server::start(&[Reply::Whole(b"second")]);
    let world = World::new(std::slice::from_ref(&server.url));
    let find = || found(world.find(Some("second"), &world.places()), world.root.path());

    assert_eq!(find(), ("cache/models/second.onnx".into(), Origin::Downloaded));
    assert_eq!(find(), ("cache/models/second.onnx".into(), Origin::Cache));
    world.write("own/second.onnx", "second");
    assert_eq!(find(), ("own/second.onnx".into(), Origin::Directory));
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn without_a_name_what_is_there_comes_before_what_can_be_downloaded() {
    let world = World::new(&[refusing_url()]);
    world.write("cache/models/second.onnx", "second");
    assert_eq!(world.find(None, &world.places()).unwrap().model.name, "second");
    world.write("cache/models/first.onnx", "first");
    assert_eq!(world.find(None, &world.places()).unwrap().model.name, "first");
}

#[test]
fn without_a_name_a_generated_model_is_never_picked() {
    let world = World::new(&[]);
    write_whole(
        &world.path("own"),
        &world.manifest.models[0].file,
        &made(&world.manifest.models[0]).unwrap(),
    )
    .unwrap();
    assert_eq!(
        world.message(None, &world.places()),
        "a model not found (looked in: ROOT/own, ROOT/cache/models); put first.onnx or second.onnx into a \
         directory and name that with --models-dir or MODELS_DIR"
    );
}

#[test]
fn a_generated_model_is_made_once_when_named() {
    let world = World::new(&[]);
    let places = Places { download: false, ..world.places() };
    let find = || found(world.find(Some("mobilenetv2-generated"), &places), world.root.path());
    let path = "cache/models/mobilenetv2-generated.onnx";
    assert_eq!(find(), (path.into(), Origin::Generated));
    let made = std::fs::metadata(world.path(path)).unwrap().modified().unwrap();
    assert_eq!(find(), (path.into(), Origin::Cache));
    assert_eq!(std::fs::metadata(world.path(path)).unwrap().modified().unwrap(), made);

    // One of an older version of this program is replaced.
    world.write(path, "old");
    assert_eq!(find(), (path.into(), Origin::Generated));
}

#[test]
fn a_file_with_other_contents_is_an_error_and_not_passed_over() {
    let world = World::new(&[]);
    world.write("own/first.onnx", "fIrst");
    world.write("cache/models/first.onnx", "first");
    assert_eq!(
        world.message(None, &world.places()),
        format!(
            "ROOT/own/first.onnx is not the file that the manifest describes (sha256 {}, expected sha256 {}); \
             remove it, or replace it by the right one",
            sha256_hex(b"fIrst"),
            sha256_hex(b"first")
        )
    );
    world.write("own/first.onnx", "shortened");
    let message = world.message(Some("first"), &world.places());
    assert!(message.contains("(9 bytes, expected 5 bytes)"), "{message}");
}

#[test]
fn a_directory_that_is_none_is_an_error_and_not_passed_over() {
    let world = World::new(&[]);
    world.write("cache/models/first.onnx", "first");
    let places = Places { models_dir: Some(world.path("onw")), ..world.places() };
    assert_eq!(
        world.message(None, &places),
        "--models-dir or MODELS_DIR: ROOT/onw is not a directory; name one that exists, or leave it out"
    );
}

#[test]
fn what_is_merely_absent_differs_from_what_is_wrong() {
    let world = World::new(&[]);
    assert!(world.find(None, &world.places()).unwrap_err().is_absence());
    world.write("own/first.onnx", "fIrst");
    assert!(!world.find(None, &world.places()).unwrap_err().is_absence());
}

#[test]
fn offline_nothing_is_downloaded_and_the_remedy_is_named() {
    let server = Server::start(&[Reply::Whole(b"second")]);
    let world = World::new(std::slice::from_ref(&server.url));
    let places = Places { download: false, models_dir: None, ..world.places() };
    assert_eq!(
        world.message(Some("second"), &places),
        "model second not found (looked in: ROOT/cache/models); run `harness models fetch second` with internet, or put \
         second.onnx into a directory and name that with --models-dir or MODELS_DIR"
    );
    assert!(server.asked().is_empty());
}

#[test]
fn without_a_cache_a_download_names_the_variable_to_set() {
    let world = World::new(&[refusing_url()]);
    let places = Places { cache: None, ..world.places() };
    assert_eq!(
        world.message(None, &places),
        "there is no cache directory to keep second.onnx in; set HOME or XDG_CACHE_HOME"
    );
}
