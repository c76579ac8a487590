//! Rules: which routing table is asked.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::{
    RouteNetlinkMessage,
    route::RouteProtocol,
    rule::{RuleAction, RuleAttribute, RuleMessage},
};

use super::{Request, family, full_prefix};

/// Has `table` asked for the routes of packets from `ip`, before tables of rules with a greater `priority` are.
#[must_use]
pub fn rule_add(ip: IpAddr, priority: u32, table: u32) -> Request {
    let mut message = rule(ip, priority);
    message.header.action = RuleAction::ToTable;
    message.attributes.push(RuleAttribute::Table(table));
    message.attributes.push(RuleAttribute::Protocol(RouteProtocol::Static));
    let what = format!("adding a rule for packets from {ip}");
    Request::new(RouteNetlinkMessage::NewRule(message), NLM_F_CREATE | NLM_F_EXCL, what)
}

/// Removes the rule of this `priority` about packets from `ip`, whichever table it is about.
#[must_use]
pub fn rule_delete(ip: IpAddr, priority: u32) -> Request {
    let what = format!("deleting the rule for packets from {ip}");
    Request::new(RouteNetlinkMessage::DelRule(rule(ip, priority)), 0, what)
}

fn rule(ip: IpAddr, priority: u32) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = family(ip);
    message.header.src_len = full_prefix(ip);
    message.attributes = vec![RuleAttribute::Source(ip), RuleAttribute::Priority(priority)];
    message
}
