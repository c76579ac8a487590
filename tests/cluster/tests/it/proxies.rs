//! The bad lines themselves.

use std::time::Duration;

use caracal_cluster::{ControlPlane, Line, PIECE};
use caracal_lab::{Lab, wait_for};

/// More than a piece, and not what a short answer has.
const LONG: &str = "/openapi/v3/api/v1";
/// Much longer than an API server that answers takes.
const PATIENCE: Duration = Duration::from_secs(2);

#[test]
fn a_line_is_as_bad_as_it_is_told_to_be() {
    let lab = Lab::builder("lines").client("control").start().unwrap();
    let control = ControlPlane::start(lab.client("control")).unwrap();
    let proxy = control.proxy(0).unwrap();
    let api = control.api_by(&proxy).unwrap();
    let whole = api.get_text(LONG).unwrap();
    assert!(whole.len() > 4 * PIECE, "{}", whole.len());

    proxy.set(Line::Slow(Duration::from_millis(1)));
    assert_eq!(api.get_text(LONG).unwrap(), whole);

    proxy.set(Line::Stalled);
    let error = api.get_text_within("/readyz", PATIENCE).unwrap_err();
    assert!(format!("{error:#}").contains("no answer"), "{error:#}");
    proxy.set(Line::Good);
    assert_eq!(api.get_text("/readyz").unwrap(), "ok");

    let before = proxy.accepted();
    proxy.cut();
    // The first request may still find the old connection.
    wait_for("another connection", PATIENCE, || api.get_text("/readyz")).unwrap();
    assert!(proxy.accepted() > before);

    proxy.set(Line::EndsAfter(2 * PIECE));
    proxy.cut();
    api.get_text(LONG).unwrap_err();

    proxy.set(Line::Refusing);
    proxy.cut();
    api.get_text("/readyz").unwrap_err();
    control.stop().unwrap();
    lab.end().unwrap();
}
