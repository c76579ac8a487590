//! The verbs of the CNI specification.
//!
//! ADD writes down what it is about to do before it does it, and DEL takes apart what is written down. An ADD that
//! fails undoes itself by the same steps as DEL, and so does the first verb that finds the remains of an ADD that was
//! killed. Behind another plugin (`chained`) all of that is about the data plane alone.

use std::collections::BTreeSet;

use caracal_ipam::{
    Attachment,
    protocol::{Added, Args, CniError, Code, Plugin, Previous, Request, Target},
};
use release::Release;

use crate::{
    Error,
    config::{Config, Policy, is_chained},
    dataplane::DataPlane,
    ports,
    record::RecordFile,
    source::Source,
};

mod add;
mod chained;
mod check;
mod release;

/// The plugin; it has no state but its files and the kernel's.
#[derive(Clone, Copy, Debug)]
pub struct Caracal;

impl Plugin for Caracal {
    const ABOUT: &'static str = concat!("CNI plugin caracal ", env!("CARGO_PKG_VERSION"));

    fn add(&self, request: &Request, target: &Target) -> Result<Added, CniError> {
        match Previous::of(request)? {
            Some(previous) => chained::add(request, target, previous),
            None => Ok(add::add(request, target)?.into()),
        }
    }

    fn del(&self, request: &Request, target: &Target) -> Result<(), CniError> {
        let release = Release::of(request);
        let file = match RecordFile::open(&release.places.records(&request.network), &target.attachment) {
            Err(e) if is_chained(&request.conf()) => {
                log::error!("{e}; going on without it");
                None
            }
            file => file.map_err(|e| incomplete(target, &[e.to_string()]))?,
        };
        if release.is_chained(file.as_ref().map(RecordFile::record)) {
            chained::del(target, &release, file);
            return Ok(());
        }
        let errors = match file {
            Some(file) => release.release_recorded(&target.attachment, file),
            None => release.release_unrecorded(&target.attachment),
        };
        if errors.is_empty() { Ok(()) } else { Err(incomplete(target, &errors)) }
    }

    fn check(&self, request: &Request, target: &Target) -> Result<(), CniError> {
        let release = Release::of(request);
        let file = RecordFile::open(&release.places.records(&request.network), &target.attachment);
        let file = file.map_err(Error::from)?;
        if release.is_chained(file.as_ref().map(RecordFile::record)) {
            let wishes = ports::parse(&request.conf())?;
            return Ok(chained::check(target, &release, file.as_ref().map(RecordFile::record), &wishes)?);
        }
        check::check(request, target, &release, file.as_ref())
    }

    fn gc(&self, request: &Request, valid: &BTreeSet<Attachment>) -> Result<(), CniError> {
        let errors = Release::of(request).release_all_but(valid);
        CniError::collect("not everything could be released", errors)
    }

    fn status(&self, request: &Request) -> Result<(), CniError> {
        let config = Config::parse(request)?;
        let unavailable = |e: &dyn std::error::Error| CniError::new(Code::NotAvailable, e.to_string());
        let data_plane = DataPlane::open(&config.places.bpffs).map_err(|e| unavailable(&e))?;
        require_data_plane(&config, &data_plane).map_err(|e| unavailable(&e))?;
        if is_chained(&request.conf()) {
            return Ok(());
        }
        Source::of(request, &config)?.status()
    }
}

fn incomplete(target: &Target, errors: &[String]) -> CniError {
    let msg = format!("{} is not released completely", target.attachment);
    CniError::new(Code::Incomplete, msg).with_details(errors.join("; "))
}

/// The pod that Kubernetes says this is for.
fn pod_name(args: &Args) -> Option<String> {
    Some(format!("{}/{}", args.get("K8S_POD_NAMESPACE")?, args.get("K8S_POD_NAME")?))
}

fn require_data_plane(config: &Config, data_plane: &DataPlane) -> Result<(), Error> {
    if config.policy == Policy::Required && !data_plane.is_loaded() {
        return Err(Error::NoDataPlane(config.places.bpffs.display().to_string()));
    }
    if !config.ports.is_empty() && !data_plane.is_loaded() {
        return Err(Error::NoPorts(config.places.bpffs.display().to_string()));
    }
    Ok(())
}
