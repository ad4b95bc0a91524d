use leveret_wire::native::{ErrorCode, ErrorResponse, FrameHeader, FrameLimits, HelloOk, Kind};

use super::*;
use crate::core::FrameBuffer;

fn answer(correlation: u64, response: &Response<'_>) -> Frame {
    let mut buffer = FrameBuffer::new(FrameLimits::for_responses(1024));
    Encoder::new().response(buffer.space(), CorrelationId(correlation), response, 0);
    buffer.next_frame().unwrap().unwrap()
}

fn hello(version: u16) -> Response<'static> {
    Response::Hello(HelloOk {
        version,
        server_version: "9.9",
        max_frame_len: 1 << 21,
        max_batch_len: 1 << 20,
        core: 0,
        cores: 1,
    })
}

fn session(max_in_flight: usize) -> Session<&'static str> {
    let options = SessionOptions {
        max_in_flight,
        ..SessionOptions::default()
    };
    Session::new(&options, &mut BytesMut::new())
}

#[test]
fn the_first_frame_is_hello() {
    let mut out = BytesMut::new();
    let session: Session<()> = Session::new(&SessionOptions::default(), &mut out);
    let header = FrameHeader::parse(&out, &FrameLimits::for_requests(0))
        .unwrap()
        .unwrap();
    assert_eq!(header.kind, Kind::Hello.as_u16());
    assert_eq!(header.frame_len(), out.len());
    assert_eq!(session.server(), None);
}

#[test]
fn responses_find_their_requests_in_any_order() {
    let mut session = session(10);
    let mut out = BytesMut::new();
    session
        .request(&mut out, &Request::Ping, 0, "first")
        .unwrap();
    session
        .request(&mut out, &Request::Status, 0, "second")
        .unwrap();
    assert!(
        session
            .handle_frame(answer(HELLO, &hello(1)))
            .unwrap()
            .is_none()
    );
    assert_eq!(session.server().unwrap().server_version, "9.9");
    let (token, _) = session
        .handle_frame(answer(2, &Response::Pong))
        .unwrap()
        .unwrap();
    assert_eq!(token, "second");
    let (token, _) = session
        .handle_frame(answer(1, &Response::Pong))
        .unwrap()
        .unwrap();
    assert_eq!(token, "first");
    assert_eq!(session.in_flight(), 0);
}

#[test]
fn the_bound_in_flight_holds_and_opens_again() {
    let mut session = session(1);
    let mut out = BytesMut::new();
    session.handle_frame(answer(HELLO, &hello(1))).unwrap();
    session
        .request(&mut out, &Request::Ping, 0, "first")
        .unwrap();
    let before = out.len();
    assert_eq!(
        session.request(&mut out, &Request::Ping, 0, "second"),
        Err(TooManyInFlight)
    );
    assert_eq!(out.len(), before);
    session.handle_frame(answer(1, &Response::Pong)).unwrap();
    session
        .request(&mut out, &Request::Ping, 0, "second")
        .unwrap();
}

#[test]
fn what_answers_nothing_breaks_the_protocol() {
    let mut session = session(10);
    assert!(matches!(
        session.handle_frame(answer(1, &Response::Pong)),
        Err(Error::Protocol(_))
    ));
    session.handle_frame(answer(HELLO, &hello(1))).unwrap();
    assert!(matches!(
        session.handle_frame(answer(1, &Response::Pong)),
        Err(Error::Protocol(_))
    ));
    assert!(matches!(
        session.handle_frame(answer(HELLO, &hello(1))),
        Err(Error::Protocol(_))
    ));
}

#[test]
fn a_version_that_was_not_offered_is_refused() {
    assert!(matches!(
        session(1).handle_frame(answer(HELLO, &hello(2))),
        Err(Error::Protocol(_))
    ));
}

#[test]
fn a_refused_handshake_says_why() {
    let refusal = ErrorResponse::new(ErrorCode::UnsupportedVersion, "only version 3");
    let error = session(1)
        .handle_frame(answer(HELLO, &Response::Error(refusal)))
        .unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::UnsupportedVersion));
    assert!(!error.remedy().is_empty());
}

#[test]
fn closing_gives_the_tokens_back_in_order() {
    let mut session = session(10);
    let mut out = BytesMut::new();
    for token in ["a", "b", "c"] {
        session.request(&mut out, &Request::Ping, 0, token).unwrap();
    }
    assert_eq!(session.close(), ["a", "b", "c"]);
}

#[test]
fn a_subscription_keeps_its_token_until_its_last_frame() {
    let mut session = session(2);
    let mut out = BytesMut::new();
    session.handle_frame(answer(HELLO, &hello(1))).unwrap();
    let partitions = [leveret_wire::native::SubscribePartition {
        topic_id: leveret_wire::native::TopicId(1),
        partition: leveret_wire::native::PartitionId(0),
        offset: leveret_wire::native::Offset(0),
        max_bytes: 1,
    }];
    let subscribe = Request::Subscribe(leveret_wire::native::Subscribe {
        credit: 1,
        partitions: partitions.as_slice().into(),
    });
    let correlation = session.request(&mut out, &subscribe, 0, "pushes").unwrap();
    let other = session
        .request(&mut out, &Request::Ping, 0, "pong")
        .unwrap();
    let push = Response::Push(leveret_wire::native::Push {
        index: 0,
        error: None,
        high_watermark: leveret_wire::native::Offset(1),
        log_start_offset: leveret_wire::native::Offset(0),
    });
    for response in [&Response::Subscribed, &push, &push] {
        let frame = answer(correlation.0, response);
        assert_eq!(session.subscriber(&frame).unwrap(), Some(&"pushes"));
    }
    let stray = session.subscriber(&answer(other.0, &push)).unwrap_err();
    assert!(matches!(stray, Error::Protocol(_)), "{stray}");
    out.clear();
    session.follow_up(&mut out, correlation, &Request::Unsubscribe);
    let limits = FrameLimits::for_requests(0);
    let header = FrameHeader::parse(&out, &limits).unwrap().unwrap();
    assert_eq!(header.correlation, correlation);
    let last = answer(correlation.0, &Response::Unsubscribed);
    assert_eq!(session.subscriber(&last).unwrap(), None);
    let (token, _) = session.handle_frame(last).unwrap().unwrap();
    assert_eq!((token, session.in_flight()), ("pushes", 1));
    out.clear();
    session.follow_up(&mut out, correlation, &Request::Credit(1));
    assert!(out.is_empty(), "it has ended");
}
