//! What is answered to which request.

use http_body_util::Full;
use hyper::{
    Method, Response, StatusCode,
    body::Bytes,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
};

use super::{Face, Report};

/// Which pages a socket serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pages {
    pub(super) health: bool,
    pub(super) debug: bool,
    pub(super) metrics: bool,
}

/// What a page is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page {
    Alive,
    Ready,
    Metrics,
    State,
    Config,
}

/// Their paths. Probes that were written for Calico ask by its names.
const PATHS: [(&str, Page); 8] = [
    ("/healthz", Page::Alive),
    ("/livez", Page::Alive),
    ("/liveness", Page::Alive),
    ("/readyz", Page::Ready),
    ("/readiness", Page::Ready),
    ("/metrics", Page::Metrics),
    ("/debug/state", Page::State),
    ("/debug/config", Page::Config),
];

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Answer = Response<Full<Bytes>>;

impl Pages {
    fn has(self, page: Page) -> bool {
        match page {
            Page::Alive | Page::Ready => self.health,
            Page::Metrics => self.metrics,
            Page::State | Page::Config => self.debug,
        }
    }

    /// What somebody is told who asks for a path. `is_local` says that it is asked from a loopback address.
    pub(super) async fn answer(self, face: &Face, method: &Method, path: &str, is_local: bool) -> Answer {
        let page = PATHS.iter().find(|(it, page)| *it == path && self.has(*page)).map(|(_, page)| *page);
        let Some(page) = page else {
            let paths: Vec<&str> = PATHS.iter().filter(|(_, page)| self.has(*page)).map(|(path, _)| *path).collect();
            return answer(StatusCode::NOT_FOUND, TEXT, format!("there are {}\n", paths.join(", ")));
        };
        if method != Method::GET && method != Method::HEAD {
            let mut refused = answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n");
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refused;
        }
        if matches!(page, Page::State | Page::Config) && !is_local {
            return answer(StatusCode::FORBIDDEN, TEXT, "ask from a loopback address of the node\n");
        }
        page.show(face).await
    }
}

impl Page {
    async fn show(self, face: &Face) -> Answer {
        match self {
            Self::Alive => report(&face.alive(), "alive", "not alive"),
            Self::Ready => report(&face.health.ready(), "ready", "not ready"),
            Self::Metrics => whole(OPEN_METRICS, face.metrics.text()),
            Self::State => whole(JSON, face.state.json().await),
            Self::Config => answer(StatusCode::OK, JSON, format!("{:#}\n", face.shared.json())),
        }
    }
}

fn report(report: &Report, well: &str, not: &str) -> Answer {
    let (status, word) = if report.is_well { (StatusCode::OK, well) } else { (StatusCode::SERVICE_UNAVAILABLE, not) };
    let lines = report.lines.iter().map(|line| line.replace('\n', " "));
    let lines: Vec<String> = std::iter::once(word.to_owned()).chain(lines).collect();
    answer(status, TEXT, lines.join("\n") + "\n")
}

fn whole<T: Into<Bytes>, E: std::fmt::Display>(kind: &'static str, text: Result<T, E>) -> Answer {
    match text {
        Ok(text) => answer(StatusCode::OK, kind, text),
        Err(error) => answer(StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("cannot write it out: {error}\n")),
    }
}

fn answer(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
