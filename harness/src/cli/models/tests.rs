use clap::Parser;

use super::*;

/// The command as a program of its own.
#[derive(Debug, Parser)]
struct Program {
    #[command(flatten)]
    args: Args,
}

/// A cache and a directory of the user's.
struct World {
    root: tempfile::TempDir,
    manifest: Manifest,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("own")).unwrap();
        Self { root, manifest: Manifest::builtin().unwrap() }
    }

    fn places(&self) -> Places {
        Places {
            models_dir: Some(self.root.path().join("own")),
            pictures_dir: None,
            cache: Some(self.root.path().join("cache")),
            download: false,
        }
    }

    fn tidy(&self, text: &str) -> String {
        text.replace(&*self.root.path().to_string_lossy(), "ROOT")
    }

    fn fetch(&self, name: &str) -> Result<(), CliError> {
        fetch::fetch(&[entry(&self.manifest, name)?], &self.places(), None)
    }

    fn path(&self, name: &str) -> String {
        let path = entry(&self.manifest, name).and_then(|entry| fetch::path(entry, &self.places()));
        match path {
            Ok(path) => self.tidy(&path.to_string_lossy()),
            Err(error) => self.tidy(&format!("error: {error}")),
        }
    }
}

#[test]
fn the_list_says_of_everything_where_it_is_or_how_to_have_it() {
    let world = World::new();
    std::fs::write(world.root.path().join("own/mobilenetv2-12.onnx"), "cut off").unwrap();
    world.fetch("drawn").unwrap();
    let rows = list::rows(&world.manifest, &world.places());
    insta::assert_snapshot!(world.tidy(&list::table(&rows)), @r"
    name                            size  licence     where
    mobilenetv2-1.0-224         13.97 MB  Apache-2.0  not here, and without a source; see models/README.md
      MobileNetV2 1.0, 224 px, ImageNet, fp32; weights of Google's published 8-bit TensorFlow Lite model written out as floats
    mobilenetv2-12              13.96 MB  Apache-2.0  ROOT/own/mobilenetv2-12.onnx has another size; see `harness models verify`
      MobileNetV2 1.0, 224 px, ImageNet, fp32, of the ONNX Model Zoo
    mobilenetv2-generated       13.97 MB  Apache-2.0  made by this program when it is named
      The same graph with seeded random weights, made by this program: right in cost, meaningless in answers
    vit-gpt2-image-captioning    unknown  Apache-2.0  not here; `harness models fetch vit-gpt2-image-captioning`
      ViT-GPT2, nlpconnect/vit-gpt2-image-captioning, fp32; ONNX export of Xenova's, never downloaded by the project
    scenes-captioner             1.97 MB  Apache-2.0  part of this program
      The project's own small captioner of drawn scenes, fp32; see models/captioner/README.md
    photographs                  0.70 MB  Apache-2.0  not here; `harness models fetch photographs`
      A cat and a parrot, from google-coral/test_data
    drawn                        0.26 MB  Apache-2.0  ROOT/cache/pictures (cache)
      Eight pictures of 320 x 240 pixels drawn by this program
    ");
}

#[test]
fn the_list_is_there_as_json_for_scripts() {
    let world = World::new();
    world.fetch("mobilenetv2-generated").unwrap();
    let rows = serde_json::to_value(list::rows(&world.manifest, &world.places())).unwrap();
    let states: Vec<_> = rows.as_array().unwrap().iter().map(|row| (&row["name"], &row["state"])).collect();
    insta::assert_snapshot!(serde_json::to_string(&states).unwrap(), @r#"[["mobilenetv2-1.0-224","missing"],["mobilenetv2-12","downloadable"],["mobilenetv2-generated","in-cache"],["vit-gpt2-image-captioning","downloadable"],["scenes-captioner","built-in"],["photographs","downloadable"],["drawn","made-on-demand"]]"#);
    assert_eq!(
        rows[2]["path"].as_str().unwrap(),
        world.root.path().join("cache/models/mobilenetv2-generated.onnx").to_str().unwrap()
    );
}

#[test]
fn a_path_is_printed_once_the_thing_is_there_and_before_that_the_remedy() {
    let world = World::new();
    assert_eq!(
        world.path("drawn"),
        "error: drawn-gradient.jpg is not here; run `harness models fetch drawn`"
    );
    world.fetch("drawn").unwrap();
    assert_eq!(world.path("drawn"), "ROOT/cache/pictures");
    assert_eq!(
        world.path("mobilenetv2-1.0-224"),
        "error: mobilenetv2-1.0-224.onnx is not here; put mobilenetv2-1.0-224.onnx into a directory and name that with --models-dir or MODELS_DIR"
    );
    assert_eq!(
        world.path("resnet"),
        "error: no model or picture set named 'resnet'; there are: mobilenetv2-1.0-224, mobilenetv2-12, mobilenetv2-generated, vit-gpt2-image-captioning, scenes-captioner, photographs, drawn"
    );
}

#[test]
fn verify_finds_the_file_that_differs() {
    let world = World::new();
    assert_eq!(
        verify::verify(&world.manifest, &world.places()),
        ("nothing is there yet; run `harness models fetch`\n".into(), true)
    );
    world.fetch("drawn").unwrap();
    let (report, right) = verify::verify(&world.manifest, &world.places());
    assert!(right && report.ends_with("8 right, 0 wrong\n"), "{report}");

    let spoilt = world.root.path().join("cache/pictures/drawn-hills.jpg");
    let mut bytes = std::fs::read(&spoilt).unwrap();
    bytes[3000] ^= 1;
    std::fs::write(&spoilt, bytes).unwrap();
    let (report, right) = verify::verify(&world.manifest, &world.places());
    assert!(!right && report.contains("WRONG  ") && report.ends_with("7 right, 1 wrong\n"), "{report}");
}

#[test]
fn a_model_of_several_files_is_unpacked_into_its_folder_and_verified_file_by_file() {
    let world = World::new();
    assert!(world.path("scenes-captioner").contains("run `harness models fetch scenes-captioner`"));
    world.fetch("scenes-captioner").unwrap();
    assert_eq!(world.path("scenes-captioner"), "ROOT/cache/models/scenes-captioner");
    let (report, right) = verify::verify(&world.manifest, &world.places());
    assert!(right && report.ends_with("6 right, 0 wrong\n"), "{report}");

    let unverified = world.root.path().join("own/vit-gpt2-image-captioning");
    std::fs::create_dir(&unverified).unwrap();
    std::fs::write(unverified.join("config.json"), "{}").unwrap();
    let (report, right) = verify::verify(&world.manifest, &world.places());
    assert!(right && report.ends_with("6 right, 0 wrong, 1 that nobody has verified\n"), "{report}");
}

#[test]
fn flags_may_stand_before_and_after_the_subcommand() {
    let before = Program::try_parse_from(["models", "--models-dir", "/a", "--offline", "list"]).unwrap();
    let after = Program::try_parse_from(["models", "list", "--offline", "--models-dir", "/a"]).unwrap();
    for program in [before, after] {
        let places = program.args.places.places();
        assert_eq!((places.models_dir, places.download), (Some("/a".into()), false));
    }
}

#[test]
fn a_directory_that_is_none_is_the_users_mistake() {
    let program = Program::try_parse_from(["models", "--models-dir", "/nowhere", "list"]).unwrap();
    let error = run(program.args).unwrap_err();
    assert!(matches!(error, CliError::Usage(_)), "{error}");
    assert_eq!(
        error.to_string(),
        "--models-dir or MODELS_DIR: /nowhere is not a directory; name one that exists, or leave it out"
    );
}

#[test]
fn without_names_fetch_takes_the_model_that_is_there_or_else_one_with_a_source() {
    let world = World::new();
    let names = || -> Vec<_> {
        default_entries(&world.manifest, &world.places()).into_iter().map(Entry::name).collect()
    };
    assert_eq!(names(), ["mobilenetv2-12", "photographs"]);
    std::fs::write(world.root.path().join("own/mobilenetv2-1.0-224.onnx"), "").unwrap();
    assert_eq!(names(), ["mobilenetv2-1.0-224", "photographs"]);
}
