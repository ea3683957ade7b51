//! What holds for every report of every kind of run, and what two of them look like.

use super::{Document, Plot, Report, TWIN_BANNER, fixture::Run, html, markdown, plots, png, terminal};

const LONG: &str = "knative-with-istio-and-a-mesh-and-cilium-on-the-second-rack-of-the-cluster-2026";

/// Every kind of run that a report must stand.
fn runs() -> Vec<(&'static str, Run)> {
    let two = ["knative", "openfaas"];
    let mut without_record = Run::new(&two);
    without_record.cells[4].records.clear();
    without_record.cells[4].samples.clear();
    without_record.summarise();
    let mut bare = Run::new(&two);
    bare.cells.clear();
    bare.summary.cells.clear();
    bare.summary.comparisons.clear();
    let mut runs = vec![
        ("two", Run::new(&two)),
        ("no-failures", Run::without_failures(&two)),
        ("one", Run::new(&["knative"])),
        ("cut-off", Run::new(&two).cut_off_after(10)),
        ("without-record", without_record),
        ("nothing", bare),
        ("analysed", Run::new(&two).analysed(20)),
        ("analysed-cut-off", Run::new(&two).analysed(9)),
        ("watched", Run::new(&two).watched()),
        ("observed", Run::new(&two).observed()),
        ("aa", Run::new(&["knative", "knative-2"])),
        ("varied", Run::varied()),
        ("three", Run::new(&["knative", "openfaas", "knative-tuned"])),
        ("long", Run::new(&[LONG, "openfaas-ce-with-every-alert-rule-known-to-the-documentation"])),
    ];
    runs.extend(super::questions_tests::runs());
    runs
}

fn drawn(document: &Document) -> Vec<Plot> {
    plots::all(document).unwrap()
}

#[test]
fn the_markdown_report_reads_like_this() {
    let run = Run::new(&["knative", "openfaas"]).cut_off_after(13);
    insta::assert_snapshot!(markdown::render(&run.document(), &drawn(&run.document())));
}

#[test]
fn the_table_on_the_terminal_reads_like_this() {
    let run = Run::new(&["knative", "openfaas"]);
    insta::assert_snapshot!("terminal_100", terminal::table(&run.document(), 100));
    insta::assert_snapshot!("terminal_48", terminal::table(&run.document(), 48));
}

#[test]
fn only_a_run_that_was_watched_tells_of_the_life_of_its_replicas() {
    let (twin, watched) = (Run::new(&["knative", "openfaas"]), Run::new(&["knative", "openfaas"]).watched());
    let page = |run: &Run| markdown::render(&run.document(), &drawn(&run.document()));
    assert!(!page(&twin).contains("Life of the replicas"));
    let page = page(&watched);
    let from = page.find("## Life of the replicas").unwrap();
    let to = page[from + 3..].find("\n## ").unwrap();
    insta::assert_snapshot!("life_of_the_replicas", &page[from..from + 3 + to]);
}

#[test]
fn with_variants_platforms_are_compared_inside_each_and_settings_tell_what_was_varied() {
    let run = Run::varied();
    let document = run.document();
    let verdicts: Vec<_> = document.summary.comparisons.iter().filter(|c| c.primary).collect();
    let pairs: Vec<String> = verdicts.iter().map(|c| format!("{} / {}", c.contender, c.baseline)).collect();
    let once = ["openfaas-1-core / knative-1-core", "openfaas-2-cores / knative-2-cores"];
    assert_eq!(pairs, [once, once].concat(), "at both load points");
    assert!(verdicts.iter().all(|c| c.p_adjusted >= c.p_value), "corrected for four questions");
    let screen = terminal::table(&document, 100);
    let rows = screen.lines().filter(|line| line.starts_with("openfaas-2-cores "));
    assert_eq!(rows.count(), 2, "a row a load point: {screen}");
    let page = markdown::render(&document, &drawn(&document));
    let line = |start: &str| page.lines().find(|line| line.starts_with(start)).unwrap_or_default();
    insta::assert_snapshot!(
        [line("| CPU, cores"), line("| Goodput (correct"), line("- **Variants")].join("\n"),
        @r"
    | CPU, cores | 1 | 1 | 2 | 2 | differs, as varied |
    | Goodput (correct answers/s) | 120 (113–126) | 88.0 (80.2–98.0) | 70.2 (68.0–73.0) | 56.5 (54.4–58.2) |
    - **Variants**: 1-core: 1 core; 2-cores: 2 cores. Platforms are compared inside a variant; a load point is the same load for all of them.
    "
    );
}

