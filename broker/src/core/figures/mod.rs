//! What a core counts, declared once: a family of figures is a file here with a line in the list below, and
//! says of each its name, its help, its kind and how it is read. `/metrics`, the JSON of the status, the
//! native protocol's status and the table of `leveret status` follow from that; none of them names a figure.
//!
//! A figure is read when somebody asks, from what the core counts anyway. Those of partitions are a family,
//! too, told of the topics that are asked for.

mod connections;
mod disk;
mod fetch;
mod journal;
mod logs;
mod memory;
mod partition;
mod produce;
#[cfg(test)]
mod toy;
mod turns;

use leveret_engine::shard::ShardStats;
use leveret_storage::histogram::Histogram;
use leveret_storage::io::BufPool;
use leveret_storage::types::Now;

use super::Core;
use super::meter::{Rates, Totals};
use super::status::PartitionReport;

/// A figure: what is to be known of it before it is read.
#[derive(Debug)]
pub struct Figure {
    /// Its metric, if it has one.
    pub metric: Option<Metric>,
    /// Its key in the status, if it has one.
    pub key: Option<&'static str>,
    /// Its column in the table of `leveret status`, if it has one; then it has a key, too.
    pub column: Option<Column>,
}

/// A metric of each core. Metrics of one name stand next to each other, with one kind and one help.
#[derive(Debug)]
pub struct Metric {
    /// Its name, without what the format adds to that of a counter.
    pub name: &'static str,
    /// What it is, a sentence without its full stop.
    pub help: &'static str,
    /// How it is shown.
    pub kind: Kind,
    /// The value of the label `pool`, if it has that.
    pub pool: Option<&'static str>,
}

/// What kind of metric a figure is, and in which unit it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A total.
    Counter,
    /// A total, read in nanoseconds and shown in seconds.
    Seconds,
    /// What is there now.
    Gauge,
    /// The most so far, read in nanoseconds and shown in seconds.
    Longest,
    /// Read in nanoseconds, and shown in seconds from two to the first to two to the second.
    Times(u32, u32),
    /// Plain numbers, up to two to this.
    Numbers(u32),
}

/// A column of the table of cores.
#[derive(Debug)]
pub struct Column {
    /// Its heading.
    pub heading: &'static str,
    /// How its cells are written.
    pub form: Form,
}

/// How a figure is written for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A whole number.
    Number,
    /// A number of bytes.
    Size,
    /// Bytes, with the figure of this key as what there is in all.
    SizeOf(&'static str),
    /// Microseconds, measured from a millisecond on.
    Turn,
}

/// What a figure is now.
#[derive(Clone, Debug)]
pub enum Reading {
    /// A total, or how much there is; a time in nanoseconds.
    Count(u64),
    /// A mean per second over the last few seconds.
    Rate(f64),
    /// How often what was measured.
    Spread(Box<Histogram>),
}

/// A figure and what it is now.
pub type Told = (&'static Figure, Reading);

/// Which figures are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All figures.
    All,
    /// Those that a status has.
    Keyed,
}

/// Takes figures down.
#[derive(Debug)]
pub(crate) struct Sheet {
    wanted: Wanted,
    told: Vec<Told>,
}

/// A core while its figures are read.
pub(crate) struct Glance<'a, P: BufPool> {
    core: &'a Core<P>,
    stats: ShardStats,
    rates: Rates,
}

/// Declares a family: `FIGURES`, and `tell`, which reads them from what is named first.
macro_rules! family {
    ([$($generics:tt)*] $from:ident: $type:ty; $($figure:expr => $reading:expr;)*) => {
        /// The figures of this family.
        pub(crate) static FIGURES: &[$crate::core::figures::Figure] = &[$($figure),*];

        /// Reads them.
        pub(crate) fn tell<$($generics)*>($from: $type, sheet: &mut $crate::core::figures::Sheet) {
            let mut figures = FIGURES.iter();
            $(
                let figure = figures.next().expect("each is declared beside its reading");
                sheet.note(figure, || $crate::core::figures::Reading::from($reading));
            )*
        }
    };
}
pub(crate) use family;

