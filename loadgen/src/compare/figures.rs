//! The figures of a comparison: a median of each side, and the ratio of the rounds with its range.

use serde::{Deserialize, Serialize};

use crate::report::Report;
use crate::units;

/// What is wished of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Better {
    Higher,
    Lower,
}

/// One figure of both sides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) better: Better,
    /// By round.
    pub(crate) a: Vec<f64>,
    pub(crate) b: Vec<f64>,
    pub(crate) a_median: f64,
    pub(crate) b_median: f64,
    /// Of the ratios B / A of the rounds, not the ratio of the medians: the two runs of a round were
    /// disturbed most alike.
    pub(crate) ratio_median: f64,
    pub(crate) ratio_min: f64,
    pub(crate) ratio_max: f64,
}

/// Rounds below which agreement may well be chance.
const ENOUGH: usize = 3;

/// Reads one figure from a run; `None` where it was not measured.
type Read = fn(&Report) -> Option<f64>;

const FIGURES: [(&str, &str, Better, Read); 6] = [
    ("throughput", "msg/s", Better::Higher, |run| {
        Some(run.messages_per_second)
    }),
    ("p50", "µs", Better::Lower, |run| Some(run.latency_us?.p50)),
    ("p99", "µs", Better::Lower, |run| Some(run.latency_us?.p99)),
    ("p99.9", "µs", Better::Lower, |run| {
        Some(run.latency_us?.p99_9)
    }),
    ("broker CPU", "µs/msg", Better::Lower, |run| {
        run.broker_cpu_us_per_message
    }),
    ("disk writes", "B/msg", Better::Lower, |run| {
        run.bytes_written_per_message
    }),
];

/// All figures that both sides have in every round.
pub(crate) fn of(a: &[Report], b: &[Report]) -> Vec<Figure> {
    let figure = |&(name, unit, better, read): &(&str, &str, Better, Read)| {
        let values = |runs: &[Report]| runs.iter().map(read).collect::<Option<Vec<_>>>();
        Figure::new(name, unit, better, values(a)?, values(b)?)
    };
    FIGURES.iter().filter_map(figure).collect()
}

/// Names of the figures that were measured, but not enough for a ratio in every round.
pub(super) fn left_out(a: &[Report], b: &[Report]) -> Vec<&'static str> {
    let compared = of(a, b);
    let measured = |read: &Read| {
        let some = |runs: &[Report]| runs.iter().any(|run| read(run).is_some());
        some(a) && some(b)
    };
    FIGURES
        .iter()
        .filter(|(name, _, _, read)| {
            measured(read) && !compared.iter().any(|figure| figure.name == *name)
        })
        .map(|(name, ..)| *name)
        .collect()
}

impl Figure {
    /// `None` if there is no ratio: no round, or nothing measured in one (a CPU counter's tick is
    /// 10 ms).
    fn new(name: &str, unit: &str, better: Better, a: Vec<f64>, b: Vec<f64>) -> Option<Self> {
        let ratios: Vec<f64> = a.iter().zip(&b).map(|(a, b)| b / a).collect();
        if ratios.is_empty()
            || ratios
                .iter()
                .any(|ratio| !ratio.is_finite() || *ratio <= 0.0)
        {
            return None;
        }
        Some(Self {
            name: name.to_owned(),
            unit: unit.to_owned(),
            better,
            a_median: median(&a),
            b_median: median(&b),
            a,
            b,
            ratio_median: median(&ratios),
            ratio_min: ratios.iter().copied().fold(f64::INFINITY, f64::min),
            ratio_max: ratios.iter().copied().fold(0.0, f64::max),
        })
    }

