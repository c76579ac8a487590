//! The verbs of the CNI specification.
//!
//! ADD writes down what it is about to do before it does it, and DEL takes apart what is written down. An ADD that
//! fails undoes itself by the same steps as DEL, and so does the first verb that finds the remains of an ADD that was
//! killed.

use std::collections::BTreeSet;

use caracal_ipam::{
    Attachment, Ipam,
    plugin::read_config,
    protocol::{AddResult, CniError, Code, Plugin, Request, Target},
};

use crate::{
    Error,
    config::{Config, Places, Policy},
    dataplane::DataPlane,
};

mod add;
mod check;
mod release;

/// The plugin; it has no state but its files and the kernel's.
#[derive(Clone, Copy, Debug)]
pub struct Caracal;

impl Plugin for Caracal {
    const ABOUT: &'static str = concat!("CNI plugin caracal ", env!("CARGO_PKG_VERSION"));

    fn add(&self, request: &Request, target: &Target) -> Result<AddResult, CniError> {
        add::add(request, target)
    }

    fn del(&self, request: &Request, target: &Target) -> Result<(), CniError> {
        let errors = release::release(&Places::of(request), &request.network, &target.attachment);
        CniError::collect(&format!("{} is not released completely", target.attachment), errors)
    }

    fn check(&self, request: &Request, target: &Target) -> Result<(), CniError> {
        check::check(request, target)
    }

    fn gc(&self, request: &Request, valid: &BTreeSet<Attachment>) -> Result<(), CniError> {
        let errors = release::release_all_but(&Places::of(request), &request.network, valid);
        CniError::collect("not everything could be released", errors)
    }

    fn status(&self, request: &Request) -> Result<(), CniError> {
        let config = Config::parse(request)?;
        let ipam_config = read_config(request)?;
        let unavailable = |e: &dyn std::error::Error| CniError::new(Code::NotAvailable, e.to_string());
        let data_plane = DataPlane::open(&config.places.bpffs).map_err(|e| unavailable(&e))?;
        require_data_plane(&config, &data_plane).map_err(|e| unavailable(&e))?;
        Ipam::new(&config.places.data_dir, &request.network).status(&ipam_config).map_err(|e| unavailable(&e))
    }
}

fn require_data_plane(config: &Config, data_plane: &DataPlane) -> Result<(), Error> {
    if config.policy == Policy::Required && !data_plane.is_loaded() {
        return Err(Error::NoDataPlane(config.places.bpffs.display().to_string()));
    }
    Ok(())
}