/// The list of families, in the order in which they are shown.
macro_rules! families {
    ($($(#[$on:meta])* $family:ident;)*) => {
        /// All figures that cores have; what their drivers add has no keys.
        pub fn declared() -> impl Iterator<Item = &'static Figure> {
            [$($(#[$on])* $family::FIGURES),*].into_iter().flatten()
        }

        fn tell_all<P: BufPool>(glance: &Glance<'_, P>, sheet: &mut Sheet) {
            $($(#[$on])* $family::tell(glance, sheet);)*
        }
    };
}

families! {
    connections;
    logs;
    memory;
    journal;
    disk;
    produce;
    fetch;
    turns;
    #[cfg(test)]
    toy;
}

/// All figures that partitions have.
pub fn of_partitions() -> impl Iterator<Item = &'static Figure> {
    partition::FIGURES.iter()
}

/// What is known of a partition as its figures, for who shows them line by line.
#[cfg(feature = "runtime")]
pub(crate) fn of_partition(report: &PartitionReport, wanted: Wanted) -> Vec<Told> {
    let mut sheet = Sheet::new(wanted);
    partition::tell(report, &mut sheet);
    sheet.told()
}

/// Those of the figures that have a key.
pub(crate) fn keyed(told: &[Told]) -> impl Iterator<Item = (&'static str, &Reading)> {
    let told = told.iter();
    told.filter_map(|(figure, reading)| Some((figure.key?, reading)))
}

/// The counts of these partitions, in their order, under the key of each figure that has one.
pub(crate) fn by_key(partitions: &[PartitionReport]) -> Vec<(&'static str, Vec<u64>)> {
    let mut sheet = Sheet::new(Wanted::Keyed);
    for report in partitions {
        partition::tell(report, &mut sheet);
    }
    let told = sheet.told();
    let keys = of_partitions().filter_map(|figure| figure.key);
    let keys: Vec<_> = keys.collect();
    let of_place = |place| {
        let same = told.iter().skip(place).step_by(keys.len());
        same.map(|(_, reading)| reading.count()).collect()
    };
    let keyed = keys.iter().enumerate();
    keyed.map(|(place, key)| (*key, of_place(place))).collect()
}

impl Reading {
    /// What is counted.
    ///
    /// # Panics
    /// If it is a rate or a spread: partitions have none.
    fn count(&self) -> u64 {
        match self {
            Self::Count(count) => *count,
            other => unreachable!("a count of a partition is {other:?}"),
        }
    }
}

impl Figure {
    /// A figure of the status alone.
    pub(crate) const fn keyed(key: &'static str) -> Self {
        Self {
            metric: None,
            key: Some(key),
            column: None,
        }
    }

    /// A metric.
    pub(crate) const fn metric(kind: Kind, name: &'static str, help: &'static str) -> Self {
        let metric = Metric {
            name,
            help,
            kind,
            pool: None,
        };
        Self {
            metric: Some(metric),
            key: None,
            column: None,
        }
    }

    pub(crate) const fn counter(name: &'static str, help: &'static str) -> Self {
        Self::metric(Kind::Counter, name, help)
    }

    pub(crate) const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self::metric(Kind::Gauge, name, help)
    }

    /// The same, of a pool of memory.
    pub(crate) const fn pool(name: &'static str, help: &'static str, pool: &'static str) -> Self {
        let metric = Metric {
            name,
            help,
            kind: Kind::Gauge,
            pool: Some(pool),
        };
        Self {
            metric: Some(metric),
            key: None,
            column: None,
        }
    }

    /// It is in the status as well.
    pub(crate) const fn key(self, key: &'static str) -> Self {
        Self {
            key: Some(key),
            ..self
        }
    }

    /// And in the table of `leveret status`.
    pub(crate) const fn column(self, heading: &'static str, form: Form) -> Self {
        Self {
            column: Some(Column { heading, form }),
            ..self
        }
    }
}

impl Sheet {
    pub(crate) fn new(wanted: Wanted) -> Self {
        Self {
            wanted,
            told: Vec::new(),
        }
    }

    /// What was taken down.
    pub(crate) fn told(self) -> Vec<Told> {
        self.told
    }

    /// Reads a figure if it is asked for.
    pub(crate) fn note(&mut self, figure: &'static Figure, reading: impl FnOnce() -> Reading) {
        if self.wanted == Wanted::All || figure.key.is_some() {
            self.told.push((figure, reading()));
        }
    }
}

impl<P: BufPool> Core<P> {
    pub(super) fn figures(&mut self, wanted: Wanted, now: Now) -> Vec<Told> {
        let stats = self.shard.stats();
        let rates = self.meter.rates(Totals::of(&stats), now.mono);
        let glance = Glance {
            core: self,
            stats,
            rates,
        };
        let mut sheet = Sheet::new(wanted);
        tell_all(&glance, &mut sheet);
        sheet.told()
    }
}

impl From<u64> for Reading {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<usize> for Reading {
    fn from(count: usize) -> Self {
        Self::Count(count as u64)
    }
}

impl From<f64> for Reading {
    fn from(rate: f64) -> Self {
        Self::Rate(rate)
    }
}

impl From<&Histogram> for Reading {
    fn from(histogram: &Histogram) -> Self {
        Self::Spread(Box::new(histogram.clone()))
    }
}

#[cfg(test)]
mod tests;