#[test]
fn no_line_on_the_terminal_is_wider_than_the_screen() {
    for (name, run) in runs() {
        for width in [40, 60, 80, 120] {
            let table = terminal::table(&run.document(), width);
            let widest = table.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(width), "{name} at {width}:\n{table}");
        }
    }
}

#[test]
fn a_page_names_every_cell_and_loads_nothing() {
    for (name, run) in runs() {
        let document = run.document();
        let page = html::render(&document, &drawn(&document));
        for cell in &run.summary.cells {
            assert!(page.contains(&cell.id), "{name}: {}", cell.id);
        }
        for resource in ["src=", "href=\"http", "url(", "@import", "<script", "<link", "xmlns", "xlink"] {
            assert!(!page.contains(resource), "{name}: {resource}");
        }
    }
}

#[test]
fn every_page_and_plot_of_a_twin_says_so_and_no_other_does() {
    for twin in [true, false] {
        let mut run = Run::new(&["knative", "openfaas"]);
        run.summary.twin = twin;
        let document = run.document();
        let plots = drawn(&document);
        for report in Report::ALL {
            assert_eq!(report.render(&document, &plots).contains(TWIN_BANNER), twin, "{report:?}");
        }
        let terminal = terminal::table(&document, 80).replace("\n  ", " ");
        assert_eq!(terminal.contains(TWIN_BANNER), twin);
        assert_eq!(plots.len(), 10);
        for plot in plots {
            assert_eq!(plot.svg_light.contains("Twin: a stand-in on one machine."), twin, "{}", plot.name);
        }
    }
}

#[test]
fn what_users_name_is_text_and_never_markup() {
    let evil = "<script>alert('x')</script>&\"|*";
    let mut run = Run::new(&["knative", evil]);
    run.summary.title = evil.to_owned();
    run.summary.notices.push(evil.to_owned());
    run.summary.cells[1].remarks.push(evil.to_owned());
    run.environment["kernel"] = evil.into();
    let document = run.document();
    let plots = drawn(&document);
    for report in Report::ALL {
        let page = report.render(&document, &plots);
        assert!(!page.replace("\\<script", "").contains("<script"), "{report:?}");
    }
    for plot in &plots {
        png::render(&plot.svg_light, 0.5).unwrap_or_else(|e| panic!("{}: {e}", plot.name));
    }
}

#[test]
fn a_run_that_was_cut_off_lists_what_is_missing_and_decides_nothing() {
    let run = Run::new(&["knative", "openfaas"]).cut_off_after(10);
    let document = run.document();
    assert_eq!(document.missing().len(), 10);
    let page = markdown::render(&document, &drawn(&document));
    assert_eq!(page.matches("MISSING").count(), 10);
    assert!(page.contains("This run is incomplete: 10 of 20 cells are missing"));
    assert!(page.contains("No verdict"));
    assert!(!page.contains("knative is better") && !page.contains("openfaas is better"));
}

#[test]
fn cells_that_the_analysis_found_missing_are_called_missing_and_not_invalid() {
    let run = Run::new(&["knative", "openfaas"]).analysed(9);
    let document = run.document();
    assert_eq!(document.missing().len(), 11);
    let page = markdown::render(&document, &drawn(&document));
    assert_eq!(page.matches("| MISSING").count(), 11);
    assert!(page.contains("No verdict"));
}

