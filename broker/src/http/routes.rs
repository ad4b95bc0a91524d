//! Paths and what answers them. Anything else is told what there is.

use std::sync::atomic::Ordering;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::ask::{self, Unanswered};
use super::{Served, metrics, status};

const TEXT: &str = "text/plain; charset=utf-8";
/// Prometheus's text format, as its documentation names it.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
const JSON: &str = "application/json";

const PATHS: &str = "/health/live      whether every core turns\n\
                     /health/ready     whether connections are taken\n\
                     /metrics          for Prometheus\n\
                     /api/v1/status    what `leveret status --json` prints\n";

/// How much memory an answer takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// A line or a few.
    Short,
    /// Grows with the cores.
    Scrape,
    /// Grows with the topics.
    Status,
}

/// How long the answer at a path may be.
pub(super) fn length(path: &str) -> Length {
    match path {
        "/metrics" => Length::Scrape,
        "/api/v1/status" => Length::Status,
        _ => Length::Short,
    }
}

/// Answers one request. Its body, if it has one, is not looked at.
pub(super) async fn answer<B>(request: &Request<B>, served: &Served) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        let headers = refused.headers_mut();
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    match request.uri().path() {
        "/health/live" => live(served).await,
        "/health/ready" => ready(served),
        "/metrics" => match metrics::text(&served.desk).await {
            Ok(metrics) => response(StatusCode::OK, METRICS, metrics),
            Err(reason) => unanswered(reason),
        },
        "/api/v1/status" => match status::json(&served.desk).await {
            Ok(status) => response(StatusCode::OK, JSON, status),
            Err(reason) => unanswered(reason),
        },
        "/" => text(StatusCode::OK, PATHS),
        _ => text(StatusCode::NOT_FOUND, &format!("there is:\n{PATHS}")),
    }
}

/// Before the cores serve there is nothing to ask, and nothing is wrong.
async fn live(served: &Served) -> Response<Full<Bytes>> {
    if !served.serving.load(Ordering::Acquire) {
        return text(StatusCode::OK, "starting\n");
    }
    match ask::all_alive(&served.desk).await {
        Ok(()) => text(StatusCode::OK, "live\n"),
        Err(reason) => unanswered(reason),
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

fn unanswered(reason: Unanswered) -> Response<Full<Bytes>> {
    text(StatusCode::SERVICE_UNAVAILABLE, &format!("{reason}\n"))
}

fn text(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    response(status, TEXT, text.to_owned())
}

fn response(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
