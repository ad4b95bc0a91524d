//! Blocks put together element by element, of every kind, length and distance that the formats
//! know and no compressor writes, beside what a naive decoder makes of them; and lies in each field.

use twox_hash::XxHash32;

use super::*;

/// Pseudo-random numbers (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 as usize
    }

    fn of(&mut self, choices: &[usize]) -> usize {
        choices[self.next() % choices.len()]
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

/// Lengths at which a decoder turns from one way to another.
const LENS: [usize; 16] = [
    1, 4, 7, 14, 15, 16, 17, 18, 19, 33, 60, 61, 64, 268, 270, 300,
];
const LONG: [usize; 3] = [5_000, 66_000, 200_000];
const DISTANCES: [usize; 14] = [1, 2, 3, 5, 7, 8, 12, 15, 16, 17, 31, 2_047, 2_048, 65_535];

fn length(random: &mut Random) -> usize {
    match random.next() % 60 {
        0 => random.of(&LONG),
        1..9 => random.next() % 300 + 1,
        _ => random.of(&LENS),
    }
}

/// A distance within `history` bytes, which are not none.
fn distance(random: &mut Random, history: usize) -> usize {
    let any = match random.next() % 3 {
        0 => random.next() % 65_535 + 1,
        _ => random.of(&DISTANCES),
    };
    any.min(history)
}

fn repeat(all: &mut Vec<u8>, distance: usize, len: usize) {
    for _ in 0..len {
        all.push(all[all.len() - distance]);
    }
}

fn lz4_length(block: &mut Vec<u8>, len: usize) {
    if let Some(mut rest) = len.checked_sub(15) {
        while rest >= 255 {
            block.push(255);
            rest -= 255;
        }
        block.push(rest as u8);
    }
}

/// A block behind `all`, of at most `most` bytes, referring no further back than to `history`.
fn lz4_block(random: &mut Random, all: &mut Vec<u8>, history: usize, most: usize) -> Vec<u8> {
    let (mut block, end) = (Vec::new(), all.len() + most);
    loop {
        let room = end - all.len();
        let literal = match random.next() % 4 {
            0 => 0,
            _ => length(random).min(room / 2),
        };
        let literal = random.bytes(literal);
        let copy = length(random) + 3;
        let behind = all.len() + literal.len() - history;
        let last = room - literal.len() < copy || behind == 0 || random.next().is_multiple_of(500);
        let nibble = if last { 0 } else { (copy - 4).min(15) };
        block.push((literal.len().min(15) << 4 | nibble) as u8);
        lz4_length(&mut block, literal.len());
        block.extend_from_slice(&literal);
        all.extend_from_slice(&literal);
        if last {
            return block;
        }
        let distance = distance(random, behind.min(65_535));
        block.extend_from_slice(&(distance as u16).to_le_bytes());
        lz4_length(&mut block, copy - 4);
        repeat(all, distance, copy);
    }
}

/// What a frame is to say of itself.
#[derive(Clone, Copy)]
struct Says {
    linked: bool,
    checksums: bool,
    /// 4 to 7: 64 KiB to 4 MiB.
    size: u8,
}

impl Says {
    fn frame(self, content: &[u8], blocks: &[(bool, Vec<u8>)]) -> Vec<u8> {
        let mut frame = 0x184d_2204u32.to_le_bytes().to_vec();
        let flags = 0x48 | u8::from(!self.linked) << 5 | if self.checksums { 0x14 } else { 0 };
        frame.extend([flags, self.size << 4]);
        frame.extend((content.len() as u64).to_le_bytes());
        frame.push((XxHash32::oneshot(0, &frame[4..]) >> 8) as u8);
        for (stored, block) in blocks {
            let word = block.len() as u32 | u32::from(*stored) << 31;
            frame.extend(word.to_le_bytes());
            frame.extend_from_slice(block);
            if self.checksums {
                frame.extend(XxHash32::oneshot(0, block).to_le_bytes());
            }
        }
        frame.extend([0; 4]);
        if self.checksums {
            frame.extend(XxHash32::oneshot(0, content).to_le_bytes());
        }
        frame
    }

    /// A frame of random blocks, and its content.
    fn forge(self, random: &mut Random) -> (Vec<u8>, Vec<u8>) {
        let (mut all, mut blocks) = (Vec::new(), Vec::new());
        let max = 64 << 10 << (2 * (self.size - 4));
        for _ in 0..1 + random.next() % 8 {
            if random.next().is_multiple_of(5) {
                let stored = random.next() % 70_000.min(max);
                let stored = random.bytes(stored);
                all.extend_from_slice(&stored);
                blocks.push((true, stored));
                continue;
            }
            let history = if self.linked { 0 } else { all.len() };
            let before = all.len();
            let block = lz4_block(random, &mut all, history, max);
            // Of noise it may be longer than what it stands for, which nobody sends.
            if block.len() <= max {
                blocks.push((false, block));
            } else {
                all.truncate(before);
            }
        }
        (self.frame(&all, &blocks), all)
    }
}

#[test]
fn lz4_of_every_sequence() {
    let mut random = Random(7);
    for size in [4, 5, 6, 7] {
        for linked in [true, false] {
            for checksums in [true, false] {
                for _ in 0..6 {
                    let says = Says {
                        linked,
                        checksums,
                        size,
                    };
                    let (frame, content) = says.forge(&mut random);
                    assert!(
                        decompress(Compression::Lz4, &frame, MAX_RECORDS_LEN).as_ref()
                            == Ok(&content)
                    );
                    assert!(
                        in_pieces_of(Compression::Lz4, &frame, MAX_RECORDS_LEN).as_ref()
                            == Ok(&content)
                    );
                }
            }
        }
    }
}

#[test]
fn lies_of_lz4_are_refused() {
    let says = Says {
        linked: false,
        checksums: true,
        size: 4,
    };
    let refused = |frame: &[u8], what: &str| {
        for read in [
            in_pieces(Compression::Lz4, frame),
            decompress(Compression::Lz4, frame, LIMIT),
        ] {
            let expected = BatchError::BadCompression {
                codec: Compression::Lz4,
            };
            assert_eq!(read.err(), Some(expected), "{what}");
        }
    };
    // Eight bytes of literal, then a copy of four of them; a last literal.
    let block = |distance: u16| {
        let mut block = b"\x80hareHARE".to_vec();
        block.extend(distance.to_le_bytes());
        block.extend(b"\x50field");
        block
    };
    let whole = b"hareHAREharefield".to_vec();
    let frame = says.frame(&whole, &[(false, block(8))]);
    assert_eq!(in_pieces(Compression::Lz4, &frame), Ok(whole.clone()));
    // Every bit of it: each is under a checksum, or says how long something is.
    for bit in 0..frame.len() * 8 {
        let mut lie = frame.clone();
        lie[bit / 8] ^= 1 << (bit % 8);
        refused(&lie, &format!("bit {bit}"));
    }
    for len in 0..frame.len() {
        refused(&frame[..len], &format!("cut to {len}"));
    }
    for distance in [0, 9, 65_535] {
        refused(&says.frame(&whole, &[(false, block(distance))]), "distance");
    }
    // Into the block before: only if they are linked.
    let blocks = [(true, b"12345678".to_vec()), (false, block(9))];
    let mut behind = b"12345678hareHARE".to_vec();
    repeat(&mut behind, 9, 4);
    behind.extend(b"field");
    refused(&says.frame(&behind, &blocks), "independent");
    let linked = Says {
        linked: true,
        ..says
    };
    let frame = linked.frame(&behind, &blocks);
    assert_eq!(in_pieces(Compression::Lz4, &frame), Ok(behind));
    // But never into another frame.
    let twice = [frame, linked.frame(&whole, &[(false, block(9))])].concat();
    refused(&twice, "another frame");
    // Longer than its frame allows, as a stored block and as a compressed one.
    let long = vec![7; (64 << 10) + 1];
    refused(&says.frame(&long, &[(true, long.clone())]), "stored");
    let mut block = vec![0x1f, 7, 1, 0];
    lz4_length(&mut block, long.len() - 1 - 4);
    block.push(0);
    refused(&says.frame(&long, &[(false, block.clone())]), "compressed");
    let wide = Says { size: 5, ..says };
    let frame = wide.frame(&long, &[(false, block)]);
    assert_eq!(in_pieces(Compression::Lz4, &frame), Ok(long));
    // A block that is longer than what it may become.
    let mut block = vec![0; 64 << 10];
    block.push(0);
    refused(
        &says.frame(&[], &[(false, block)]),
        "longer than its content",
    );
}

fn snappy_literal(block: &mut Vec<u8>, len: usize) {
    let minus = (len - 1) as u32;
    let bytes = match minus {
        0..60 => return block.push((minus << 2) as u8),
        60..0x100 => 1,
        0x100..0x1_0000 => 2,
        _ => 3,
    };
    block.push(((59 + bytes) << 2) as u8);
    block.extend_from_slice(&minus.to_le_bytes()[..bytes]);
}

/// A bare block of random elements, and what it stands for.
fn snappy_block(random: &mut Random, elements: usize) -> (Vec<u8>, Vec<u8>) {
    let (mut block, mut all) = (Vec::new(), Vec::new());
    for _ in 0..elements {
        if all.is_empty() || random.next().is_multiple_of(3) {
            let len = length(random);
            let literal = random.bytes(len);
            snappy_literal(&mut block, literal.len());
            block.extend_from_slice(&literal);
            all.extend_from_slice(&literal);
            continue;
        }
        let distance = distance(random, all.len().min(65_535));
        let len = match random.next() % 4 {
            0 if distance < 2_048 => {
                let len = 4 + random.next() % 8;
                block.push((distance >> 8 << 5 | (len - 4) << 2 | 0b01) as u8);
                block.push(distance as u8);
                len
            }
            1 => {
                let len = 1 + random.next() % 64;
                block.push(((len - 1) << 2 | 0b11) as u8);
                block.extend((distance as u32).to_le_bytes());
                len
            }
            _ => {
                let len = 1 + random.next() % 64;
                block.push(((len - 1) << 2 | 0b10) as u8);
                block.extend((distance as u16).to_le_bytes());
                len
            }
        };
        repeat(&mut all, distance, len);
    }
    (snappy_long(all.len(), &block), all)
}

/// A block that says that it is `len` bytes long.
fn snappy_long(len: usize, elements: &[u8]) -> Vec<u8> {
    let (mut block, mut rest) = (Vec::new(), len);
    while rest >= 0x80 {
        block.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    block.push(rest as u8);
    block.extend_from_slice(elements);
    block
}

fn snappy_framed(blocks: &[Vec<u8>]) -> Vec<u8> {
    let mut all = crate::codec::snappy::HEADER.to_vec();
    for block in blocks {
        all.extend((block.len() as u32).to_be_bytes());
        all.extend_from_slice(block);
    }
    all
}

#[test]
fn snappy_of_every_element() {
    let mut random = Random(11);
    for elements in [1, 2, 10, 100, 1_000, 8_000] {
        for _ in 0..8 {
            let (block, mut content) = snappy_block(&mut random, elements);
            let (second, more) = snappy_block(&mut random, elements / 2 + 1);
            let framed = snappy_framed(&[block.clone(), second]);
            let read = |input: &[u8]| {
                let whole = decompress(Compression::Snappy, input, MAX_RECORDS_LEN);
                let pieces = in_pieces_of(Compression::Snappy, input, MAX_RECORDS_LEN);
                assert!(whole == pieces);
                pieces.unwrap()
            };
            assert!(read(&block) == content);
            content.extend(more);
            assert!(read(&framed) == content);
        }
    }
}

#[test]
fn lies_of_snappy_are_refused() {
    let refused = |input: &[u8], what: &str| {
        for read in [
            in_pieces(Compression::Snappy, input),
            decompress(Compression::Snappy, input, LIMIT),
        ] {
            let expected = BatchError::BadCompression {
                codec: Compression::Snappy,
            };
            assert_eq!(read.err(), Some(expected), "{what}");
        }
    };
    // Short and long, so that nothing depends on how near the end is.
    for filling in [0, 1_000, 300_000] {
        let mut head = Vec::new();
        snappy_literal(&mut head, filling + 8);
        head.extend(vec![b'.'; filling]);
        head.extend(b"hareHARE");
        let copy = |element: &[u8], tail: usize| {
            let mut elements = [&head[..], element].concat();
            if tail > 0 {
                snappy_literal(&mut elements, tail);
                elements.extend(vec![b'!'; tail]);
            }
            elements
        };
        for tail in [0, 1, 100] {
            let len = filling + 8 + 4 + tail;
            let good = copy(&[0b01, 8], tail);
            let read = in_pieces(Compression::Snappy, &snappy_long(len, &good));
            assert_eq!(read.map(|all| all.len()), Ok(len));
            for lie in [len - 1, len + 1, len - 12, len + 60] {
                refused(&snappy_long(lie, &good), "length");
            }
            for element in [&[0b01, 0][..], &[0b1110, 0, 0], &[0b1111, 0, 0, 0, 0]] {
                refused(&snappy_long(len, &copy(element, tail)), "distance 0");
            }
            let far = ((filling + 9) as u32).to_le_bytes();
            let element = [&[0b1111], &far[..]].concat();
            refused(&snappy_long(len, &copy(&element, tail)), "too far");
            if filling < 60_000 {
                let element = [0b1110, far[0], far[1]];
                refused(&snappy_long(len, &copy(&element, tail)), "too far");
            }
            let whole = snappy_long(len, &good);
            for cut in (0..whole.len()).rev().step_by(whole.len() / 50 + 1).skip(1) {
                refused(&whole[..cut], "cut");
            }
            // A second block may not look into the first.
            let second = snappy_long(4, &[0b01, 8]);
            refused(&snappy_framed(&[whole.clone(), second]), "another block");
            let mut framed = snappy_framed(std::slice::from_ref(&whole));
            framed[19] ^= 1;
            refused(&framed, "a frame's length");
        }
    }
}
