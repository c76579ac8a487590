//! Large clusters: everything arrives, in memory that is bounded.

use std::time::Instant;

use caracal_cluster::{Bed, Crowd};
use serde_json::Value;

#[test]
fn all_of_ten_thousand_services_are_known_to_an_agent_that_is_ready() {
    let bed = Bed::start("services", &[]).unwrap();
    let began = Instant::now();
    Crowd { services: 10_000, endpoints: 1, pods: 1_000 }.gather(bed.control()).unwrap();
    println!("gathered in {:?}", began.elapsed());
    let listed: Value =
        serde_json::from_str(&bed.api().get_text("/api/v1/namespaces/crowd/services").unwrap()).unwrap();
    assert_eq!(listed["items"].as_array().unwrap().len(), 10_001);
    let agent = bed.follow().unwrap();
    let began = Instant::now();
    agent.wait_until_ready().unwrap();
    println!("ready after {:?}, {:?}", began.elapsed(), agent.memory().unwrap());
    // Asked once: this is what it knew when it said that it was ready, or more.
    let state = agent.state().unwrap().to_string();
    for number in [0, 4_999, 9_999] {
        assert!(state.contains(&format!("\"crowd/app-{number}\"")), "no service app-{number}");
    }
    bed.end().unwrap();
}
