//! The soak, for as long as a test has. `make soak` does it for an hour.

use std::time::Duration;

use caracal_integration::soak;

#[test]
fn nothing_grows_under_mixed_traffic() {
    let mut told = Vec::new();
    let soaked = soak::run(Duration::from_secs(5), Duration::from_secs(1), |line| told.push(line.to_owned()));
    println!("{}", told.join("\n"));
    soaked.unwrap();
    assert!(told.iter().any(|line| line.contains(" flows,") && !line.contains(" 0 flows,")), "nobody talked");
}
