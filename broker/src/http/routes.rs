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
use tokio::sync::Mutex;

use super::ask;
use super::fresh::Fresh;
use super::guests::{Guest, Guests};
use super::{CoreDesk, Served, metrics, query, status};
use crate::core::Ports;
use crate::core::observe::Chosen;

const TEXT: &str = "text/plain; charset=utf-8";
/// Prometheus's text format, as its documentation names it.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
const JSON: &str = "application/json";

const PATHS: &str = "/health/live      whether every core turns and serves\n\
                     /health/ready     whether connections are taken\n\
                     /metrics          for Prometheus; ?topics=orders,pay* adds these topics\n\
                     /api/v1/status    what `leveret status --json` prints; ?topics=orders,pay*\n                  \
                     has only these topics, and what their partitions count\n";

/// What all connections share.
pub(super) struct Front {
    served: Arc<Served>,
    pub(super) guests: Guests,
    metrics: Fresh,
    status: Fresh,
    /// Held while a report on chosen topics is made.
    choices: Mutex<()>,
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
            choices: Mutex::new(()),
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
        path @ ("/metrics" | "/api/v1/status") => {
            let report = match path {
                "/metrics" => Report::Metrics,
                _ => Report::Status,
            };
            match query::chosen(request.uri().query().unwrap_or_default()) {
                Ok(chosen) => told(front, guest, report, chosen).await,
                Err(reason) => text(StatusCode::BAD_REQUEST, &format!("{reason}\n")),
            }
        }
        "/" => text(StatusCode::OK, PATHS),
        _ => text(StatusCode::NOT_FOUND, &format!("there is:\n{PATHS}")),
    }
}

/// What is told at length.
#[derive(Clone, Copy)]
enum Report {
    Metrics,
    Status,
}

impl Report {
    async fn make(self, desk: &CoreDesk, chosen: Option<&Chosen>) -> Result<String, String> {
        let made = match self {
            Self::Metrics => metrics::text(desk, chosen).await,
            Self::Status => status::json(desk, chosen).await,
        };
        made.map_err(|reason| reason.to_string())
    }
}

/// A report, with these topics.
async fn told(
    front: &Front,
    guest: &Rc<Guest>,
    report: Report,
    chosen: Option<Chosen>,
) -> Response<Full<Bytes>> {
    let desk = &front.served.desk;
    let made = match (&chosen, report) {
        (None, Report::Metrics) => front.metrics.get(report.make(desk, None)).await,
        (None, Report::Status) => front.status.get(report.make(desk, None)).await,
        // Choices differ, so each report is for one; the cores are asked for one at a time.
        (Some(_), _) => {
            let _turn = front.choices.lock().await;
            report.make(desk, chosen.as_ref()).await.map(Bytes::from)
        }
    };
    let kind = match report {
        Report::Metrics => METRICS,
        Report::Status => JSON,
    };
    long(front, guest, made, kind)
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
