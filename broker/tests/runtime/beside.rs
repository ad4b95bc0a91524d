//! A thread beside the cores: it asks them, awake or asleep, and hears when they have ended.

use std::io::{Read, Write};
use std::time::Duration;

use leveret_broker::runtime::AskError;
use leveret_storage::types::CoreId;

use super::{Broker, TestDir, block_on, config, toy, up_to};

#[test]
fn every_core_answers_and_tells_of_its_loop() {
    let dir = TestDir::new("beside");
    let broker = Broker::start(config(&dir, 2));
    let desk = broker.desk.clone();
    assert_eq!(usize::from(desk.cores()), up_to(2));
    let mut stream = broker.connect();
    for round in 0..20 {
        for core in (0..desk.cores()).map(CoreId) {
            let asked = tokio::time::Duration::from_secs(5);
            let answered =
                block_on(async { tokio::time::timeout(asked, desk.ask(core, round)).await });
            let answered = answered.expect("a core that sleeps is woken").unwrap();
            assert_eq!(answered.answer, (core, round + 1));
            // The first question may find a core in its first turn.
            assert!(round == 0 || answered.driver.turns.lengths.count() > 0);
            assert_eq!(answered.driver.unsent, 0);
        }
        // Now with something under way as well, and with everything asleep.
        stream.write_all(&[toy::ECHO, 1, 0, 0, 0, 7]).unwrap();
        stream.read_exact(&mut [0; 6]).unwrap();
        std::thread::sleep(Duration::from_millis(u64::from(round % 3)));
    }
    broker.stop();
    let after = block_on(desk.ask(CoreId(0), 1)).map(|answered| answered.answer);
    assert_eq!(after, Err(AskError::Stopped));
}

#[test]
fn answers_that_a_peer_does_not_read_are_counted_and_forgotten_with_it() {
    let dir = TestDir::new("beside-unsent");
    let broker = Broker::start(config(&dir, 1));
    let unsent = || {
        let answered = block_on(broker.desk.ask(CoreId(0), 0)).unwrap();
        answered.driver.unsent
    };
    let mut stream = broker.connect();
    let mut frame = vec![toy::ECHO];
    frame.extend((8u32 << 20).to_le_bytes());
    frame.resize(5 + (8 << 20), 1);
    stream.write_all(&frame).unwrap();
    let soon = |wanted: &dyn Fn(usize) -> bool| {
        (0..500).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            wanted(unsent())
        })
    };
    assert!(soon(&|bytes| bytes > 0), "nobody reads");
    drop(stream);
    assert!(soon(&|bytes| bytes == 0), "the peer is gone");
    broker.stop();
}
