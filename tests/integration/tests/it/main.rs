//! Tests that need a kernel. `fixtures_*` run made-up packets through the programs (`TEST_RUN`), `datapath_*` look at pins,
//! links and maps, `lab_*` have real sockets in a lab.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod architecture;
mod datapath_attach;
mod datapath_budget;
mod datapath_conntrack;
mod datapath_events;
mod datapath_pins;
mod datapath_tables;
mod fixtures_answers;
mod fixtures_beside_host_nat;
mod fixtures_flood;
mod fixtures_fragments;
mod fixtures_from_pod;
mod fixtures_life;
mod fixtures_masquerade;
mod fixtures_pod_to_pod;
mod fixtures_port_mappings;
mod flow_table_model;
mod lab_beside_kube_proxy;
mod lab_endpoints;
mod lab_events;
mod lab_flows;
mod lab_foreign_runtime;
mod lab_fragments;
mod lab_life;
mod lab_limits;
mod lab_nodes;
mod lab_pod_to_pod;
mod lab_port_mappings;
mod lab_queues;
mod lab_soak;
mod lab_tools;
mod lab_walks;
