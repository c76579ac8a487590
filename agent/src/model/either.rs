//! Ports and protocols, which are numbers or names.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, Unexpected, Visitor},
};

use super::{
    Target,
    calico::{PortSpec, ProtocolSpec},
    policy::PortOrName,
};

/// What a number and a text stand for. Errors of a visitor know the field and the line, those of what is made of its
/// result do not.
struct Either<T> {
    expected: &'static str,
    number: fn(u64) -> Option<T>,
    text: fn(&str) -> Option<T>,
}

impl<T> Visitor<'_> for Either<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        (self.number)(number).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(number), &self)),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.text)(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

/// A port that somebody listens on.
fn port(number: u64) -> Option<u16> {
    u16::try_from(number).ok().filter(|port| *port > 0)
}

fn name(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

impl<'de> Deserialize<'de> for PortOrName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Either {
            expected: "a port from 1 to 65535 or its name",
            number: |number| port(number).map(Self::Number),
            text: |text| name(text).map(Self::Name),
        })
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Either {
            expected: "a port from 0 to 65535 or its name",
            number: |number| u16::try_from(number).ok().map(Self::Number),
            text: |text| name(text).map(|name| Self::Name(name.into())),
        })
    }
}

impl<'de> Deserialize<'de> for ProtocolSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Either {
            expected: "a protocol from 0 to 255 or its name",
            number: |number| u8::try_from(number).ok().map(Self::Number),
            text: |text| text.parse().map(Self::Number).ok().or_else(|| name(text).map(Self::Name)),
        })
    }
}

impl<'de> Deserialize<'de> for PortSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Either {
            expected: "a port from 0 to 65535, several such as 8080:8090, or its name",
            number: |number| u16::try_from(number).ok().map(Self::Number),
            text: port_spec,
        })
    }
}

fn port_spec(text: &str) -> Option<PortSpec> {
    if let Some((first, last)) = text.split_once(':') {
        let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        return (first <= last).then_some(PortSpec::Range { first, last });
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(PortSpec::Number);
    }
    name(text).map(PortSpec::Name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, String> {
        serde_norway::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn ports_are_numbers_ranges_or_names() {
        let cases = [
            ("80", PortSpec::Number(80)),
            ("'80'", PortSpec::Number(80)),
            ("0", PortSpec::Number(0)),
            ("'8080:8090'", PortSpec::Range { first: 8080, last: 8090 }),
            ("http", PortSpec::Name("http".to_owned())),
        ];
        for (text, expected) in cases {
            assert_eq!(read::<PortSpec>(text), Ok(expected), "{text}");
        }
        for text in
            ["65536", "-1", "'90:80'", "'1:2:3'", "''", "1.5", "true", "[80]", "'70000'", "18446744073709551616"]
        {
            let error = read::<PortSpec>(text).unwrap_err();
            assert!(error.contains("a port from 0 to 65535"), "{text}: {error}");
        }
    }

    #[test]
    fn kubernetes_takes_no_port_zero_and_no_ranges() {
        assert_eq!(read("80"), Ok(PortOrName::Number(80)));
        assert_eq!(read("'80'"), Ok(PortOrName::Name("80".to_owned())), "which is the name that nobody has");
        for text in ["0", "65536", "-5", "''", "{}"] {
            assert!(read::<PortOrName>(text).unwrap_err().contains("1 to 65535"), "{text}");
        }
    }

    #[test]
    fn protocols_are_numbers_or_names() {
        assert_eq!(read("TCP"), Ok(ProtocolSpec::Name("TCP".to_owned())));
        assert_eq!(read("'47'"), Ok(ProtocolSpec::Number(47)));
        assert_eq!(read("255"), Ok(ProtocolSpec::Number(255)));
        assert!(read::<ProtocolSpec>("256").unwrap_err().contains("0 to 255"));
        assert!(read::<ProtocolSpec>("''").unwrap_err().contains("0 to 255"));
    }
}
