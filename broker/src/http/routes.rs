//! Paths and what answers them. Anything else is told what there is.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use leveret_wire::speech::Speech;

use super::ask::{self, Unanswered};
use super::fresh::Fresh;
use super::guests::{Guest, Guests};
use super::{Served, metrics, status};
use crate::core::Ports;

const TEXT: &str = "text/plain; charset=utf-8";
/// Prometheus's text format, as its documentation names it.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
const JSON: &str = "application/json";

const PATHS: &str = "/health/live      whether every core turns and serves\n\
                     /health/ready     whether connections are taken\n\
                     /metrics          for Prometheus\n\
                     /api/v1/status    what `leveret status --json` prints\n";

/// What all connections share.
pub(super) struct Front {
    served: Arc<Served>,
    pub(super) guests: Guests,
    metrics: Fresh,
    status: Fresh,
    /// How often other protocols were heard.
    strangers: RefCell<BTreeMap<Speech, u64>>,
}

impl Front {
    pub(super) fn new(served: Arc<Served>) -> Self {
        Self {
            guests: Guests::new(served.undisturbed),
            served,
            metrics: Fresh::default(),
            status: Fresh::default(),
            strangers: RefCell::default(),
        }
    }

    /// Where other protocols are served, once that is known.
    pub(super) fn ports(&self) -> Option<&Ports> {
        self.served.ports.get()
    }

    /// One more peer spoke another protocol: how many of its kind there were.
    pub(super) fn count(&self, heard: Speech) -> u64 {
        let mut strangers = self.strangers.borrow_mut();
        let seen = strangers.entry(heard).or_default();
        *seen += 1;
        *seen
    }
}

/// Answers one request. Its body, if it has one, is not looked at.
pub(super) async fn answer<B>(
    request: &Request<B>,
    front: &Front,
    guest: &Rc<Guest>,
) -> Response<Full<Bytes>> {
    let served = &front.served;
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        let headers = refused.headers_mut();
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    match request.uri().path() {
        "/health/live" => live(served).await,
        "/health/ready" => ready(served),
        "/metrics" => {
            let made = async { words(metrics::text(&served.desk).await) };
            long(front, guest, front.metrics.get(made).await, METRICS)
        }
        "/api/v1/status" => {
            let made = async { words(status::json(&served.desk).await) };
            long(front, guest, front.status.get(made).await, JSON)
        }
        "/" => text(StatusCode::OK, PATHS),
        _ => text(StatusCode::NOT_FOUND, &format!("there is:\n{PATHS}")),
    }
}

fn words(made: Result<String, Unanswered>) -> Result<String, String> {
    made.map_err(|reason| reason.to_string())
}

/// An answer that grows with what there is.
fn long(
    front: &Front,
    guest: &Rc<Guest>,
    made: Result<Bytes, String>,
    kind: &'static str,
) -> Response<Full<Bytes>> {
    match made {
        Ok(body) => {
            front.guests.reads(guest, &body);
            response(StatusCode::OK, kind, body)
        }
        Err(reason) => unanswered(&reason),
    }
}

/// Before the cores serve there is nothing to ask, and nothing is wrong.
async fn live(served: &Served) -> Response<Full<Bytes>> {
    if !served.serving.load(Ordering::Acquire) {
        return text(StatusCode::OK, "starting\n");
    }
    match ask::all_alive(&served.desk).await {
        Ok(()) => text(StatusCode::OK, "live\n"),
        Err(reason) => unanswered(&reason.to_string()),
    }
}

fn ready(served: &Served) -> Response<Full<Bytes>> {
    if served.stop.is_requested() {
        text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
    } else if served.serving.load(Ordering::Acquire) {
        text(StatusCode::OK, "ready\n")
    } else {
        text(StatusCode::SERVICE_UNAVAILABLE, "starting\n")
    }
}

fn unanswered(reason: &str) -> Response<Full<Bytes>> {
    text(StatusCode::SERVICE_UNAVAILABLE, &format!("{reason}\n"))
}

fn text(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    response(status, TEXT, Bytes::copy_from_slice(text.as_bytes()))
}

fn response(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
