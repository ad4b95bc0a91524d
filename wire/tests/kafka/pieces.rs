//! A request that is read in pieces is the one that is read at once.

use leveret_wire::kafka::{Checking, Elements, MetadataRequestTopic, Request, RequestHeader};

#[test]
fn elements_go_on_where_they_stood() {
    // Metadata of version 9, which has compact forms and tags: the names a, bc and def.
    let body = [&[4][..], b"\x02a\0\x03bc\0\x04def\0", &[0, 0, 0, 0]].concat();
    let head = [&[0, 3, 0, 9, 0, 0, 0, 1, 0xff, 0xff, 0][..], &body].concat();
    let frame = [&(head.len() as i32).to_be_bytes()[..], &head].concat();
    let (header, mut reader) = RequestHeader::parse(&frame).expect("a header");
    let Ok(Request::Metadata(request)) = Request::decode(header.api, &mut reader) else {
        panic!("a request for metadata");
    };
    let checking = Checking::default();
    let mut place = request.topics.expect("three topics").iter().place();
    let (array, mut places) = (place, Vec::new());
    for (left, name) in [(3, "a"), (2, "bc"), (1, "def")] {
        assert_eq!(place.left(), left);
        places.push(place.position());
        let mut elements = Elements::<MetadataRequestTopic<'_>>::resume(&frame, place, &checking);
        assert_eq!(elements.next().and_then(|topic| topic.name), Some(name));
        place = elements.place();
    }
    let mut none = Elements::<MetadataRequestTopic<'_>>::resume(&frame, place, &checking);
    assert!(none.next().is_none());
    let second =
        Elements::<MetadataRequestTopic<'_>>::resume(&frame, array.at(places[1]), &checking);
    let names: Vec<_> = second.filter_map(|topic| topic.name).collect();
    assert_eq!(names, ["bc"]);
}
