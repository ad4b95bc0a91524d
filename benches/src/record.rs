//! `record`: batches of 1, 100 and 1,000 records of 100 bytes.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use leveret_record::{
    BatchBuilder, Compression, MAX_RECORDS_LEN, parse_header, records, validate_produce,
};

use crate::input;

mod walk;

const COUNTS: [usize; 3] = [1, 100, 1000];
const VALUE: usize = 100;

pub(crate) fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("record");
    for count in COUNTS {
        let batch = input::batch(count, VALUE, Compression::None);
        group.throughput(Throughput::Bytes(batch.len() as u64));
        group.bench_function(BenchmarkId::new("parse-header", count), |b| {
            b.iter(|| parse_header(black_box(&batch)).expect("a batch"));
        });
        group.bench_function(BenchmarkId::new("validate-produce", count), |b| {
            b.iter(|| validate_produce(black_box(&batch), 1 << 20).expect("a valid batch"));
        });
        let values = input::values(count, VALUE, Compression::None);
        let mut builder = BatchBuilder::new(Compression::None);
        group.bench_function(BenchmarkId::new("build", count), |b| {
            b.iter(|| input::build(&mut builder, black_box(&values)));
        });
    }
    // Every codec: bytes per second are those of the records, not of the batch.
    for codec in Compression::ALL {
        let name = format!("{codec:?}").to_lowercase();
        let values = input::values(1000, VALUE, codec);
        let batch = input::batch(1000, VALUE, codec);
        let set = records(&batch, MAX_RECORDS_LEN).expect("a batch");
        group.throughput(Throughput::Bytes(set.encoded().len() as u64));
        group.bench_function(BenchmarkId::new("read-1000", &name), |b| {
            b.iter(|| {
                let set = records(black_box(&batch), MAX_RECORDS_LEN).expect("a batch");
                let read = set.iter().map(|record| record.expect("a record").offset);
                read.sum::<i64>()
            });
        });
        let mut builder = BatchBuilder::new(codec);
        group.bench_function(BenchmarkId::new("build-1000", &name), |b| {
            b.iter(|| input::build(&mut builder, black_box(&values)));
        });
    }
    group.finish();
    walk::benches(criterion);
}
