//! From values to places on an axis, and the ticks that a reader can make sense of.

use super::text;

/// An axis of values: linear from 0, or logarithmic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scale {
    Linear { top: f64 },
    Log { bottom: f64, top: f64 },
}

/// Values that span less than this are shown from 0, which misleads nobody about their ratio.
const LINEAR_SPAN: f64 = 8.0;
/// Ticks of a linear axis, about.
const TICKS: f64 = 5.0;
/// Ticks of a time axis, at most.
const TIME_TICKS: f64 = 12.0;

/// A place with its words.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    pub(super) value: f64,
    pub(super) label: String,
}

impl Scale {
    /// From 0 to a round number above all values.
    pub(super) fn linear(values: impl Iterator<Item = f64>) -> Self {
        let most = values.filter(|v| v.is_finite()).fold(0.0, f64::max);
        let most = if most > 0.0 { most } else { 1.0 };
        let step = round_step(most / TICKS);
        Self::Linear {
            top: (most / step).ceil() * step,
        }
    }

    /// For latencies and ratios, none of them 0: logarithmic where they span so much.
    pub(super) fn fitting(values: impl Iterator<Item = f64> + Clone) -> Self {
        let positive = values.filter(|v| v.is_finite() && *v > 0.0);
        let least = positive.clone().fold(f64::INFINITY, f64::min);
        let most = positive.clone().fold(0.0, f64::max);
        if most / least < LINEAR_SPAN || !least.is_finite() {
            return Self::linear(positive);
        }
        Self::log(least, most)
    }

    /// Logarithmic, from a round number below `least` to one above `most`.
    pub(super) fn log(least: f64, most: f64) -> Self {
        let below = |value: f64| {
            let decade = 10_f64.powf(value.log10().floor());
            let digit = [5.0, 2.0, 1.0]
                .into_iter()
                .find(|digit| digit * decade <= value * 1.000_001);
            digit.unwrap_or(1.0) * decade
        };
        let above = |value: f64| {
            let decade = 10_f64.powf(value.log10().floor());
            let digit = [1.0, 2.0, 5.0, 10.0]
                .into_iter()
                .find(|digit| digit * decade >= value * 0.999_999);
            digit.unwrap_or(10.0) * decade
        };
        let (bottom, top) = (below(least), above(most));
        Self::Log {
            bottom,
            top: if top > bottom { top } else { bottom * 2.0 },
        }
    }

    /// Where a value stands, 0 at the axis's beginning and 1 at its end.
    pub(super) fn place(self, value: f64) -> f64 {
        let place = match self {
            Self::Linear { top } => value / top,
            Self::Log { bottom, top } => {
                (value.max(bottom) / bottom).log10() / (top / bottom).log10()
            }
        };
        place.clamp(0.0, 1.0)
    }

    /// Round values along the axis, in the words of `label`.
    pub(super) fn ticks(self, label: fn(f64) -> String) -> Vec<Tick> {
        let tick = |value| Tick {
            value,
            label: label(value),
        };
        match self {
            Self::Linear { top } => {
                let step = round_step(top / TICKS);
                let count = (top / step).round() as u32;
                (0..=count).map(|n| tick(f64::from(n) * step)).collect()
            }
            Self::Log { bottom, top } => {
                let decades = (top / bottom).log10();
                // Fewer words where they would crowd.
                let digits: &[f64] = if decades <= 3.2 {
                    &[1.0, 2.0, 5.0]
                } else {
                    &[1.0]
                };
                let (first, last) = (bottom.log10().floor() as i32, top.log10().ceil() as i32);
                (first..=last)
                    .flat_map(|exponent| digits.iter().map(move |d| d * 10_f64.powi(exponent)))
                    .filter(|v| *v >= bottom * 0.999_999 && *v <= top * 1.000_001)
                    .map(tick)
                    .collect()
            }
        }
    }
}

/// 1, 2 or 5 times a power of ten, not below `least`.
fn round_step(least: f64) -> f64 {
    let decade = 10_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0]
        .into_iter()
        .map(|digit| digit * decade)
        .find(|step| *step >= least * 0.999_999)
        .unwrap_or(decade * 10.0)
}

/// Round seconds from 0 to `end`.
pub(super) fn time_ticks(end: f64) -> Vec<Tick> {
    let step = round_step(end / TIME_TICKS);
    (0..=(end / step * 1.000_001).floor() as u32)
        .map(|n| {
            let value = f64::from(n) * step;
            Tick {
                value,
                label: text::digits(value),
            }
        })
        .collect()
}

/// Where a quantile stands on HdrHistogram's axis, in decades: 90 % at 1, 99 % at 2.
pub(super) fn nines(quantile: f64) -> f64 {
    -(1.0 - quantile.clamp(0.0, 1.0)).log10()
}

/// The ticks of that axis up to `decades`.
pub(super) fn percentile_ticks(decades: f64) -> Vec<Tick> {
    let half = Tick {
        value: nines(0.5),
        label: "50 %".to_owned(),
    };
    let whole = (1..=decades.floor() as u32).map(|decade| Tick {
        value: f64::from(decade),
        label: text::percent_of_nines(decade),
    });
    std::iter::once(half).chain(whole).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: Scale) -> Vec<String> {
        let ticks = scale.ticks(|value| format!("{value}"));
        ticks.into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn linear_axes_begin_at_0_and_end_above_all_values() {
        let scale = Scale::linear([3.0, 870.0, f64::NAN].into_iter());
        assert_eq!(scale, Scale::Linear { top: 1000.0 });
        assert_eq!(labels(scale), ["0", "200", "400", "600", "800", "1000"]);
        assert_eq!(scale.place(500.0), 0.5);
        assert_eq!(labels(Scale::linear(std::iter::empty())).len(), 6);
    }

    #[test]
    fn wide_spans_are_logarithmic_and_narrow_ones_are_not() {
        let wide = Scale::fitting([130.0, 9_000.0].into_iter());
        assert_eq!(
            wide,
            Scale::Log {
                bottom: 100.0,
                top: 10_000.0
            }
        );
        assert_eq!(
            labels(wide),
            ["100", "200", "500", "1000", "2000", "5000", "10000"]
        );
        assert!((wide.place(1000.0) - 0.5).abs() < 1e-9);
        assert_eq!(wide.place(1.0), 0.0, "what lies outside stays on the edge");
        let narrow = Scale::fitting([100.0, 300.0].into_iter());
        assert_eq!(narrow, Scale::Linear { top: 300.0 });
    }

    #[test]
    fn time_has_round_ticks_and_none_behind_its_end() {
        let labels = |end| {
            let ticks = time_ticks(end);
            ticks.into_iter().map(|tick| tick.label).collect::<Vec<_>>()
        };
        assert_eq!(
            labels(11.0),
            ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"]
        );
        assert_eq!(labels(66.2).last().map(String::as_str), Some("60"));
        assert_eq!(labels(0.35).last().map(String::as_str), Some("0.35"));
    }

    #[test]
    fn each_nine_is_as_far_as_the_one_before() {
        assert!((nines(0.9) - 1.0).abs() < 1e-9);
        assert!((nines(0.9999) - 4.0).abs() < 1e-9);
        let ticks = percentile_ticks(3.4);
        let labels: Vec<_> = ticks.iter().map(|tick| tick.label.as_str()).collect();
        assert_eq!(labels, ["50 %", "90 %", "99 %", "99.9 %"]);
    }
}
