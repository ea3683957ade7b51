use super::*;

/// A model of two files, one of which somebody has verified.
fn manifest(first: &str) -> Manifest {
    let (bytes, sha256) = (first.len(), sha256_hex(first.as_bytes()));
    Manifest::parse(&format!(
        "model = []
        [[folder]]
        name = 'large'
        about = 'x'
        workload = 'caption'
        folder = 'large'
        licence = 'MIT'
        [[folder.file]]
        file = 'a.onnx'
        contents = {{ bytes = {bytes}, sha256 = '{sha256}' }}
        [[folder.file]]
        file = 'b.json'
        [[folder]]
        name = 'small'
        about = 'x'
        workload = 'caption'
        folder = 's'
        licence = 'MIT'
        [[folder.file]]
        file = 'a.onnx'
        contents = {{ bytes = {bytes}, sha256 = '{sha256}' }}"
    ))
    .unwrap()
}

/// A directory of models and a cache.
struct World {
    root: tempfile::TempDir,
    manifest: Manifest,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("own")).unwrap();
        Self { root, manifest: manifest("first") }
    }

    fn write(&self, path: &str, contents: &str) {
        let path = self.root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, contents).unwrap();
    }

    fn find(&self, name: Option<&str>) -> Result<FoundFolder, LocateError> {
        let places = Places {
            models_dir: Some(self.root.path().join("own")),
            cache: Some(self.root.path().join("cache")),
            ..Places::default()
        };
        find_folder(&self.manifest, "caption", name, &places, &mut |_| ())
    }
}

#[test]
fn the_first_model_that_is_there_whole_is_found() {
    let world = World::new();
    world.write("own/large/a.onnx", "first");
    world.write("cache/models/s/a.onnx", "first");
    let found = world.find(None).unwrap();
    assert_eq!((found.name.as_str(), found.origin, found.is_verified), ("small", Origin::Cache, true));
    world.write("own/large/b.json", "{}");
    let found = world.find(None).unwrap();
    assert_eq!((found.name.as_str(), found.origin, found.is_verified), ("large", Origin::Directory, false));
    assert_eq!(found.path, world.root.path().join("own/large"));
    assert_eq!(world.find(Some("small")).unwrap().name, "small");
}

#[test]
fn a_file_with_other_contents_is_never_used() {
    let world = World::new();
    world.write("own/s/a.onnx", "other");
    assert!(matches!(world.find(Some("small")), Err(LocateError::WrongContents { .. })));
}

#[test]
fn the_digest_is_that_of_sha256sums_lines_whoever_computed_them() {
    let world = World::new();
    world.write("own/large/a.onnx", "first");
    world.write("own/large/b.json", "{}");
    let lines = format!("{}  a.onnx\n{}  b.json\n", sha256_hex(b"first"), sha256_hex(b"{}"));
    assert_eq!(world.find(Some("large")).unwrap().sha256, sha256_hex(lines.as_bytes()));
    world.write("own/s/a.onnx", "first");
    let line = format!("{}  a.onnx\n", sha256_hex(b"first"));
    assert_eq!(
        world.find(Some("small")).unwrap().sha256,
        sha256_hex(line.as_bytes()),
        "without reading it again"
    );
}

#[test]
fn a_folder_of_the_users_own_is_taken_as_it_is() {
    let world = World::new();
    world.write("mine/x.onnx", "x");
    world.write("mine/.hidden", "x");
    let found = world.find(Some(&world.root.path().join("mine").display().to_string())).unwrap();
    assert_eq!((found.name.as_str(), found.files, found.licence), ("mine", vec!["x.onnx".to_owned()], None));
    let missing = world.find(Some("/nowhere/at/all")).unwrap_err().to_string();
    assert!(missing.contains("no such folder"), "{missing}");
}

#[test]
fn what_is_nowhere_is_answered_with_the_remedy_and_an_unknown_name_with_the_known_ones() {
    let world = World::new();
    let error = world.find(None).unwrap_err();
    assert!(error.is_absence() && error.to_string().contains("harness models fetch small"), "{error}");
    let error = world.find(Some("poet")).unwrap_err().to_string();
    assert!(error.contains("large, small"), "{error}");
}