#[test]
fn a_percentile_on_requests_given_up_is_shown_as_a_lower_bound() {
    let mut run = Run::new(&["knative", "openfaas"]);
    for cell in &mut run.summary.cells {
        cell.response_ms.lower_bounds = vec!["p99".to_owned()];
    }
    let document = run.document();
    let page = markdown::render(&document, &[]);
    let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| Response time p99 (ms)")).collect();
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row.matches("| >= ").count() == 2), "{rows:?}");
    assert!(!page.contains("| Response time p95 (ms) | >="));
}

#[test]
fn without_a_failure_the_plot_says_so() {
    let run = Run::without_failures(&["knative", "openfaas"]);
    let plots = drawn(&run.document());
    let plot = plots.iter().find(|plot| plot.name == "failures").unwrap();
    assert_eq!(plot.svg_light.matches("no failures among").count(), 4, "twice drawn, twice described");
    assert!(!plot.svg_light.contains("platform error"));
}

#[test]
fn a_plot_of_an_invalid_cell_names_it() {
    let run = Run::new(&["knative", "openfaas"]);
    let invalid = run.summary.cells.iter().find(|cell| !cell.validity.is_valid()).unwrap();
    let plots = drawn(&run.document());
    for plot in plots.iter().filter(|plot| plot.name.ends_with("closed-8")) {
        assert!(plot.svg_light.contains(&invalid.id), "{}", plot.name);
    }
}

/// Writes every report and plot of every kind of run below a folder, to be looked at:
/// `LOOK_AT=/tmp/look cargo test -p harness --lib reports -- --ignored look`.
#[test]
#[ignore = "for eyes, not for CI"]
fn look() {
    let Ok(folder) = std::env::var("LOOK_AT") else { return };
    for (name, run) in runs() {
        let folder = std::path::Path::new(&folder).join(name);
        std::fs::create_dir_all(folder.join("plots")).unwrap();
        let document = run.document();
        let plots = drawn(&document);
        for report in Report::ALL {
            std::fs::write(folder.join(report.file_name()), report.render(&document, &plots)).unwrap();
        }
        std::fs::write(folder.join("terminal.txt"), terminal::table(&document, 100)).unwrap();
        for plot in &plots {
            let path = folder.join("plots").join(&plot.name);
            std::fs::write(path.with_extension("svg"), &plot.svg_light).unwrap();
            std::fs::write(path.with_extension("png"), png::render(&plot.svg_light, 1.0).unwrap()).unwrap();
            std::fs::write(path.with_extension("half.png"), png::render(&plot.svg_light, 0.5).unwrap())
                .unwrap();
        }
    }
}

#[test]
fn what_others_measured_is_drawn_for_the_median_trial_and_summed_up_by_component() {
    let run = Run::new(&["knative", "openfaas"]).observed();
    let document = run.document();
    let plots = drawn(&document);
    let observed: Vec<_> = plots.iter().filter(|plot| plot.name.starts_with("observed-")).collect();
    assert_eq!(observed.len(), 4, "two load points, two subjects");
    let (median, valid) = document.median_observed("knative", "closed-8").unwrap();
    assert!(valid && observed[0].svg_light.contains(&format!("Trial {}", median.meta.cell.trial)));
    assert!(observed[0].svg_light.contains("queue-proxy") && !observed[1].svg_light.contains("queue-proxy"));
    let page = markdown::render(&document, &plots);
    assert!(page.contains("## What the cluster measured") && page.contains("observed-closed-8-1.svg"));
    assert!(page.contains("install kube-state-metrics"));
    let without = Run::new(&["knative", "openfaas"]);
    assert!(
        !markdown::render(&without.document(), &drawn(&without.document()))
            .contains("What the cluster measured")
    );
}
