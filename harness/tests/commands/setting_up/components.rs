//! What is made, remembered, passed over, refused and taken away.

use serde_json::{Value, json};

use super::{
    super::api_server::ApiServer, COMPONENT, DEFINITION, EARLY, EXTRA, Place, SECRET, SETTINGS, STATE, THING,
    WEB, cluster, record,
};

#[test]
fn up_makes_everything_once_and_a_second_up_and_status_find_it_ready() {
    let server = cluster();
    let place = Place::new(&server);
    let ran = place.run("up --profile existing --set SIZE=big");
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert_eq!(ran.out, "ready: base, extra\nnext: harness doctor\n");
    for path in ["/api/v1/namespaces/base", DEFINITION, THING, WEB, SECRET] {
        assert_eq!(server.object(path)["metadata"]["labels"][COMPONENT], "base", "{path}");
    }
    assert_eq!(server.object(WEB)["spec"]["size"], "big");
    let board = server.object("/api/v1/namespaces/shared/configmaps/dashboard-one");
    assert_eq!(board["metadata"]["labels"]["grafana_dashboard"], "1");
    assert_eq!(server.object("/api/v1/namespaces/shared")["metadata"]["labels"], Value::Null, "not ours");
    let applied = server.applied();
    let order: Vec<&str> =
        applied.iter().map(|(path, ..)| path.as_str()).filter(|path| *path != STATE).collect();
    assert_eq!(order[..3], ["/api/v1/namespaces/base", DEFINITION, THING], "definitions come first");
    assert_eq!(applied[0].0, STATE, "it is remembered before it is made");
    let owner = |wanted: &str| applied.iter().find(|(path, ..)| path == wanted).unwrap().1.clone();
    assert_ne!(owner(SETTINGS), owner(WEB), "a part has an owner of its own");

    let password = server.object(SECRET)["stringData"]["password"].as_str().unwrap().to_owned();
    assert_eq!((password.len(), server.object(SECRET)["stringData"]["user"].clone()), (32, json!("admin")));
    assert!(!ran.out.contains(&password) && !ran.err.contains(&password));

    server.forget();
    let again = place.run("up --profile existing");
    assert_eq!(again.code, 0, "{}", again.err);
    assert!(again.err.contains("base: as wanted\nextra: as wanted"), "{}", again.err);
    assert!(server.applied().iter().all(|(path, ..)| path == STATE), "{:?}", server.changes());
    assert_eq!(server.object(SECRET)["stringData"]["password"], password.as_str());

    let status = place.run("status --output json");
    assert_eq!(status.code, 0, "{}{}", status.out, status.err);
    let lines: Value = serde_json::from_str(&status.out).unwrap();
    assert_eq!([&lines[0]["state"], &lines[1]["state"]], ["ready", "ready"], "{lines}");
}

#[test]
fn down_takes_away_what_up_made_in_the_opposite_order_and_leaves_what_others_made() {
    let server = cluster();
    let place = Place::new(&server);
    assert_eq!(place.run("up --profile existing").code, 0);
    let unasked = place.run("down --profile existing");
    assert_eq!(unasked.code, 2, "{}", unasked.err);
    let look = place.run("down --profile existing --dry-run");
    assert!(
        look.err.contains("extra: 3 objects, what it set in 1 object")
            && look.out.ends_with("nothing was touched\n"),
        "{}",
        look.err
    );
    assert!(server.has(EXTRA) && server.has(THING));

    server.forget();
    let ran = place.run("down --profile existing --yes");
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert_eq!(ran.out, "gone: extra, base\n");
    assert!(ran.err.contains("namespace shared stays: it was there before"), "{}", ran.err);
    for path in [EXTRA, EARLY, THING, DEFINITION, WEB, SECRET, "/api/v1/namespaces/base", STATE] {
        assert!(!server.has(path), "{path} is left");
    }
    assert!(server.has("/api/v1/namespaces/shared") && server.has(SETTINGS), "theirs");
    let deleted: Vec<String> =
        server.changes().into_iter().filter(|line| line.starts_with("DELETE")).collect();
    let at = |path: &str| deleted.iter().position(|line| line.ends_with(path)).unwrap();
    assert!(at(EXTRA) < at(THING) && at(THING) < at(DEFINITION) && at(DEFINITION) < at(WEB), "{deleted:#?}");
    let (path, manager, bare) = server.applied().into_iter().find(|(path, ..)| path == SETTINGS).unwrap();
    assert!(bare["data"].is_null() && manager.ends_with("-base-part"), "{path} {manager} {bare}");

    let again = place.run("down --profile existing --yes");
    assert_eq!((again.code, again.out.as_str()), (0, "nothing is set up on this cluster\n"));
}

#[test]
fn what_failed_half_way_is_remembered_and_gone_on_with() {
    let refusal = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "no such colour", "reason": "Invalid", "code": 422 });
    let server = cluster().refusing(&format!("PATCH {EXTRA}"), 422, refusal);
    let place = Place::new(&server);
    let ran = place.run("up --profile existing");
    assert_eq!(ran.code, 1);
    let last = ran.err.lines().last().unwrap();
    assert!(
        last.starts_with("error: applying ConfigMap extra: ") && last.contains("no such colour"),
        "{last}"
    );
    assert_eq!([&record(&server, "base")["done"], &record(&server, "extra")["done"]], [true, false]);
    let status = place.run("status");
    assert_eq!(status.code, 1);
    assert!(status.out.contains("differs  extra") && status.out.contains("did not end"), "{}", status.out);

    server.relent();
    let again = place.run("up --profile existing");
    assert_eq!(again.code, 0, "{}", again.err);
    assert!(again.err.contains("base: as wanted"), "{}", again.err);
    assert_eq!(record(&server, "extra")["done"], true);
}