    /// What the rounds agree on.
    pub(crate) fn verdict(&self) -> &'static str {
        if self.a.len() < ENOUGH {
            return "too few rounds to tell";
        }
        let b_is_higher = match (self.ratio_min > 1.0, self.ratio_max < 1.0) {
            (true, _) => true,
            (_, true) => false,
            _ => return "the rounds disagree",
        };
        match b_is_higher == (self.better == Better::Higher) {
            true => "B better in every round",
            false => "A better in every round",
        }
    }

    /// A value of it, as people read it.
    pub(crate) fn shown(&self, value: f64) -> String {
        match value {
            v if v >= 10_000.0 && self.unit != "µs" => units::count(v),
            v if v >= 100.0 => format!("{v:.0}"),
            v if v >= 1.0 => format!("{v:.1}"),
            v => format!("{v:.3}"),
        }
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    } else {
        sorted[middle]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn higher(a: &[f64], b: &[f64]) -> Figure {
        Figure::new("x", "y", Better::Higher, a.to_vec(), b.to_vec()).expect("there are ratios")
    }

    #[test]
    fn medians_are_of_each_side_and_ratios_of_each_round() {
        // The machine was twice as fast in the second round: both sides drift, the ratio does not.
        let figure = higher(&[100.0, 200.0, 90.0], &[150.0, 300.0, 135.0]);
        assert_eq!((figure.a_median, figure.b_median), (100.0, 150.0));
        let ratios = (figure.ratio_median, figure.ratio_min, figure.ratio_max);
        assert_eq!(ratios, (1.5, 1.5, 1.5));
        let even = higher(&[1.0, 1.0, 1.0, 1.0], &[1.0, 2.0, 4.0, 3.0]);
        assert_eq!(
            (even.ratio_median, even.ratio_min, even.ratio_max),
            (2.5, 1.0, 4.0)
        );
    }

    #[test]
    fn equal_sides_disagree_and_a_doctored_round_shows() {
        let a = [100.0, 110.0, 95.0, 104.0];
        let b = [103.0, 105.0, 97.0, 101.0];
        assert_eq!(higher(&a, &b).verdict(), "the rounds disagree");
        let slowed = b.map(|value| value * 0.8);
        assert_eq!(higher(&a, &slowed).verdict(), "A better in every round");
        let mut one_round = b.map(|value| value * 1.2);
        assert_eq!(higher(&a, &one_round).verdict(), "B better in every round");
        one_round[2] = 1.0;
        let figure = higher(&a, &one_round);
        assert_eq!(figure.verdict(), "the rounds disagree");
        assert!(figure.ratio_min < 0.011 && figure.ratio_median > 1.1);
        let two = higher(&a[..2], &slowed[..2]);
        assert_eq!(two.verdict(), "too few rounds to tell");
    }

    #[test]
    fn a_latency_is_better_when_it_is_lower() {
        let (a, b) = (vec![10.0; 3], vec![5.0; 3]);
        let figure = Figure::new("p99", "µs", Better::Lower, a, b).expect("there are ratios");
        assert_eq!(figure.verdict(), "B better in every round");
        assert_eq!(figure.ratio_median, 0.5);
    }

    #[test]
    fn what_one_side_did_not_measure_has_no_ratio() {
        let none = |a: &[f64], b: &[f64]| {
            Figure::new("x", "y", Better::Lower, a.to_vec(), b.to_vec()).is_none()
        };
        assert!(none(&[], &[]));
        assert!(
            none(&[0.0, 1.0], &[1.0, 1.0]),
            "a CPU counter that has not ticked"
        );
        assert!(none(&[1.0, 1.0], &[0.0, 1.0]));
    }

    #[test]
    fn a_doctored_run_shows_in_its_figure_and_in_no_other() {
        use crate::report::tests::sample;
        let runs = |slow_us: [u64; 3]| slow_us.map(|us| sample("x", 2, us));
        let (a, b) = (runs([900, 1000, 950]), runs([950, 900, 1000]));
        let of_equals = of(&a, &b);
        let names: Vec<_> = of_equals.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "throughput",
                "p50",
                "p99",
                "p99.9",
                "broker CPU",
                "disk writes"
            ]
        );
        assert!(
            of_equals
                .iter()
                .all(|f| f.verdict() == "the rounds disagree")
        );
        let doctored = of(&a, &runs([1900, 1800, 2000]));
        let told: Vec<_> = doctored
            .iter()
            .filter(|figure| figure.verdict() == "A better in every round")
            .map(|figure| figure.name.as_str())
            .collect();
        assert_eq!(told, ["p99.9"], "one message in a hundred");
        let slowed = &doctored[3];
        assert!(
            slowed.ratio_min > 1.7 && slowed.ratio_max < 2.2,
            "{slowed:?}"
        );
    }
}
