//! A runtime that we did not write, as a program: it reads an order from standard input, has the `rust-cni` crate carry
//! it out, and prints the result.

use std::{io, process::ExitCode};

use caracal_cni_suite::runtime::Order;
use rust_cni::libcni::{
    api::{CNI as _, CNIConfig, RuntimeConf},
    conf::ConfigFile,
};
use serde_json::Value;

fn main() -> ExitCode {
    match run() {
        Ok(result) => {
            #[expect(clippy::print_stdout, reason = "the result is what the caller reads")]
            {
                println!("{result}");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<Value, String> {
    let order: Order = serde_json::from_reader(io::stdin()).map_err(|error| format!("the order: {error}"))?;
    let list = ConfigFile::config_from_bytes(order.list.to_string().as_bytes())?;
    let runtime = CNIConfig { path: vec!["/opt/cni/bin".to_owned()], ..CNIConfig::default() };
    let container = RuntimeConf {
        container_id: order.container_id,
        net_ns: order.netns,
        if_name: order.ifname,
        args: order.args,
        ..RuntimeConf::default()
    };
    let nothing = |()| Value::Null;
    match order.verb.as_str() {
        "ADD" => {
            let result = runtime.add_network_list(list, container).map_err(|error| error.to_string())?;
            serde_json::from_str(&result.get_json().dump()).map_err(|error| error.to_string())
        }
        "DEL" => runtime.delete_network_list(list, container).map(nothing).map_err(|error| error.to_string()),
        "CHECK" => runtime.check_network_list(list, container).map(nothing).map_err(|error| error.to_string()),
        other => Err(format!("{other} is neither ADD nor DEL nor CHECK")),
    }
}