#[test]
fn a_wait_that_ends_in_vain_names_the_pod_and_what_it_hangs_on() {
    let server = ApiServer::start()
        .becoming(DEFINITION, json!({ "conditions": [{ "type": "Established", "status": "True" }] }));
    let waiting = json!({ "reason": "ImagePullBackOff", "message": "no such image" });
    server.put(
        "/api/v1/namespaces/base/pods/web-1",
        json!({ "metadata": { "name": "web-1", "labels": { "app": "web" } }, "status": { "phase": "Pending",
            "containerStatuses": [{ "name": "c", "state": { "waiting": waiting } }] } }),
    );
    let place = Place::new(&server);
    let ran = place.run("up --profile existing --only base");
    assert_eq!(ran.code, 1);
    let last = ran.err.lines().last().unwrap();
    assert_eq!(
        last,
        "error: Deployment base/web is not as wanted (Available) after 1 s: pod web-1: the image cannot be pulled \
         (ImagePullBackOff: no such image); once that is mended, call `harness cluster up` again"
    );
}

#[test]
fn what_somebody_else_made_is_neither_taken_over_nor_taken_away() {
    let server = cluster();
    server.put(
        WEB,
        json!({ "metadata": { "name": "web", "namespace": "base" }, "spec": { "size": "theirs" } }),
    );
    let place = Place::new(&server);
    let ran = place.run("up --profile existing --only base");
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.contains("Deployment web is there, and `harness cluster` did not make it"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("--without base"), "{}", ran.err);
    assert!(server.applied().is_empty(), "{:?}", server.applied());
    let status = place.run("status");
    assert!(status.out.contains("present  base") && status.code == 1, "{}", status.out);
    assert_eq!(place.run("down --profile existing --yes").code, 0);
    assert_eq!(server.object(WEB)["spec"]["size"], "theirs");
}

#[test]
fn a_value_is_kept_and_another_one_is_applied() {
    let server = cluster();
    let place = Place::new(&server);
    assert_eq!(place.run("up --profile existing --only base --set SIZE=big").code, 0);
    server.forget();
    assert_eq!(place.run("up --profile existing --only base --set SIZE=huge").code, 0);
    assert_eq!(server.object(WEB)["spec"]["size"], "huge");
    let again = place.run("up --profile existing --only base");
    assert!(again.err.contains("base: as wanted"), "{}", again.err);
    assert_eq!(server.object(WEB)["spec"]["size"], "huge");
}

#[test]
fn what_stands_on_something_is_set_up_again_with_it() {
    let server = cluster();
    let place = Place::new(&server);
    assert_eq!(place.run("up --profile existing").code, 0);
    assert_eq!(place.run("up --profile existing --only base --set SIZE=big").code, 0);
    let status = place.run("status");
    assert!(status.out.contains("differs  extra"), "{}", status.out);
    let again = place.run("up --profile existing");
    assert!(again.err.contains("base: as wanted\nextra: in a namespace"), "{}", again.err);
    assert_eq!(place.run("status").code, 0);
    assert_eq!(place.run("down --profile existing --only extra --yes").code, 0);
    assert_eq!(record(&server, "base")["done"], false, "its own values of what extra had set may be wanted");
}

#[test]
fn what_the_files_no_longer_hold_is_taken_away() {
    let server = cluster();
    let place = Place::new(&server);
    assert_eq!(place.run("up --profile existing").code, 0);
    place.write("cluster-setup/extra.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: other }\n");
    let status = place.run("status");
    assert!(status.out.contains("differs  extra"), "{}", status.out);
    assert_eq!(place.run("up --profile existing").code, 0);
    assert!(!server.has(EXTRA) && server.has("/api/v1/namespaces/shared/configmaps/other"));
}

#[test]
fn a_dry_run_wants_no_cluster_and_no_internet() {
    let server = cluster();
    let place = Place::new(&server);
    std::fs::remove_file(place.path("kubeconfig")).unwrap();
    let ran = place.run("up --profile existing --with charted --dry-run");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
    for line in [
        "  make Namespace base unless it is there\n",
        "/files/things.yaml (sha256 ",
        "  apply Deployment web\n",
        "  set in ConfigMap base/settings: data.colour\n",
        "  make Secret base/login unless it is there, with random password\n",
        "  wait for Deployment base/web: Available, up to 1 s\n",
        "  helm upgrade --install charted ",
    ] {
        assert!(ran.out.contains(line), "{line} is missing in\n{}", ran.out);
    }
    assert_eq!(server.asked(), 0);
}

#[test]
fn mistakes_are_said_in_one_line() {
    let server = cluster();
    let place = Place::new(&server);
    for (arguments, word) in [
        (
            "up --profile existing --with nosuch",
            "there is no component nosuch; there are base, extra, charted",
        ),
        ("up --profile existing --set NOSUCH=1", "leave open only SIZE (how big)"),
        ("up --profile existing --without base", "extra needs base"),
        ("up --profile kind --nodes a", "--nodes belongs to the profiles kubeadm and cloudlab"),
        ("up --profile existing --setup nowhere", "there is no components.toml in it"),
        (
            "down --profile existing --only extra --yes",
            "extra is not set up on this cluster; there is nothing",
        ),
    ] {
        let ran = place.run(arguments);
        assert_eq!(
            (ran.code, ran.err.lines().filter(|l| l.starts_with("error: ")).count()),
            (2, 1),
            "{}",
            ran.err
        );
        assert!(ran.err.contains(word), "{arguments}: {}", ran.err);
    }
    std::fs::rename(place.path("cluster-setup"), place.path("elsewhere")).unwrap();
    let ran = place.run("status");
    assert!(ran.code == 2 && ran.err.contains("name the folder with --setup"), "{}", ran.err);
}
