//! The lab's own runtime. What breaks the specification is a failure here even where libcni would forgive it.

use caracal_lab::{
    Node,
    cni::{Error, Network},
};
use serde_json::Value;

use super::{Failure, Runtime};
use crate::Container;

/// `caracal_lab::cni`.
#[derive(Debug)]
pub struct OwnDriver;

impl Runtime for OwnDriver {
    fn add(&self, node: &Node, list: &Value, container: &Container) -> Result<Value, Failure> {
        let added = Network::from_list(list).and_then(|net| node.cni().add(&net, &container.attachment));
        added.map(|added| added.result).map_err(failure)
    }

    fn del(&self, node: &Node, list: &Value, container: &Container) -> Result<(), Failure> {
        let deleted = Network::from_list(list).and_then(|net| node.cni().del(&net, &container.attachment));
        deleted.map(drop).map_err(failure)
    }

    fn check(&self, node: &Node, list: &Value, container: &Container) -> Result<(), Failure> {
        let checked = Network::from_list(list).and_then(|net| node.cni().check(&net, &container.attachment));
        checked.map(drop).map_err(failure)
    }

    fn status(&self, node: &Node, list: &Value) -> Result<(), Failure> {
        Network::from_list(list).and_then(|net| node.cni().status(&net)).map(drop).map_err(failure)
    }

    fn gc(&self, node: &Node, list: &Value, valid: &[&Container]) -> Result<(), Failure> {
        let valid: Vec<_> = valid.iter().map(|container| container.attachment.clone()).collect();
        Network::from_list(list).and_then(|net| node.cni().gc(&net, &valid)).map(drop).map_err(failure)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is the error's end")]
fn failure(error: Error) -> Failure {
    Failure { code: error.plugin_error().map(|error| error.code), text: error.to_string() }
}
