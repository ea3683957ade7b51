use std::path::PathBuf;

use super::*;
use crate::test_server::{Reply, Server, fetcher};

/// A manifest whose photographs are two drawn pictures that a server offers.
fn manifest(url: &str) -> Manifest {
    let mut manifest = Manifest::builtin().unwrap();
    let drawn = manifest.picture_set("drawn").unwrap().pictures[..2].to_vec();
    let photographs = manifest.pictures.iter_mut().find(|set| set.name == "photographs").unwrap();
    photographs.pictures =
        drawn.into_iter().map(|picture| Picture { urls: vec![url.into()], ..picture }).collect();
    manifest
}

fn find(manifest: &Manifest, name: Option<&str>, places: &Places) -> Result<FoundPictures, LocateError> {
    find_pictures_with(&fetcher(), manifest, name, places, &mut |_| ())
}

/// A folder with two drawn pictures under names of their own, a text, and these expectations.
fn own_folder(expected: &str) -> (tempfile::TempDir, Places) {
    let folder = tempfile::tempdir().unwrap();
    for (name, drawn) in [("b.JPG", "drawn-hills.jpg"), ("a.png", "drawn-grid.jpg")] {
        std::fs::write(folder.path().join(name), draw::draw(drawn).unwrap().unwrap()).unwrap();
    }
    std::fs::write(folder.path().join("notes.txt"), "not a picture").unwrap();
    std::fs::write(folder.path().join("expected.json"), expected).unwrap();
    let places = Places { pictures_dir: Some(folder.path().into()), ..Places::default() };
    (folder, places)
}

#[test]
fn the_drawn_set_is_as_the_manifest_says() {
    let manifest = Manifest::builtin().unwrap();
    let found = find(&manifest, Some("drawn"), &Places::default()).unwrap();
    assert!(found.drawn);
    assert_eq!(
        found.pictures.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(),
        draw::names().collect::<Vec<_>>()
    );
    for picture in &found.pictures {
        assert_eq!(picture.content_type, "image/jpeg");
        assert_eq!(picture.sha256, sha256_hex(&picture.bytes));
    }
    let classes: std::collections::BTreeSet<_> =
        found.pictures.iter().map(|picture| &picture.expected["mobilenetv2-generated"]).collect();
    assert!(classes.len() >= 3, "{classes:?}");
}

#[test]
fn photographs_are_downloaded_into_the_cache_and_found_there_again() {
    static FIRST: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    static SECOND: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    let mut names = draw::names().map(|name| draw::draw(name).unwrap().unwrap());
    let first = FIRST.get_or_init(|| names.next().unwrap());
    let second = SECOND.get_or_init(|| names.next().unwrap());
    let server = Server::start(&[Reply::Whole(first), Reply::Whole(second)]);
    let manifest = manifest(&server.url);
    let cache = tempfile::tempdir().unwrap();
    let places = Places { cache: Some(cache.path().into()), download: true, ..Places::default() };
    let downloaded = find(&manifest, None, &places).unwrap();
    assert_eq!((downloaded.name.as_str(), downloaded.pictures.len()), ("photographs", 2));
    assert_eq!(find(&manifest, Some("photographs"), &places).unwrap(), downloaded);
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn photographs_that_are_nowhere_are_refused_with_the_remedy() {
    let message = find(&manifest("http://unused"), None, &Places::default()).unwrap_err().to_string();
    assert_eq!(
        message,
        "picture drawn-gradient.jpg not found (looked in: nowhere); run `harness models fetch photographs` with internet, or \
         name a folder of pictures with --pictures-dir or PICTURES_DIR"
    );
}

#[test]
fn a_directory_that_holds_a_whole_set_is_that_set() {
    let manifest = manifest("http://unused");
    let (folder, places) = own_folder("{}");
    for picture in &manifest.picture_set("photographs").unwrap().pictures {
        std::fs::write(folder.path().join(&picture.file), drawn(picture).unwrap()).unwrap();
    }
    assert_eq!(find(&manifest, None, &places).unwrap().name, "photographs");
    // By its path it is a folder like any other.
    assert_eq!(find(&manifest, folder.path().to_str(), &places).unwrap().pictures.len(), 4);
}

#[test]
fn the_users_folder_gives_all_its_pictures_by_name_with_his_answers() {
    let manifest = Manifest::builtin().unwrap();
    let (folder, places) = own_folder(r#"{"b.JPG": "n02124075"}"#);
    let found = find(&manifest, None, &places).unwrap();
    assert_eq!(found.name, folder.path().file_name().unwrap().to_str().unwrap());
    assert_eq!((found.drawn, found.licence.as_str()), (false, "not stated"));
    let [a, b] = &found.pictures[..] else { panic!("{found:?}") };
    // The type is that of the contents, whatever the name says.
    assert_eq!((a.name.as_str(), a.content_type, a.expected.len()), ("a.png", "image/jpeg", 0));
    assert_eq!((b.name.as_str(), b.content_type), ("b.JPG", "image/jpeg"));
    assert_eq!(b.expected["mobilenetv2-12"], "n02124075");
    assert!(!b.expected.contains_key("mobilenetv2-generated"));
    assert_eq!(find(&manifest, folder.path().to_str(), &Places::default()).unwrap(), found);
}

#[test]
fn ranked_answers_are_understood_too() {
    let manifest = Manifest::builtin().unwrap();
    let (_folder, places) = own_folder(
        r#"{"a.png": [{"class_id": "n01818515", "label": "macaw", "confidence": 0.9}, {"class_id": "n01820546"}]}"#,
    );
    let found = find(&manifest, None, &places).unwrap();
    assert_eq!(found.pictures[0].expected["mobilenetv2-1.0-224"], "n01818515");
}

/// The message for this folder, its path taken out.
fn complaint(path: Option<PathBuf>, expected: &str) -> String {
    let (folder, places) = own_folder(expected);
    let path = path.unwrap_or_else(|| folder.path().into());
    let message = find(&Manifest::builtin().unwrap(), path.to_str(), &places).unwrap_err().to_string();
    message.replace(&*folder.path().to_string_lossy(), "FOLDER")
}

#[test]
fn a_folder_that_cannot_be_used_is_refused_with_the_reason() {
    assert_eq!(
        complaint(None, r#"{"c.png": "n02124075"}"#),
        "FOLDER: the expected classes name c.png, which is not in it"
    );
    assert_eq!(
        complaint(None, r#"{"a.png": "cat"}"#),
        "FOLDER/expected.json: a.png: no class 'cat'; classes have WordNet ids such as n02124075"
    );
    let message = complaint(None, r#"{"a.png": 3}"#);
    assert!(message.starts_with("FOLDER/expected.json: ") && message.contains("it must be {"), "{message}");
    assert_eq!(
        complaint(Some("missing".into()), "{}"),
        "missing: no such folder, and no picture set named 'missing'; there are: photographs, drawn"
    );
    let empty = tempfile::tempdir().unwrap();
    assert!(complaint(Some(empty.path().into()), "{}").contains("no JPEG, PNG, WebP, BMP or GIF file in it"));
    std::fs::write(empty.path().join("x.jpg"), "text").unwrap();
    assert!(complaint(Some(empty.path().into()), "{}").contains("x.jpg: its contents are no JPEG"));
}
