//! A snapshot is made while topics come and go.

use super::*;

#[test]
fn a_snapshot_in_pieces_shows_nothing_of_what_comes_meanwhile() {
    let mut topology = new(TopologySettings {
        partitions: 100_000,
        ..LIMITS
    });
    for n in 0..5_000 {
        run(&mut topology, &create(&format!("topic-{n}"), 2)).unwrap();
    }
    let before = kept(&topology);
    let copies = |topology: &Topology| {
        let counts = topology.topics().map(Arc::strong_count);
        counts.filter(|count| *count > 1).count()
    };
    let (pieces, mut shown, mut n) = (topology.snapshot(), Vec::new(), 0);
    assert_eq!(copies(&topology), 0, "to begin it copies no topic");
    for piece in pieces {
        assert!(piece.len() < 65 << 10, "{}", piece.len());
        shown.extend_from_slice(&piece);
        n += 1;
        // In what was shown already, in what is not, and behind all of it.
        for id in [n, 2_500 + n, 5_000 - n].map(TopicId) {
            let delete = Command::Topic(TopicCommand::Delete { id });
            run(&mut topology, &delete).unwrap();
        }
        run(&mut topology, &create(&format!("later-{n}"), 1)).unwrap();
    }
    assert!(n > 5);
    assert!(shown == before, "as it was when it was taken");
    assert!(kept(&topology) != before, "the control");
    assert_eq!(copies(&topology), 0, "nothing is kept for it");
}
