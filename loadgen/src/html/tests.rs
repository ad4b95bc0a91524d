//! What must hold of every page.

use super::*;
use crate::about::About;
use crate::compare;
use crate::report::tests::sample;

/// A page that stands alone, has no number that is none, and closes what it opens.
fn sound(page: &str) {
    for foreign in ["http:", "https:", "<script", "@import", "url(", "src="] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    for number in ["NaN", "inf\"", "inf ", "inf,", "-inf"] {
        assert!(!page.contains(number), "{number}");
    }
    for tag in [
        "section", "figure", "svg", "table", "tr", "ul", "li", "title", "code",
    ] {
        let opened =
            page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        let closed = page.matches(&format!("</{tag}>")).count();
        assert_eq!(opened, closed, "{tag}");
    }
    assert!(page.contains("prefers-color-scheme: dark"));
}

/// The points of every line of that class, as the page has them.
fn lines<'a>(page: &'a str, class: &str) -> Vec<&'a str> {
    let start = format!("<polyline class=\"{class}\" points=\"");
    page.split(&start)
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect()
}

#[test]
fn a_page_of_several_runs_shows_each_of_them() {
    let all = [
        sample("before", 3, 900),
        sample("after <b>", 5, 900),
        sample("doctored", 5, 90_000),
    ];
    let page = runs(&all);
    sound(&page);
    assert!(page.contains("after &lt;b&gt;") && !page.contains("<b>"));
    for colour in ["curve s0", "curve s1", "curve s2"] {
        // Percentiles, throughput, p99 of each second.
        assert_eq!(lines(&page, colour).len(), 3, "{colour}");
    }
    assert_eq!(lines(&page, "curve s2 dashed").len(), 1);
    let [equal, doctored] = ["curve s1", "curve s2"].map(|colour| lines(&page, colour)[2]);
    let other = lines(&page, "curve s1")[1];
    assert_ne!(equal, doctored, "its p99 is a hundred times as long");
    assert_eq!(other, lines(&page, "curve s2")[1], "its throughput is not");
    assert!(page.contains("90 ms"), "in the table");
}

#[test]
fn a_run_without_curves_has_a_page_of_tables_only() {
    let mut run = sample("old", 1, 900);
    run.series.clear();
    run.latency_points.clear();
    run.latency_us = None;
    let page = runs(&[run]);
    sound(&page);
    assert!(!page.contains("<svg") && page.contains("<table"));
}

#[test]
fn a_comparison_shows_rounds_medians_and_ranges() {
    let side = |label: &str, slow_us: [u64; 3]| Side {
        label: label.to_owned(),
        runs: slow_us.map(|us| sample(label, 2, us)).to_vec(),
        latency_us: None,
        latency_points: sample(label, 6, slow_us[0]).latency_points,
    };
    let (a, b) = (
        side("one", [900, 1000, 950]),
        side("the other", [2900, 3000, 2950]),
    );
    let compared = Comparison {
        rounds: 3,
        figures: compare::figures_of(&a.runs, &b.runs),
        a,
        b,
        about: About::default(),
    };
    let page = comparison(&compared);
    sound(&page);
    assert_eq!(lines(&page, "curve s0 faint").len(), 3, "its rounds");
    // Merged percentiles, then throughput and p99 of each round.
    assert_eq!(lines(&page, "curve s1").len(), 1 + 3 + 3);
    assert!(page.contains("A better in every round"));
    assert!(page.contains("the rounds disagree"));
    let text = serde_json::to_string(&compared).expect("plain keys");
    let read = serde_json::from_str(&text).expect("a comparison");
    assert_eq!(comparison(&read), page, "report --html makes the same page");
}
