//! resolv.conf(5), as far as CNI results carry it.

use crate::protocol::Dns;

/// The settings in `text`. As the resolver does, the last `domain` counts, and options add up.
pub(crate) fn parse(text: &str) -> Dns {
    let mut dns = Dns::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let keyword = words.next().unwrap_or_default();
        let mut words = words.map(str::to_owned);
        match keyword {
            "nameserver" => dns.nameservers.extend(words.next()),
            "domain" => dns.domain = words.next(),
            "search" => dns.search = words.collect(),
            "options" => dns.options.extend(words),
            _ => {}
        }
    }
    dns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_is_read_and_the_rest_ignored() {
        let dns = parse(
            "# comment\n; nameserver 9.9.9.9\nnameserver 10.0.0.10\nnameserver\tfd00::a\ndomain a.example\n\
             search old\nsearch b.example c.example\noptions ndots:5\noptions edns0 trust-ad\nsortlist 1.2.3.4\n",
        );
        assert_eq!(dns.nameservers, ["10.0.0.10", "fd00::a"]);
        assert_eq!(dns.domain.as_deref(), Some("a.example"));
        assert_eq!(dns.search, ["b.example", "c.example"]);
        assert_eq!(dns.options, ["ndots:5", "edns0", "trust-ad"]);
    }
}
