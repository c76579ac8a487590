//! Large clusters: everything arrives, in memory that is bounded.

use std::time::Instant;

use caracal_cluster::{Bed, Crowd};
use serde_json::Value;

#[test]
fn ten_thousand_services_are_known_and_served_on_the_way() {
    let bed = Bed::start("services", &[]).unwrap();
    let began = Instant::now();
    Crowd { services: 10_000, endpoints: 1, pods: 10_000 }.gather(bed.control()).unwrap();
    println!("gathered in {:?}", began.elapsed());
    let listed: Value =
        serde_json::from_str(&bed.api().get_text("/api/v1/namespaces/crowd/services").unwrap()).unwrap();
    assert_eq!(listed["items"].as_array().unwrap().len(), 10_001);
    let agent = bed.follow().unwrap();
    let began = Instant::now();
    agent.wait_until_ready().unwrap();
    println!("ready after {:?}, {:?}", began.elapsed(), agent.memory().unwrap());
    agent.wait_for_state("the last of the services", |state| state.to_string().contains("crowd/app-9999")).unwrap();
    bed.end().unwrap();
}
