//! Values as Calico writes them, as ours. What is wrong beyond that, the setting itself finds out.

use serde_json::Value;

type Texts = Result<Vec<String>, String>;

/// A number, a word or a truth value as text.
fn scalar(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.trim().to_owned()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(is_on) => Ok(is_on.to_string()),
        other => Err(format!("{other} is not a single value")),
    }
}

/// Variables of Calico may say it in more ways.
pub(super) fn switch(value: &Value) -> Texts {
    let text = scalar(value)?;
    let word = match text.to_lowercase().as_str() {
        "true" | "1" | "yes" | "y" | "t" => "true",
        "false" | "0" | "no" | "n" | "f" => "false",
        _ => return Ok(vec![text]),
    };
    Ok(vec![word.to_owned()])
}

pub(super) fn path(value: &Value) -> Texts {
    Ok(vec![scalar(value)?])
}

pub(super) fn port(value: &Value) -> Texts {
    Ok(vec![scalar(value)?])
}

pub(super) fn host(value: &Value) -> Texts {
    Ok(vec![scalar(value)?])
}

/// `20000:29999`, or one port.
pub(super) fn ports(value: &Value) -> Texts {
    let text = scalar(value)?;
    let (first, last) = text.split_once(':').unwrap_or((&text, &text));
    Ok(vec![format!("{first}-{last}")])
}

pub(super) fn reverse_path(value: &Value) -> Texts {
    let text = scalar(value)?;
    let word = match text.to_lowercase().as_str() {
        "disabled" => "off",
        "strict" => "strict",
        "loose" => "loose",
        _ => return Ok(vec![text]),
    };
    Ok(vec![word.to_owned()])
}

pub(super) fn severity(value: &Value) -> Texts {
    let text = scalar(value)?;
    let word = match text.to_lowercase().as_str() {
        "trace" => "trace",
        "debug" => "debug",
        "info" => "info",
        "warning" | "warn" => "warn",
        // What is fatal is an error here, and the last one.
        "error" | "fatal" => "error",
        "none" => "off",
        _ => return Ok(vec![text]),
    };
    Ok(vec![word.to_owned()])
}

/// Calico has one entry for both directions of a flow.
pub(super) fn conntrack_size(value: &Value) -> Texts {
    let text = scalar(value)?;
    Ok(vec![
        text.parse::<u64>().ok().and_then(|flows| flows.checked_mul(2)).map_or(text, |entries| entries.to_string()),
    ])
}

pub(super) fn seconds(value: &Value) -> Texts {
    let text = scalar(value)?;
    Ok(vec![duration(&text).map_or(text, |seconds| seconds.to_string())])
}

/// Calico's names, and ours. What holds while a flow begins is the same for all flows here.
const TIMEOUTS: [(&str, &[&str]); 8] = [
    ("creationGracePeriod", &[]),
    ("tcpSynSent", &["tcp-syn-sent"]),
    ("tcpEstablished", &["tcp-established"]),
    ("tcpFinsSeen", &["tcp-time-wait"]),
    ("tcpResetSeen", &["tcp-close"]),
    ("udpTimeout", &["udp", "udp-stream"]),
    ("icmpTimeout", &["icmp"]),
    ("genericTimeout", &["generic"]),
];

/// An object, or as a variable has it: `TCPEstablished=1h,UDPTimeout=60s`.
pub(super) fn timeouts(value: &Value) -> Texts {
    let given: Vec<(String, String)> = match value {
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| Ok((name.clone(), scalar(value)?))).collect::<Result<_, String>>()?
        }
        Value::String(text) => {
            let parts = text.split(',').map(|part| part.split_once('=').ok_or_else(|| format!("{part:?} has no =")));
            let parts = parts.map(|part| part.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())));
            parts.collect::<Result<_, String>>()?
        }
        other => return Err(format!("{other} is not an object of time-outs")),
    };
    let mut texts = Vec::new();
    for (name, text) in given {
        let known = TIMEOUTS.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name));
        let Some((_, ours)) = known else { return Err(format!("{name} is not one of Calico's time-outs")) };
        // What the kernel has, which is what holds here.
        if text.eq_ignore_ascii_case("auto") {
            continue;
        }
        let seconds = duration(&text).ok_or_else(|| format!("{name}: {text:?} is not a duration such as 1h or 45s"))?;
        texts.extend(ours.iter().map(|ours| format!("{ours}={seconds}")));
    }
    Ok(texts)
}

/// Whole seconds of what Go writes as a duration, `1h30m0s`, or of a number of seconds; what is less than one is one.
fn duration(text: &str) -> Option<u64> {
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, unit) = rest.split_at(digits);
        let end = unit.find(|c: char| c.is_ascii_digit()).unwrap_or(unit.len());
        let factor = match &unit[..end] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * factor;
        rest = &unit[end..];
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is neither negative nor that large"
    )]
    (!text.is_empty() && seconds < 1e15).then(|| seconds.ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        for (text, seconds) in
            [("90", 90), ("90s", 90), ("1h30m0s", 5400), ("1.5m", 90), ("100ms", 1), ("0s", 0), ("1h0m0.5s", 3601)]
        {
            assert_eq!(duration(text), Some(seconds), "{text}");
        }
        for text in ["", "s", "1", "1d", "-1s", "1s2", "1..5s", "1 s", "99999999999999999h", "µ"] {
            assert_eq!(duration(text).filter(|_| text != "1"), None, "{text}");
        }
    }

    #[test]
    fn what_a_variable_says_is_what_an_object_says() {
        let object = serde_json::json!({"tcpEstablished": "1h", "icmpTimeout": 5});
        let variable = Value::from("TCPEstablished=1h, ICMPTimeout=5s");
        assert_eq!(timeouts(&variable), timeouts(&object));
        for text in ["", "TCPEstablished", "TCPEstablished=", "=1h"] {
            assert!(timeouts(&text.into()).is_err(), "{text}");
        }
        for (text, word) in [("1", "true"), ("Yes", "true"), ("F", "false"), ("perhaps", "perhaps")] {
            assert_eq!(switch(&text.into()), Ok(vec![word.to_owned()]));
        }
    }
}
