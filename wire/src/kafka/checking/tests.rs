use super::*;

/// A frame of that API and version with this body behind the header.
fn frame(api: i16, version: i16, flexible: bool, body: &[u8]) -> Vec<u8> {
    let mut frame = [api, version].map(i16::to_be_bytes).concat();
    frame.extend(1_i32.to_be_bytes());
    frame.extend((-1_i16).to_be_bytes());
    frame.extend(flexible.then_some(0));
    frame.extend(body);
    [&(frame.len() as i32).to_be_bytes()[..], &frame].concat()
}

/// A count of the flexible form.
fn count(elements: usize) -> Vec<u8> {
    let (mut rest, mut bytes) = (elements + 1, Vec::new());
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

fn metadata() -> Vec<u8> {
    let names = (0..3000).flat_map(|number| [2, b'a' + (number % 26) as u8, 0]);
    let body = [count(3000), names.collect(), vec![0, 0, 0, 0]].concat();
    frame(3, 9, true, &body)
}

/// Settings of three topics, of which the second wants four thousand.
fn describe_configs() -> Vec<u8> {
    let resource = |keys: usize| [&[2, 2, b't'][..], &count(keys), &vec![1; keys], &[0]].concat();
    let resources = [resource(3), resource(4000), resource(2)].concat();
    frame(
        32,
        4,
        true,
        &[&count(3)[..], &resources, &[0, 0, 0]].concat(),
    )
}

/// Two topics, each with two long arrays and short ones in one of those.
fn create_topics() -> Vec<u8> {
    let topic = |assignments: usize, configs: usize| {
        let mut topic = vec![2, b't', 0, 0, 0, 1, 0, 1];
        topic.extend(count(assignments));
        for number in 0..assignments {
            topic.extend((number as i32).to_be_bytes());
            topic.extend(count(number % 3));
            topic.extend(vec![0; 4 * (number % 3) + 1]);
        }
        topic.extend(count(configs));
        topic.extend([2, b'k', 2, b'v', 0].repeat(configs));
        topic.push(0);
        topic
    };
    let topics = [topic(500, 400), topic(0, 900)].concat();
    frame(
        19,
        7,
        true,
        &[&count(2)[..], &topics, &[0, 0, 0, 0, 0, 0]].concat(),
    )
}

fn list_offsets() -> Vec<u8> {
    let topic = |partitions: i32| {
        let mut topic = vec![0, 1, b't'];
        topic.extend(partitions.to_be_bytes());
        topic.extend(
            (0..partitions).flat_map(|index| [[0, 0, 0, index as u8], [0; 4], [0; 4]].concat()),
        );
        topic
    };
    let body = [
        &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 2][..],
        &topic(900),
        &topic(30),
    ]
    .concat();
    frame(2, 1, false, &body)
}

fn all() -> [Vec<u8>; 4] {
    [
        metadata(),
        describe_configs(),
        create_topics(),
        list_offsets(),
    ]
}

/// What a request is found to be, in words.
fn decoded(frame: &[u8], checking: &Checking) -> String {
    let (header, reader) = RequestHeader::parse(frame).expect("the header is whole");
    let mut reader = reader.with_checking(checking);
    format!("{:?}", Request::decode(header.api, &mut reader))
}

/// The steps that a check takes, none of which may cost much more than it is allowed.
fn steps(frame: &[u8], checking: &Checking, work: usize) -> usize {
    let mut steps = 1;
    loop {
        let Step { cost, over } = checking.go_on(frame, work);
        assert!(cost <= work, "{cost} of {work}");
        if over {
            return steps;
        }
        steps += 1;
        assert!(steps < 100_000, "it never ends");
    }
}

#[test]
fn a_request_that_is_checked_in_steps_is_the_one_that_is_read_at_once() {
    for frame in all() {
        let whole = decoded(&frame, &Checking::default());
        assert!(whole.starts_with("Ok("), "{whole}");
        for (work, least, most) in [(1, 500, 99_999), (2000, 20, 400), (usize::MAX, 1, 1)] {
            let checking = Checking::default();
            let steps = steps(&frame, &checking, work);
            assert!((least..=most).contains(&steps), "{steps} steps of {work}");
            assert_eq!(decoded(&frame, &checking), whole);
        }
    }
}

#[test]
fn what_is_wrong_is_found_as_if_it_were_read_at_once() {
    for frame in all() {
        // Cut anywhere, and with a length that cannot be.
        let cuts = (20..frame.len() - 2).step_by(frame.len() / 40);
        let broken = cuts.clone().map(|at| frame[..at].to_vec());
        let changed = cuts.map(|at| {
            let mut frame = frame.clone();
            frame[at..at + 2].fill(0xff);
            frame
        });
        for frame in broken.chain(changed) {
            let whole = decoded(&frame, &Checking::default());
            for work in [1, 3000] {
                let checking = Checking::default();
                steps(&frame, &checking, work);
                assert_eq!(decoded(&frame, &checking), whole);
            }
        }
    }
}

#[test]
fn a_long_array_is_passed_over_when_its_element_is_read_again() {
    let frame = describe_configs();
    let checking = Checking::default();
    checking.go_on(&frame, usize::MAX);
    checking.left.set(1_000_000);
    decoded(&frame, &checking);
    let again = 1_000_000 - checking.left.get();
    let at_once = Checking::default().go_on(&frame, usize::MAX).cost;
    assert!(again * 50 < at_once, "{again} of {at_once}");
    // The control: nothing is kept of what is short.
    assert!(checking.arrays.borrow().len() <= 2);
}

#[test]
fn more_tags_than_there_are_fields_are_refused() {
    let tags = |many: u8| {
        [
            &[0, 0, 0][..],
            &[0x80 | many, 4],
            &[1, 0].repeat(512 + usize::from(many)),
        ]
        .concat()
    };
    let body = [&[0][..], &tags(0)].concat();
    let frame = frame(3, 9, true, &body);
    assert!(decoded(&frame, &Checking::default()).contains("TooManyTags(512)"));
}
